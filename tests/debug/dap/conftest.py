"""A debug client for tests: talks to a server in this process, and checks each message against the schema.

The schema is the specification's own (see SCHEMA_LICENSE.md).
"""

import contextlib
import functools
import json
import socket
import threading
from pathlib import Path

import jsonschema
import pytest

from tests.debug.conftest import PATIENCE
from tinygrad_cnn.debug.dap.adapter import Adapter
from tinygrad_cnn.debug.dap.messages import NOBODYS
from tinygrad_cnn.debug.dap.protocol import read_message
from tinygrad_cnn.debug.dap.server import Server

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
SCHEMA = json.loads((HERE / "debugAdapterProtocol.json").read_text())


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Tokens of the tests' servers do not lie among the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@functools.cache
def validator(definition):
    return jsonschema.Draft4Validator({**SCHEMA, "$ref": f"#/definitions/{definition}"})


def check(message):
    """Fail unless the schema allows the message."""
    if message["type"] == "event":
        name = message["event"][0].upper() + message["event"][1:] + "Event"
    elif message["success"]:
        name = message["command"][0].upper() + message["command"][1:] + "Response"
    else:
        name = "ErrorResponse"
    assert name in SCHEMA["definitions"], f"the schema has no {name}"
    validator(name).validate(message)


class Failed(Exception):
    """The server answered that it could not."""


class Client:
    """One conversation."""

    def __init__(self, reader, writer, close, token=None):
        self.reader, self.writer, self._close, self.token = reader, writer, close, token
        self.seq = 0
        self.last_seq = 0
        self.responses = {}
        self.events = []
        self.taken = 0
        self.news = threading.Condition()
        self.ended = threading.Event()
        self.fault = None
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        try:
            while (message := read_message(self.reader)) is not None:
                check(message)
                assert message["seq"] == self.last_seq + 1
                self.last_seq = message["seq"]
                with self.news:
                    if message["type"] == "response":
                        answered = message["request_seq"] in self.responses
                        assert not answered or message["request_seq"] == NOBODYS, "a second answer"
                        self.responses[message["request_seq"]] = message
                    else:
                        self.events.append(message)
                    self.news.notify_all()
        except OSError:
            pass
        except BaseException as error:
            self.fault = error
        finally:
            self.ended.set()
            with self.news:
                self.news.notify_all()

    def write(self, data):
        self.writer.write(data)
        self.writer.flush()

    def post(self, command, arguments=None, **more):
        """Send a request and do not wait; gives its number."""
        self.seq += 1
        message = {"seq": self.seq, "type": "request", "command": command, **more}
        if arguments is not None:
            message["arguments"] = arguments
        body = json.dumps(message).encode()
        self.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return self.seq

    def answer(self, seq):
        """The response to a request: its body. Raises Failed."""
        message = self._wait(lambda: self.responses.get(seq), f"the answer to request {seq}")
        if not message["success"]:
            raise Failed(message["message"])
        return message.get("body")

    def ask(self, command, **arguments):
        """Send a request, wait for its answer, give its body."""
        return self.answer(self.post(command, arguments))

    def event(self, name):
        """The next event of a name, skipping others."""

        def find():
            for k in range(self.taken, len(self.events)):
                if self.events[k]["event"] == name:
                    self.taken = k + 1
                    return self.events[k]
            return None

        return self._wait(find, f"the event {name!r}").get("body")

    def _wait(self, find, what):
        with self.news:
            self.news.wait_for(lambda: self._found(find), PATIENCE)
            if self.fault is not None:
                raise self.fault
            if self._last is None:
                seen = [event["event"] for event in self.events]
                raise TimeoutError(f"no {what}; ended: {self.ended.is_set()}; events: {seen}")
            return self._last

    def _found(self, find):
        self._last = find()
        return self._last is not None or self.ended.is_set()

    # --- what tests do all the time -----------------------------------------------------------------

    def begin(self, **options):
        options = {"supportsInvalidatedEvent": True, "supportsVariableType": True, **options}
        capabilities = self.ask("initialize", adapterID="test", **options)
        if self.token is None:  # or else it comes when the token has been shown
            self.event("initialized")
        return capabilities

    def launch(self, program, *, configure=(), **arguments):
        """initialize, launch, the requests in `configure`, configurationDone."""
        self.begin()
        token = {} if self.token is None else {"token": self.token}
        self.ask("launch", program=str(program), **token, **arguments)
        out = [self.ask(command, **args) for command, args in configure]
        self.ask("configurationDone")
        return out

    def stopped(self):
        """The next stop: (event's body, frame 0)."""
        body = self.event("stopped")
        return body, self.ask("stackTrace", threadId=1, levels=1)["stackFrames"][0]

    def go(self, command, **arguments):
        """A moving request, and the stop that follows."""
        self.ask(command, threadId=1, **arguments)
        return self.stopped()

    def scopes(self, frame):
        return {s["name"]: s["variablesReference"] for s in self.ask("scopes", frameId=frame["id"])["scopes"]}

    def variables(self, reference, **page):
        return {
            v["name"]: v for v in self.ask("variables", variablesReference=reference, **page)["variables"]
        }

    def evaluate(self, expression, context="watch", **more):
        return self.ask("evaluate", expression=expression, context=context, **more)["result"]

    def output(self):
        return "".join(e["body"]["output"] for e in self.events if e["event"] == "output")

    def wait_for_end(self):
        assert self.ended.wait(PATIENCE), "the server did not hang up"
        if self.fault is not None:
            raise self.fault

    def close(self):
        self._close()


