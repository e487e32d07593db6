"""Dense layers, embeddings and dropout with PyTorch's arguments."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_cnn.autograd import versions
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.ops import conv as conv_ops
from tinygrad_cnn.ops import dense as ops
from tinygrad_cnn.ops.elementwise import in_float32
from tinygrad_cnn.ops.expect import where, wrong_shape
from tinygrad_cnn.ops.inplace import replace_by
from tinygrad_cnn.ops.linalg import einsum
from tinygrad_cnn.ops.random import uniform_array
from tinygrad_cnn.ops.shape import broadcast_tensors
from tinygrad_cnn.tensors.tensor import Tensor


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input·weightᵀ + bias: input (…, in), weight (out, in) or (in,), bias (out,).

    Raises ValueError when the last dimension is not the weight's.
    """
    x, w = unwrap(input).shape, unwrap(weight).shape  # plain tuples: this is the hot path of small networks
    if len(w) == 1:
        y = input @ weight
        return y if bias is None else y + bias
    if len(w) != 2 or not len(x) or x[-1] != w[1]:
        hint = ""
        if len(x) > 2 and len(w) == 2 and math.prod(x[1:]) == w[1]:
            hint = ": flatten it first (x.flatten(1))"
        elif len(x) == 2 and len(w) == 2:
            hint = ": the layer before gives another number of features"
        raise wrong_shape(
            "linear",
            f"{w[-1]} input features, got {x[-1] if len(x) else 'a scalar'}: input {tuple(x)}, weight {tuple(w)}{hint}",
        )
    if bias is not None and unwrap(bias).shape != (w[0],):
        raise wrong_shape("linear", f"a bias of shape ({w[0]},), got {tuple(bias.shape)}: weight {tuple(w)}")
    y = ops.linear(input, weight)
    if bias is None:
        return y
    return conv_ops.bias_add(y, bias) if len(x) == 2 else y + bias


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x₁ᵀ·W_k·x₂ + b_k: inputs (…, in1) and (…, in2), weight (out, in1, in2), bias (out,)."""
    if (
        input1.shape[-1] != weight.shape[1]
        or input2.shape[-1] != weight.shape[2]
        or input1.shape[:-1] != input2.shape[:-1]
    ):
        raise wrong_shape(
            "bilinear", f"inputs (…, {weight.shape[1]}) and (…, {weight.shape[2]}), got {tuple(input1.shape)} and "
            f"{tuple(input2.shape)}: weight {tuple(weight.shape)}",
        )  # fmt: skip
    lead = tuple(input1.shape[:-1])
    a, b = (x.reshape((-1, x.shape[-1])) for x in (input1, input2))
    y = einsum("ni,kij,nj->nk", a, weight, b).reshape((*lead, weight.shape[0]))
    return y if bias is None else y + bias


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """Rows of `weight` (rows, size) at the integers of `input`; the row `padding_idx` gets no gradient.

    With `max_norm`, rows that are looked up and longer than that are shortened first, in the weight itself.
    Raises TypeError for indices that are no integers, IndexError for a row that does not exist.
    """
    if scale_grad_by_freq:
        raise NotImplementedError("embedding(scale_grad_by_freq=True) is not there; leave it out")
    indices = _rows_of("embedding", input, weight)
    if max_norm is not None:
        _shorten_rows(weight, indices, max_norm, norm_type)
    y = ops.embedding(weight, indices=indices)
    if padding_idx is None:
        return y
    padding = (indices == padding_idx % weight.shape[0])[..., None]
    return np.where(padding, unwrap(y), y)


def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
    per_sample_weights: Tensor | None = None, include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """Sums, means or maxima of bags of rows of `weight` (rows, size): (bags, size).

    `input` holds the bags as rows (bags, n), or all of them in one row with `offsets` (bags,), where each begins.
    Rows `padding_idx` do not count; an empty bag gives zeros. `per_sample_weights`, of the input's shape, weigh
    the rows of a sum. Raises ValueError for offsets that do not fit, IndexError for a row that does not exist.
    """
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"embedding_bag expected mode 'sum', 'mean' or 'max', got {mode!r}")
    if scale_grad_by_freq:
        raise NotImplementedError("embedding_bag(scale_grad_by_freq=True) is not there; leave it out")
    if per_sample_weights is not None and (mode != "sum" or per_sample_weights.shape != input.shape):
        raise wrong_shape(
            "embedding_bag", f"per_sample_weights of the input's shape {tuple(input.shape)} with mode 'sum', got "
            f"{tuple(per_sample_weights.shape)} with mode {mode!r}",
        )  # fmt: skip
    indices = _rows_of("embedding_bag", input, weight)
    # Bags of any length become the rows of one matrix, whose ends are filled with what does not count.
    places, counted = _bags(indices, offsets, include_last_offset)
    if max_norm is not None:
        _shorten_rows(weight, indices, max_norm, norm_type)
    chosen = indices.reshape(-1)[places] if indices.size else np.zeros_like(places)
    if padding_idx is not None:
        counted = counted & (chosen != padding_idx % weight.shape[0])
    rows = ops.embedding(weight, indices=chosen)
    if mode == "max":
        lowest = np.where(counted.any(1, keepdims=True), -np.inf, 0.0)[..., None].astype(weight.dtype)
        return np.where(counted[..., None], rows, lowest).max(1)[0] if places.shape[1] else rows.sum(1)
    share = counted.astype(weight.dtype)
    if mode == "mean":
        share = share / np.maximum(share.sum(1, keepdims=True), 1)
    if per_sample_weights is not None and places.size:
        share = per_sample_weights.reshape((-1,))[places] * share
    return (rows * share[..., None]).sum(1)


def _bags(indices: np.ndarray, offsets: Tensor | None, include_last: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where in the flat indices each bag's rows are, (bags, longest), and which of these places count."""
    if indices.ndim == 2:
        if offsets is not None:
            raise wrong_shape("embedding_bag", "no offsets with a 2-d input, whose rows are the bags")
        return np.arange(indices.size).reshape(indices.shape), np.ones(indices.shape, bool)
    starts = None if offsets is None else np.asarray(unwrap(offsets))
    if indices.ndim != 1 or starts is None or starts.ndim != 1:
        raise wrong_shape("embedding_bag", f"an input (bags, n), or (n,) with offsets (bags,), got {indices.shape}")
    ends = starts[1:] if include_last else np.append(starts[1:], len(indices))
    starts = starts[: len(ends)]
    if len(starts) and (starts[0] != 0 or (ends < starts).any() or ends[-1] > len(indices)):
        raise wrong_shape(
            "embedding_bag", f"offsets that rise from 0 to at most {len(indices)}, got {unwrap(offsets).tolist()}"
        )
    sizes = ends - starts
    steps = np.arange(int(sizes.max(initial=0)))
    counted = steps < sizes[:, None]
    return np.where(counted, starts[:, None] + steps, 0), counted


