"""How a case is written, and how its numbers are drawn.

    case("gather", lambda tg, F, x: tg.gather(x, 1, tg.tensor([[0, 2], [1, 1]])), normal(2, 3))

That line is all an op needs: `test_cases.py` then checks forward, vjp, jvp, adjoint, order 2, strides,
read-only inputs, float32, every node's LinearMap, and PyTorch's answers. The function is written once, in the
names both libraries share: `tg` is tinygrad_cnn or torch, `F` its nn.functional. Where they differ, `torch=`
gives PyTorch's form; ``torch=None`` says that it has none. After adding a case with a PyTorch form, run
``make oracle``.

`pointwise` makes several cases at once: usual, broadcast, 0-d and empty.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Draw = Callable[[np.random.Generator], np.ndarray]
SAME: Any = object()


@dataclass(frozen=True)
class Case:
    """One function with one set of inputs.

    Attributes
        name: unique; what stands before a colon is the op's name
        fn: (tg, F, *inputs) -> a tensor, or several of which the floating ones are checked
        draws: how each input is drawn (float64)
        torch: PyTorch's form of fn, or None
        differences: False where the function has a kink at the inputs, so that only PyTorch can be asked
        order2: whether its second derivatives are checked against differences
        tol: relative and absolute tolerance of comparisons with differences
        float32: tolerance in float32; None skips that check (say why in the line)
        numpy: the same in plain NumPy, (*arrays) -> array
    """

    name: str
    fn: Callable[..., Any]
    draws: tuple[Draw, ...]
    torch: Callable[..., Any] | None
    differences: bool = True
    order2: bool = True
    tol: float = 1e-6
    float32: float | None = 1e-4
    numpy: Callable[..., Any] | None = None

    def rng(self) -> np.random.Generator:
        """The case's own numbers: they depend on its name alone."""
        return np.random.default_rng(zlib.crc32(self.name.encode()))

    def inputs(self) -> tuple[list[np.ndarray], np.random.Generator]:
        """The inputs, and the generator for upstream gradients and directions."""
        rng = self.rng()
        return [draw(rng) for draw in self.draws], rng


class Table(list[Case]):
    """The cases of one file."""

    def case(
        self, name: str, fn: Callable[..., Any], *draws: Draw, torch: Any = SAME, **options: Any
    ) -> None:
        """Add one case."""
        if any(c.name == name for c in self):
            raise ValueError(f"two cases are called {name!r}")
        self.append(Case(name, fn, draws, fn if torch is SAME else torch, **options))

    def pointwise(
        self, name: str, fn: Callable[..., Any], *draws: Callable[..., Draw], **options: Any
    ) -> None:
        """Add the cases of a function that works entry by entry; `draws` are drawing functions like `normal`."""
        self.case(name, fn, *[draw(2, 3) for draw in draws], **options)
        self.case(f"{name}:0-d", fn, *[draw() for draw in draws], **options)
        self.case(f"{name}:empty", fn, *[draw(0, 3) for draw in draws], **options)
        if len(draws) > 1:
            shapes = [(2, 1, 3), (4, 1), (1, 4, 3)]
            self.case(f"{name}:broadcast", fn, *[draw(*shapes[k]) for k, draw in enumerate(draws)], **options)
            shapes = [(), (2, 3), (3,)]
            self.case(
                f"{name}:broadcast 0-d", fn, *[draw(*shapes[k]) for k, draw in enumerate(draws)], **options
            )


# --- how numbers are drawn -------------------------------------------------------------------------


def normal(*shape: int) -> Draw:
    """Standard normal, at least 0.05 away from 0, where many functions have a kink."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        x = rng.standard_normal(shape)
        return np.asarray(x + 0.05 * np.sign(x))

    return draw


def uniform(low: float, high: float) -> Callable[..., Draw]:
    """``uniform(low, high)(*shape)``."""
    return lambda *shape: lambda rng: np.asarray(rng.uniform(low, high, shape))


positive = uniform(0.3, 3.0)
unit = uniform(-0.9, 0.9)
probability = uniform(0.1, 0.9)


def off(*kinks: float, scale: float = 1.0) -> Callable[..., Draw]:
    """Normal times `scale`, at least 0.05 away from each kink: ``off(-1, 1)(2, 3)``."""

    def of_shape(*shape: int) -> Draw:
        def draw(rng: np.random.Generator) -> np.ndarray:
            x = np.asarray(rng.standard_normal(shape) * scale)
            for kink in kinks:
                near = np.abs(x - kink) < 0.05
                x = np.where(near, kink + np.where(x < kink, -0.07, 0.07), x)
            return np.asarray(x)

        return draw

    return of_shape


def distinct(*shape: int) -> Draw:
    """Numbers no two of which are closer than 0.25, in random order: for sorting and maxima."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        n = int(np.prod(shape, dtype=np.int64))
        x = (np.arange(n) - n / 2) * 0.3 + rng.uniform(0, 0.05, n)
        return rng.permutation(x).reshape(shape)

    return draw


def fixed(values: Any) -> Draw:
    """The values themselves."""
    return lambda _rng: np.array(values, dtype=np.float64)
