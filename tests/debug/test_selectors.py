"""One grammar says which node and when: selectors, conditions, both."""

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.debug import BackwardSession, Breakpoints
from tinygrad_cnn.debug.selectors import parse
from tinygrad_cnn.errors import UsageError


@pytest.mark.parametrize(
    ("text", "kind", "pattern", "condition"),
    [
        ("relu", "word", "relu", None),
        ("features.*", "word", "features.*", None),
        ("0.weight", "word", "0.weight", None),
        ("0.1.*", "word", "0.1.*", None),
        ("op:conv2d", "op", "conv2d", None),
        ("name:h1", "name", "h1", None),
        ("module:features.*", "module", "features.*", None),
        ("param:fc.weight", "param", "fc.weight", None),
        ("shape:(*,16,*,*)", "shape", "(*,16,*,*)", None),
        ("(*, 16)", "shape", "(*, 16)", None),
        ("net.py:12", "line", "net.py:12", None),
        ("line:sub/net.py:12", "line", "sub/net.py:12", None),
        ("12", "line", "train.py:12", None),
        (":12", "line", "train.py:12", None),
        ("step:17", "step", "17", None),
        ("relu if norm > 3", "word", "relu", "norm > 3"),
        ("relu, norm > 3", "word", "relu", "norm > 3"),
        ("shape:(*,16), g.max() > 1", "shape", "(*,16)", "g.max() > 1"),
        ("net.py:12 if nan", "line", "net.py:12", "nan"),
        ("leaf", "leaf", "leaf", None),
    ],
)
def test_selectors_are_read(text, kind, pattern, condition):
    query = parse(text, file="train.py")
    assert (query.selector.kind, query.selector.pattern, query.condition) == (kind, pattern, condition)


