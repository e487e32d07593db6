"""One entry of a gradient, written out as the sum it is.

    ∂L/∂x[0, 2] = Σ ∂L/∂y[k] · ∂y[k]/∂x[0, 2]
        = ∂L/∂y[0, 1] · b[2, 1] + …
        = 0.12 · 0.5 + … = -0.031

The local gradients come from pushing a unit tangent through the node: one column of the Jacobian, for any
op. Where such a number is an entry of another input (a weight), the entry is found and named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.inspect import Node
from tinygrad_cnn.autograd.node_check import forward
from tinygrad_cnn.debug.paused import Paused
from tinygrad_cnn.debug.values import recovered_inputs
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.viz.sums import column

#: Terms written out.
SHOWN = 8


@dataclass(frozen=True)
class Term:
    """``upstream · local = product``; `output` is the entry of y, `name` what the local gradient is."""

    output: tuple[int, ...]
    upstream: float
    local: float
    name: str

    @property
    def product(self) -> float:
        return self.upstream * self.local


@dataclass(frozen=True)
class Explanation:
    """∂L/∂(input)[index] of a node: its terms, largest first, and their sum.

    `terms` holds all that are not zero; `gradient` is what the op's rule gives for the same entry; `before`
    what the input had received from other users until now.
    """

    op: str
    label: str
    input: str
    source: str
    index: tuple[int, ...]
    formula: str
    terms: tuple[Term, ...]
    gradient: float
    before: float | None
    #: Relative error that the dtype's rounding allows.
    precision: float = 0.0

    @property
    def total(self) -> float:
        """The sum of the terms."""
        return float(np.sum([t.product for t in sorted(self.terms, key=lambda t: abs(t.product))]))

    @property
    def off(self) -> bool:
        """Whether the rule's own number is another than the terms' sum, beyond what rounding explains."""
        size = sum(abs(t.product) for t in self.terms) + abs(self.gradient)
        return bool(np.isfinite(size)) and abs(self.total - self.gradient) > max(self.precision, 1e-7) * size

    def __str__(self) -> str:
        return render(self)


@dataclass(frozen=True)
class Received:
    """∂L/∂leaf[index]: what each user of a leaf handed back, as (label, step, number), and their sum.

    `before` is what its `.grad` holds already, from earlier passes; None for nothing.
    """

    label: str
    index: tuple[int, ...]
    parts: tuple[tuple[str, int, float], ...]
    gradient: float
    before: float | None

    def __str__(self) -> str:
        lines = [f"∂L/∂{self.label}{_index(self.index)} = what its users hand back"]
        wide = max((len(label) for label, _, _ in self.parts), default=0)
        lines += [
            f"  {'+' if k else '='} {number:>11.4g}   from {label:<{wide}}  (step {step})"
            for k, (label, step, number) in enumerate(self.parts)
        ]
        lines.append(f"  = {self.gradient:.6g}")
        if self.before is not None:
            lines.append(
                f"  .grad holds {self.before:.6g} of earlier passes: together {self.before + self.gradient:.6g}"
            )
        return "\n".join(lines)


def explain_leaf(session: Paused, node: Node, index: Any = None) -> Received:
    """What arrived at one entry of a leaf (by default the largest), user by user.

    Raises UsageError when nothing has arrived yet or the index is outside.
    """
    arrived = session.arrived(node)
    visits = session.visits()
    done = next((v for v in visits if v.node is node), None)
    if done is not None:
        arrived = done.upstream
    if arrived is None:
        raise UsageError(f"no gradient has reached {session.label(node)} yet; goto it first")
    at = _position(index, arrived)
    parts = [
        (session.label(visit.node), session.index_of(visit.node) + 1, float(handed[at]))
        for visit in visits
        for parent, handed in zip(visit.node.parents, visit.downstream, strict=False)
        if parent is node and handed is not None
    ]
    grad = None if done is not None or node.tensor is None else node.tensor.grad
    return Received(
        session.label(node),
        at,
        tuple(parts),
        float(arrived[at]),
        None if grad is None else float(grad.array[at]),
    )


def explain_entry(
    session: Paused, node: Node, index: Any = None, input: int | None = None
) -> Explanation | Received:
    """Explain ∂L/∂(input)[index] of a node whose upstream gradient is known (the paused one, or one done).

    `input` defaults to the first that wants a gradient, `index` to the entry of the largest. Of a leaf, which has
    no inputs, it is its own gradient that is explained, by what its users handed back.

    Raises UsageError for an input without gradient, an index outside, or a node no gradient has reached.
    """
    if not node.parents:
        return explain_leaf(session, node, index)
    if input is None:
        input = next((i for i, p in enumerate(node.parents) if p is not None), 0)
    if not 0 <= input < len(node.parents) or node.parents[input] is None:
        raise UsageError(f"no gradient flows to input {input} of {node.op.name}")
    upstream = session.gradient_of(node)
    if upstream is None:
        raise UsageError(f"no gradient has reached {session.label(node)} yet; goto it first")
    parent = node.parents[input]
    assert parent is not None
    local = node.local_gradient(input)
    pulled = session.downstream[input] if node is session.node else local.T(upstream)
    pulled = np.zeros(parent.shape) if pulled is None else pulled
    where = _position(index, pulled)
    entries = column(node, input, where)
    u = upstream.astype(np.float64)
    products = u * entries
    # Not-a-number terms count: they are what one is looking for.
    flat = np.flatnonzero(products.ravel() != 0)
    order = flat[np.argsort(-np.abs(np.nan_to_num(products.ravel()[flat], nan=np.inf)), kind="stable")]
    name = _namer(session, node, input, where)
    terms = tuple(
        Term(at, float(u[at]), float(entries[at]), name(at, float(entries[at])))
        for at in (tuple(int(a) for a in np.unravel_index(k, entries.shape)) for k in order)
    )
    so_far = session.arrived(parent) if node is session.node else None
    before = None if so_far is None else float(so_far[where])
    return Explanation(
        node.op.name, session.label(node), node.op.input_name(input, len(node.parents)), session.label(parent), where,
        local.formula, terms, float(pulled[where]), before,
        np.inf if node is session.node and session.edited_edge(input)  # the rule is not what is handed on
        else float(np.finfo(node.dtype).eps) * 1000 if node.dtype.kind == "f" else 0.0,
    )  # fmt: skip


def render(e: Explanation, *, width: int = 80) -> str:
    """The explanation as text."""
    at = _index(e.index)
    head = f"∂L/∂{e.input}{at} = Σ ∂L/∂y · ∂y/∂{e.input}{at}   ({e.source}, through {e.label})"
    if not e.terms:
        return f"{head}\n  = 0: no output that a gradient reaches depends on this entry (∂y/∂{e.input} = {e.formula})"
    many = len(e.terms) > 1
    shown = e.terms[:SHOWN]
    lines = [head]
    rows = [
        (f"∂L/∂y{_index(t.output)} · {t.name}", f"{t.upstream:.4g} · {_bracket(t.local)}", f"{t.product:.4g}")
        for t in shown
    ]
    wide = [max(len(row[c]) for row in rows) for c in range(3)]
    lines += [
        f"  {'+' if k else '='} {a:<{wide[0]}} = {b:<{wide[1]}} = {c:>{wide[2]}}"
        for k, (a, b, c) in enumerate(rows)
    ]
    rest = len(e.terms) - len(shown)
    if rest:
        left = float(np.sum([t.product for t in e.terms[SHOWN:]]))
        lines.append(f"  + {rest} smaller terms, together {left:.4g}")
    flow = " + ".join(f"{t.upstream:.3g} · {_bracket(t.local, 3)}" for t in shown[:3]) + (
        " + …" if len(e.terms) > 3 else ""
    )
    lines.append(f"  = {flow} = {e.total:.6g}" if many else f"  = {e.total:.6g}")
    if e.off:
        lines.append(f"  but the rule gives {e.gradient:.6g}: `check` tells which of the two is wrong")
    if e.before is not None:
        lines.append(f"  other users had handed back {e.before:.6g}: together {e.before + e.gradient:.6g}")
    return "\n".join(lines)


def _namer(session: Paused, node: Node, i: int, index: tuple[int, ...]) -> Any:
    """A function (output entry, local number) -> what to call the number."""
    name = node.op.input_name(i, len(node.parents))
    general = lambda at, _n: f"∂y{_index(at)}/∂{name}{_index(index)}"
    op = node.op
    if op.has_factor:
        text = op.local_text(i)
        return lambda _at, _n: f"({text})" if " " in text else text
    if not op.is_linear or op.joint or len(node.parents) != 2:
        return general
    # Bilinear: with the other input's entries replaced by their own numbers, the tangent's image says
    # which entry each local gradient is, where it is a single one.
    other = 1 - i
    value = recovered_inputs(session, node)[other]
    parent = node.parents[i]
    if value is None or parent is None or value.ndim == 0:
        return general
    labels = np.arange(1, value.size + 1, dtype=np.float64).reshape(value.shape)
    unit = np.zeros(parent.shape)
    unit[index] = 1
    try:
        with modes.no_grad():
            tags = forward(node, [unit, labels] if i == 0 else [labels, unit])
    except (TypeError, ValueError):
        return general
    whose = op.input_name(other, 2)

    def entry(at: tuple[int, ...], number: float) -> str:
        tag = float(tags[at])
        k = round(tag) - 1
        if (
            0 <= k < value.size
            and abs(tag - k - 1) < 1e-6
            and np.isclose(float(value.flat[k]), number, rtol=1e-5, atol=0, equal_nan=True)
        ):
            return whose + _index(tuple(int(a) for a in np.unravel_index(k, value.shape)))
        return general(at, number)

    return entry


def _position(index: Any, array: np.ndarray) -> tuple[int, ...]:
    if index is None:
        flat = np.nan_to_num(np.abs(array), nan=np.inf).ravel()
        if not flat.size:
            raise UsageError("this input is empty: it has no entry to explain")
        return tuple(int(k) for k in np.unravel_index(int(flat.argmax()), array.shape))
    given = tuple(index) if isinstance(index, (tuple, list)) else (index,)
    ok = len(given) == array.ndim and all(isinstance(k, (int, np.integer)) for k in given)
    if not ok or any(not -n <= k < n for k, n in zip(given, array.shape, strict=True)):
        raise UsageError(
            f"explain expected the index of one entry of shape {tuple(array.shape)}, got {index!r}"
        )
    return tuple(int(k) % n for k, n in zip(given, array.shape, strict=True))


def _index(at: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, at))}]" if at else ""


def _bracket(x: float, digits: int = 4) -> str:
    text = f"{x:.{digits}g}"
    return f"({text})" if x < 0 else text
