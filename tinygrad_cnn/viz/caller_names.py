"""The names in sight where a picture is asked for: the caller's variables, by what they hold.

A tensor is recognised by its node, an array by its memory, a module by its parameters: a name is given only
to the very thing that the variable holds. Reads the caller's frame; keeps names and numbers, no object.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import versions
from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.autograd.inspect import in_package

#: A namespace larger than this is no notebook and no script, and looking at it all would take its time.
MOST = 20_000


class CallerNames:
    """Names by what they are of.

    Attributes
        nodes: variable by the `seq` of its tensor's node
        arrays: variable (or ``path`` of a module's parameter or buffer) by (identity of the memory, size)
        state: the places among `arrays` that belong to a module
        modules: (variable, class name, the `seq`s of all its parameters) of each module, the largest first
        tensors: the tensors themselves; whoever reads them lets go of this object at once
    """

    def __init__(self, variables: Iterable[tuple[str, Any]] = ()) -> None:
        self.nodes: dict[int, str] = {}
        self.arrays: dict[tuple[int, int], str] = {}
        self.state: set[tuple[int, int]] = set()
        self.modules: list[tuple[str, str, frozenset[int]]] = []
        self.tensors: list[Handle] = []
        modules = []
        for name, value in variables:
            if isinstance(value, Handle):
                self.tensors.append(value)
                if value.node is not None:
                    self.nodes.setdefault(value.node.seq, name)
                else:
                    self.arrays.setdefault(place_of(value.array), name)
            elif isinstance(value, np.ndarray):
                self.arrays.setdefault(place_of(value), name)
            elif hasattr(value, "named_parameters") and not isinstance(value, type):
                modules.append((name, value))
        for name, module in modules:
            self._module(name, module)
        self.modules.sort(key=lambda found: -len(found[2]))

    def add(self, name: str, module: Any) -> None:
        """Another module by this name, unless one of the variables holds it already."""
        if hasattr(module, "named_parameters") and all(cls != type(module).__name__ for _, cls, _ in self.modules):
            self._module(name, module)

    def add_inputs(self, tensors: Sequence[Handle]) -> None:
        """What a model is called with: ``input``, or ``input 0``, … where no variable holds it."""
        for k, tensor in enumerate(tensors):
            name = "input" if len(tensors) == 1 else f"input {k}"
            if tensor.node is not None:
                self.nodes.setdefault(tensor.node.seq, name)
            else:
                self.arrays.setdefault(place_of(tensor.array), name)

    def _module(self, variable: str, module: Any) -> None:
        own = set()
        for path, parameter in module.named_parameters():
            if not isinstance(parameter, Handle):  # a module of another library
                return
            if parameter.node is not None:
                own.add(parameter.node.seq)
            else:
                self._held(path, parameter)
        for path, buffer in getattr(module, "named_buffers", lambda: ())():
            if isinstance(buffer, Handle):
                self._held(path, buffer)
        self.modules.append((variable, type(module).__name__, frozenset(own)))

    def _held(self, path: str, tensor: Handle) -> None:
        place = place_of(tensor.array)
        self.state.add(place)
        self.arrays.setdefault(place, path)

    def module_with(self, kind: str, parameters: frozenset[int]) -> str | None:
        """The variable of the module of this class that has all these parameters; None for no single answer."""
        if not parameters:
            return None
        found = [(name, own) for name, cls, own in self.modules if cls == kind and parameters <= own]
        # The same module under two names: the first one. Two different ones (a part and the whole): the smaller.
        return min(found, key=lambda one: len(one[1]))[0] if found else None


def place_of(array: np.ndarray) -> tuple[int, int]:
    """Where an array's numbers are: an input that was only reshaped on its way is the same input."""
    return id(versions.owner(array)), array.size


def of_caller() -> CallerNames:
    """The variables in sight of the nearest code outside this package: its own, then its module's."""
    frame: Any = sys._getframe(1)
    while frame is not None and in_package(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return CallerNames()
    variables: list[tuple[str, Any]] = []
    seen: set[str] = set()
    local = frame.f_locals
    for space in (local, frame.f_globals):
        if len(space) <= MOST:
            for name, value in list(space.items()):
                if not name.startswith("_") and name.isidentifier() and name not in seen:
                    seen.add(name)
                    variables.append((name, value))
    found = CallerNames(variables)
    _forget(frame, local)
    return found


def _forget(frame: Any, local: Mapping[str, Any]) -> None:
    """Up to Python 3.12 looking at a function's variables makes the frame keep a copy of them, which would hold
    tensors beyond their `del`. The copy is emptied, unless somebody else (who called `locals()`) has it too."""
    copied = isinstance(local, dict) and local is not frame.f_globals
    if copied and frame.f_code.co_flags & inspect.CO_OPTIMIZED and sys.getrefcount(local) <= _ALONE:
        local.clear()  # type: ignore[attr-defined]


#: References to the copy when nobody else has it: the frame's, two variables on the way here, one argument.
_ALONE = 4
