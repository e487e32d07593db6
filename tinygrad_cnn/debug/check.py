"""The paused node's rule against numerical differentiation: `autograd.node_check` at the values of the pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.node_check import InputCheck, check_inputs, why_not
from tinygrad_cnn.debug.paused import Paused
from tinygrad_cnn.debug.values import recovered_inputs

ndarray = np.ndarray


@dataclass
class Check:
    """What `check` found at a node. `ok` is False when a rule disagrees; `skipped` says why nothing was checked.

    `guessed` names the inputs whose values nothing holds any more: the rule was tried at random ones.
    """

    op: str
    label: str
    place: str
    inputs: list[InputCheck] = field(default_factory=list)
    skipped: str = ""
    guessed: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return all(i.ok for i in self.inputs)

    def __str__(self) -> str:
        if self.skipped:
            return f"{self.label}: not checked: {self.skipped}"
        lines = []
        for i in self.inputs:
            if i.ok:
                kinks = f" ({i.kinks} entries at a kink left out)" if i.kinks else ""
                lines.append(
                    f"ok     ∂L/∂{i.name} of {self.label} agrees with numerical differentiation{kinks}{i.note}"
                )
            elif i.element is None:
                lines.append(f"WRONG  ∂L/∂{i.name} of {self.label}: {i.note}")
            else:
                where = ", ".join(map(str, i.element))
                lines.append(
                    f"WRONG  ∂L/∂{i.name}[{where}] of {self.op} ({self.label}, {self.place}): "
                    f"its rule gives {i.rule:.6g}, numerical differentiation {i.numerical:.6g}"
                )
        if self.guessed:
            lines.append(
                f"       (at random values of {', '.join(self.guessed)}: the pass's own are not held any more; "
                "under the debugger, and in `with autograd.observe.keep_values():`, they are)"
            )
        return "\n".join(lines)

    def __bool__(self) -> bool:
        return self.ok


def check_node(session: Paused, node: Any, *, rtol: float = 1e-4, seed: int = 0) -> Check:
    """Check every live input of `node` against central differences; see `autograd.node_check`.

    The upstream gradient is the session's where it is known, random otherwise. The session is not changed. An input
    that is neither held nor can be computed again gets random values: the rule is checked, if not here.
    """
    place = str(node.where) if node.where is not None else "in the engine"
    out = Check(node.op.name, session.label(node), place)
    if not node.parents:
        out.skipped = "a leaf has no rule; its gradient is the sum of what its users handed back"
        return out
    out.skipped = session.cannot_rerun(node)
    if out.skipped:
        return out
    rng = np.random.default_rng(seed)
    g = session.gradient_of(node)
    u = rng.standard_normal(node.shape) if g is None or not np.isfinite(g).all() else g.astype(np.float64)
    if not u.any():
        u = rng.standard_normal(node.shape)
    inputs: Any = None
    # Some ops are of numbers above 0 only.
    for guess in (
        lambda shape: np.asarray(rng.normal(size=shape)),
        lambda shape: np.asarray(rng.uniform(0.5, 1.5, shape)),
    ):
        inputs, guessed = _inputs(session, node, guess)
        if isinstance(inputs, str):
            out.skipped = inputs
            return out
        out.guessed = tuple(guessed)
        out.skipped = why_not(node, inputs)
        if not out.skipped or not guessed:
            break
    if out.skipped:
        return out
    out.inputs = check_inputs(node, inputs, u, rtol=rtol, rng=rng, precision=not guessed)
    return out


def check_all(session: Paused, **options: Any) -> list[Check]:
    """`check_node` at every node with a rule, in the order of the pass."""
    return [check_node(session, node, **options) for node in session.nodes if node.parents]


def _inputs(
    session: Paused, node: Any, guess: Callable[[Any], ndarray]
) -> tuple[list[ndarray] | str, list[str]]:
    """The inputs in float64, or a sentence when one that matters is gone; and the names of those guessed."""
    out: list[ndarray] = []
    guessed: list[str] = []
    op = node.op
    keeps = op.keeps(tuple(p is not None for p in node.parents))
    for i, (parent, value) in enumerate(zip(node.parents, recovered_inputs(session, node), strict=True)):
        if value is not None:
            out.append(value.astype(np.float64) if value.dtype.kind == "f" else value)
            continue
        linear = op.is_linear or (op.has_factor and not any(keeps))
        if parent is not None and linear:
            # The rule does not depend on this value: any other serves as well.
            out.append(guess(parent.shape))
            continue
        blank = node.saved[i + 1] if isinstance(node.saved, tuple) else None
        name = op.input_name(i, len(node.parents))
        if parent is not None:
            out.append(guess(parent.shape))
            guessed.append(name)
        elif blank is not None or linear or op.holds_constants:
            out.append(np.ones(getattr(blank, "shape", node.shape)))
        else:
            return (
                f"the value of input {name} is not held any more; run the forward pass under the debugger, or in "
                "`with autograd.observe.keep_values():`"
            ), []
    return out, guessed
