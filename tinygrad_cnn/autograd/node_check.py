"""One node's rule against numerical differentiation, in float64.

The node's forward is run again in float64 at x ± h·v, for random directions v and for single entries. A rule that is
wrong is caught along some direction, and bisection over the entries then names the worst one. Entries at a kink (a
ReLU at 0, say), where the rule's answer lies between the one-sided slopes, are left out and counted; entries without
a derivative (the slope grows as the step shrinks) count as kinks too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import dense, leaf, unwrap
from tinygrad_cnn.autograd.saved import saved_values

ndarray = np.ndarray
#: Random directions, and single entries of each kind (largest, random), that are tried.
DIRECTIONS = 4
ELEMENTS = 4


@dataclass
class InputCheck:
    """One input: `element` is where rule and differences differ most, with both numbers."""

    input: int
    name: str
    ok: bool
    element: tuple[int, ...] | None = None
    rule: float = 0.0
    numerical: float = 0.0
    kinks: int = 0
    note: str = ""


def check_inputs(
    node: Node, inputs: Sequence[Tensor], u: ndarray, *, rtol: float = 1e-4, rng: np.random.Generator | None = None,
    precision: bool = True,
) -> list[InputCheck]:  # fmt: skip
    """Check the rule of each live input at these values of the inputs (float64), for the upstream gradient `u`.

    With `precision` the rule as it ran, in the node's own dtype, is compared with the same rule in float64 too.
    """
    rng = rng or np.random.default_rng(0)
    pulled = _pull(node, inputs, u)
    found = []
    for i, parent in enumerate(node.parents):
        if parent is not None:
            found.append(_Probe(node, inputs, u, i, pulled[i], rtol, rng).run())
            if precision:
                _compare_precision(found[-1], node, i, u, pulled[i])
    return found


def why_not(node: Node, inputs: Sequence[Tensor]) -> str:
    """Why the node cannot be checked at these inputs; empty when it can."""
    try:
        with modes.no_grad(), np.errstate(all="ignore"):
            y = forward(node, inputs)
    except Exception as error:  # a forward of the user's own, which need not take float64
        return f"its forward cannot be run again in float64: {type(error).__name__}: {error}"
    if y.shape != tuple(node.shape):
        return f"its forward gives shape {y.shape} in float64"
    return "" if np.isfinite(y).all() else "its value is not finite"


def forward(node: Node, inputs: Sequence[Tensor]) -> np.ndarray:
    """The node's forward on other inputs, its recorded choices kept where the op is linear given them."""
    op = node.op
    params = op.given(node)
    out = op.forward(*inputs, **params)
    return np.asarray(unwrap(out[0] if op.choice else out))


def _pull(node: Node, inputs: Sequence[Tensor], u: ndarray) -> list[ndarray | None]:
    """The rules in float64: on a node made anew from the float64 inputs (by the op itself, where it knows how)."""
    op = node.op
    again = getattr(op, "pull_again", None)
    if again is not None:
        return list(again(node, inputs, u))
    with modes.enable_grad():
        handles: list[Any] = []
        for value, parent in zip(inputs, node.parents, strict=True):
            if parent is None:
                handles.append(value)
                continue
            handles.append(leaf(value))
        params = op.given(node)
        made = op.apply(handles, params)[0].node
    with modes.no_grad():
        found = op.pull_all(u, made, saved_values(made))
    out: list[ndarray | None] = []
    for parent, d in zip(node.parents, found, strict=True):
        if parent is None:
            out.append(None)
        elif d is None:
            out.append(np.zeros(parent.shape))
        else:
            out.append(np.asarray(dense(d), dtype=np.float64))
    return out


def _compare_precision(result: InputCheck, node: Node, i: int, u: ndarray, exact: ndarray | None) -> None:
    """The rule as it ran, in the node's own dtype, against the same rule in float64."""
    assert exact is not None
    with modes.no_grad(), np.errstate(all="ignore"):
        d = node.op.pull_all(u.astype(node.dtype), node, saved_values(node))[i]
    if d is None:
        return
    ran = np.asarray(dense(d), dtype=np.float64)
    if ran.shape != exact.shape:
        result.ok, result.element = False, None
        result.note = f"the rule gives shape {ran.shape}, expected {exact.shape}"
        return
    size = float(np.linalg.norm(exact.ravel()))
    error = (
        float(np.linalg.norm((ran - exact).ravel())) / size if size else float(np.abs(ran).max(initial=0.0))
    )
    bound = 1000 * float(np.finfo(node.dtype).eps) ** 0.75 if node.dtype.kind == "f" else 1.0
    if error > bound and result.ok:
        result.note = f"; in {node.dtype} it is off by {100 * error:.2g} % of its norm"


