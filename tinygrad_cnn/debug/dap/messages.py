"""The protocol's messages as types: what a request's arguments may be, what responses and events look like.

`Arguments` reads a request's arguments and says exactly what was wrong with them; `response`, `failure` and
`event` build what goes back. The names are the specification's. Knows nothing of gradients.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class RequestError(Exception):
    """A request that cannot be done: the client gets a failed response with this message."""

    def __init__(self, message: str, *, id: int = 1, show: bool = False) -> None:
        super().__init__(message)
        self.id = id
        self.show = show


#: What an answer to a message without a number refers to: the largest number, which no client reaches.
NOBODYS = 2**31 - 1

# --- bodies ----------------------------------------------------------------------------------------


class Source(TypedDict):
    """A place where code is; `sourceReference` above 0 means: ask the `source` request for its text."""

    name: NotRequired[str]
    path: NotRequired[str]
    sourceReference: NotRequired[int]
    presentationHint: NotRequired[str]
    origin: NotRequired[str]


class BreakpointBody(TypedDict):
    """A breakpoint as the server sees it."""

    id: NotRequired[int]
    verified: bool
    message: NotRequired[str]
    source: NotRequired[Source]
    line: NotRequired[int]
    reason: NotRequired[str]


class StackFrame(TypedDict):
    """A line of the call stack view."""

    id: int
    name: str
    line: int
    column: int
    endColumn: NotRequired[int]
    source: NotRequired[Source]
    moduleId: NotRequired[str]
    presentationHint: NotRequired[str]
    canRestart: NotRequired[bool]


class ScopeBody(TypedDict):
    """A heading of the variables view."""

    name: str
    variablesReference: int
    expensive: bool
    presentationHint: NotRequired[str]
    namedVariables: NotRequired[int]
    indexedVariables: NotRequired[int]


class Variable(TypedDict):
    """A line of the variables view; with a `variablesReference` above 0 it can be opened."""

    name: str
    value: str
    variablesReference: int
    type: NotRequired[str]
    evaluateName: NotRequired[str]
    namedVariables: NotRequired[int]
    indexedVariables: NotRequired[int]
    presentationHint: NotRequired[dict[str, Any]]


class ModuleBody(TypedDict):
    """A line of the modules view: here, a module of the network."""

    id: str
    name: str
    path: NotRequired[str]


# --- what goes back ----------------------------------------------------------------------------------


def response(request: dict[str, Any], body: Any = None) -> dict[str, Any]:
    """The successful answer to a request."""
    message = {
        "type": "response",
        "request_seq": request["seq"],
        "success": True,
        "command": request["command"],
    }
    if body is not None:
        message["body"] = body
    return message


def failure(request: dict[str, Any], text: str, *, id: int = 1, show: bool = False) -> dict[str, Any]:
    """The answer to a request that could not be done; `request` may be a message that was none."""
    seq, command = request.get("seq"), request.get("command")
    return {
        "type": "response",
        "request_seq": seq if _is_int(seq) else NOBODYS,
        "success": False,
        "command": command if isinstance(command, str) else "unknown",
        "message": text,
        # Braces in `format` are placeholders, so the text travels as a variable.
        "body": {"error": {"id": id, "format": "{text}", "variables": {"text": text}, "showUser": show}},
    }


def event(name: str, body: Any = None) -> dict[str, Any]:
    """Something the client did not ask for."""
    return {"type": "event", "event": name} | ({} if body is None else {"body": body})


# --- what comes in -----------------------------------------------------------------------------------

_MISSING: Any = object()


class Arguments:
    """A request's arguments, read by name and type.

    Each reader raises RequestError that names the argument, what was expected and what came. With a
    `default` the argument may be absent. An empty list is an empty object and the other way round: Lua, in
    which one client is written, has one kind of empty table.
    """

    def __init__(self, command: str, values: Any) -> None:
        if values is None or values == []:
            values = {}
        if not isinstance(values, dict):
            raise RequestError(f"{command}: expected an object as arguments, got {type(values).__name__}")
        self.command = command
        self.values = values

    def integer(self, name: str, default: Any = _MISSING) -> Any:
        """A whole number (booleans are none)."""
        return self._typed(name, default, _is_int, "a whole number")

    def count(self, name: str, default: Any = _MISSING) -> Any:
        """A whole number that is not negative."""
        return self._typed(name, default, lambda v: _is_int(v) and v >= 0, "a whole number from 0 on")

    def string(self, name: str, default: Any = _MISSING) -> Any:
        """Text."""
        return self._typed(name, default, lambda v: isinstance(v, str), "a string")

    def boolean(self, name: str, default: Any = _MISSING) -> Any:
        """True or false."""
        return self._typed(name, default, lambda v: isinstance(v, bool), "true or false")

    def strings(self, name: str, default: Any = _MISSING) -> Any:
        """A list of texts."""
        value = self._typed(
            name,
            default,
            lambda v: v == {} or isinstance(v, list) and all(isinstance(x, str) for x in v),
            "a list of strings",
        )
        return [] if value == {} else value

    def objects(self, name: str, default: Any = _MISSING) -> list[Arguments]:
        """A list of objects, each to be read in the same way."""
        value = self._typed(
            name,
            default,
            lambda v: v == {} or isinstance(v, list) and all(isinstance(x, dict) for x in v),
            "a list of objects",
        )
        return [Arguments(f"{self.command}.{name}[{k}]", x) for k, x in enumerate(value)]

    def object(self, name: str, default: Any = _MISSING) -> Arguments:
        """An object, to be read in the same way."""
        value = self._typed(name, default, lambda v: v == [] or isinstance(v, dict), "an object")
        return Arguments(f"{self.command}.{name}", value)

    def _typed(self, name: str, default: Any, test: Any, expected: str) -> Any:
        value = self.values.get(name)
        if value is None:  # absent, and null, which some clients send for absent
            if default is _MISSING:
                raise RequestError(f"{self.command}: expected {name} ({expected}), got nothing")
            return default
        if not test(value):
            raise RequestError(f"{self.command}: expected {expected} as {name}, got {_short(value)}")
        return value


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**53) < value < 2**53


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
