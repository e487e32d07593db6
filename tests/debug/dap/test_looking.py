"""What is seen at a stop: the stack, scopes and pages of variables, expressions, modules, sources."""

import numpy as np
import pytest

from tests.debug.dap.conftest import SECOND, Failed, line_of


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

    def test_copying_a_value_gives_all_of_it(self, client, tmp_path):
        script = tmp_path / "copy.py"
        script.write_text(
            "import tinygrad_cnn as tg\nx = tg.zeros(50, 40, requires_grad=True)\n(x * 2).sum().backward()\n"
        )
        client.launch(script, breakOn=["op:mul"])
        client.stopped()
        text = client.evaluate("g", context="clipboard")
        assert np.array_equal(eval(text), np.ones((50, 40)))
        assert len(client.evaluate("g")) < 200
        assert client.evaluate("'a' * 500", context="clipboard") == repr("a" * 500)
