"""Whatever is typed, in whatever order, the interpreter answers; and the pass still ends as backward ends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_cnn as tg
from tinygrad_cnn.debug import BackwardSession, Interpreter
from tinygrad_cnn.debug.commands import COMMANDS
from tinygrad_cnn.errors import UsageError

# `pdb` is answered with a flag; `record` would write files wherever random words say.
WORDS = [
    w for name, (_, _, short) in COMMANDS.items() for w in (name, *short) if name not in ("record", "quit")
]
ARGUMENTS = [
    "", "1", "2", "-1", "99", "0,1", "mul", "tanh", "nosuch", "w", "x", "norm > 0", "nan", "g", "g = 2 * g", "d0 = 0",
    "value = 1", "of mul g = 3", "g[0] = 1", "op:", "shape:(*)", "step:3", "relu if", "all", "end", "b", "1 norm > 1",
    "of w", "0 of b", "mul :: {op} {nosuch}", "names", ";; n", "((", "'", "λ", "1e999", "downstream", "1 2 3", "[:]",
]  # fmt: skip


def fresh():
    x = tg.tensor([0.5, -1.0, 2.0], requires_grad=True)
    w = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    return x, w, (tg.tanh(x * w) + tg.log(w)).sum() * tg.exp(x[0])


@settings(max_examples=60)
@given(lines=st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(ARGUMENTS)), max_size=25))
def test_any_sequence_of_commands_is_answered(lines):
    x, w, loss = fresh()
    i = Interpreter(BackwardSession(loss))
    for word, argument in lines:
        reply = i.execute(f"{word} {argument}".strip())
        assert "Traceback" not in reply.text
        for flag in ("moved", "edited", "resume", "quit", "error"):
            assert isinstance(getattr(reply, flag), bool)
        if reply.resume or i.session.closed:
            break
    while i.outer:
        i.session.abort()
        i.session = i.outer.pop()
    if not i.session.closed:
        i.session.back(1000)
        i.session.finish()
        assert_plain(x, w)


def assert_plain(x, w):
    a, b, loss = fresh()
    loss.backward()
    np.testing.assert_array_equal(x.grad.numpy(), a.grad.numpy())
    np.testing.assert_array_equal(w.grad.numpy(), b.grad.numpy())


@settings(max_examples=150)
@given(text=st.text(alphabet="abgnxw*.:()[]<>=,!?0123456789 if#;'\"\\λ\n", max_size=30))
def test_any_text_is_answered(text):
    i = Interpreter(BackwardSession(fresh()[2]))
    assert "Traceback" not in i.execute(text).text
    i.complete(text)


@settings(max_examples=150)
@given(text=st.text(max_size=25))
def test_a_selector_is_read_or_refused_in_a_sentence(text):
    s = BackwardSession(fresh()[2])
    try:
        bp = s.breakpoints.add(text)
    except UsageError as error:
        assert str(error)
        return
    assert bp.query.text
    if bp.query.condition is None:  # others are Python that may do anything
        s.find(bp.query)


@pytest.mark.parametrize(
    "bad", ["__import__('os').getcwd() + 1", "(" * 500, "a" * 10_000, "lambda: 0", "yield", "x := 3"]
)
def test_strange_expressions_are_answered_in_a_line(bad):
    reply = Interpreter(BackwardSession(fresh()[2])).execute(f"p {bad}")
    assert "Traceback" not in reply.text
