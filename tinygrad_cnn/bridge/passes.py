"""A pass that can be stepped through, whoever runs it: all that a session asks of the engine below it.

A pass of another engine is a class that derives from `Pass`: `BackwardSession.on(that)` is then walked in the
terminal, by editors and on the page like the engine's own (`engine_pass`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from tinygrad_cnn.support.errors import UsageError

ndarray = np.ndarray


class Step(NamedTuple):
    """What doing one node was: gradients by reference, dense or not (see `autograd.inspect.dense`).

    `arrived` is what had come to the node, `upstream` the same behind its hooks, `downstream` what each input was
    handed, `before` what its inputs had by `seq` (None for nothing). `undo` takes the step back.
    """

    arrived: Any
    upstream: Any
    downstream: Sequence[Any]
    before: dict[int, Any]
    undo: Callable[[], None]


class Visit(NamedTuple):
    """A node that the pass has been through: what came, what it handed on, what had been there before."""

    node: Any
    upstream: Any
    downstream: tuple[Any, ...]
    before: dict[int, Any]
    edits: tuple[str, ...]


@runtime_checkable
class Pass(Protocol):
    """The nodes in order, what has arrived where, and the way forwards and back.

    Attributes
        nodes: what it visits, in order (see `node.Node`)
        position: how many are done; the next one that a gradient has reached is ``nodes[position]``
    """

    nodes: Sequence[Any]
    position: int

    def arrived(self, node: Any) -> Any:
        """The gradient that waits at a node which is not done yet; None where nothing has arrived."""

    def advance(self, edits: Mapping[int, Any]) -> Step:
        """Do ``nodes[position]``; `edits` replace what it hands to inputs. When it raises, nothing has changed."""

    def preview(self) -> list[Any]:
        """Per input, what ``nodes[position]`` will hand back, without hooks and without a trace."""
        step = self.advance({})
        step.undo()
        return list(step.downstream)

    def set_gradient(self, node: Any, gradient: ndarray) -> Callable[[], None]:
        """Replace what waits at a node; gives what undoes it."""
        raise UsageError("edit: the gradients of this pass cannot be changed")

    def set_value(self, node: Any, value: ndarray) -> Callable[[], None] | None:
        """Replace a node's value for the rules that read it; gives what undoes it, None when no rule does."""
        return None

    def value_of(self, node: Any) -> ndarray | None:
        """The node's value, as far as anything still holds it."""
        return None

    def input_values(self, node: Any) -> list[ndarray | None]:
        """The values of a node's inputs, None where nothing holds one."""
        return [None] * len(node.parents)

    def names(self, _scopes: Sequence[Mapping[str, Any]]) -> dict[int, str]:
        """What to call the leaves, by `seq`; `scopes` are the program's variables."""
        return {}

    def inside(self, node: Any, upstream: ndarray) -> Pass:
        """The pass through a node's parts. Raises UsageError where it has none."""
        raise UsageError(f"{node.op.name} is a primitive without parts; `explain` writes out what it does")

    def rule(self, node: Any, upstream: ndarray) -> tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]:
        """The Python function that is the node's backward rule, with its arguments. Raises UsageError without one."""
        raise UsageError(f"there is no code of a rule of {node.op.name} to walk through")

    def cannot_rerun(self, node: Any) -> str:
        """Why ``node.op.forward`` cannot be run again at other inputs; empty when it can."""
        return "" if hasattr(node.op, "forward") else "this pass tells of no forward that could be run again"

    @property
    def captured(self) -> list[Any]:
        """The gradients of the inputs that were asked for, so far."""
        return []

    def release(self) -> None:
        """The pass is over and nobody goes back: let go of what was kept for that."""
