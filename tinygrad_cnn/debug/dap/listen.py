"""`debug.listen`: a running program waits for an editor to attach, on a loopback port.

    tg.debug.listen(5678)      # blocks until an editor has attached and set its breakpoints
    ...
    loss.backward()            # stops where the editor says

Who attaches needs the token that the message shows (`access`). One client at a time is attached; when it leaves, the
program runs on, and the next one may come.
"""

from __future__ import annotations

import atexit
import contextlib
import socket
import sys
import threading
import time

from tinygrad_cnn.debug.dap.access import HOST, Door
from tinygrad_cnn.debug.dap.adapter import Adapter
from tinygrad_cnn.debug.dap.program import BREATH, Program
from tinygrad_cnn.debug.dap.serve import GRACE
from tinygrad_cnn.debug.dap.server import Server
from tinygrad_cnn.support.errors import UsageError

#: Where editors' snippets look.
PORT = 5678


class _Listener:
    """The door, the watched thread's `Program`, and the conversations that are going on."""

    def __init__(self, port: int) -> None:
        self.door = Door(port)
        self.port = self.door.port
        self.program = Program(stays=True)
        self.program.attach_here()
        self.ready = threading.Event()
        self._conversations: dict[Server, Adapter] = {}
        threading.Thread(target=self.door.accept, args=(self._serve,), name="dap_listen", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        reader, writer = client.makefile("rb"), client.makefile("wb")

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

        with reader, contextlib.suppress(OSError, ValueError), writer:
            server = Server(reader, writer, hang_up)
            adapter = Adapter(
                server.send_event, program=self.program, token=self.door.token, on_attached=self.ready.set
            )
            self._conversations[server] = adapter
            try:
                server.serve(adapter)
            finally:
                del self._conversations[server]

    def close(self) -> None:
        """Stop listening; an attached client is told that the program ended."""
        self.door.close()
        for server, adapter in self._conversations.copy().items():
            if adapter.running and self.door.is_ours():
                adapter.send("terminated")
                # Time for the client to say goodbye; a process that ends cuts the connection anyway.
                server.wait(GRACE)
        self.program.leave_here()


_current: _Listener | None = None


def listen(port: int = PORT, *, wait: bool = True, timeout: float | None = None) -> int:
    """Let an editor attach to this thread's backward passes, on 127.0.0.1 only, with a token.

    The token is random, shown on standard error, and written to a file that only its owner can read, where the editors'
    settings (`tinygrad-cnn dap --install`) find it. At most 8 clients may be connected, and one of them attached.

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
    doing = "waiting for an editor" if wait else "an editor may attach"
    print(f"{doing} on {HOST}:{_current.port}, {_current.door.key()}", file=sys.stderr, flush=True)
    if wait:
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
