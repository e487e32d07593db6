"""Frames of the Debug Adapter Protocol on a byte stream: a Content-Length header, then a JSON object.

`read_message` takes one message off a stream, `Writer` puts one on. Both know JSON and headers only; what a
message means is `messages`' and `adapter`'s business. Whatever comes from outside is distrusted here: sizes
are limited before anything is read, and each fault says whether the stream can be read on behind it.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from typing import Any, BinaryIO

#: Longest header block and longest body that are read, in bytes. Editors send some kilobytes.
MAX_HEADER = 8 * 1024
MAX_BODY = 16 * 1024 * 1024
#: Longest body from a client that has not shown its token yet.
MAX_BODY_OF_STRANGERS = 1024 * 1024
#: So many messages may wait to be written; who sends more waits.
MAX_UNWRITTEN = 10_000
#: How long a client may take, in seconds, to read what was sent before the end.
LINGER = 3.0


class ProtocolError(Exception):
    """Bytes that are no message.

    `fatal` tells whether the place where the next message begins is lost too.
    """

    def __init__(self, message: str, *, fatal: bool) -> None:
        super().__init__(message)
        self.fatal = fatal


def read_message(stream: BinaryIO, longest: int = MAX_BODY) -> dict[str, Any] | None:
    """The next message, or None where the stream ends between two messages.

    Raises ProtocolError: fatal for a broken header, a body of more than `longest` bytes or one that is cut off;
    not fatal for a body that is no UTF-8, no JSON or no object.
    """
    length = _read_header(stream, longest)
    if length is None:
        return None
    body = _read_exactly(stream, length)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolError(f"expected a body in UTF-8: {error}", fatal=False) from None
    try:
        message = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"expected a JSON body: {error}", fatal=False) from None
    if not isinstance(message, dict):
        raise ProtocolError(f"expected a JSON object, got {_kind(message)}", fatal=False)
    return message


def frame(message: dict[str, Any], seq: int) -> bytes:
    """A message's bytes, header included. Raises ValueError for what JSON cannot say, a NaN for instance."""
    return _framed(_encoded(message), seq)


class Writer:
    """Puts messages on a stream, numbered in the order of sending; any thread may call `send`.

    A thread of its own does the writing: the program's thread may be interrupted at any bytecode, and half a
    message would spoil the conversation. Once the other side has gone, `send` gives False and stays quiet:
    that the client vanished is noticed by whoever reads.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()  # whose `put` is one step
        self.closed = False
        self._thread = threading.Thread(target=self._write, name="dap_write", daemon=True)
        self._thread.start()

    def send(self, message: dict[str, Any]) -> bool:
        """Number the message and write it, soon; False when the stream is closed."""
        if self.closed:
            return False
        body = _encoded(message)
        while self._waiting.qsize() > MAX_UNWRITTEN and not self.closed:
            time.sleep(0.001)  # the client is slower than the program prints
        self._waiting.put(body)
        return True

    def close(self) -> None:
        """Send nothing from now on; what was sent is written when this returns, if the client reads it."""
        self.closed = True
        self._waiting.put(None)
        self._thread.join(LINGER)

    def _write(self) -> None:
        seq = 0
        while (body := self._waiting.get()) is not None:
            seq += 1
            try:
                self._stream.write(_framed(body, seq))
                self._stream.flush()
            except (OSError, ValueError):  # ValueError: the file object was closed under us
                self.closed = True
                return


def _encoded(message: dict[str, Any]) -> bytes:
    # ASCII only: a lone surrogate in somebody's string must not break the encoding.
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii")


def _framed(body: bytes, seq: int) -> bytes:
    whole = b'{"seq":%d,%b' % (seq, body[1:])
    return b"Content-Length: %d\r\n\r\n%b" % (len(whole), whole)


def _read_header(stream: BinaryIO, longest: int) -> int | None:
    """The body's length, or None at the end of the stream.

    The first line that is none of this protocol's ends the conversation: a web page can make a browser send a request
    to this port, and its body could hold messages.
    """
    length: int | None = None
    size = 0
    while True:
        line = stream.readline(MAX_HEADER - size + 1)
        size += len(line)
        if not line:
            if size == 0:
                return None
            raise ProtocolError("the stream ended inside a header", fatal=True)
        if size > MAX_HEADER:
            raise ProtocolError(f"expected a header of at most {MAX_HEADER} bytes", fatal=True)
        if not line.endswith(b"\n"):
            raise ProtocolError("the stream ended inside a header", fatal=True)
        line = line.strip()
        if not line:
            if length is None:
                raise ProtocolError("expected a Content-Length header", fatal=True)
            return length
        name, colon, value = line.partition(b":")
        kind = name.strip().lower()
        if not colon or kind not in (b"content-length", b"content-type"):
            raise ProtocolError(f"expected a Content-Length header, got {line[:80]!r}", fatal=True)
        if kind == b"content-length":
            if length is not None:
                raise ProtocolError("expected one Content-Length, got two", fatal=True)
            length = _length(value.strip(), longest)


def _length(value: bytes, longest: int) -> int:
    # isdigit alone would take a number of any size; int() of a very long one is slow by itself.
    if not value.isdigit() or len(value) > 18:
        raise ProtocolError(f"expected a number of bytes as Content-Length, got {value[:40]!r}", fatal=True)
    length = int(value)
    if length > longest:
        raise ProtocolError(f"expected a body of at most {longest:,} bytes, got {length:,}", fatal=True)
    return length


def _read_exactly(stream: BinaryIO, length: int) -> bytes:
    parts = []
    left = length
    while left:
        part = stream.read(min(left, 1 << 20))
        if not part:
            raise ProtocolError(f"the stream ended {left} bytes before its message did", fatal=True)
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _kind(value: Any) -> str:
    names = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
