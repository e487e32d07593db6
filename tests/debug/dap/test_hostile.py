"""Requests that are hostile or out of order end in an error response or a clean end; never in a hang."""

import json
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.debug.dap.conftest import PATIENCE, PROGRAMS, SCHEMA, Failed, alive, connect, frame
from tinygrad_cnn.debug.dap.messages import RequestError
from tinygrad_cnn.debug.dap.program import Program

COMMANDS = sorted(
    part["properties"]["command"]["enum"][0]
    for name, definition in SCHEMA["definitions"].items()
    if name.endswith("Request") and name not in ("Request", "RunInTerminalRequest", "StartDebuggingRequest")
    for part in definition["allOf"]
    if "command" in part.get("properties", {})
)


class TestOrder:
    @pytest.mark.parametrize(
        "command", [c for c in COMMANDS if c not in ("initialize", "disconnect", "cancel")]
    )
    def test_nothing_but_initialize_comes_first(self, client, command):
        with pytest.raises(Failed):
            client.ask(command)
        assert client.begin()["supportsStepBack"]

    def test_a_second_beginning_is_refused(self, client, stripes):
        client.begin()
        for command, arguments in (
            ("initialize", {"adapterID": "x"}),
            ("attach", {}),
            ("terminate", {}),
            ("pause", {"threadId": 1}),
        ):
            with pytest.raises(Failed):
                client.ask(command, **arguments)
        client.ask("launch", program=str(stripes), stopOnEntry=True)
        client.ask("configurationDone")
        client.stopped()
        for command, arguments in (("launch", {"program": str(stripes)}), ("configurationDone", {})):
            with pytest.raises(Failed):
                client.ask(command, **arguments)

    def test_configuration_may_be_done_before_the_launch(self, client, stripes):
        client.begin()
        client.ask("configurationDone")
        client.ask("launch", program=str(stripes))
        assert client.event("exited") == {"exitCode": 0}

    @pytest.mark.parametrize(
        "command",
        [
            "continue", "next", "stepIn", "stepOut", "stepBack", "reverseContinue", "stackTrace", "scopes", "variables",
            "setVariable", "evaluate", "setExpression", "goto", "gotoTargets", "restartFrame", "exceptionInfo",
            "stepInTargets",
        ],
    )  # fmt: skip
    def test_requests_for_a_stop_are_refused_without_one(self, client, command):
        client.begin()
        with pytest.raises(Failed, match="running|not in a backward pass"):
            client.ask(command, threadId=1, expression="1", frameId=1, variablesReference=1)

    @pytest.mark.parametrize(
        "command", ["readMemory", "disassemble", "", "__init__", "x" * 10_000, "restart"]
    )
    def test_unknown_requests_are_refused_by_name(self, client, command):
        client.begin()
        client.seq += 1
        client.write(frame(json.dumps({"type": "request", "seq": client.seq, "command": command}).encode()))
        with pytest.raises(Failed, match="no request"):
            client.answer(client.seq)

    def test_another_thread_is_refused(self, client, stripes):
        client.launch(stripes, stopOnEntry=True)
        client.stopped()
        for command in ("next", "stackTrace", "continue", "pause"):
            with pytest.raises(Failed, match="thread"):
                client.ask(command, threadId=2)

    def test_requests_behind_a_disconnect_get_no_answer_and_no_crash(self, client):
        client.begin()
        first = client.post("disconnect")
        try:
            for _ in range(50):
                client.post("threads")
        except OSError:
            pass  # it may have hung up by now
        client.answer(first)
        client.wait_for_end()


