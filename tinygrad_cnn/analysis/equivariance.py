"""Whether a function follows a transformation of its input, f(t(x)) = t(f(x)), or ignores it, f(t(x)) = f(x)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.analysis.watch import evaluating
from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.handle import unwrap, wrap
from tinygrad_cnn.support.errors import UsageError

__all__ = ["Agreement", "check_equivariance", "check_invariance", "translate"]


@dataclass(frozen=True)
class Agreement:
    """How far two ways to compute a result are apart; true where they are equal to `tolerance`.

    Attributes
        difference: the largest difference of two entries
        relative: ‖difference‖ / ‖result‖
        tolerance: relative difference up to which they count as equal
        left, right: f(t(x)), and t(f(x)) or f(x)
    """

    difference: float
    relative: float
    tolerance: float
    left: npt.NDArray[Any]
    right: npt.NDArray[Any]

    def __bool__(self) -> bool:
        return self.relative <= self.tolerance

    def __str__(self) -> str:
        word = "equal" if self else "different"
        return f"{word}: largest difference {self.difference:.3g}, relative {self.relative:.3g}"


def check_equivariance(
    f: Callable[[Any], Any], t: Callable[[Any], Any], x: Any, *, t_out: Callable[[Any], Any] | None = None,
    tolerance: float = 1e-6,
) -> Agreement:  # fmt: skip
    """Compare f(t(x)) with t(f(x)).

        check_equivariance(conv, lambda a: a[..., 1:, :], image)   # one row further up; exactly equal

    Translate by cutting rows or columns off, as here, and nothing enters at the border that a convolution could see. A
    padded one differs there: `translate` moves zeros in.

    Args:
        f: a function or a module, of a tensor; a module runs in eval mode, without recording
        t: the transformation of the input
        x: the input, a tensor or an array
        t_out: the transformation of the output, where it is another one (half the way behind a stride of 2)
        tolerance: relative difference up to which the two count as equal

    Returns:
        the agreement, true where they are equal

    Raises:
        UsageError: when the two have different shapes
    """
    left, right = _run(f, t(_tensor(x))), (t_out or t)(wrap(_run(f, _tensor(x))))
    return _agreement(left, np.asarray(unwrap(right)), "f(t(x))", "t(f(x))", tolerance)


def check_invariance(
    f: Callable[[Any], Any], t: Callable[[Any], Any], x: Any, *, tolerance: float = 1e-6
) -> Agreement:
    """Compare f(t(x)) with f(x); arguments as `check_equivariance`."""
    return _agreement(_run(f, t(_tensor(x))), _run(f, _tensor(x)), "f(t(x))", "f(x)", tolerance)


def translate(rows: int, columns: int = 0) -> Callable[[Any], Any]:
    """The transformation that moves the last two dimensions down and to the right; zeros come in."""

    def move(x: Any) -> Any:
        a = np.asarray(unwrap(x))
        moved = np.zeros_like(a)
        height, width = a.shape[-2:]
        if abs(rows) < height and abs(columns) < width:
            to: Any = [slice(max(k, 0), n + min(k, 0)) for k, n in ((rows, height), (columns, width))]
            of: Any = [slice(max(-k, 0), n + min(-k, 0)) for k, n in ((rows, height), (columns, width))]
            moved[(..., *to)] = a[(..., *of)]
        return wrap(moved)

    return move


def _tensor(x: Any) -> Any:
    return wrap(np.asarray(unwrap(x)))


def _run(f: Any, x: Any) -> npt.NDArray[Any]:
    with evaluating(f), modes.no_grad():
        return np.array(unwrap(f(x)))


def _agreement(left: Any, right: Any, one: str, other: str, tolerance: float) -> Agreement:
    if left.shape != right.shape:
        raise UsageError(
            f"{one} has shape {left.shape} and {other} {right.shape}: give the transformation of the output as t_out, "
            "or one that keeps the shape (analysis.translate)"
        )
    d = np.abs(left.astype(np.float64) - right)
    size = float(np.linalg.norm(right.astype(np.float64).ravel()))
    norm = float(np.linalg.norm(d.ravel()))
    relative = norm / size if size else norm
    return Agreement(float(d.max(initial=0.0)), relative, tolerance, left, right)
