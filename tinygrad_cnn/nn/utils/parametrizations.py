"""Ready parametrisations: weight norm and spectral norm."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.nn.modules.module import Module
from tinygrad_cnn.nn.utils.parametrize import register_parametrization
from tinygrad_cnn.nn.utils.spectral_norm import as_matrix, first_vectors, input_dim, power_method, sigma_of
from tinygrad_cnn.nn.utils.weight_norm import norm_except_dim
from tinygrad_cnn.tensors.tensor import Tensor

__all__ = ["spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / norm_except_dim(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Any, Any]:
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Any:
    """Learn length (original0) and direction (original1) of `name`; gives the module."""
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    def __init__(self, weight: Tensor, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__()
        if n_power_iterations <= 0:
            raise ValueError(f"spectral_norm expected n_power_iterations of at least 1, got {n_power_iterations}")
        self.dim, self.eps, self.n_power_iterations = dim % weight.ndim, eps, n_power_iterations
        if weight.ndim > 1:
            matrix = as_matrix(weight.data, self.dim)
            u, v = first_vectors(matrix, eps)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)
            power_method(matrix.array, u, v, 15, eps, first="u")

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return weight / weight.norm().clamp(min=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            power_method(matrix.array, self._u, self._v, self.n_power_iterations, self.eps, first="u")
        return weight / sigma_of(matrix, self._u, self._v)

    def right_inverse(self, value: Any) -> Any:
        return value


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Any:
    """Divide `name` by its largest singular value whenever it is read; gives the module."""
    weight = getattr(module, name)
    chosen = input_dim(module) if dim is None else dim
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, chosen, eps))
