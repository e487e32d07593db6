"""Parametrisations: a tensor of a module that is computed from others each time it is read.

`register_parametrization(layer, "weight", P())` makes ``layer.weight`` the value of ``P()(original)``; what is
learned is ``layer.parametrizations.weight.original`` (or original0, original1, … when P starts from several).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.nn.modules.container import ModuleDict, ModuleList
from tinygrad_cnn.nn.modules.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.tensors.tensor import Tensor


class _Computed(threading.local):
    """What one thread has computed under `cached`: by module (which is kept alive) and name."""

    def __init__(self) -> None:
        self.depth = 0
        self.values: dict[tuple[Module, str], Tensor] = {}


_computed = _Computed()


@contextlib.contextmanager
def cached() -> Iterator[None]:
    """Inside, each parametrised tensor is computed once."""
    _computed.depth += 1
    try:
        yield
    finally:
        _computed.depth -= 1
        if not _computed.depth:
            _computed.values.clear()


class ParametrizationList(ModuleList):
    """The parametrisations of one tensor, first to last, and the parameters they start from."""

    def __init__(self, modules: Any, original: Any) -> None:
        super().__init__(modules)
        start = original
        with modes.no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    start = module.right_inverse(start)
        self.is_tensor = isinstance(start, Handle)
        self.ntensors = 1 if self.is_tensor else len(start)
        learned = isinstance(original, Parameter)
        starts = {"original": start} if self.is_tensor else {f"original{k}": t for k, t in enumerate(start)}
        for name, value in starts.items():
            if learned:
                if value is original:
                    self.register_parameter(name, original)
                else:
                    self.register_parameter(name, Parameter(value.data.clone(), original.requires_grad))
            else:
                self.register_buffer(name, value)

    def originals(self) -> list[Any]:
        """What the first parametrisation starts from."""
        return [self.original] if self.is_tensor else [getattr(self, f"original{k}") for k in range(self.ntensors)]

    def right_inverse(self, value: Any) -> None:
        """Choose the originals so that the tensor becomes `value`; needs a right_inverse of every parametrisation."""
        with modes.no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"{type(module).__name__} has no right_inverse: the tensor cannot be assigned")
                value = module.right_inverse(value)
            for own, new in zip(self.originals(), [value] if self.is_tensor else value, strict=True):
                own.data = new.data.clone()

    def forward(self) -> Tensor:
        modules = iter(self)
        x = next(modules)(*self.originals())
        for module in modules:
            x = module(x)
        return x


def register_parametrization(module: Module, tensor_name: str, parametrization: Any, *, unsafe: bool = False) -> Any:
    """Compute ``module.tensor_name`` by `parametrization` (behind those it has already); gives the module.

    Raises ValueError for a name that is no parameter or buffer, and unless the new value has the same shape and
    dtype (`unsafe` skips that).
    """
    if is_parametrized(module, tensor_name):
        module.parametrizations[tensor_name].append(parametrization)
        return module
    table = module._parameters if tensor_name in module._parameters else module._buffers
    original = table.get(tensor_name)
    if original is None:
        raise ValueError(
            f"register_parametrization: {type(module).__name__} has no parameter or buffer {tensor_name!r}"
        )
    parametrizations = ParametrizationList([parametrization], original)
    if not unsafe:
        new = parametrizations()
        if (new.shape, new.dtype) != (original.shape, original.dtype):
            raise ValueError(
                f"register_parametrization expected {tuple(original.shape)} {original.dtype} from "
                f"{type(parametrization).__name__}, got {tuple(new.shape)} {new.dtype}"
            )
    if "parametrizations" not in module._modules:
        _change_class(module)
        module.parametrizations = ModuleDict()
    del table[tensor_name]
    _make_property(module, tensor_name)
    module.parametrizations[tensor_name] = parametrizations
    return module


def _change_class(module: Module) -> None:
    plain = type(module)
    module.__class__ = type(f"Parametrized{plain.__name__}", (plain,), {"__module__": plain.__module__})


def _make_property(module: Module, name: str) -> None:
    def get(self: Module) -> Tensor:
        if not _computed.depth:
            return self.parametrizations[name]()
        key = (self, name)
        if key not in _computed.values:
            _computed.values[key] = self.parametrizations[name]()
        return _computed.values[key]

    def put(self: Any, value: Any) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(get, put))


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether any tensor of the module (or this one) is parametrised."""
    found = module._modules.get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Any:
    """The tensor as a plain one again, with its computed value (or, if not `leave_parametrized`, its original).

    Raises ValueError when the tensor is not parametrised, or its original is several tensors.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"{type(module).__name__} has no parametrisation of {tensor_name!r}")
    group = module.parametrizations[tensor_name]
    if not group.is_tensor and not leave_parametrized:
        raise ValueError(
            f"{tensor_name!r} starts from several tensors: leave_parametrized=False has none to go back to"
        )
    originals = group.originals()
    value = group().data if leave_parametrized else originals[0].data
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if isinstance(originals[0], Parameter):
        module.register_parameter(tensor_name, Parameter(value, originals[0].requires_grad))
    else:
        module.register_buffer(tensor_name, value)
    if not is_parametrized(module):
        del module._modules["parametrizations"]
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The module's class as it was written."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)