class TestEnds:
    def test_disconnecting_at_a_stop_ends_the_launched_program(self, client, stripes):
        client.launch(stripes, stopOnEntry=True)
        client.stopped()
        client.ask("disconnect")
        client.wait_for_end()
        assert client.adapter.wait_for_exit(PATIENCE)
        assert "loss" not in client.output()

    def test_disconnecting_inside_a_composite_ends_it_too(self, client, stripes):
        client.launch(stripes, breakOn=["op:cross_entropy"])
        client.stopped()
        client.go("stepIn")
        client.ask("disconnect")
        client.wait_for_end()
        assert client.adapter.wait_for_exit(PATIENCE)

    def test_a_client_that_vanishes_at_a_stop_takes_the_program_with_it(self, client, stripes):
        client.launch(stripes, stopOnEntry=True)
        client.stopped()
        client.close()
        assert client.server.wait(PATIENCE)
        assert client.adapter.wait_for_exit(PATIENCE)

    def test_disconnecting_ends_a_program_that_runs(self, client, tmp_path):
        script = tmp_path / "forever.py"
        script.write_text(
            "import tinygrad_cnn as tg\nx = tg.ones(2, requires_grad=True)\nprint('here')\n"
            "while True:\n    (x * 2).sum().backward()\n"
        )
        client.launch(script)
        client.event("output")
        client.ask("disconnect")
        client.wait_for_end()
        assert client.adapter.wait_for_exit(PATIENCE)

    def test_terminate_ends_a_program_at_a_stop_or_running(self, connections, stripes, tmp_path):
        client = connections()
        client.launch(stripes, stopOnEntry=True)
        client.stopped()
        client.ask("terminate")
        assert client.event("exited")["exitCode"] == 1
        client.event("terminated")
        client = connections()
        script = tmp_path / "forever.py"
        script.write_text(
            "print('here')\nwhile True:\n    try:\n        pass\n    except Exception:\n        pass\n"
        )
        client.launch(script)
        client.event("output")
        client.ask("terminate")
        client.event("terminated")

    def test_leaving_without_terminating_lets_the_program_finish_unseen(self, client, stripes, tmp_path):
        script = tmp_path / "marks.py"
        mark = tmp_path / "done"
        script.write_text(
            "import tinygrad_cnn as tg\nx = tg.ones(2, requires_grad=True)\n(x * 2).sum().backward()\n"
            f"open({str(mark)!r}, 'w').write(str(x.grad.tolist()))\n"
        )
        client.launch(script, stopOnEntry=True)
        client.stopped()
        client.ask("disconnect", terminateDebuggee=False)
        client.wait_for_end()
        assert client.adapter.lifecycle.exited.wait(PATIENCE)
        assert mark.read_text() == "[2.0, 2.0]"


