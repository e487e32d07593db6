"""Where the program stops: lines, functions, data and exceptions, with their conditions."""

from tests.debug.dap.conftest import SECOND, functions, line_of, lines


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

    def test_the_same_line_twice_is_one_breakpoint(self, client, stripes):
        line = line_of(stripes, SECOND)
        [answer] = client.launch(stripes, configure=[lines(stripes, line, line)])
        first, second = answer["breakpoints"]
        assert first["id"] == second["id"]
        client.stopped()
        client.ask("setBreakpoints", source={"path": str(stripes)}, breakpoints=[])
        client.ask("continue", threadId=1)
        client.event("exited")

    def test_a_condition_that_is_no_expression_fails_at_its_line(self, client, stripes):
        client.begin()
        breakpoints = [{"line": 19, "condition": "norm >"}, {"line": 18, "hitCondition": "often"}]
        answer = client.ask("setBreakpoints", source={"path": str(stripes)}, breakpoints=breakpoints)
        assert [(b["verified"], b["line"]) for b in answer["breakpoints"]] == [(False, 19), (False, 18)]

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
