"""One client's conversation: requests come in on a stream, go through a table one by one, answers go out.

Two threads. The reader takes messages off the stream and never waits for anything else, so that `cancel`,
`disconnect` and a client that vanished are noticed while a request is at work. The dispatcher asks the
`Handler` to do one request after the other, in their order. What requests mean is the handler's business
(`adapter`); this file only sees to it that each gets exactly one answer, whatever happens.
"""

from __future__ import annotations

import queue
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from tinygrad_cnn.debug.dap import messages
from tinygrad_cnn.debug.dap.messages import RequestError
from tinygrad_cnn.debug.dap.protocol import (
    MAX_BODY,
    MAX_BODY_OF_STRANGERS,
    ProtocolError,
    Writer,
    read_message,
)

#: How long a client may take, in seconds, to show its token.
PATIENCE = 10.0
#: So many requests may wait; the next ones are refused at once.
MAX_WAITING = 1000


@dataclass
class Reply:
    """A handler's answer: the response's body, and what to do once the response is on its way."""

    body: Any = None
    then: Callable[[], None] | None = None


class Handler(Protocol):
    """What the server asks of an adapter."""

    def handle(self, command: str, arguments: Any) -> Reply:
        """Do a request. Raises RequestError with the reason when it cannot be done."""

    def begin(self) -> None:
        """A request is next: interruptions from here on mean it, and no longer the one before."""

    def interrupt(self) -> None:
        """Break off the request that is at work, if it can be; from the reader's thread."""

    def close(self, *, vanished: bool) -> None:
        """The conversation is over: let the program go."""

    @property
    def trusted(self) -> bool:
        """Whether the client has shown its token, or none is needed."""

    @property
    def finished(self) -> bool:
        """Whether the last request ended the conversation."""


class Server:
    """Serves one client on a pair of streams until it disconnects or vanishes.

    `hang_up` is called at the end, to close what the streams are made of.
    """

    def __init__(self, reader: BinaryIO, writer: BinaryIO, hang_up: Callable[[], None] | None = None) -> None:
        self._reader = reader
        self._writer = Writer(writer)
        self._hang_up = hang_up
        self._requests: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._cancelled: set[int] = set()
        self._waiting: list[int] = []  # sequence numbers; the first may be at work
        self._current: int | None = None
        self._vanished = False
        self._leaving = threading.Event()
        self._done = threading.Event()
        self.handler: Handler | None = None

    def send_event(self, name: str, body: Any = None) -> bool:
        """Tell the client something; False once it is gone. Any thread may call it."""
        return self._writer.send(messages.event(name, body))

    def serve(self, handler: Handler) -> None:
        """Run the conversation to its end."""
        self.start(handler)
        self._done.wait()

    def start(self, handler: Handler) -> None:
        """Run the conversation in threads of its own; `wait` waits for its end."""
        self.handler = handler
        for target in (self._read, self._dispatch):
            threading.Thread(target=target, name=f"dap{target.__name__}", daemon=True).start()
        if not handler.trusted:
            deadline = threading.Timer(PATIENCE, self._expel)
            deadline.daemon = True
            deadline.start()

    def _expel(self) -> None:
        """End the conversation with a client that has not shown its token in time."""
        if self.handler is not None and not self.handler.trusted:
            self._requests.put(None)

    def wait_for_leaving(self) -> None:
        """Return when the client has said goodbye or vanished; a request may still be at work."""
        self._leaving.wait()

    def wait(self, timeout: float | None = None) -> bool:
        """Whether the conversation ended in time (in seconds)."""
        return self._done.wait(timeout)

    # --- the reader ------------------------------------------------------------------------------

    def _read(self) -> None:
        assert self.handler is not None
        try:
            while not self._done.is_set():
                trusted = self.handler.trusted
                try:
                    message = read_message(self._reader, MAX_BODY if trusted else MAX_BODY_OF_STRANGERS)
                except ProtocolError as error:
                    self._writer.send(messages.failure({}, str(error), id=2))
                    if error.fatal or not trusted:
                        break
                    continue
                except (OSError, ValueError):  # closed under us
                    break
                if message is None:
                    break
                self._accept(message)
        finally:
            self._vanished = True
            self._leaving.set()
            self.handler.interrupt()
            self._requests.put(None)

    def _accept(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "response":  # this server asks the client nothing, so it is nobody's answer
            return
        seq, command = message.get("seq"), message.get("command")
        wrong = (
            f"expected a message of type 'request', got {kind!r}" if kind != "request"
            else "expected a whole number as seq" if not isinstance(seq, int) or isinstance(seq, bool)
            else "expected a string as command" if not isinstance(command, str)
            else None
        )  # fmt: skip
        if wrong is not None or not isinstance(seq, int):
            self._writer.send(messages.failure(message, wrong or "", id=2))
            return
        if command == "cancel":
            self._cancel(message)
            return
        with self._lock:
            full = len(self._waiting) >= MAX_WAITING
            if not full:
                self._waiting.append(seq)
        if full and command != "disconnect":
            self._writer.send(messages.failure(message, f"{MAX_WAITING} requests are waiting already", id=2))
            return
        if command in ("disconnect", "terminate", "pause") and self.handler is not None:
            self.handler.interrupt()
        if command == "disconnect":
            self._leaving.set()
        self._requests.put(message)

    def _cancel(self, request: dict[str, Any]) -> None:
        arguments = request.get("arguments")
        wanted = arguments.get("requestId") if isinstance(arguments, dict) else None
        with self._lock:
            known = isinstance(wanted, int) and wanted in self._waiting
            running = known and wanted == self._current
            if known and not running:
                self._cancelled.add(wanted)  # type: ignore[arg-type]
        if running and self.handler is not None:
            self.handler.interrupt()
        # Cancelling is a hint: that the request is over already is no error.
        self._writer.send(messages.response(request))

    # --- the dispatcher --------------------------------------------------------------------------

    def _dispatch(self) -> None:
        assert self.handler is not None
        try:
            while (request := self._requests.get()) is not None:
                seq = request["seq"]
                with self._lock:
                    cancelled = seq in self._cancelled
                    self._cancelled.discard(seq)
                    self._current = seq
                    self.handler.begin()  # under the lock: a `cancel` finds both changed or neither
                if cancelled:
                    self._writer.send(messages.failure(request, "cancelled", id=3))
                else:
                    self._answer(request)
                with self._lock:
                    self._current = None
                    if seq in self._waiting:
                        self._waiting.remove(seq)
                if self.handler.finished:
                    break
        finally:
            self._writer.close()
            try:
                self.handler.close(vanished=self._vanished)
            finally:
                self._leaving.set()
                self._done.set()
                if self._hang_up is not None:
                    self._hang_up()

    def _answer(self, request: dict[str, Any]) -> None:
        assert self.handler is not None
        try:
            reply = self.handler.handle(request["command"], request.get("arguments"))
        except RequestError as error:
            self._writer.send(messages.failure(request, str(error), id=error.id, show=error.show))
            return
        except Exception as error:
            # A fault of ours must cost the client this request only; where it happened goes to the log.
            traceback.print_exc(file=sys.__stderr__)
            text = f"{request['command']} failed inside the adapter: {type(error).__name__}: {error}"
            self._writer.send(messages.failure(request, text, id=4))
            return
        try:
            self._writer.send(messages.response(request, reply.body))
        except (
            ValueError
        ) as error:  # a NaN in a body: ours to mend, and no reason to leave the client waiting
            self._writer.send(messages.failure(request, f"{request['command']}: {error}", id=4))
        if reply.then is not None:
            reply.then()
