"""`debug.listen`: a running program waits for an editor to attach, on a loopback port.

    tg.debug.listen(5678)      # blocks until an editor has attached and set its breakpoints
    ...
    loss.backward()            # stops where the editor says

One client at a time; when it leaves, the program runs on, and the next one may come.
"""

from __future__ import annotations

import atexit
import contextlib
import socket
import sys
import threading
import time

from tinygrad_cnn.debug.dap.adapter import Adapter
from tinygrad_cnn.debug.dap.program import BREATH, Program
from tinygrad_cnn.debug.dap.serve import GRACE, HOST, bind
from tinygrad_cnn.debug.dap.server import Server
from tinygrad_cnn.support.errors import UsageError

#: Where editors' snippets look.
PORT = 5678


class _Listener:
    """The socket, the watched thread's `Program`, and the client of the moment."""

    def __init__(self, port: int) -> None:
        self.socket = bind(port)
        self.port: int = self.socket.getsockname()[1]
        self.program = Program(stays=True)
        self.program.attach_here()
        self.ready = threading.Event()
        self.adapter: Adapter | None = None
        self.server: Server | None = None
        threading.Thread(target=self._accept, name="dap_listen", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:  # closed
                return
            with client:
                self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        reader, writer = client.makefile("rb"), client.makefile("wb")

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

        with reader, contextlib.suppress(OSError, ValueError), writer:
            self.server = Server(reader, writer, hang_up)
            self.adapter = Adapter(self.server.send_event, program=self.program, on_attached=self.ready.set)
            self.server.serve(self.adapter)
        self.server = self.adapter = None

    def close(self) -> None:
        """Stop listening; the client of the moment, if any, is told that the program ended."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        if self.adapter is not None and self.server is not None:
            self.adapter.send("terminated")
            # Time for the client to say goodbye; a process that ends cuts the connection anyway.
            self.server.wait(GRACE)
        self.program.leave_here()


_current: _Listener | None = None


def listen(port: int = PORT, *, wait: bool = True, timeout: float | None = None) -> int:
    """Let an editor attach to this thread's backward passes, on 127.0.0.1 only.

    Parameters
        port: 0 takes any free one
        wait: block until an editor has attached and finished configuring
        timeout: wait no longer than that (in seconds), then run on; an editor may still come

    Returns the port. From here on, nodes made in this thread keep their values and their Python frames (which
    costs their memory) until `unlisten`. Raises UsageError for a port that cannot be had, or when this
    process listens already.
    """
    global _current
    if _current is not None:
        raise UsageError(f"this process listens on {HOST}:{_current.port} already; unlisten() first")
    _current = _Listener(port)
    atexit.register(unlisten)
    if wait:
        print(f"waiting for an editor on {HOST}:{_current.port}", file=sys.stderr, flush=True)
        wait_for_client(timeout)
    return _current.port


def wait_for_client(timeout: float | None = None) -> bool:
    """Block until an editor has attached and finished configuring; False when none came in time (in seconds).

    Raises UsageError when this process does not listen.
    """
    if _current is None:
        raise UsageError("nobody can attach yet: call listen() first")
    end = float("inf") if timeout is None else time.monotonic() + timeout
    while not _current.ready.wait(max(0.0, min(BREATH, end - time.monotonic()))):
        if time.monotonic() >= end:
            return False
    return True


def unlisten() -> None:
    """Stop listening; call it in the thread that called `listen`. Without one, nothing happens."""
    global _current
    if _current is not None:
        _current.close()
        _current = None
        atexit.unregister(unlisten)
