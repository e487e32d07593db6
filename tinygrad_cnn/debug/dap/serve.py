"""`tinygrad-cnn dap`: the server as a process, on its standard streams or on a loopback port.

On standard streams it serves one client, and runs the client's script in this process's main thread, as any
`python script` does. On a port it serves clients until it is interrupted, each by a process of its own, so
that one client's script cannot disturb another's and every launch starts from nothing.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

from tinygrad_cnn.debug.dap.adapter import Adapter
from tinygrad_cnn.debug.dap.output import own_streams
from tinygrad_cnn.debug.dap.program import BREATH
from tinygrad_cnn.debug.dap.server import Server
from tinygrad_cnn.support.errors import UsageError

#: The only address served: whoever may connect can run code here.
HOST = "127.0.0.1"
#: How long a script may take to end once its client has gone, in seconds.
GRACE = 3.0


def serve_stdio() -> int:
    """Serve the client at the other end of the standard streams; returns the exit code."""
    adapter: Adapter | None = None

    def sink(category: str, text: str) -> None:
        if adapter is not None:
            adapter.output(category, text)

    reader, writer, drain = own_streams(sink)
    server = Server(reader, writer)
    # What this thread, the main one, has to do: run the script, and at last end.
    jobs: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
    adapter = Adapter(server.send_event, jobs.put, drain=drain)
    server.start(adapter)
    threading.Thread(target=_end, args=(server, adapter, jobs), name="dap_end", daemon=True).start()
    while True:
        try:
            job = jobs.get(timeout=BREATH)
        except queue.Empty:
            continue
        if job is None:
            return 0
        # A client that left while the script was in C code: its end may arrive after the script's.
        with contextlib.suppress(SystemExit):
            job()


def _end(server: Server, adapter: Adapter, jobs: queue.SimpleQueue[Any]) -> None:
    server.wait()
    if not adapter.wait_for_exit(GRACE):
        # It does not listen to reason: it is in C code, or catches everything.
        os._exit(1)
    jobs.put(None)


def serve_tcp(port: int, *, announce: Callable[[int], None] | None = None) -> int:
    """Serve clients on a loopback port (0: any free one, told to `announce`) until interrupted."""
    with bind(port) as listening:
        if announce is not None:
            announce(listening.getsockname()[1])
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_relay, args=(client,), name="dap_client", daemon=True).start()


def bind(port: int) -> socket.socket:
    """A listening socket on the loopback address. Raises UsageError for a port that cannot be had."""
    if not 0 <= port <= 65535:
        raise UsageError(f"a port is a number from 0 to 65535, got {port}")
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name != "nt":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise UsageError(
            f"cannot listen on {HOST}:{port}: {error.strerror or error}; choose another port"
        ) from None
    return listening


def _relay(client: socket.socket) -> None:
    """Serve one client by a process of its own; bytes go to and fro."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tinygrad_cnn", "dap"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert child.stdin is not None and child.stdout is not None
    into, out = child.stdin, child.stdout
    with client:
        to_child = threading.Thread(target=_from_client, args=(client, into), daemon=True)
        to_child.start()
        while data := out.read(65536):
            try:
                client.sendall(data)
            except OSError:
                break
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        to_child.join(GRACE)
    try:
        child.wait(2 * GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    out.close()


def _from_client(client: socket.socket, into: Any) -> None:
    stream: BinaryIO = into
    with contextlib.suppress(OSError), stream:
        while data := client.recv(65536):
            stream.write(data)
