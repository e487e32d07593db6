"""A weight divided by its largest singular value (Miyato et al. 2018), computed anew before each call."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd import versions
from tinygrad_cnn.autograd.handle import wrap
from tinygrad_cnn.nn.modules.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.nn.utils.weight_norm import hooks_of
from tinygrad_cnn.ops.random import randn
from tinygrad_cnn.tensors.tensor import Tensor


def as_matrix(weight: Tensor, dim: int) -> Any:
    """(…) -> (size of dim, everything else)."""
    if dim:
        weight = weight.permute((dim, *[k for k in range(weight.ndim) if k != dim]))
    return weight.reshape((weight.shape[0], -1))


def unit(x: np.ndarray, eps: float) -> np.ndarray:
    """x / max(‖x‖, ε)."""
    return (x / max(float(np.linalg.norm(x)), eps)).astype(x.dtype)


def power_method(matrix: np.ndarray, u: Tensor, v: Tensor, iterations: int, eps: float, first: str = "v") -> None:
    """Turn `u` and `v` (buffers, changed in place) towards the first singular vectors, `first` before the other."""
    for _ in range(iterations):
        for turned in (first, "u" if first == "v" else "v"):
            if turned == "v":
                v.array[...] = unit(matrix.T @ u.array, eps)
            else:
                u.array[...] = unit(matrix @ v.array, eps)
    for buffer in (u, v):
        versions.bump(buffer.array)


def sigma_of(matrix: Tensor, u: Tensor, v: Tensor) -> Any:
    """uᵀ·W·v, with gradients to W; u and v as they are now."""
    return (wrap(u.array.copy()) * (matrix @ wrap(v.array.copy()))).sum()


class SpectralNorm:
    """The hook that computes `name` from `name_orig`, with the buffers `name_u` and `name_v`."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        if n_power_iterations <= 0:
            raise ValueError(f"spectral_norm expected n_power_iterations of at least 1, got {n_power_iterations}")
        self.name, self.n_power_iterations, self.dim, self.eps = name, n_power_iterations, dim, eps

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Any:
        """W / σ(W)."""
        weight = getattr(module, f"{self.name}_orig")
        u, v = getattr(module, f"{self.name}_u"), getattr(module, f"{self.name}_v")
        matrix = as_matrix(weight, self.dim)
        if do_power_iteration:
            power_method(matrix.array, u, v, self.n_power_iterations, self.eps)
        return weight / sigma_of(matrix, u, v)

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))


def first_vectors(matrix: Tensor, eps: float) -> tuple[Any, Any]:
    """Random unit vectors to start from."""
    return tuple(wrap(unit(randn(n, dtype=matrix.dtype).array, eps)) for n in matrix.shape)


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Any:
    """Divide `name` by its largest singular value before each call, followed by power iteration in training.

    Raises RuntimeError when the module has it already.
    """
    if any(isinstance(hook, SpectralNorm) and hook.name == name for hook in hooks_of(module).values()):
        raise RuntimeError(f"spectral_norm is on {name!r} of this module already")
    hook = SpectralNorm(name, n_power_iterations, input_dim(module) if dim is None else dim, eps)
    weight = module._parameters[name]
    u, v = first_vectors(as_matrix(weight.data, hook.dim), eps)
    del module._parameters[name]
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.data)
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    module.register_forward_pre_hook(hook)
    return module


def input_dim(module: Module) -> int:
    """The dimension of a weight that numbers its outputs: 1 for transposed convolutions, else 0."""
    return 1 if type(module).__name__.startswith("ConvTranspose") else 0


def remove_spectral_norm(module: Module, name: str = "weight") -> Any:
    """The weight as one parameter again. Raises ValueError when there is no spectral_norm on it."""
    for key, hook in hooks_of(module).items():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            weight = hook.compute_weight(module, False)
            delattr(module, name)
            del module._buffers[f"{name}_u"], module._buffers[f"{name}_v"]
            del module._parameters[f"{name}_orig"], hooks_of(module)[key]
            module.register_parameter(name, Parameter(weight.data))
            return module
    raise ValueError(f"spectral_norm of {name!r} not found in {type(module).__name__}")
