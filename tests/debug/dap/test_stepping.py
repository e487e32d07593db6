"""How a stopped program moves: forwards, backwards, into parts, out of modules, to lines."""

import pytest

from tests.debug.dap.conftest import Failed, functions, line_of


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
