"""What is changed at a stop, and what the console does."""

import numpy as np
import pytest

from tests.debug.dap.conftest import Failed


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

    def test_the_console_speaks_of_the_frame_that_is_chosen(self, client, tmp_path):
        script = tmp_path / "frames.py"
        script.write_text(
            "import tinygrad_cnn as tg\ndef inner(loss):\n    name = 'inner'\n    loss.backward()\n"
            "def outer(x):\n    name = 'outer'\n    inner((x * 2).sum())\nouter(tg.ones(2, requires_grad=True))\n"
        )
        client.launch(script, stopOnEntry=True)
        client.stopped()
        frames = {f["name"]: f["id"] for f in client.ask("stackTrace", threadId=1)["stackFrames"]}
        assert client.evaluate("loss.item()", context="repl") == "4"
        said = client.evaluate("str(inner) != str(outer)", context="repl", frameId=frames["outer"])
        assert said == "True"
        client.evaluate("marker = 5", context="repl", frameId=frames["<module>"])
        assert client.evaluate("marker", context="repl", frameId=frames["<module>"]) == "5"
