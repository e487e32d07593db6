"""`tinygrad-cnn dap`: the server as a process, on its standard streams or on a loopback port.

On standard streams it serves one client, and runs the client's script in this process's main thread, as any
`python script` does. On a port it serves clients until it is interrupted, each by a process of its own, so
that one client's script cannot disturb another's and every launch starts from nothing.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from tinygrad_cnn.debug.dap.access import HOST, Door
from tinygrad_cnn.debug.dap.adapter import Adapter
from tinygrad_cnn.debug.dap.output import own_streams
from tinygrad_cnn.debug.dap.program import BREATH
from tinygrad_cnn.debug.dap.server import Server

#: How long a script may take to end once its client has gone, in seconds.
GRACE = 3.0
#: The environment variable by which a client's process learns the token; only the same user can read it.
TOKEN = "TINYGRAD_CNN_DAP_TOKEN"


def serve_stdio() -> int:
    """Serve the client at the other end of the standard streams; returns the exit code."""
    adapter: Adapter | None = None

    def sink(category: str, text: str) -> None:
        if adapter is not None:
            adapter.output(category, text)

    reader, writer, drain = own_streams(sink)
    server = Server(reader, writer, writer.close)
    # What this thread, the main one, has to do: run the script, and at last end.
    jobs: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
    adapter = Adapter(server.send_event, jobs.put, token=os.environ.pop(TOKEN, None), drain=drain)
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
    server.wait_for_leaving()
    if not server.wait(2 * GRACE) or not adapter.wait_for_exit(GRACE):
        # A request or the script does not end: it is in C code, or catches every exception.
        os._exit(1)
    jobs.put(None)


def serve_tcp(port: int, *, announce: Callable[[str], None]) -> int:
    """Serve clients on a loopback port (0: any free one) until interrupted; `announce` gets the port and its token."""
    if threading.current_thread() is threading.main_thread():
        # Told to end, it leaves as when it is interrupted: the file with the token goes with it.
        signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    door = Door(port)
    children: set[subprocess.Popen[bytes]] = set()
    try:
        announce(f"listening on {HOST}:{door.port}\n{door.key()}")
        door.accept(lambda client: _relay(client, door.token, children))
        return 0
    finally:
        door.close()
        for child in children.copy():
            child.kill()


def _relay(client: socket.socket, token: str, children: set[subprocess.Popen[bytes]]) -> None:
    """Serve one client by a process of its own; bytes go to and fro."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tinygrad_cnn", "dap"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, TOKEN: token},
    )
    assert child.stdin is not None and child.stdout is not None
    children.add(child)
    over = threading.Event()
    to_child = threading.Thread(
        target=_from_client, args=(client, child.stdin, over, child.kill), daemon=True
    )
    to_child.start()
    with child.stdout as out:
        while data := out.read(65536):
            with contextlib.suppress(OSError):  # it has gone; the child will notice
                client.sendall(data)
    over.set()
    children.discard(child)
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
    to_child.join()
    child.wait()


def _from_client(client: socket.socket, into: Any, over: threading.Event, kill: Callable[[], None]) -> None:
    """Hand on what the client says. Once it has gone, see to it that the conversation ends, whatever the child does."""
    with contextlib.suppress(OSError), into:
        while data := client.recv(65536):
            into.write(data)
    if not over.wait(4 * GRACE):
        kill()  # it computes 9**9**9, for instance, and no other thread of it can run and notice
