"""Distances between tensors and between the rows of two tables."""

from __future__ import annotations

from tinygrad_cnn.autograd.annotations import Array, ArrayT
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.elementwise import in_float32
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.reduce import vector_norm
from tinygrad_cnn.ops.shape import unsqueeze


@public(method=True)
@in_float32
def dist(input: ArrayT, other: Array, p: float = 2) -> ArrayT:
    """‖input − other‖ₚ over all entries."""
    return vector_norm(input - other, p)


_COMPUTE_MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")


@public
@in_float32
def cdist(x1: ArrayT, x2: Array, p: float = 2.0, compute_mode: str | None = None) -> ArrayT:
    """(…, P, M) and (…, R, M) -> (…, P, R): the p-norm distance of each row of x1 to each row of x2.

    `compute_mode` is one of PyTorch's three and changes nothing: distances are computed as they are defined.
    """
    if compute_mode not in (None, *_COMPUTE_MODES):
        raise ShapeError(f"cdist expected compute_mode {', '.join(_COMPUTE_MODES)}, got {compute_mode!r}")
    if x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(f"cdist expected rows of one length, got {tuple(x1.shape)} and {tuple(x2.shape)}")
    return vector_norm(unsqueeze(x1, -2) - unsqueeze(x2, -3), p, -1)
