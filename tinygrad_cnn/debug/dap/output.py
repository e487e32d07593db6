"""What the program writes, as `output` events: nothing of it may reach the protocol's own stream.

`captured` takes over `sys.stdout` and `sys.stderr`. `own_streams` does the same a level below, for the file
descriptors of a process whose standard streams *are* the protocol: what C code or a child process writes
comes through a pipe, and `input()` finds its end at once.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

#: So many characters of an unfinished line wait for its end.
MAX_HELD = 8192

#: No pipe holds more bytes, so one such read empties it.
PIPE = 1 << 20

#: Called with a category ("stdout", "stderr", "console") and text.
Sink = Callable[[str, str], None]


class _Stream(io.TextIOBase):
    """A text stream that hands whole lines on, and the rest of one when flushed."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, category: str, sink: Sink) -> None:
        super().__init__()
        self._category, self._sink = category, sink
        self._held = ""
        self._lock = threading.Lock()
        self.buffer = _Bytes(self)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        with self._lock:
            whole, newline, self._held = (self._held + text).rpartition("\n")
            whole += newline
            if len(self._held) > MAX_HELD:
                whole, self._held = whole + self._held, ""
        if whole:
            self._sink(self._category, whole)
        return len(text)

    def flush(self) -> None:
        with self._lock:
            held, self._held = self._held, ""
        if held:
            self._sink(self._category, held)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False


class _Bytes(io.RawIOBase):
    """The stream's `buffer`, for programs that write bytes."""

    def __init__(self, text: _Stream) -> None:
        super().__init__()
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._text.write(raw.decode("utf-8", "replace"))
        return len(raw)


@contextlib.contextmanager
def captured(sink: Sink) -> Iterator[None]:
    """Inside the block, what Python code prints goes to `sink`."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Stream("stdout", sink), _Stream("stderr", sink)
    mine = sys.stdout, sys.stderr
    try:
        yield
    finally:
        for stream in mine:
            stream.flush()
        sys.stdout, sys.stderr = before


def _own_streams_again() -> None:
    """A forked child has no thread that sends: it writes to the descriptors, which belong to `own_streams`."""
    if isinstance(sys.stdout, _Stream):
        sys.stdout = sys.__stdout__
    if isinstance(sys.stderr, _Stream):
        sys.stderr = sys.__stderr__


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_own_streams_again)


class Descriptor:
    """A file descriptor to read from or write to, without a lock that could be held at the interpreter's end.

    Just what `protocol` needs of a stream.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._held = b""

    def read(self, size: int = -1) -> bytes:
        if not self._held:
            self._held = os.read(self._fd, 65536)
        out, self._held = self._held[:size], self._held[size:]
        return out

    def readline(self, size: int = -1) -> bytes:
        while b"\n" not in self._held and len(self._held) < size:
            more = os.read(self._fd, 65536)
            if not more:
                break
            self._held += more
        end = self._held.find(b"\n") + 1 or len(self._held)
        end = min(end, size)
        out, self._held = self._held[:end], self._held[end:]
        return out

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Tell the other side that nothing more comes."""
        os.close(self._fd)


def own_streams(sink: Sink) -> tuple[BinaryIO, BinaryIO, Callable[[], None]]:
    """Take the process's standard input and output away from everybody else; gives them to the protocol.

    What is still written to descriptor 1 goes to `sink`; descriptor 0 is at its end. The function that comes
    third returns when `sink` has got everything that was written by then.
    """
    sys.stdout.flush()
    reader, writer = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    out, into = os.pipe()
    os.dup2(into, 1)
    os.close(into)
    pump = _Pump(out, sink)
    threading.Thread(target=pump.run, name="dap_output", daemon=True).start()
    return Descriptor(reader), Descriptor(writer), pump.drain  # type: ignore[return-value]


class _Pump:
    """Hands on what comes out of a pipe, in a thread of its own, and at once when somebody has to know."""

    def __init__(self, fd: int, sink: Sink) -> None:
        self._fd, self._sink = fd, sink
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._lock = threading.Lock()

    def run(self) -> None:
        if os.name == "nt":  # whose `select` knows no pipes, so a stop may overtake them
            while self._read():
                pass
            return
        while select.select([self._fd], [], []):
            with self._lock:
                if self._more() and not self._read():
                    return

    def drain(self) -> None:
        if os.name != "nt":
            with self._lock:
                if self._more():
                    self._read()

    def _more(self) -> bool:
        return bool(select.select([self._fd], [], [], 0)[0])

    def _read(self) -> bool:
        data = os.read(self._fd, PIPE)
        if text := self._decode(data):
            self._sink("stdout", text)
        return bool(data)
