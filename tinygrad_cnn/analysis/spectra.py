"""The singular values of a model's weights: how strongly each layer stretches and shrinks what it is given.

A square matrix has eigenvalues, W v = λ v. A layer's weight is hardly ever square: it maps vectors of one length to
vectors of another, and no vector comes out as a multiple of itself. Singular values take their place: ‖W v‖ for
orthogonal directions v of length 1, from the most stretched to the least. The largest is the layer's norm; a value that
is small beside it means that a direction of the input hardly gets through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.support.errors import UsageError

__all__ = ["Spectrum", "spectrum", "spectrum_table"]


@dataclass(frozen=True)
class Spectrum:
    """The spectrum of one weight, taken as a matrix (outputs, everything else).

    Attributes
        name: the parameter's path
        shape: of the parameter
        values: singular values, largest first
        eigenvalues: of a square matrix, largest first by size (complex); None of any other
        rank: values above the largest times the precision of the matrix, as NumPy's `matrix_rank` counts
    """

    name: str
    shape: tuple[int, ...]
    values: npt.NDArray[np.float64]
    eigenvalues: npt.NDArray[np.complex128] | None
    rank: int

    @property
    def condition(self) -> float:
        """The largest value over the smallest; infinite for a matrix that loses a direction."""
        return float(self.values[0] / self.values[-1]) if self.values[-1] > 0 else float("inf")

    @property
    def effective_rank(self) -> float:
        """‖W‖²_F / ‖W‖²₂: by how many directions the stretching is shared (the stable rank)."""
        return float((self.values**2).sum() / self.values[0] ** 2) if self.values[0] > 0 else 0.0


def spectrum(model: Any) -> list[Spectrum]:
    """The spectrum of each weight with two dimensions or more, in the order of `named_parameters`.

    A convolution's weight (O, C, KH, KW) is the matrix (O, C·KH·KW) that multiplies each window. UsageError for a model
    without weights.
    """
    found = []
    for name, parameter in model.named_parameters():
        w = np.asarray(unwrap(parameter), np.float64)
        if w.ndim < 2 or not w.size:
            continue
        matrix = w.reshape(len(w), -1)
        values: Any = np.linalg.svd(matrix, compute_uv=False)
        eigenvalues = None
        if matrix.shape[0] == matrix.shape[1]:
            eigenvalues = np.linalg.eigvals(matrix).astype(np.complex128)
            eigenvalues = eigenvalues[np.argsort(-np.abs(eigenvalues), kind="stable")]
        limit = values[0] * max(matrix.shape) * np.finfo(unwrap(parameter).dtype).eps
        found.append(Spectrum(name, w.shape, values, eigenvalues, int((values > limit).sum())))
    if not found:
        raise UsageError("spectrum() found no weight with two dimensions or more in this model")
    return found


def spectrum_table(rows: list[Spectrum]) -> str:
    """The spectra as aligned text."""
    width = max(len(row.name) for row in rows)
    head = f"{'weight':<{width}}  {'shape':<17}  {'largest':>8}  {'smallest':>8}  {'condition':>9}"
    lines = [f"{head}  {'rank':>9}  shared by"]
    for row in rows:
        shape, size = " × ".join(map(str, row.shape)), len(row.values)
        lines.append(
            f"{row.name:<{width}}  {shape:<17}  {row.values[0]:>8.3g}  {row.values[-1]:>8.3g}  {row.condition:>9.3g}  "
            f"{row.rank:>4}/{size:<4}  {row.effective_rank:>9.1f}"
        )
    return "\n".join(lines)
