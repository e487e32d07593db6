"""A recorded pass can be walked through without the program, and the page plays it."""

import json
import subprocess
import sys

import pytest

import tinygrad_cnn as tg
from tests.debug.conftest import PATIENCE, environment
from tinygrad_cnn.debug import BackwardSession, Interpreter, Replay
from tinygrad_cnn.errors import DataError, UsageError


@pytest.fixture
def recorded(small, tmp_path):
    s = BackwardSession(small.loss())
    s.goto("tanh")
    s.edit(2.0)
    s.step(2)
    before = s.state()
    path = s.record(tmp_path / "pass.json")
    assert s.state() == before  # recording leaves the session where it stood
    return s, path


def test_a_replay_shows_what_the_session_showed(recorded):
    s, path = recorded
    replay = Replay.load(path)
    assert replay.total == s.total
    s.back(s.total + 1)
    seen = 0
    while not replay.at_end:
        a, b = replay.state(), s.state()
        assert a["node"] == json.loads(json.dumps(b["node"]))
        if s.position <= s.index_of(s.find("tanh")[0]) and not a["edits"]:
            assert a["upstream"].get("norm", 0) == pytest.approx(b["upstream"].get("norm", 0), rel=1e-5)
            assert a["upstream"].get("image", {}).get("rows") is None or a["upstream"]["image"]["data"]
            seen += 1
        replay.step()
        s.step()
    assert seen > 5
    assert any("edited the gradient of tanh" in e for state in replay.states for e in state["edits"])


def test_a_replay_walks_both_ways_with_the_same_commands(recorded):
    i = Interpreter(Replay.load(recorded[1]))
    for line in (
        "n", "n", "back", "b tanh", "c", "w", "l", "st", "graph", "history", "info params", "rc", "unt norm > 0",
        "watch norm", "goto fc.weight", "grad fc.weight", "goto 1", "p op", "r",
    ):  # fmt: skip
        reply = i.execute(line)
        assert not reply.error, (line, reply.text)
    i.execute("goto tanh")
    assert i.session.node.op.name == "tanh" and "tanh" in i.execute("st").text
    for line in ("explain", "check", "edit g = 1", "p g", "a", "local", "retval"):
        assert "needs the program itself" in " ".join(i.execute(line).text.split()), line
    i.execute("n 1000")
    assert i.session.at_end and i.execute("c").resume


def test_the_page_plays_the_same_file(recorded, tmp_path):
    graph = tg.viz.Graph.load(recorded[1])
    assert len(graph.description.steps) == recorded[0].total and graph.description.gradients == "run"
    page = graph.html()
    assert "<html" in page and "tanh" in page
    direct = recorded[0].record(tmp_path / "pass.html")
    assert "<html" in direct.read_text(encoding="utf-8")


def test_the_file_is_small_and_plain(recorded):
    text = recorded[1].read_text(encoding="utf-8")
    assert len(text) < 8000 * recorded[0].total
    data = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert data["replay"]["version"] == 1


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_infinities_survive(tmp_path):
    x = tg.tensor([0.0, 1.0], requires_grad=True)
    path = BackwardSession(tg.sqrt(x).sum()).record(tmp_path / "x.json")  # 1 / 0
    replay = Replay.load(path)
    assert replay.run_until("inf").kind == "condition"
    assert replay.node.op.name == "sqrt"


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "[]", "{}", '{"replay": {}}', '{"replay": {"version": 1, "states": []}}', "[" * 100000,
        '{"replay": {"version": 9, "states": [{}]}}', '{"replay": {"version": 1, "states": [{"node": {}}]}}',
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_refused_in_a_sentence(text, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError, match="replay"):
        Replay.load(path)


def test_what_needs_arrays_says_so(recorded):
    with pytest.raises(UsageError, match="needs the program itself"):
        Replay.load(recorded[1]).explain()


def test_the_command_line_opens_it(recorded):
    done = subprocess.run(
        [sys.executable, "-m", "tinygrad_cnn", "debug", "--replay", str(recorded[1]), "-c", "bk", "-c", "st"],
        capture_output=True, text=True, input="q\n", timeout=PATIENCE, encoding="utf-8", env=environment(),
    )  # fmt: skip
    assert done.returncode == 0 and "start of the recorded pass" in done.stdout and "upstream" in done.stdout
