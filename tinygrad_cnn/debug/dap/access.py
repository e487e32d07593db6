"""Who may talk to a debug server on a port: a loopback socket, a random token, and few clients at a time.

Whoever attaches to a debugger can run code as the user who runs it, and every user and every web page of a machine
can connect to a loopback port. So each port has a token of its own, which `launch` and `attach` must bring along. It
is shown where the server was started, and written to `token_file(port)`, which only its owner can read and where
the settings that `tinygrad-cnn dap --install` writes look for it.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from tinygrad_cnn.debug.dap import messages
from tinygrad_cnn.debug.dap.protocol import frame
from tinygrad_cnn.support.errors import UsageError

#: The only address served.
HOST = "127.0.0.1"
#: So many clients may be connected at once; the next ones are refused.
MAX_CLIENTS = 8


def token_directory() -> Path:
    """Where tokens are written: a directory that only its owner may enter."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "tinygrad_cnn" / "debug"


def token_file(port: int) -> Path:
    """The file that holds the token of the server on `port`, while it runs."""
    return token_directory() / f"{port}.token"


def same_token(given: str | None, expected: str) -> bool:
    """Compare in a time that does not depend on where the two differ."""
    return hmac.compare_digest((given or "").encode("utf-8", "surrogatepass"), expected.encode())


class Door:
    """A listening socket with its token. `accept` calls `serve` with each client, in a thread of its own.

    Raises UsageError for a port that cannot be had.
    """

    def __init__(self, port: int) -> None:
        self.socket = _bind(port)
        self.port: int = self.socket.getsockname()[1]
        self.token = secrets.token_hex(16)
        self._process = os.getpid()
        self._free = threading.BoundedSemaphore(MAX_CLIENTS)
        self._file: Path | None = token_file(self.port)
        try:
            _write_private(self._file, self.token)
            self._where = f"also in {self._file}, which only you can read"
        except OSError as error:
            self._where = f"{self._file}, where editors look for it, cannot be written: {error.strerror}"
            self._file = None

    def key(self) -> str:
        """The token, and where else it can be found, for a message."""
        return f"token {self.token} ({self._where})"

    def accept(self, serve: Callable[[socket.socket], None]) -> None:
        """Serve clients until the door is closed."""
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:  # closed
                return
            if self._free.acquire(blocking=False):
                threading.Thread(
                    target=self._serve, args=(serve, client), name="dap_client", daemon=True
                ).start()
            else:
                _refuse(client)

    def _serve(self, serve: Callable[[socket.socket], None], client: socket.socket) -> None:
        try:
            with client:
                serve(client)
        finally:
            self._free.release()

    def is_ours(self) -> bool:
        """False in a forked child, in which no thread serves anybody."""
        return os.getpid() == self._process

    def close(self) -> None:
        """Let nobody in any more, and remove the token's file. A forked child only closes its copy of the socket."""
        if self.is_ours():
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            if self._file is not None:
                self._file.unlink(missing_ok=True)
        self.socket.close()


def _bind(port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise UsageError(f"a port is a number from 0 to 65535, got {port}")
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # On Windows, SO_REUSEADDR would let another program take the port over.
    option = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
    try:
        listening.setsockopt(socket.SOL_SOCKET, option, 1)
        listening.bind((HOST, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise UsageError(
            f"cannot listen on {HOST}:{port}: {error.strerror or error}; choose another port"
        ) from None
    return listening


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # of a server that was killed
    # O_EXCL: what somebody else may have put there in the meantime, a link for instance, is not written to.
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)


def _refuse(client: socket.socket) -> None:
    text = f"{MAX_CLIENTS} clients are connected, and no more may be; close one, or try again later"
    with client, contextlib.suppress(OSError):
        client.settimeout(1)
        client.sendall(frame(messages.failure({}, text, show=True), 1))
