"""A node as people see it: what the terminal, editors, pages, breakpoints and selectors ask of one.

The engine's own `Node` answers all of it. A pass of another engine derives its nodes from `Node` here and overrides
what it knows; what it does not know has an answer that every front end can show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tinygrad_cnn.support.errors import UsageError


class Op:
    """The operation that made a node.

    Attributes
        name: what selectors and people call it
        kind: ``"leaf"``, or any word
        has_factor: whether a local gradient has a `factor`, one number per entry
        is_linear: whether it is linear in each input by itself
        formula: how the value is computed, as text
        definition: a function that computes it by smaller ops, for stepping into it; None without one
    """

    kind = "general"
    has_factor = is_linear = False
    definition: Any = None
    choice: Sequence[str] = ()

    def __init__(self, name: str, formula: str = "", inputs: Sequence[str] = "abc") -> None:
        self.name, self.formula, self.inputs = name, formula or f"{name}(…)", inputs

    def input_name(self, i: int, arity: int) -> str:
        """What formulas call input `i` of `arity`."""
        return self.inputs[i] if i < len(self.inputs) else f"x{i}"

    def local_text(self, i: int) -> str:
        """The local gradient with respect to input `i`, as text."""
        return f"∂{self.name}/∂{self.input_name(i, i + 1)}"

    def structure(self, _node: Any, _i: int) -> str:
        """One word on the local gradient, as `LinearMap.structure`."""
        return "general"

    def keeps(self, _live: tuple[bool, ...]) -> tuple[bool, ...]:
        """Which of (output, *inputs) the rule reads; what it does not keep, nobody looks for."""
        return ()


class Node(Protocol):
    """One value of a computation.

    Attributes
        seq: its number; larger than any parent's
        op, parents: what made it, from which nodes (None where no gradient is wanted); a leaf has none
        shape, dtype: of the value
        name: what the user called it
        scope: the module call it was made under (`autograd.inspect.Scope`); `module` is its path
        where: the source line that made it, `stack` all of them (`autograd.inspect.Site`)
        params: settings of the op
        tensor: a leaf's tensor (`array`, `grad`)
        hooks: what of the user's runs here, or None
        value, saved: its value, and (output, *inputs) as far as they are kept
        operands: which arrays its inputs without a node were (`autograd.inspect.Operand`), or None
    """

    seq: int
    op: Any
    parents: tuple[Any, ...]
    shape: tuple[int, ...]
    dtype: Any
    name: str | None = None
    scope: Any = None
    where: Any = None
    site: Any = None
    stack: tuple[Any, ...] | None = None
    params: Mapping[str, Any] = {}
    tensor: Any = None
    target: Any = None
    hooks: Any = None
    value: Any = None
    saved: Any = ()
    operands: Any = None

    @property
    def is_leaf(self) -> bool:
        return not self.parents

    @property
    def module(self) -> str:
        """The module path it was made under; empty outside modules."""
        return self.scope.path if self.scope is not None else ""

    @property
    def formula(self) -> str:
        """What was computed, and its local gradients, as text; parts are separated by semicolons."""
        return f"y = {self.op.formula}"

    def local_gradient(self, i: int = 0) -> Any:
        """The local gradient with respect to input `i`, as a `LinearMap`; `Unknown` where only its name is known."""
        return Unknown(self, i)


class Unknown:
    """A local gradient of which nothing but the text is known."""

    structure = "general"

    def __init__(self, node: Any, i: int) -> None:
        self.formula: str = node.op.local_text(i)
        self.shape = (*node.shape, *node.parents[i].shape)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UsageError(
            f"this pass tells no numbers of its local gradients ({self.formula}); {name} needs them"
        )

    def __call__(self, _tangent: Any) -> Any:
        return self.dense()