class _Probe:
    """One input of one node: differences along directions, and the entry where they disagree."""

    def __init__(
        self, node: Node, inputs: Sequence[Tensor], u: ndarray, i: int, pulled: ndarray | None, rtol: float,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        assert pulled is not None
        self.node, self.inputs, self.u, self.i, self.pulled, self.rng = node, inputs, u, i, pulled, rng
        self.x = np.asarray(inputs[i], dtype=np.float64)
        # A step of eps^(1/3) balances truncation against rounding error. The noise is what rounding of y leaves in
        # Σ u·y, divided by the step.
        with np.errstate(all="ignore"):
            y = forward(node, inputs)
            # A cast computes in less than float64: longer steps, and more noise.
            eps = float(np.finfo(y.dtype).eps) if y.dtype.kind == "f" else float(np.finfo(np.float64).eps)
            self.h = eps ** (1 / 3) * max(1.0, float(np.abs(self.x).max(initial=0.0)) ** 0.5)
            noise = float(np.abs(u * y).sum()) * eps * 16 / self.h
        self.atol = noise + 1e-9 * float(np.abs(pulled).max(initial=0.0))
        self.rtol = rtol
        self.kinks: set[int] = set()

    def run(self) -> InputCheck:
        name = self.node.op.input_name(self.i, len(self.node.parents))
        if self.pulled.shape != self.x.shape:
            note = f"the rule gives shape {self.pulled.shape}, the input has {self.x.shape}"
            return InputCheck(self.i, name, False, note=note)
        size = self.x.size
        if not size:
            return InputCheck(self.i, name, True)
        worst: tuple[float, int, float, float] | None = None
        largest = np.argsort(-np.abs(self.pulled).ravel(), kind="stable")[:ELEMENTS]
        singles = {int(k) for k in largest} | {int(k) for k in self.rng.integers(0, size, ELEMENTS)}
        for k in singles if size > 64 else range(size):
            worst = _larger(worst, self.entry(k))
        for _ in range(DIRECTIONS if size > 64 else 0):
            worst = _larger(worst, self.direction())
        if worst is None:
            return InputCheck(self.i, name, True, kinks=len(self.kinks))
        _, k, rule, numerical = worst
        element = tuple(int(a) for a in np.unravel_index(k, self.x.shape))
        return InputCheck(self.i, name, False, element, rule, numerical, len(self.kinks))

    def entry(self, k: int) -> tuple[float, int, float, float] | None:
        """(error, entry, rule, numerical) of one entry when they disagree."""
        v = np.zeros(self.x.size)
        v[k] = 1
        ahead, behind, both = self.slopes(v)
        rule = float(self.pulled.ravel()[k])
        if self.agree(rule, both):
            return None
        low, high = min(ahead, behind), max(ahead, behind)
        slack = self.rtol * max(abs(low), abs(high)) + self.atol
        if not self.agree(low, high) and low - slack <= rule <= high + slack:
            self.kinks.add(k)
            return None
        if not self.smooth(v, both):
            self.kinks.add(k)
            return None
        return abs(rule - both), k, rule, both

    def smooth(self, v: ndarray, slope: float) -> bool:
        """Whether a shorter step gives the same slope: where it does not, there is no derivative to compare with."""
        step = self.h
        self.h = step / 8
        try:
            _, _, shorter = self.slopes(v)
        finally:
            self.h = step
        return (
            bool(np.isfinite(slope))
            and abs(shorter - slope) <= 0.1 * max(abs(shorter), abs(slope)) + 8 * self.atol
        )

    def direction(self) -> tuple[float, int, float, float] | None:
        """Along random signs; a disagreement is bisected down to an entry."""
        for _ in range(50):
            signs = self.rng.choice([-1.0, 1.0], self.x.size)
            chosen = np.arange(self.x.size)
            if self.kinks:
                chosen = np.setdiff1d(chosen, list(self.kinks))
            if self.error(signs, chosen) <= 1:
                return None
            while chosen.size > 1:
                half = chosen.size // 2
                first, second = chosen[:half], chosen[half:]
                chosen = first if self.error(signs, first) >= self.error(signs, second) else second
            before = len(self.kinks)
            found = self.entry(int(chosen[0]))
            if found is not None or len(self.kinks) == before:
                return found
        return None

    def error(self, signs: ndarray, chosen: ndarray) -> float:
        """Disagreement along the signs of the chosen entries, in units of what is tolerated."""
        v = np.zeros(self.x.size)
        v[chosen] = signs[chosen]
        rule = float(np.dot(self.pulled.ravel()[chosen], signs[chosen]))
        _, _, both = self.slopes(v)
        size = float(np.linalg.norm(self.pulled.ravel()[chosen]))
        return abs(rule - both) / (self.rtol * max(size, abs(rule), abs(both)) + self.atol + 1e-300)

    def slopes(self, v: ndarray) -> tuple[float, float, float]:
        """One-sided slopes ahead and behind, and the central one, of Σ u·y along v."""
        step = (self.h * v).reshape(self.x.shape)
        if getattr(self.node.op, "symmetric", False):
            step = (step + np.swapaxes(step, -1, -2)) / 2
        here = self._value(self.x)
        up, down = self._value(self.x + step), self._value(self.x - step)
        # Differences of outputs first, sums after: the sums would drown small differences.
        return (
            float(np.sum(self.u * (up - here))) / self.h, float(np.sum(self.u * (here - down))) / self.h,
            float(np.sum(self.u * (up - down))) / (2 * self.h),
        )  # fmt: skip

    def _value(self, x: ndarray) -> ndarray:
        inputs = list(self.inputs)
        inputs[self.i] = x
        with modes.no_grad(), np.errstate(all="ignore"):
            return forward(self.node, inputs)

    def agree(self, a: float, b: float) -> bool:
        return abs(a - b) <= self.rtol * max(abs(a), abs(b)) + self.atol


def _larger(a: tuple[float, int, float, float] | None, b: tuple[float, int, float, float] | None) -> Any:
    return b if a is None or (b is not None and b[0] > a[0]) else a