def _rows_of(name: str, input: Tensor, weight: Tensor) -> np.ndarray:
    indices = np.asarray(unwrap(input))
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name} expected integers, got {indices.dtype}: convert them with .long()")
    rows = weight.shape[0]
    if indices.size and (indices.min() < 0 or indices.max() >= rows):
        worst = int(indices.min() if indices.min() < 0 else indices.max())
        raise IndexError(f"{name} expected integers from 0 to {rows - 1}, got {worst}{where()}")
    return indices


def _shorten_rows(weight: Tensor, indices: np.ndarray, longest: float, p: float) -> None:
    used = np.unique(indices)
    norms = np.linalg.norm(unwrap(weight)[used], p, axis=1)
    long = norms > longest
    if long.any():
        array = unwrap(weight)
        array[used[long]] *= (longest / (norms[long] + 1e-7))[:, None].astype(array.dtype)
        versions.bump(array)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, drop each entry with probability p and divide the others by 1 − p (Srivastava et al. 2014)."""
    _check_p("dropout", p)
    if not training or p == 0:
        return input
    return _dropped(input, p, tuple(input.shape), inplace)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of (N, C, L) or (C, L)."""
    return _dropout_nd("dropout1d", 1, input, p, training, inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of (N, C, H, W) or (C, H, W) (Tompson et al. 2015)."""
    return _dropout_nd("dropout2d", 2, input, p, training, inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    return _dropout_nd("dropout3d", 3, input, p, training, inplace)


def feature_dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Drop whole channels of (N, C, …)."""
    _check_p("feature_dropout", p)
    if not training or p == 0:
        return input
    return _dropped(input, p, (*input.shape[:2], *(1,) * (input.ndim - 2)), inplace)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout to SELU's negative saturation, keeping mean and variance (Klambauer et al. 2017)."""
    _check_p("alpha_dropout", p)
    return _alpha(input, p, tuple(input.shape), inplace) if training and p else input


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels."""
    _check_p("feature_alpha_dropout", p)
    shape = (*input.shape[:2], *(1,) * (input.ndim - 2))
    return _alpha(input, p, shape, inplace) if training and p else input


def _dropout_nd(name: str, d: int, input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    _check_p(name, p)
    if input.ndim not in (d + 1, d + 2):
        # 2-d and 3-d inputs of other meaning are dropped by their first two dimensions, as PyTorch does.
        if input.ndim < 2:
            raise wrong_shape(name, f"an input of {d + 1} or {d + 2} dimensions, got {tuple(input.shape)}")
        shape = (*input.shape[:2], *(1,) * (input.ndim - 2))
    else:
        shape = (*input.shape[:-d], *(1,) * d)
    if not training or p == 0:
        return input
    return _dropped(input, p, shape, inplace)


def _dropped(input: Tensor, p: float, shape: tuple[int, ...], inplace: bool) -> Tensor:
    x = unwrap(input)
    if p == 1:
        mask = np.zeros(shape, x.dtype)
    else:
        # Dividing here costs nothing extra: the mask is multiplied with anyway.
        mask = (uniform_array(shape, np.float32) >= p).astype(x.dtype)
        mask /= x.dtype.type(1 - p)
    return _settle(input, ops.dropout(input, mask=mask), inplace)


def _alpha(input: Tensor, p: float, shape: tuple[int, ...], inplace: bool) -> Tensor:
    x = unwrap(input)
    low = -1.7580993408473766  # −scale · alpha of SELU
    keep = (uniform_array(shape, np.float32) >= p).astype(x.dtype)
    a = 1 / math.sqrt((1 - p) * (1 + p * low * low)) if p < 1 else 0.0
    b = -a * p * low
    return _settle(
        input,
        ops.dropout(input, mask=keep * x.dtype.type(a)) + (low * a * (1 - keep) + b).astype(x.dtype),
        inplace,
    )


def _settle(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    return replace_by(input, result, "dropout") if inplace and isinstance(input, Handle) else result


def _check_p(name: str, p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"{name} expected a probability to drop from 0 to 1, got {p}")


@in_float32
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x₁·x₂ / (max(‖x₁‖, ε)·max(‖x₂‖, ε)) along `dim`, of the tensors broadcast to one shape."""
    x1, x2 = broadcast_tensors(x1, x2)
    n1 = np.maximum(x1.norm(2, dim, keepdim=True), eps)
    n2 = np.maximum(x2.norm(2, dim, keepdim=True), eps)
    return ((x1 / n1) * (x2 / n2)).sum(dim)


@in_float32
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The distances between all pairs of rows (N, M), in the order of the upper triangle."""
    n = input.shape[0]
    first, second = np.triu_indices(n, 1)
    return (input[wrap(first)] - input[wrap(second)]).norm(p, -1)
