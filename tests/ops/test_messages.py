"""What does not fit is said in one sentence: which op, what came, which dimension; ValueError and RuntimeError both."""

from collections.abc import Callable
from typing import Any

import pytest

import tinygrad_cnn as tg

WIDE = r"expected shapes that broadcast, got \(2, 3\) and \(2, 4\): sizes 3 and 4 in dimension -1 are neither"


@pytest.mark.parametrize("kind", [ValueError, RuntimeError])
@pytest.mark.parametrize("fn", [lambda a, b: a + b, lambda a, b: a < b, tg.maximum, lambda a, b: a.mul_(b), tg.atan2])
def test_shapes_that_do_not_broadcast(fn: Callable[..., Any], kind: type[Exception]) -> None:
    with pytest.raises(kind, match=WIDE):
        fn(tg.ones(2, 3), tg.ones(2, 4))
    with pytest.raises(kind, match=WIDE):
        fn(tg.ones(2, 3), tg.ones(2, 4).numpy())


def test_a_mask_that_does_not_broadcast() -> None:
    with pytest.raises(ValueError, match=r"where expected shapes that broadcast, got \(2,\) and \(3,\)"):
        tg.ones(3).masked_fill(tg.ones(2) > 0, 0)


def test_in_place_a_tensor_does_not_grow() -> None:
    x = tg.ones(3)
    with pytest.raises(RuntimeError, match=r"\+= would give shape \(2, 3\), but in place the tensor keeps its shape"):
        x += tg.ones(2, 3)
    assert x.tolist() == [1, 1, 1]


def test_what_is_one_number_in_memory_is_not_written_to() -> None:
    x = tg.ones(1, 3).expand(2, 3)
    for change in (lambda: x.add_(1), lambda: x.zero_(), lambda: x.__setitem__(0, 2.0), lambda: x.__iadd__(1)):
        with pytest.raises(RuntimeError, match=r"several entries are one number in memory \(expand\)"):
            change()


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda: tg.zeros(0).max(), r"max expected at least one entry, got shape \(0,\)"),
        (lambda: tg.zeros(2, 0).amin(1), r"min expected at least one entry over the dimensions \(1,\)"),
        (lambda: tg.arange(0, 5, -1), "arange expected a step towards its end, got 0 to 5 in steps of -1"),
        (lambda: tg.zeros(2).fill_(tg.zeros(2)), r"fill_ expected a number or a 0-d tensor, got shape \(2,\)"),
        (lambda: tg.zeros(2).item(), r"item\(\) expected a tensor with one entry, got shape \(2,\)"),
    ],
)
def test_other_wrong_input(fn: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fn()