def connect(make_adapter=None):
    """A client and the server it talks to."""
    ours, theirs = socket.socketpair()
    reader, writer = theirs.makefile("rb"), theirs.makefile("wb")

    def hang_up():
        for close in (lambda: theirs.shutdown(socket.SHUT_RDWR), theirs.close):
            with contextlib.suppress(OSError):
                close()

    server = Server(reader, writer, hang_up)
    adapter = Adapter(server.send_event) if make_adapter is None else make_adapter(server)
    server.start(adapter)

    def close():
        with contextlib.suppress(OSError):
            ours.shutdown(socket.SHUT_RDWR)
        ours.close()

    client = Client(ours.makefile("rb"), ours.makefile("wb"), close)
    client.server, client.adapter = server, adapter
    return client


@pytest.fixture
def client():
    client = connect()
    yield client
    client.close()
    assert client.server.wait(PATIENCE), "the server did not end when its client vanished"
    assert client.adapter.wait_for_exit(PATIENCE), "the program did not end with its client"
    if client.fault is not None:
        raise client.fault


@pytest.fixture
def connections():
    """For tests that need several clients, or none: makes them, and sees them off."""
    made = []

    def make(*args):
        made.append(connect(*args))
        return made[-1]

    yield make
    for one in made:
        one.close()
        assert one.server.wait(PATIENCE)


@pytest.fixture
def stripes():
    return PROGRAMS / "stripes.py"


def line_of(path, text):
    """The number of the line that holds `text`."""
    return next(k for k, line in enumerate(Path(path).read_text().splitlines(), 1) if text in line)


# --- configurations -------------------------------------------------------------------------------------

#: What stands in the line of stripes.py that calls the second convolution.
SECOND = "self.conv2(x)"


def lines(path, *numbers, **more):
    """A request that sets line breakpoints."""
    return "setBreakpoints", {
        "source": {"path": str(path)},
        "breakpoints": [{"line": number, **more} for number in numbers],
    }


def functions(*breakpoints):
    """A request that sets function breakpoints."""
    return "setFunctionBreakpoints", {
        "breakpoints": [{"name": b} if isinstance(b, str) else b for b in breakpoints]
    }


# --- bytes -----------------------------------------------------------------------------------------------


def frame(body):
    """A message's bytes."""
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def alive(client):
    """Whether the conversation goes on."""
    assert client.ask("threads")["threads"][0]["id"] == 1
