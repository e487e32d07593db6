"""`python killed.py POINT COUNT -- train …`: the command line, killed by SIGKILL at a chosen point.

POINT is `batch` (after the COUNTth optimiser step of this process), `write` (when half of the COUNTth file
is written), `sync` (written and synced, not yet renamed), `rename` (just renamed). No handler of the process
gets to run. With `interrupt` it is Ctrl-C instead, after the COUNTth optimiser step.
"""

import os
import signal
import sys

from tinygrad_cnn import cli, optim
from tinygrad_cnn.io import atomic

point, count, words = sys.argv[1], int(sys.argv[2]), sys.argv[4:]
left = count


def tick():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGINT if point == "interrupt" else signal.SIGKILL)


class FileSystem:
    """`os` as `io.atomic` sees it."""

    def __getattr__(self, name):
        return getattr(os, name)

    def replace(self, source, target):
        if point == "sync":
            tick()
        os.replace(source, target)
        if point == "rename":
            tick()

    def fdopen(self, handle, mode):
        file = os.fdopen(handle, mode)
        return Halved(file) if point == "write" else file


class Halved:
    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        middle = len(data) // 2
        self.file.write(data[:middle])
        self.file.flush()
        tick()
        self.file.write(data[middle:])


atomic.os = FileSystem()
step = optim.Optimizer.step


def counted(self, *args):
    result = step(self, *args)
    if point in ("batch", "interrupt"):
        tick()
    return result


optim.Optimizer.step = counted
sys.exit(cli.main(words))