class TestInterrupting:
    def test_a_long_evaluation_is_cancelled(self, client, stripes):
        client.launch(stripes, stopOnEntry=True)
        client.stopped()
        long = client.post(
            "evaluate",
            {"expression": "print('begun') or sum(k * k for k in range(10**12))", "context": "watch"},
        )
        waiting = client.post("threads")
        queued = client.post("evaluate", {"expression": "1 + 1", "context": "watch"})
        client.event("output")
        assert long not in client.responses
        client.ask("cancel", requestId=queued)
        client.ask("cancel", requestId=long)
        with pytest.raises(Failed, match="interrupted"):
            client.answer(long)
        client.answer(waiting)
        with pytest.raises(Failed, match="cancelled"):
            client.answer(queued)
        assert client.evaluate("1 + 1") == "2"

    def test_a_cancel_on_the_heels_of_its_request_finds_it_at_any_moment(self, client, stripes):
        client.launch(stripes, stopOnEntry=True)
        client.stopped()
        for _ in range(30):
            long, cancel = client.seq + 1, client.seq + 2
            client.seq = cancel
            arguments = {"expression": "max(k for k in iter(int, 1))", "context": "watch"}
            requests = [
                {"seq": long, "type": "request", "command": "evaluate", "arguments": arguments},
                {"seq": cancel, "type": "request", "command": "cancel", "arguments": {"requestId": long}},
            ]
            client.write(b"".join(frame(json.dumps(one).encode()) for one in requests))
            with pytest.raises(Failed, match="interrupted|cancelled"):
                client.answer(long)
            client.answer(cancel)
        assert client.evaluate("1 + 1") == "2"

    def test_an_interruption_between_a_request_and_its_work_is_not_lost(self):
        program, told = Program(), []
        program._stopped = True

        def ask():
            try:
                program.call(lambda: told.append("it ran"))
            except RequestError as refused:
                told.append(str(refused))

        asking = threading.Thread(target=ask)
        asking.start()
        job = program._jobs.get()  # the program's thread has it, and has not begun
        program.interrupt()
        program._do(job)
        asking.join()
        program.begin()
        program._do(again := type(job)(lambda: "the next one runs"))
        assert (told, again.result) == (["interrupted"], "the next one runs")

    def test_disconnecting_breaks_a_long_evaluation_off(self, client, stripes):
        client.launch(stripes, stopOnEntry=True)
        client.stopped()
        client.post(
            "evaluate", {"expression": "print('begun') or max(k for k in iter(int, 1))", "context": "repl"}
        )
        client.event("output")
        client.ask("disconnect")
        client.wait_for_end()

    def test_cancelling_what_is_over_is_no_error(self, client):
        client.begin()
        client.ask("cancel", requestId=1)
        client.ask("cancel", requestId=10**9)
        client.ask("cancel")
        alive(client)

    @pytest.mark.parametrize(
        "text",
        [
            "exit()",
            "raise_",
            "1/0",
            "(" * 5000,
            "\0",
            "x" * 200_000,
            "g[10**9]",
            "np.zeros(10**15)",
            "\ud800",
        ],
    )
    def test_hostile_expressions_are_refused(self, client, stripes, text):
        client.launch(stripes, stopOnEntry=True)
        client.stopped()
        with pytest.raises(Failed):
            client.evaluate(text)
        assert client.evaluate("2 * 3") == "6"

    def test_a_repr_that_fails_is_shown_as_such(self, client, tmp_path):
        script = tmp_path / "repr.py"
        script.write_text(
            "import tinygrad_cnn as tg\nclass Bad:\n    def __repr__(self):\n        raise RuntimeError('no')\n"
            "bad = Bad()\nx = tg.ones(2, requires_grad=True)\nx.sum().backward()\n"
        )
        client.launch(script, stopOnEntry=True)
        client.stopped()
        main = client.ask("stackTrace", threadId=1)["stackFrames"][-1]
        assert "RuntimeError" in client.variables(client.scopes(main)["Locals"])["bad"]["value"]


# --- fuzzing -----------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=10), x, max_size=4),
    max_leaves=8,
)
_NAMES = sorted(
    {
        name
        for key, definition in SCHEMA["definitions"].items()
        if key.endswith("Arguments")
        for name in definition.get("properties", {})
        if name not in ("terminateDebuggee", "restart", "suspendDebuggee")
    }
)
_LIKELY = st.sampled_from(
    [
        0,
        1,
        2,
        -1,
        10**6,
        "",
        "g",
        "x",
        "relu",
        "grad:fc.weight",
        "repl",
        "watch",
        "nan",
        "write",
        "∂L/∂y",
        True,
    ]
)
_ARGUMENTS = (
    st.dictionaries(st.sampled_from(_NAMES), _LIKELY | _JSON, max_size=5) | st.just({"threadId": 1}) | _JSON
)
_REQUESTS = st.tuples(
    st.sampled_from([c for c in COMMANDS if c not in ("disconnect", "terminate", "launch", "attach")]),
    _ARGUMENTS,
)


@given(st.lists(_REQUESTS, max_size=15))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_every_request_gets_one_valid_answer_whatever_its_arguments(requests):
    """At a stop or, once the program has run on, without one; the schema is checked by the client."""
    client = connect()
    try:
        client.launch(PROGRAMS / "tiny.py", stopOnEntry=True)
        client.stopped()
        for command, arguments in requests:
            seq = client.post(command, arguments)
            try:
                client.answer(seq)
            except Failed as refused:
                assert "inside the adapter" not in str(refused), f"{command}: {refused}"
        client.ask("disconnect")
        client.wait_for_end()
        assert client.adapter.wait_for_exit(PATIENCE)
    finally:
        client.close()
