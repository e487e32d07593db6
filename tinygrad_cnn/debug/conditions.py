"""What an expression may say about the node a session is paused at: the names, and their evaluation.

    norm > 10            nan              dead_relu > 0.9         ratio > 100
    op == "conv2d" and abs(g).max() > 1   value.min() < 0         module.startswith("features")

Every name is computed when an expression asks for it, once per stop. Arrays are plain NumPy arrays.
The session makes a `Namespace` per stop, in which breakpoints and watches evaluate. At a prompt (`p`, `!`, plain
Python) the names of the program win, see `prompt`; ``$norm`` is the debugger's name everywhere.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, MutableMapping
from difflib import get_close_matches
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.debug.paused import Paused
from tinygrad_cnn.support.errors import UsageError

#: name -> what it is; the terminal's help and completion read it.
NAMES = {
    "node": "the node itself",
    "op": "its op's name",
    "name": "its name, or a parameter's path",
    "module": "path of the module it was made in",
    "shape": "its shape", "dtype": "its dtype", "step": "its place in the pass, from 1", "line": "source line number",
    "g": "the upstream gradient ∂L/∂y, an array", "upstream": "the same as g",
    "grad": "the same; of a leaf: its .grad so far",
    "value": "the node's value y, if anything still holds it",
    "inputs": "list of the inputs' values, None where nothing holds one",
    "x": "value of input 0", "a": "value of input 0", "b": "value of input 1", "c": "value of input 2",
    "downstream": "list: per input, the gradient this node will hand back",
    "local": "list: per input, the local gradient as a LinearMap",
    "param": "the leaf's tensor",
    "norm": "Euclidean norm of g; norm(array) of another",
    "nan": "how many entries of g or of downstream are nan", "inf": "the same for infinite ones",
    "nonfinite": "nan + inf",
    "zeros": "share of g's entries that are 0", "all_zero": "whether g is zero everywhere",
    "dead_relu": "share of a ReLU's units that are off for the whole batch (nan for other ops)",
    "ratio": "norm of a parameter's gradient over norm of the parameter (nan for other nodes)",
    "np": "NumPy", "session": "the session",
}  # fmt: skip


#: The name under which an expression finds the debugger's names, written ``$name``.
_DEBUGGERS = "__debugger__"
_QUOTED_OR_PREFIXED = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|\$([A-Za-z_]\w*)""")


def _with_prefixed(expression: str) -> str:
    """``$norm > 1`` as Python that looks the name up among the debugger's; strings stay as they are."""
    return _QUOTED_OR_PREFIXED.sub(lambda m: m[1] or f"{_DEBUGGERS}[{m[2]!r}]", expression)


class Norm(float):
    """The norm of g, which can also be called with another array."""

    def __call__(self, array: Any) -> float:
        return norm(array)


class Namespace(dict[str, Any]):
    """The names of `NAMES`, computed on first use; then the names of the user's frame, when there is one.

    With `program_first` the user's names come before those of `NAMES`.
    """

    def __init__(self, session: Any, *, program_first: bool = False) -> None:
        super().__init__()
        self._session = session
        self._program_first = program_first

    def __missing__(self, name: str) -> Any:
        if name == _DEBUGGERS:
            return Namespace(self._session)
        if self._program_first:
            for scope in self._session_scopes():
                if name in scope:
                    return scope[name]
        rule = _RULES.get(name)
        if rule is not None:
            value = self[name] = rule(self._session, self)
            return value
        for scope in self._session.user_scopes:
            if name in scope:
                return scope[name]
        raise KeyError(name)

    def evaluate(self, expression: str) -> Any:
        """The value of a Python expression over these names.

        Raises UsageError with the reason when it is none, or fails.
        """
        try:
            code = compile(_with_prefixed(expression.strip()), "<expression>", "eval")
        except (SyntaxError, ValueError) as error:
            raise UsageError(
                f"{expression!r} is not a Python expression: {getattr(error, 'msg', error)}"
            ) from None
        try:
            with np.errstate(all="ignore"):
                return eval(code, self)
        except NameError as error:
            close = get_close_matches(error.name or "", self._known(), n=1)
            if close:
                raise UsageError(f"{expression!r}: {error}; did you mean {close[0]}?") from None
            raise UsageError(f"{expression!r}: {error}; here one can say: {', '.join(NAMES)}") from None
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(f"{expression!r}: {type(error).__name__}: {error}") from None

    def execute(self, text: str) -> bool:
        """Run a statement (``model.eval()`` is an expression, ``lr = 0.1`` is none) in the user's frame.

        False, and nothing done, for what is no statement. What it assigns is the program's: a name of the script or
        module changes there (before Python 3.13, one of a function does not). Raises UsageError when it fails.
        """
        text = _with_prefixed(text.strip())
        try:
            code = compile(text, "<statement>", "exec")
            if isinstance(ast.parse(text).body[0], ast.Expr):
                return False
        except (SyntaxError, ValueError, IndexError, RecursionError, MemoryError):
            return False
        scopes = self._session_scopes()
        if not scopes:
            raise UsageError(f"{text!r}: a statement needs a program to run in; expressions work")
        try:
            with np.errstate(all="ignore"):
                exec(code, scopes[-1], _Frame(self, scopes[0]))
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(f"{text!r}: {type(error).__name__}: {error}") from None
        return True

    def complete(self, text: str) -> list[str]:
        """What the last name or attribute of an expression may become: ``abs(model.co`` -> ``abs(model.conv1``."""
        found = re.search(r"[A-Za-z_][A-Za-z_0-9.]*$", text)
        chain = found[0] if found else ""
        head, (*path, last) = text[: len(text) - len(chain)], chain.split(".")
        if not path:
            words = {*NAMES, *(name for scope in self._session_scopes() for name in scope)}
            return sorted(head + word for word in words if word.startswith(last) and (last or word in NAMES))
        try:
            here = self[path[0]]
            for name in path[1:]:
                here = getattr(here, name)
            names = dir(here)
        except Exception:  # a name that is none, a property that fails: nothing to offer
            return []
        stem = head + ".".join(path) + "."
        return [
            stem + n for n in names if n.startswith(last) and (last.startswith("_") or not n.startswith("_"))
        ]

    def _known(self) -> list[str]:
        return [*NAMES, *(name for scope in self._session_scopes() for name in scope)]

    def _session_scopes(self) -> Any:
        return getattr(self._session, "user_scopes", ())

    def true(self, expression: str) -> bool:
        """Whether the expression holds (arrays: anywhere). Names that do not apply to the node make it false."""
        try:
            value = unwrap(self.evaluate(expression))
        except UsageError as error:
            if "NoneType" in str(error):  # `value.min() < 0` where nothing holds a value, `param` of no leaf
                return False
            raise
        if isinstance(value, np.ndarray):
            return bool(value.any())
        if isinstance(value, float) and value != value:
            return False
        try:
            return bool(value)
        except Exception as error:
            raise UsageError(
                f"{expression!r} gave {type(value).__name__}, which is neither true nor false"
            ) from error


