"""A weight as length times direction (Salimans & Kingma 2016), computed anew before each call."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.nn.modules.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.ops.reduce import vector_norm
from tinygrad_cnn.tensors.tensor import Tensor


def norm_except_dim(v: Tensor, dim: int | None) -> Any:
    """The 2-norm over all dimensions but `dim`, kept as size 1; over all of them when `dim` is None or -1."""
    if dim is None or dim == -1:
        return vector_norm(v, 2)
    return vector_norm(v, 2, tuple(k for k in range(v.ndim) if k != dim % v.ndim), True)


def hooks_of(module: Module) -> dict[int, Any]:
    """The module's forward pre-hooks by their number."""
    return {} if module._hooks is None else module._hooks.forward_pre


class WeightNorm:
    """The hook that computes `name` from `name_g` and `name_v`."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name, self.dim = name, -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Any:
        """g·v/‖v‖."""
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return v * (g / norm_except_dim(v, self.dim))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Any:
    """Learn `name_g` (the length per index of `dim`) and `name_v` (the direction) instead of `name`; gives the module.

    Raises RuntimeError when the module has it already.
    """
    if any(isinstance(hook, WeightNorm) and hook.name == name for hook in hooks_of(module).values()):
        raise RuntimeError(f"weight_norm is on {name!r} of this module already")
    hook = WeightNorm(name, dim)
    weight = getattr(module, name)
    del module._parameters[name]
    module.register_parameter(f"{name}_g", Parameter(norm_except_dim(weight.data, dim).clone()))
    module.register_parameter(f"{name}_v", Parameter(weight.data))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Any:
    """The weight as one parameter again. Raises ValueError when there is no weight_norm on it."""
    for key, hook in hooks_of(module).items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            weight = hook.compute_weight(module)
            delattr(module, name)
            del module._parameters[f"{name}_g"], module._parameters[f"{name}_v"], hooks_of(module)[key]
            setattr(module, name, Parameter(weight.data))
            return module
    raise ValueError(f"weight_norm of {name!r} not found in {type(module).__name__}")
