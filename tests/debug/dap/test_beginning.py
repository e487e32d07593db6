"""How a debugged program begins, what it writes, how it ends; and one whole session."""

import pytest

import tinygrad_cnn as tg
from tests.debug.dap.conftest import SECOND, Failed, functions, line_of, lines


class TestBeginningAndEnd:
    def test_capabilities_are_those_of_the_requests_that_are_answered(self, client):
        capabilities = client.begin()
        answered = set(client.adapter._requests)
        for flag, command in {
            "supportsConfigurationDoneRequest": "configurationDone",
            "supportsFunctionBreakpoints": "setFunctionBreakpoints",
            "supportsStepBack": "reverseContinue",
            "supportsSetVariable": "setVariable",
            "supportsSetExpression": "setExpression",
            "supportsRestartFrame": "restartFrame",
            "supportsGotoTargetsRequest": "gotoTargets",
            "supportsStepInTargetsRequest": "stepInTargets",
            "supportsCompletionsRequest": "completions",
            "supportsModulesRequest": "modules",
            "supportsLoadedSourcesRequest": "loadedSources",
            "supportsExceptionInfoRequest": "exceptionInfo",
            "supportsDataBreakpoints": "setDataBreakpoints",
            "supportsTerminateRequest": "terminate",
        }.items():
            assert capabilities[flag] is True
            assert command in answered
        for flag, command in {
            "supportsReadMemoryRequest": "readMemory",
            "supportsDisassembleRequest": "disassemble",
            "supportsRestartRequest": "restart",
            "supportsBreakpointLocationsRequest": "breakpointLocations",
        }.items():
            assert flag not in capabilities
            assert command not in answered

    def test_a_program_without_stops_runs_to_its_end_and_its_prints_are_output(self, client, stripes):
        client.launch(stripes)
        assert client.event("exited") == {"exitCode": 0}
        client.event("terminated")
        assert "step 2: loss" in client.output()
        client.ask("disconnect")
        client.wait_for_end()

    def test_prints_come_line_by_line_and_before_the_stop_that_follows_them(self, client, tmp_path):
        script = tmp_path / "prints.py"
        script.write_text(
            "import tinygrad_cnn as tg\nx = tg.ones(2, requires_grad=True)\n"
            "print('one', 'two')\nprint('no end', end='')\nx.sum().backward()\n"
        )
        client.launch(script, stopOnEntry=True)
        client.event("stopped")
        assert [e["body"]["output"] for e in client.events if e["event"] == "output"] == [
            "one two\n",
            "no end",
        ]

    @pytest.mark.parametrize(("text", "code"), [("raise SystemExit(3)", 3), ("1 / 0", 1), ("exit('bad')", 1)])
    def test_the_exit_code_is_the_programs(self, client, tmp_path, text, code):
        script = tmp_path / "ends.py"
        script.write_text(text)
        client.launch(script)
        assert client.event("exited") == {"exitCode": code}

    def test_an_uncaught_exceptions_traceback_begins_in_the_script(self, client, tmp_path):
        script = tmp_path / "fails.py"
        script.write_text("def f():\n    return 1 / 0\n\nf()\n")
        client.launch(script)
        client.event("exited")
        out = client.output()
        assert "ZeroDivisionError" in out
        assert "line 2, in f" in out
        assert "launch.py" not in out

    def test_arguments_environment_and_directory_reach_the_program(self, client, tmp_path):
        script = tmp_path / "says.py"
        script.write_text(
            "import os, sys\nprint(sys.argv[1:], os.environ['COLOUR'], os.path.basename(os.getcwd()), __name__)\n"
        )
        (tmp_path / "there").mkdir()
        client.launch(script, args=["a", "b c"], env={"COLOUR": "blue"}, cwd=str(tmp_path / "there"))
        client.event("exited")
        assert client.output() == "['a', 'b c'] blue there __main__\n"

    def test_without_debugging_nothing_stops(self, client, stripes):
        client.launch(stripes, stopOnEntry=True, noDebug=True, configure=[functions("relu")])
        assert client.event("exited") == {"exitCode": 0}
        assert "stopped" not in [e["event"] for e in client.events]

    def test_a_missing_script_fails_the_launch_with_its_name(self, client, tmp_path):
        client.begin()
        with pytest.raises(Failed, match=r"gone\.py"):
            client.ask("launch", program=str(tmp_path / "gone.py"))

    def test_a_program_that_never_comes_to_a_backward_pass_says_so_if_it_was_to_stop(self, client, tmp_path):
        script = tmp_path / "forward.py"
        script.write_text("print('forward only')\n")
        client.launch(script, stopOnEntry=True)
        client.event("exited")
        assert client.output() == "forward only\nforward.py ended without a backward()\n"

    def test_a_program_that_reads_its_input_is_told_where_there_is_one(self, client, tmp_path, monkeypatch):
        import io

        monkeypatch.setattr("sys.stdin", io.StringIO())
        script = tmp_path / "reads.py"
        script.write_text("input('name? ')\n")
        client.launch(script)
        assert client.event("exited") == {"exitCode": 1}
        assert "EOFError" in client.output() and "no standard input" in client.output()

    def test_debugging_changes_no_number(self, client, stripes):
        import contextlib
        import io
        import runpy

        plain = io.StringIO()
        with contextlib.redirect_stdout(plain):
            runpy.run_path(str(stripes), run_name="__main__")
        client.launch(stripes, configure=[lines(stripes, line_of(stripes, SECOND))])
        for _ in range(3):
            client.stopped()
            client.go("next")
            client.go("stepBack")
            client.ask("continue", threadId=1)
        client.event("exited")
        assert client.output() == plain.getvalue()


def test_an_unmodified_training_script_is_debugged_in_its_second_convolution(client, stripes):
    client.launch(stripes, configure=[functions({"name": "module:conv2", "condition": "op == 'correlate'"})])
    body, frame = client.stopped()
    assert (body["reason"], frame["name"]) == ("function breakpoint", "∂ correlate.backward · conv2")
    downstream = client.variables(client.scopes(frame)["Downstream"])
    assert any("conv2.weight" in v["value"] for v in downstream.values())
    assert "agree" in client.evaluate("check", context="repl") or "ok" in client.evaluate(
        "check", context="repl"
    )
    assert client.evaluate("explain 0,0,0,0 of 1", context="repl")
    _, frame = client.go("stepBack")
    assert frame["name"] == "∂ conv2.bias"
    client.go("next")
    client.ask("setFunctionBreakpoints", breakpoints=[])
    client.ask("continue", threadId=1)
    assert client.event("exited") == {"exitCode": 0}
    assert client.output().count("loss") == 3
    assert tg.is_grad_enabled()