class _Frame(dict[str, Any]):
    """Locals of a statement: reads as an expression does, writes into the program's frame."""

    def __init__(self, names: Namespace, scope: MutableMapping[str, Any]) -> None:
        super().__init__()
        self._names, self._scope = names, scope

    def __missing__(self, name: str) -> Any:
        return self._names[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name in NAMES and not any(name in scope for scope in self._names._session_scopes()):
            raise UsageError(
                f"{name} is {NAMES[name]} here, which `edit` changes; for the program's: globals()"
            )
        self._scope[name] = value
        self._names.pop(name, None)

    def __delitem__(self, name: str) -> None:
        del self._scope[name]


def norm(array: Any) -> float:
    """Euclidean norm over all entries, in float64."""
    a = np.asarray(unwrap(array))
    flat = (
        np.abs(a).astype(np.float64).ravel()
        if a.dtype.kind == "c"
        else a.astype(np.float64, copy=False).ravel()
    )
    return float(np.sqrt(np.dot(flat, flat)))


def dead_share(node: Any) -> float:
    """Of a rectifier's units (features, or channels of an image), the share that is off for the whole batch."""
    if not node.op.has_factor or "relu" not in node.op.name or node.parents[0] is None:
        return float("nan")
    off = node.local_gradient(0).factor == 0
    if off.ndim >= 2:
        off = off.all(axis=(0, *range(2, off.ndim)))
    return float(np.mean(off)) if off.size else 0.0


def _count(session: Paused, test: Callable[[np.ndarray], np.ndarray]) -> int:
    arrays = [session.upstream, *session.downstream]
    return sum(int(np.count_nonzero(test(a))) for a in arrays if a is not None and a.dtype.kind in "fc")


def _ratio(session: Paused, _names: Namespace) -> float:
    tensor = session.node.tensor if session.node is not None and session.node.is_leaf else None
    if tensor is None:
        return float("nan")
    size = norm(tensor.array)
    return norm(session.upstream) / size if size else float("inf")


def _input(k: int) -> Callable[[Paused, Namespace], Any]:
    def value(session: Paused, _names: Namespace) -> Any:
        values = session.input_values()
        if k >= len(values):
            raise UsageError(
                f"{session.node.op.name if session.node else 'the end'} has {len(values)} input(s)"
            )
        return values[k]

    return value


_RULES: dict[str, Callable[[Any, Namespace], Any]] = {
    "np": lambda s, n: np,
    "session": lambda s, n: s,
    "node": lambda s, n: s.node,
    "op": lambda s, n: s.node.op.name,
    "name": lambda s, n: s.name_of(s.node) or "",
    "module": lambda s, n: s.node.module,
    "shape": lambda s, n: tuple(s.node.shape),
    "dtype": lambda s, n: s.node.dtype,
    "step": lambda s, n: s.position + 1,
    "line": lambda s, n: s.node.where.lineno if s.node.where is not None else None,
    "g": lambda s, n: s.upstream,
    "upstream": lambda s, n: s.upstream,
    "grad": lambda s, n: s.gradient_of(s.node),
    "value": lambda s, n: s.value_of(s.node),
    "inputs": lambda s, n: s.input_values(),
    "x": _input(0), "a": _input(0), "b": _input(1), "c": _input(2),
    "downstream": lambda s, n: s.downstream,
    "local": lambda s, n: [None if p is None else s.node.local_gradient(i) for i, p in enumerate(s.node.parents)],
    "param": lambda s, n: s.node.tensor,
    "norm": lambda s, n: Norm(norm(s.upstream)),
    "nan": lambda s, n: _count(s, np.isnan),
    "inf": lambda s, n: _count(s, np.isinf),
    "nonfinite": lambda s, n: _count(s, lambda a: ~np.isfinite(a)),
    "zeros": lambda s, n: float(np.mean(s.upstream == 0)) if s.upstream.size else 0.0,
    "all_zero": lambda s, n: not s.upstream.any(),
    "dead_relu": lambda s, n: dead_share(s.node),
    "ratio": _ratio,
}  # fmt: skip

assert not set(_RULES) ^ set(NAMES)
assert not any(hasattr(builtins, name) for name in NAMES)
