"""A program is debugged through the protocol as an editor does it."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.debug.dap.conftest import Failed, line_of


def lines(path, *numbers, **more):
    return "setBreakpoints", {
        "source": {"path": str(path)},
        "breakpoints": [{"line": number, **more} for number in numbers],
    }


def functions(*breakpoints):
    return "setFunctionBreakpoints", {
        "breakpoints": [{"name": b} if isinstance(b, str) else b for b in breakpoints]
    }


SECOND = "self.conv2(x)"


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


class TestBreakpoints:
    def test_a_line_is_unverified_until_a_node_is_there_and_then_an_event_says_so(self, client, stripes):
        line = line_of(stripes, SECOND)
        [answer] = client.launch(stripes, configure=[lines(stripes, line, 1)])
        assert [b["verified"] for b in answer["breakpoints"]] == [False, False]
        assert all(b["message"] for b in answer["breakpoints"])
        changed = client.event("breakpoint")
        assert changed["reason"] == "changed"
        assert (changed["breakpoint"]["id"], changed["breakpoint"]["verified"]) == (
            answer["breakpoints"][0]["id"],
            True,
        )
        body, frame = client.stopped()
        assert body["reason"] == "breakpoint"
        assert body["hitBreakpointIds"] == [answer["breakpoints"][0]["id"]]
        assert (frame["line"], frame["source"]["path"]) == (line, str(stripes))
        again = client.ask("setBreakpoints", source={"path": str(stripes)}, breakpoints=[{"line": line}])
        assert again["breakpoints"][0]["verified"]
        assert again["breakpoints"][0]["id"] == answer["breakpoints"][0]["id"]

    def test_a_line_stops_once_where_the_pass_comes_to_it(self, client, stripes):
        client.launch(stripes, configure=[lines(stripes, line_of(stripes, SECOND))])
        names = []
        for _ in range(3):
            names.append(client.stopped()[1]["name"])
            client.ask("continue", threadId=1)
        client.event("exited")
        assert names == ["∂ relu.backward"] * 3

    def test_a_condition_is_asked_at_each_node_of_the_line(self, client, stripes):
        client.launch(
            stripes, configure=[lines(stripes, line_of(stripes, SECOND), condition="op == 'correlate'")]
        )
        _, frame = client.stopped()
        assert frame["name"] == "∂ correlate.backward · conv2"

    def test_the_line_that_calls_backward_stops_at_the_first_node(self, client, stripes):
        client.launch(stripes, configure=[lines(stripes, line_of(stripes, "loss.backward()"))])
        client.stopped()
        assert client.evaluate("step") == "1"

    def test_a_hit_condition_counts_visits(self, client, stripes):
        client.launch(stripes, configure=[lines(stripes, line_of(stripes, SECOND), hitCondition="== 2")])
        client.stopped()
        assert client.evaluate("step", context="hover") == "9"
        assert client.output().count("loss") == 1
        client.ask("continue", threadId=1)
        client.event("exited")

    def test_a_log_message_is_output_and_no_stop(self, client, stripes):
        client.launch(
            stripes, configure=[lines(stripes, line_of(stripes, SECOND), logMessage="at {op}, {shape}")]
        )
        client.event("exited")
        logged = [
            e["body"] for e in client.events if e["event"] == "output" and e["body"]["category"] == "console"
        ]
        assert [b["output"] for b in logged] == ["at relu, (8, 8, 8, 8)\n"] * 3

    def test_function_breakpoints_are_selectors(self, client, stripes):
        [answer] = client.launch(
            stripes,
            configure=[
                functions("max_pool", {"name": "param:conv1.bias", "condition": "norm > 0"}, "norm >")
            ],
        )
        assert answer["breakpoints"][2]["verified"] is False
        assert answer["breakpoints"][2]["reason"] == "failed"
        body, frame = client.stopped()
        assert (body["reason"], frame["name"]) == ("function breakpoint", "∂ max_pool.backward")
        assert client.go("continue")[1]["name"] == "∂ max_pool.backward"
        assert client.go("continue")[1]["name"] == "∂ conv1.bias"

    def test_a_hit_condition_of_a_function_breakpoint(self, client, stripes):
        client.launch(stripes, configure=[functions({"name": "relu", "hitCondition": "% 2"})])
        assert client.stopped()[1]["line"] == line_of(stripes, "self.conv1(x)")

    def test_selectors_of_the_launch_configuration(self, client, stripes):
        client.launch(stripes, breakOn=["module:fc"])
        assert client.stopped()[1]["moduleId"] == "fc"

    def test_a_condition_that_cannot_be_evaluated_stops_and_says_why(self, client, stripes):
        client.launch(stripes, configure=[functions({"name": "relu", "condition": "nonsense > 3"})])
        client.stopped()
        assert "nonsense" in client.output()

    def test_clearing_breakpoints_clears_them(self, client, stripes):
        client.launch(stripes, configure=[functions("relu"), lines(stripes, line_of(stripes, SECOND))])
        client.stopped()
        client.ask("setFunctionBreakpoints", breakpoints=[])
        client.ask("setBreakpoints", source={"path": str(stripes)}, breakpoints=[])
        client.ask("continue", threadId=1)
        assert client.event("exited") == {"exitCode": 0}

    def test_two_files_keep_their_lines_apart(self, client, stripes, tmp_path):
        client.launch(stripes, configure=[lines(tmp_path / "other.py", line_of(stripes, SECOND))])
        client.event("exited")
        assert "stopped" not in [e["event"] for e in client.events]


class TestDataBreakpoints:
    def test_it_stops_behind_the_write_of_a_parameters_gradient(self, client, stripes):
        client.launch(stripes, stopOnEntry=True)
        client.stopped()
        info = client.ask("dataBreakpointInfo", name="conv2.weight.grad")
        assert info["accessTypes"] == ["write"]
        answer = client.ask("setDataBreakpoints", breakpoints=[{"dataId": info["dataId"]}])
        assert answer["breakpoints"][0]["verified"]
        assert client.evaluate("model.conv2.weight.grad") == "None"
        body, frame = client.go("continue")
        assert body["reason"] == "data breakpoint"
        assert body["hitBreakpointIds"] == [answer["breakpoints"][0]["id"]]
        assert "conv2.weight" in body["description"]
        assert "norm" in client.evaluate("model.conv2.weight.grad")
        assert frame["name"] == "∂ max_pool.backward"

    def test_the_last_gradient_of_the_pass_stops_at_its_end_and_once(self, client, stripes):
        client.launch(
            stripes,
            configure=[
                (
                    "setDataBreakpoints",
                    {"breakpoints": [{"dataId": "grad:conv1.weight", "hitCondition": "<= 1"}]},
                )
            ],
        )
        body, frame = client.stopped()
        assert (body["reason"], frame["name"]) == ("data breakpoint", "end of the backward pass")
        client.ask("continue", threadId=1)
        client.event("exited")

    def test_a_condition_speaks_of_the_gradient_that_was_written(self, client, stripes):
        breakpoints = [
            {"dataId": "grad:fc.bias", "condition": "norm > 1e9"},
            {"dataId": "grad:fc.weight", "condition": "g.shape == (2, 128) and name == 'fc.weight'"},
        ]
        client.launch(stripes, configure=[("setDataBreakpoints", {"breakpoints": breakpoints})])
        body, _ = client.stopped()
        assert "fc.weight" in body["description"]

    def test_going_back_it_stops_before_the_write(self, client, stripes):
        client.launch(
            stripes, configure=[("setDataBreakpoints", {"breakpoints": [{"dataId": "grad:conv2.weight"}]})]
        )
        client.stopped()
        client.go("next")
        body, frame = client.go("reverseContinue")
        assert (body["reason"], frame["name"]) == ("data breakpoint", "∂ conv2.weight")
        assert client.evaluate("model.conv2.weight.grad") == "None"

    def test_a_line_of_the_variables_view_can_be_watched(self, client, stripes):
        client.launch(stripes, configure=[functions("op:correlate")])
        _, frame = client.stopped()
        reference = client.scopes(frame)["Downstream"]
        found = client.variables(reference)
        infos = {
            name: client.ask("dataBreakpointInfo", variablesReference=reference, name=name) for name in found
        }
        assert [i["dataId"] for i in infos.values()].count("grad:conv2.weight") == 1
        assert None in [i["dataId"] for i in infos.values()]

    def test_what_is_no_gradient_has_no_data_id(self, client, stripes):
        client.launch(stripes, stopOnEntry=True)
        client.stopped()
        assert client.ask("dataBreakpointInfo", name="labels")["dataId"] is None

    def test_a_tensor_without_a_name_can_be_watched(self, client, tmp_path):
        script = tmp_path / "unnamed.py"
        script.write_text(
            "import tinygrad_cnn as tg\nx = tg.ones(2, requires_grad=True)\n"
            "for _ in range(2):\n    (x * 2).sum().backward()\n"
        )
        client.launch(script, stopOnEntry=True)
        client.stopped()
        info = client.ask("dataBreakpointInfo", name="x.grad")
        client.ask("setDataBreakpoints", breakpoints=[{"dataId": info["dataId"]}])
        assert client.go("continue")[0]["reason"] == "data breakpoint"
        main = client.ask("stackTrace", threadId=1)["stackFrames"][-1]
        assert client.evaluate("x.grad", frameId=main["id"]) == "[2. 2.]"


class TestExceptions:
    HOOK = (
        "import tinygrad_cnn as tg\nx = tg.ones(3, requires_grad=True)\ny = (x * 2).exp()\n"
        "def bad(g):\n    raise ValueError('no such luck')\ny.register_hook(bad)\n"
        "try:\n    y.sum().backward()\nexcept ValueError as error:\n    print('caught', error)\n"
    )
    NAN = (
        "import tinygrad_cnn as tg\nx = tg.tensor([0.0, 1.0], requires_grad=True)\n"
        "y = x.sqrt() * tg.tensor([0.0, 1.0])\ny.sum().backward()\n"
    )

    def test_an_error_in_a_hook_stops_at_its_node_and_then_goes_on_to_the_program(self, client, tmp_path):
        script = tmp_path / "hook.py"
        script.write_text(self.HOOK)
        client.launch(script, configure=[("setExceptionBreakpoints", {"filters": ["raised"]})])
        body, frame = client.stopped()
        assert (body["reason"], body["text"]) == ("exception", "ValueError: no such luck")
        assert frame["name"] == "∂ exp.backward"
        info = client.ask("exceptionInfo", threadId=1)
        assert info["exceptionId"] == "ValueError"
        assert "exp" in info["description"]
        client.ask("continue", threadId=1)
        client.event("exited")
        assert client.output() == "caught no such luck\n"

    def test_without_the_filter_it_goes_straight_to_the_program(self, client, tmp_path):
        script = tmp_path / "hook.py"
        script.write_text(self.HOOK)
        client.launch(script, configure=[("setExceptionBreakpoints", {"filters": []})])
        client.event("exited")
        assert client.output() == "caught no such luck\n"

    def test_one_can_step_back_from_an_error(self, client, tmp_path):
        script = tmp_path / "hook.py"
        script.write_text(self.HOOK)
        client.launch(script)
        client.stopped()
        assert client.go("stepBack")[1]["name"] == "∂ sum.backward"
        assert client.go("next")[1]["name"] == "∂ exp.backward"
        assert client.go("next")[0]["reason"] == "exception"

    def test_the_birth_of_a_nan_is_an_exception_with_its_operands(self, client, tmp_path):
        script = tmp_path / "nan.py"
        script.write_text(self.NAN)
        client.launch(script, configure=[("setExceptionBreakpoints", {"filters": ["nan", "inf"]})])
        body, frame = client.stopped()
        assert body["reason"] == "exception"
        assert frame["name"] == "∂ sqrt.backward"
        info = client.ask("exceptionInfo", threadId=1)
        assert info["exceptionId"] in ("nan", "inf")
        assert "y = 0" in info["description"] or "x = 0" in info["description"]
        assert "x.sqrt()" in info["description"]

    def test_a_filter_may_have_a_condition(self, client, tmp_path):
        script = tmp_path / "nan.py"
        script.write_text(self.NAN)
        options = [
            {"filterId": "nan", "condition": "op != 'sqrt'"},
            {"filterId": "raised", "condition": "x"},
            {"filterId": "what"},
        ]
        [answer] = client.launch(
            script, configure=[("setExceptionBreakpoints", {"filters": [], "filterOptions": options})]
        )
        assert [b["verified"] for b in answer["breakpoints"]] == [True, False, False]
        client.event("exited")


class TestStepping:
    def test_next_and_back_walk_the_same_nodes(self, client, stripes):
        client.launch(stripes, stopOnEntry=True)
        body, frame = client.stopped()
        assert body["reason"] == "entry"
        names = [frame["name"]]
        names += [client.go("next")[1]["name"] for _ in range(6)]
        back = [client.go("stepBack")[1]["name"] for _ in range(6)]
        assert back == names[-2::-1]

    def test_beyond_the_end_next_goes_to_the_next_pass(self, client, tmp_path):
        script = tmp_path / "twice.py"
        script.write_text(
            "import tinygrad_cnn as tg\nx = tg.ones(2, requires_grad=True)\n"
            "for k in range(2):\n    x.sum().backward()\n    print(k)\n"
        )
        client.launch(script, stopOnEntry=True)
        client.stopped()
        client.go("next")
        assert client.go("next")[1]["name"] == "end of the backward pass"
        assert client.ask("threads")["threads"][0]["name"] == "backward · end · loss 2"
        body, frame = client.go("next")
        assert (frame["name"], client.output()) == ("∂ sum.backward", "0\n")

    def test_from_the_end_one_can_go_back(self, client, tmp_path):
        script = tmp_path / "once.py"
        script.write_text(
            "import tinygrad_cnn as tg\nx = tg.ones(2, requires_grad=True)\nx.sum().backward()\n"
        )
        client.launch(script, stopOnEntry=True)
        client.stopped()
        client.go("next")
        client.go("next")
        _, frame = client.go("stepBack")
        assert frame["canRestart"]
        assert client.go("reverseContinue")[1]["name"] == "∂ sum.backward"

    def test_step_out_finishes_the_module(self, client, stripes):
        client.launch(stripes, breakOn=["module:conv2"])
        _, frame = client.stopped()
        assert frame["moduleId"] == "conv2"
        client.evaluate("cl", context="repl")
        _, frame = client.go("stepOut")
        assert frame["name"] == "∂ max_pool.backward"

    def test_reverse_continue_goes_to_the_breakpoint_before_or_the_start(self, client, stripes):
        client.launch(stripes, configure=[functions("max_pool", "op:correlate")])
        client.stopped()
        assert client.go("continue")[1]["name"] == "∂ correlate.backward · conv2"
        assert client.go("reverseContinue")[1]["name"] == "∂ max_pool.backward"
        client.go("reverseContinue")
        assert client.evaluate("step") == "1"

    @pytest.fixture
    def at_composite(self, client, stripes):
        client.launch(stripes, breakOn=["op:cross_entropy"])
        _, frame = client.stopped()
        client.evaluate("cl", context="repl")
        return frame

    def test_step_in_walks_the_parts_of_a_composite_op(self, client, at_composite):
        step = client.evaluate("step")
        targets = client.ask("stepInTargets", frameId=at_composite["id"])["targets"]
        assert targets[0]["label"] == "the parts of cross_entropy"
        client.go("stepIn")
        frames = client.ask("stackTrace", threadId=1)["stackFrames"]
        assert frames[0]["name"] != "∂ cross_entropy.backward"
        assert "∂ cross_entropy.backward" in [f["name"] for f in frames]
        assert client.variables(client.scopes(frames[0])["Upstream"])
        client.go("stepOut")
        assert int(client.evaluate("step")) == int(step) + 1

    def test_stepping_back_out_of_the_parts_stands_before_the_op(self, client, at_composite):
        client.go("stepIn")
        assert client.go("stepBack")[1]["name"] == "∂ cross_entropy.backward"

    def test_the_parts_end_behind_the_op(self, client, at_composite):
        plain = client.go("next")[1]["name"]
        client.go("stepBack")
        client.go("stepIn")
        seen = []
        while plain not in seen:
            seen.append(client.go("next")[1]["name"])
            assert len(seen) < 100
        assert len(seen) > 1

    def test_a_target_follows_one_inputs_gradient(self, client, stripes):
        client.launch(stripes, configure=[functions("op:correlate")])
        _, frame = client.stopped()
        targets = client.ask("stepInTargets", frameId=frame["id"])["targets"]
        assert len(targets) == 2
        weight = next(t for t in targets if "conv2.weight" in t["label"])
        assert client.go("stepIn", targetId=weight["id"])[1]["name"] == "∂ conv2.weight"

    def test_goto_jumps_ahead_and_back_to_a_lines_nodes(self, client, stripes):
        client.launch(stripes, stopOnEntry=True)
        client.stopped()
        line = line_of(stripes, "self.conv1(x)")
        targets = client.ask("gotoTargets", source={"path": str(stripes)}, line=line)["targets"]
        assert [t["label"].split()[0].split("#")[0] for t in targets] == [
            "max_pool",
            "relu",
            "bias_add",
            "correlate",
        ]
        body, frame = client.go("goto", targetId=targets[1]["id"])
        assert (body["reason"], frame["name"], frame["line"]) == ("goto", "∂ relu.backward", line)
        line = line_of(stripes, "F.cross_entropy")
        targets = client.ask("gotoTargets", source={"path": str(stripes)}, line=line)["targets"]
        assert client.go("goto", targetId=targets[0]["id"])[1]["line"] == line
        assert client.evaluate("step") == "1"

    def test_a_restarted_node_has_lost_its_edits(self, client, stripes):
        client.launch(stripes, breakOn=["relu"])
        _, frame = client.stopped()
        before = client.evaluate("norm")
        client.evaluate("edit g = 7", context="repl")
        assert client.evaluate("norm") != before
        _, frame = client.stopped() if client.ask("restartFrame", frameId=frame["id"]) else client.stopped()
        assert (frame["name"], client.evaluate("norm")) == ("∂ relu.backward", before)

    def test_a_restarted_module_begins_at_its_first_node(self, client, stripes):
        client.launch(stripes, breakOn=["param:conv2.weight"])
        client.stopped()
        client.evaluate("cl", context="repl")
        client.go("stepBack")
        frames = client.ask("stackTrace", threadId=1)["stackFrames"]
        module = next(f for f in frames if f["name"] == "conv2 (Conv2d)")
        client.ask("restartFrame", frameId=module["id"])
        assert client.stopped()[1]["name"] == "∂ bias_add.backward · conv2"
        python = client.ask("stackTrace", threadId=1)["stackFrames"][-1]
        assert python["canRestart"] is False
        with pytest.raises(Failed, match="forward pass"):
            client.ask("restartFrame", frameId=python["id"])

    def test_pause_stops_a_running_program_at_its_next_node(self, client, tmp_path):
        script = tmp_path / "long.py"
        script.write_text(
            "import tinygrad_cnn as tg\nx = tg.ones(2, requires_grad=True)\n"
            "while x.grad is None or x.grad.sum() < 1e9:\n    (x * 2).sum().backward()\n"
        )
        client.launch(script)
        client.event("thread")
        client.ask("pause", threadId=1)
        assert client.stopped()[0]["reason"] == "pause"
        client.ask("continue", threadId=1)
        client.ask("terminate")
        client.event("terminated")


class TestLooking:
    @pytest.fixture
    def at_relu(self, client, stripes):
        client.launch(stripes, breakOn=["op:relu"])
        _, frame = client.stopped()
        return frame

    def test_the_stack_is_node_modules_and_python_frames(self, client, stripes, at_relu):
        client.evaluate("cl", context="repl")
        client.go("next")
        answer = client.ask("stackTrace", threadId=1)
        names = [f["name"] for f in answer["stackFrames"]]
        assert names == ["∂ bias_add.backward · conv2", "conv2 (Conv2d)", "Net", "Net.forward", "<module>"]
        assert answer["totalFrames"] == 5
        assert answer["stackFrames"][0]["line"] == line_of(stripes, SECOND)
        assert answer["stackFrames"][-1]["line"] == line_of(stripes, "loss = F.cross_entropy")
        page = client.ask("stackTrace", threadId=1, startFrame=1, levels=2)
        assert page["stackFrames"] == answer["stackFrames"][1:3]

    def test_the_thread_tells_the_step_and_the_loss(self, client, at_relu):
        assert client.ask("threads")["threads"] == [{"id": 1, "name": "backward · step 9 · loss 0.6539"}]

    def test_lines_and_columns_count_as_the_client_asked(self, client, stripes):
        client.begin(linesStartAt1=False, columnsStartAt1=False, pathFormat="uri")
        client.ask("launch", program=str(stripes))
        line = line_of(stripes, SECOND)
        client.ask("setBreakpoints", source={"path": stripes.as_uri()}, breakpoints=[{"line": line - 1}])
        client.ask("configurationDone")
        _, frame = client.stopped()
        assert (frame["line"], frame["source"]["path"]) == (line - 1, stripes.as_uri())
        assert frame["column"] == stripes.read_text().splitlines()[line - 1].index("F.relu")

    def test_the_scopes_are_the_chain_rules_parts(self, client, at_relu):
        scopes = client.scopes(at_relu)
        assert list(scopes) == ["Upstream", "Local", "Downstream", "Saved", "Formula", "Stats"]
        assert client.variables(scopes["Formula"])["forward"]["value"] == "y = max(x, 0)"
        assert "1 where x > 0" in client.variables(scopes["Local"])["∂y/∂x"]["value"]
        assert set(client.variables(scopes["Saved"])) == {"y", "x"}
        stats = client.variables(scopes["Stats"])
        assert stats["norm"]["value"] == client.evaluate("norm")
        assert stats["dead_relu"]["value"] == "0"

    def test_before_and_after_show_what_a_contribution_adds(self, client, tmp_path):
        script = tmp_path / "shared.py"
        script.write_text(
            "import tinygrad_cnn as tg\nx = tg.tensor([1.0, 2.0], requires_grad=True)\n"
            "h = x * 3\n(h.exp() + h * 5).sum().backward()\n"
        )
        client.launch(script, breakOn=["exp"])
        _, frame = client.stopped()
        [handed] = client.variables(client.scopes(frame)["Downstream"]).values()
        parts = client.variables(handed["variablesReference"])
        assert parts["before"]["value"] == "[5. 5.]"
        after = 5 + np.exp(np.float32([3, 6]))
        assert np.allclose(
            eval(parts["after"]["value"].replace(" ", ",").replace(",,", ",").replace("[,", "[")),
            after,
            rtol=1e-4,
        )

    def test_a_large_array_is_never_sent_whole(self, client, tmp_path):
        script = tmp_path / "large.py"
        script.write_text(
            "import tinygrad_cnn as tg\nx = tg.ones(200_000, requires_grad=True)\n(x * 2).sum().backward()\n"
        )
        client.launch(script, breakOn=["op:mul"])
        _, frame = client.stopped()
        g = client.variables(client.scopes(frame)["Upstream"])["∂L/∂y"]
        assert g["indexedVariables"] == 200_000
        assert len(g["value"]) < 200
        reference = g["variablesReference"]
        page = client.ask(
            "variables", variablesReference=reference, filter="indexed", start=150_000, count=3
        )["variables"]
        assert [(v["name"], v["value"]) for v in page] == [
            ("[150000]", "1"),
            ("[150001]", "1"),
            ("[150002]", "1"),
        ]
        whole = client.ask("variables", variablesReference=reference)["variables"]
        assert len(whole) == 1001
        assert "more" in whole[-1]["value"]
        assert (
            client.ask("variables", variablesReference=reference, filter="indexed", start=300_000, count=5)[
                "variables"
            ]
            == []
        )
        named = client.ask("variables", variablesReference=reference, filter="named")["variables"]
        assert len(named) == g["namedVariables"]

    def test_the_names_of_living_python_frames_are_there(self, client, at_relu):
        frames = client.ask("stackTrace", threadId=1)["stackFrames"]
        main = frames[-1]
        assert (main["name"], list(client.scopes(main))) == ("<module>", ["Locals"])
        variables = client.variables(client.scopes(main)["Locals"])
        assert variables["step"]["value"] == "0"
        model = client.variables(variables["model"]["variablesReference"])
        assert "training" in model
        assert client.evaluate("step", frameId=main["id"]) == "0"

    def test_a_modules_scope_is_its_parameters(self, client, at_relu):
        client.evaluate("goto param:conv2.weight", context="repl")
        client.stopped()
        client.go("stepBack")
        frames = client.ask("stackTrace", threadId=1)["stackFrames"]
        module = next(f for f in frames if f["name"] == "conv2 (Conv2d)")
        parameters = client.variables(client.scopes(module)["Parameters"])
        assert set(parameters) == {"conv2.weight", "conv2.bias"}
        assert "none yet" in parameters["conv2.weight"]["value"]
        assert "none yet" not in parameters["conv2.bias"]["value"]

    def test_references_are_void_after_a_move(self, client, at_relu):
        reference = client.scopes(at_relu)["Upstream"]
        client.go("next")
        with pytest.raises(Failed, match="void"):
            client.ask("variables", variablesReference=reference)
        with pytest.raises(Failed, match="no frame"):
            client.ask("scopes", frameId=at_relu["id"])

    def test_evaluate_gives_values_that_open(self, client, at_relu):
        answer = client.ask("evaluate", expression="g[0]", context="watch", frameId=at_relu["id"])
        assert answer["indexedVariables"] == 8
        assert client.variables(answer["variablesReference"])["shape"]["value"] == "(8, 8, 8)"
        with pytest.raises(Failed, match="NameError|not defined"):
            client.evaluate("no_such_name")

    def test_modules_and_sources_are_listed(self, client, stripes, at_relu):
        modules = client.ask("modules")
        assert [m["id"] for m in modules["modules"]] == ["Net", "conv1", "conv2", "fc"]
        assert client.ask("modules", startModule=1, moduleCount=1)["modules"][0]["id"] == "conv1"
        assert [s["path"] for s in client.ask("loadedSources")["sources"]] == [str(stripes)]

    def test_code_without_a_file_is_served_as_source(self, client, tmp_path):
        script = tmp_path / "cell.py"
        script.write_text(
            "import linecache\nimport tinygrad_cnn as tg\ntext = 'y = (x * 2).sum()\\ny.backward()\\n'\n"
            "linecache.cache['<cell 1>'] = (len(text), None, text.splitlines(True), '<cell 1>')\n"
            "exec(compile(text, '<cell 1>', 'exec'), {'x': tg.ones(2, requires_grad=True)})\n"
        )
        client.launch(script, breakOn=["op:mul"])
        _, frame = client.stopped()
        assert (
            "y = (x * 2).sum()"
            in client.ask("source", sourceReference=frame["source"]["sourceReference"])["content"]
        )
        answer = client.ask("setBreakpoints", source=frame["source"], breakpoints=[{"line": 1}])
        assert answer["breakpoints"][0]["verified"]


class TestChanging:
    def at_exp(self, client, tmp_path):
        script = tmp_path / "edit.py"
        script.write_text(
            "import tinygrad_cnn as tg\nx = tg.tensor([0.0, 1.0], requires_grad=True)\nw = tg.tensor([2.0, 3.0])\n"
            "(w * x.exp()).sum().backward()\nprint(x.grad.tolist())\n"
        )
        client.launch(script, breakOn=["exp"])
        _, frame = client.stopped()
        client.evaluate("cl", context="repl")
        return frame

    def finish(self, client):
        client.ask("continue", threadId=1)
        client.event("exited")
        return np.array(eval(client.output().splitlines()[-1]))

    def test_a_gradients_entry_is_set_and_the_client_is_told_to_look_again(self, client, tmp_path):
        at_exp = self.at_exp(client, tmp_path)
        reference = client.scopes(at_exp)["Upstream"]
        g = client.variables(reference)["∂L/∂y"]
        assert g["value"] == "[2. 3.]"
        answer = client.ask(
            "setVariable", variablesReference=g["variablesReference"], name="[1]", value="10 * 2"
        )
        assert answer["value"] == "20"
        assert client.event("invalidated")["areas"] == ["variables"]
        assert client.variables(reference)["∂L/∂y"]["value"] == "[ 2. 20.]"
        assert np.allclose(self.finish(client), [2, 20 * np.e])

    def test_a_whole_gradient_is_set_by_an_expression(self, client, tmp_path):
        at_exp = self.at_exp(client, tmp_path)
        client.ask(
            "setVariable", variablesReference=client.scopes(at_exp)["Upstream"], name="∂L/∂y", value="-g"
        )
        assert np.allclose(self.finish(client), [-2, -3 * np.e])

    def test_what_one_input_receives_is_set(self, client, tmp_path):
        at_exp = self.at_exp(client, tmp_path)
        client.ask(
            "setVariable",
            variablesReference=client.scopes(at_exp)["Downstream"],
            name="∂L/∂x",
            value="[7, 8]",
        )
        assert self.finish(client).tolist() == [7, 8]

    def test_a_saved_value_is_set_for_the_rule(self, client, tmp_path):
        at_exp = self.at_exp(client, tmp_path)
        client.ask("setVariable", variablesReference=client.scopes(at_exp)["Saved"], name="y", value="0.5")
        assert self.finish(client).tolist() == [1, 1.5]

    @pytest.mark.parametrize(
        ("target", "value", "wanted"),
        [
            ("g[0]", "5", [5, 3 * np.e]), ("upstream", "g * 0", [0, 0]), ("downstream[0][1]", "4", [2, 4]),
            ("value[0]", "3", [6, 3 * np.e]), ("downstream[0]", "9", [9, 9]),
        ],
    )  # fmt: skip
    def test_expressions_are_set(self, client, tmp_path, target, value, wanted):
        self.at_exp(client, tmp_path)
        client.ask("setExpression", expression=target, value=value)
        client.event("invalidated")
        assert np.allclose(self.finish(client), wanted)

    @pytest.mark.parametrize("target", ["1 + 1", "w[0]", "downstream", "g[", "f(x)", ""])
    def test_what_cannot_be_set_says_so(self, client, tmp_path, target):
        at_exp = self.at_exp(client, tmp_path)
        with pytest.raises(Failed):
            client.ask("setExpression", expression=target, value="1")
        with pytest.raises(Failed):
            client.ask(
                "setVariable", variablesReference=client.scopes(at_exp)["Stats"], name="norm", value="1"
            )
        with pytest.raises(Failed):
            client.ask(
                "setVariable",
                variablesReference=client.scopes(at_exp)["Upstream"],
                name="∂L/∂y",
                value="[1, 2, 3]",
            )

    def test_stepping_back_undoes_an_edit(self, client, tmp_path):
        at_exp = self.at_exp(client, tmp_path)
        client.ask(
            "setVariable", variablesReference=client.scopes(at_exp)["Upstream"], name="∂L/∂y", value="0"
        )
        client.go("stepBack")
        client.go("next")
        assert client.evaluate("g") == "[2. 3.]"


class TestConsole:
    @pytest.fixture
    def stop(self, client, stripes):
        client.launch(stripes, stopOnEntry=True)
        client.stopped()
        return stripes

    def test_commands_look_move_and_edit(self, client, stop):
        assert "cross_entropy" in client.evaluate("where", context="repl")
        client.evaluate("n 3", context="repl")
        assert client.stopped()[0]["reason"] == "step"
        assert client.evaluate("step") == "4"
        client.evaluate("back 2", context="repl")
        client.stopped()
        client.evaluate("edit g = g * 2", context="repl")
        assert client.event("invalidated")

    def test_a_breakpoint_of_the_console_is_one_of_the_clients(self, client, stop):
        client.evaluate("b op:max_pool if norm > 0", context="repl")
        new = client.event("breakpoint")
        assert (new["reason"], new["breakpoint"]["verified"]) == ("new", True)
        body, frame = client.go("continue")
        assert body["hitBreakpointIds"] == [new["breakpoint"]["id"]]
        assert frame["name"] == "∂ max_pool.backward"
        client.evaluate("cl", context="repl")
        assert client.event("breakpoint")["reason"] == "removed"

    def test_continue_in_the_console_runs_on_and_says_so(self, client, stop):
        client.evaluate("c", context="repl")
        client.event("continued")
        assert client.event("exited") == {"exitCode": 0}

    def test_continue_in_the_console_stops_at_the_editors_breakpoints(self, client, stop):
        client.ask("setDataBreakpoints", breakpoints=[{"dataId": "grad:fc.bias"}])
        client.evaluate("c", context="repl")
        assert client.stopped()[0]["reason"] == "data breakpoint"

    def test_a_wrong_command_says_what_is_wrong(self, client, stop):
        assert "***" in client.evaluate("goto nowhere", context="repl")

    def test_quit_ends_the_program(self, client, stop):
        client.evaluate("q", context="repl")
        client.event("terminated")

    def test_completions_replace_the_word_they_complete(self, client, stop):
        for text in ("goto con", "é𝄞 con"):
            units = len(text.encode("utf-16-le")) // 2
            found = client.ask("completions", text=text, column=units + 1)["targets"]
            assert all(t["start"] == units - 3 + 1 and t["length"] == 3 for t in found)
        assert "conv2" in [
            t["label"] for t in client.ask("completions", text="goto con", column=9)["targets"]
        ]

    def test_pdb_is_refused_with_a_reason(self, client, stop):
        assert "terminal" in client.evaluate("pdb", context="repl")


def test_item_7_an_unmodified_training_script_is_debugged_in_its_second_convolution(client, stripes):
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