@pytest.mark.parametrize(
    "text",
    [
        "nan",
        "0.5",
        "inf",
        "all_zero",
        "norm > 10",
        "dead_relu>0.9",
        "if op == 'relu'",
        "g.max() if norm else 0",
        "max(1, norm) > 2",
    ],
)
def test_conditions_are_read(text):
    query = parse(text)
    assert query.selector is None and query.condition


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "got nothing"), ("op:", "behind the colon"), ("step:x", "expects a number"), ("line:12", "which file"),
        ("norm >", "norm >"), ("relu if", "relu if"), ("shape:16", "parentheses"), ("a b c", "a Python expression"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_with_examples(text, says):
    with pytest.raises(UsageError, match=".") as error:
        parse(text)
    assert says in str(error.value)


def chosen(s, text):
    return {s.label(n) for n in s.find(text)}


def test_selectors_choose_the_nodes_they_name(small):
    s = BackwardSession(small.loss())
    assert chosen(s, "conv2d") == {"correlate conv"}
    assert chosen(s, "Conv2d") == {"correlate conv", "bias_add conv"}
    assert chosen(s, "Linear") and chosen(s, "Linear") == chosen(s, "module:fc")
    assert chosen(s, "linear") <= chosen(s, "Linear") and chosen(s, "linear")
    assert chosen(s, "param:fc.*") == {"fc.weight", "fc.bias"}
    assert chosen(s, "fc.weight") == {"fc.weight"}
    assert all(n.shape == (4, 10) for n in s.find("shape:(*,10)")) and s.find("shape:(*,10)")
    assert {n.op.name for n in s.find("op:*anh")} == {"tanh"}
    tanh = s.find("tanh")[0].where.lineno
    assert {n.where.lineno for n in s.find(f"conftest.py:{tanh}")} == {tanh}
    assert s.find("step:1") == [s.nodes[0]] and s.find(f"seq:{s.nodes[2].seq}") == [s.nodes[2]]
    assert not s.find("nosuch")


def test_a_module_chooses_what_is_inside_it_and_nothing_with_a_like_name():
    model = tg.nn.Sequential(tg.nn.Sequential(tg.nn.Linear(2, 2)), *[tg.nn.Tanh() for _ in range(10)])
    s = BackwardSession(model(tg.ones(1, 2)).sum())
    assert {n.module for n in s.find("module:0")} == {"0.0"}
    assert {n.module for n in s.find("module:1")} == {"1"}  # not 10


def test_conditions_read_the_paused_node():
    x = tg.tensor([[3.0, -4.0]], requires_grad=True)
    y = tg.relu(tg.tensor([[-1.0, 2.0]]) * x)
    s = BackwardSession(y.sum(), retain_graph=True)
    s.goto("relu")
    for text, value in [
        ("norm", 2**0.5), ("nan", 0), ("inf", 0), ("all_zero", False), ("op", "relu"), ("step", 2), ("zeros", 0.0),
        ("dead_relu", 1.0), ("norm(value) if value is not None else 0", 0.0), ("shape", (1, 2)), ("g.sum()", 2.0),
        ("[round(float(d.sum())) for d in downstream]", [0]), ("local[0].structure", "diagonal"),
    ]:  # fmt: skip
        assert (
            s.evaluate(text) == pytest.approx(value)
            if isinstance(value, float)
            else s.evaluate(text) == value
        ), text
    s.goto(x)
    x_gradient = s.evaluate("norm")
    assert s.evaluate("ratio") == pytest.approx(x_gradient / 5)
    assert not s.namespace.true("dead_relu > 0.9")  # a leaf has none: false, not an error
    for bad in ("nosuch", "1 +", "g.nosuch", "1/0"):
        with pytest.raises(UsageError):
            s.evaluate(bad)


def test_expressions_see_the_names_of_the_users_frame():
    x = tg.tensor([1.0], requires_grad=True)
    s = BackwardSession(x * 2, scopes=[{"threshold": 5, "x": "hidden by the debugger's own"}, {"limit": 7}])
    assert s.evaluate("threshold + limit") == 12
    assert s.evaluate("all(k < limit for k in range(threshold))") is True


def stops(s):
    out = []
    while s.continue_().kind == "breakpoint":
        out.append((s.position + 1, s.stop.breakpoint))
    return out


@pytest.fixture
def chain():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    for _ in range(8):
        x = tg.sin(x)
    return lambda: BackwardSession(x.sum(), retain_graph=True)  # steps 2 to 9 are the sines


def test_breakpoints_stop_count_ignore_and_go(chain):
    s = chain()
    bp = s.breakpoints.add("sin", ignore=2)
    assert [k for k, _ in stops(s)] == [4, 5, 6, 7, 8, 9] and bp.hits == 8 and bp.ignore == 0
    s = chain()
    s.breakpoints.add("sin", temporary=True)
    assert [k for k, _ in stops(s)] == [2] and len(s.breakpoints) == 0
    s = chain()
    s.breakpoints.add("sin").enabled = False
    assert stops(s) == []
    for text, wanted in [
        ("3", [4, 5, 6, 7, 8, 9]),
        ("== 3", [4]),
        ("% 4", [5, 9]),
        ("> 7", [9]),
        ("<= 2", [2, 3]),
    ]:
        s = chain()
        s.breakpoints.add("sin", hit_condition=text)
        assert [k for k, _ in stops(s)] == wanted, text


def test_log_points_say_and_do_not_stop(chain):
    s = chain()
    s.breakpoints.add("step:3", log="{op} at {step}: {norm > 0} {nosuch}")
    assert stops(s) == []
    assert len(s.breakpoints.messages) == 1 and s.breakpoints.messages[0].startswith("sin at 3: True <")


def test_conditions_may_be_set_and_removed_later(chain):
    s = chain()
    bp = s.breakpoints.add("sin")
    s.breakpoints.set_condition(bp.id, "step > 7")
    assert [k for k, _ in stops(s)] == [8, 9]
    assert s.breakpoints.set_condition(bp.id, None).query.text == "sin"
    with pytest.raises(UsageError, match="nothing but its condition"):
        s.breakpoints.set_condition(s.breakpoints.add("nan").id, None)


def test_a_condition_that_fails_stops_and_says_why(chain):
    s = chain()
    s.breakpoints.add("step:4 if g.nosuch > 1")
    assert stops(s) == [(4, 1)]
    assert "nosuch" in s.breakpoints.messages[0]


def test_reverse_continue_finds_the_same_stops_backwards(chain):
    s = chain()
    s.breakpoints.add("sin if step % 3 == 0")
    forwards = stops(s)
    backwards = []
    while s.reverse_continue().kind == "breakpoint":
        backwards.append((s.position + 1, s.stop.breakpoint))
    assert backwards == forwards[::-1] and s.position == 0


def test_a_table_of_breakpoints_says_what_it_cannot_do():
    table = Breakpoints()
    with pytest.raises(UsageError, match="there is no breakpoint 7"):
        table[7]
    with pytest.raises(UsageError, match="hit condition"):
        table.add("relu", hit_condition="often")
    with pytest.raises(UsageError):
        table.add("relu", log="{1 +}")
