"""Products of matrices and of tensors in general: matmul and its names, einsum, tensordot."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn import kernels
from tinygrad_cnn.autograd.annotations import Array, ArrayT
from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.autograd.op import Multilinear, unbroadcast
from tinygrad_cnn.ops.arithmetic import add_op, mul_op
from tinygrad_cnn.ops.common import axes_of
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.index import diagonal
from tinygrad_cnn.ops.padding import pad
from tinygrad_cnn.ops.shape import atleast_2d, cat, expand, permute, reshape, roll

ndarray = np.ndarray

# --- matrix products -------------------------------------------------------------------------------


def as_rows(a: Array) -> Any:
    """(…, n) as (rows, n); a size of 0 leaves nothing from which NumPy could tell how many rows there are."""
    return np.reshape(a, (math.prod(a.shape[:-1]), a.shape[-1]))


def product(a: Any, b: Any) -> Any:
    """a @ b in the kernels' own threads where both are plain matrices; tensors go through NumPy's dispatch."""
    if type(a) is ndarray and type(b) is ndarray:
        if b.ndim == 2 and a.ndim > 2:
            # One large product instead of a stack of small ones.
            return kernels.matmul(as_rows(a), b).reshape(*a.shape[:-1], b.shape[1])
        return kernels.matmul(a, b)
    return np.matmul(a, b)


def _to_left(g: Array, a: Array, b: Array) -> Array:
    if len(b.shape) == 1:
        return g * b if len(a.shape) == 1 else np.expand_dims(g, -1) * b
    if len(a.shape) == 1:
        column = np.matmul(b, np.expand_dims(g, -1))
        return unbroadcast(np.reshape(column, column.shape[:-1]), a.shape)
    return unbroadcast(product(g, np.swapaxes(b, -1, -2)), a.shape)


def _to_right(g: Array, a: Array, b: Array) -> Array:
    if len(a.shape) == 1:
        if len(b.shape) == 1:
            return g * a
        return unbroadcast(np.expand_dims(a, -1) * np.expand_dims(g, -2), b.shape)
    if len(b.shape) == 1:
        return np.matmul(np.reshape(g, (-1,)), as_rows(a))
    if len(b.shape) == 2 and len(a.shape) > 2:
        return product(np.swapaxes(as_rows(a), 0, 1), as_rows(g))
    return unbroadcast(product(np.swapaxes(a, -1, -2), g), b.shape)


matmul_op = Multilinear("matmul", product, _to_left, _to_right, formula="A · B", local=("g · Bᵀ", "Aᵀ · g"))


@public(method=True, out=True)
def matmul(input: ArrayT, other: Array) -> ArrayT:
    """The matrix product of the last two dimensions, broadcast over the others; 1-d tensors count as vectors.

    Raises ValueError when the inner sizes differ, and for 0-d tensors.
    """
    try:
        return matmul_op.apply((input, other), {})[0]
    except ValueError:
        a, b = np.shape(unwrap(input)), np.shape(unwrap(other))
        if not a or not b:
            raise ShapeError(
                f"matmul expected at least one dimension on both sides, got {a} and {b}; use *"
            ) from None
        inner = a[-1], b[-2 if len(b) > 1 else 0]
        what = (
            f"inner sizes {inner[0]} and {inner[1]} differ"
            if inner[0] != inner[1]
            else "the stacks do not broadcast"
        )
        raise ShapeError(f"matmul cannot multiply {a} by {b}: {what}") from None


def _exactly(name: str, ndims: tuple[int, ...], *tensors: Array) -> None:
    for x, ndim in zip(tensors, ndims):
        if np.ndim(unwrap(x)) != ndim:
            shapes = " and ".join(str(np.shape(unwrap(t))) for t in tensors)
            raise ShapeError(
                f"{name} expected tensors of {' and '.join(map(str, ndims))} dimensions, got {shapes}"
            )


@public(method=True, out=True)
def mm(input: ArrayT, mat2: Array) -> ArrayT:
    """The product of two matrices."""
    _exactly("mm", (2, 2), input, mat2)
    return matmul(input, mat2)


@public(method=True, out=True)
def bmm(input: ArrayT, mat2: Array) -> ArrayT:
    """The products of two stacks of matrices, (B, n, k) and (B, k, m)."""
    _exactly("bmm", (3, 3), input, mat2)
    if np.shape(unwrap(input))[0] != np.shape(unwrap(mat2))[0]:
        raise ShapeError(
            f"bmm expected stacks of one length, got {np.shape(unwrap(input))} and {np.shape(unwrap(mat2))}"
        )
    return matmul(input, mat2)


@public(method=True, out=True)
def mv(input: ArrayT, vec: Array) -> ArrayT:
    """A matrix times a vector."""
    _exactly("mv", (2, 1), input, vec)
    return matmul(input, vec)


@public(method=True)
def dot(input: ArrayT, tensor: Array) -> ArrayT:
    """The inner product of two vectors."""
    _exactly("dot", (1, 1), input, tensor)
    return matmul(input, tensor)


@public(method=True)
def vdot(input: Array, other: Array) -> Array:
    """The inner product of two vectors; of real ones it is `dot`."""
    _exactly("vdot", (1, 1), input, other)
    return matmul(input, other)


@public(method=True)
def inner(input: ArrayT, other: Array) -> ArrayT:
    """Products summed over the last dimension of both."""
    if not np.ndim(unwrap(input)) or not np.ndim(unwrap(other)):
        return mul_op(input, other)
    return tensordot(input, other, ((-1,), (-1,)))


@public(method=True)
def kron(input: ArrayT, other: Array) -> ArrayT:
    """The Kronecker product."""
    ndim = max(np.ndim(unwrap(input)), np.ndim(unwrap(other)))
    a = (1,) * (ndim - np.ndim(unwrap(input))) + np.shape(unwrap(input))
    b = (1,) * (ndim - np.ndim(unwrap(other))) + np.shape(unwrap(other))
    left = reshape(input, tuple([n for size in a for n in (size, 1)]))
    right = reshape(other, tuple([n for size in b for n in (1, size)]))
    return reshape(mul_op(left, right), tuple([n * m for n, m in zip(a, b)]))


@public(method=True)
def cross(input: ArrayT, other: Array, dim: int = -1) -> ArrayT:
    """The cross product of vectors of length 3 along `dim`."""
    if np.shape(unwrap(input))[dim] != 3 or np.shape(unwrap(other))[dim] != 3:
        raise ShapeError(
            f"cross expected size 3 along dim {dim}, got {np.shape(unwrap(input))} and {np.shape(unwrap(other))}"
        )
    return roll(input, -1, dim) * roll(other, 1, dim) - roll(input, 1, dim) * roll(other, -1, dim)


@public
def block_diag(*tensors: Array) -> Array:
    """Matrices along the diagonal of a larger one, zeros elsewhere."""
    blocks = [atleast_2d(x) for x in tensors]
    width, left, rows = builtins.sum(np.shape(unwrap(b))[1] for b in blocks), 0, []
    for b in blocks:
        own = np.shape(unwrap(b))[1]
        rows.append(pad(b, (left, width - left - own)))
        left += own
    return cat(rows, 0)


@public(method=True, aliases=["ger"])
def outer(input: ArrayT, vec2: Array) -> ArrayT:
    """y[i, j] = input[i] · vec2[j]."""
    _exactly("outer", (1, 1), input, vec2)
    return mul_op(reshape(input, (-1, 1)), vec2)


@public(method=True, in_place=True, out=True)
def addmm(input: ArrayT, mat1: Array, mat2: Array, *, beta: float = 1, alpha: float = 1) -> ArrayT:
    """beta · input + alpha · (mat1 @ mat2)."""
    return _plus(input, mm(mat1, mat2), beta, alpha)


@public(method=True, in_place=True, out=True)
def baddbmm(input: ArrayT, batch1: Array, batch2: Array, *, beta: float = 1, alpha: float = 1) -> ArrayT:
    """beta · input + alpha · (batch1 @ batch2), for stacks of matrices."""
    return _plus(input, bmm(batch1, batch2), beta, alpha)


@public(method=True, in_place=True)
def addmv(input: ArrayT, mat: Array, vec: Array, *, beta: float = 1, alpha: float = 1) -> ArrayT:
    """beta · input + alpha · (mat @ vec)."""
    return _plus(input, mv(mat, vec), beta, alpha)


@public(method=True, in_place=True)
def addr(input: ArrayT, vec1: Array, vec2: Array, *, beta: float = 1, alpha: float = 1) -> ArrayT:
    """beta · input + alpha · outer(vec1, vec2)."""
    return _plus(input, outer(vec1, vec2), beta, alpha)


def _plus(input: ArrayT, product: Any, beta: float, alpha: float) -> ArrayT:
    product = product if alpha == 1 else mul_op(product, alpha)
    if beta == 0:  # PyTorch ignores the input then, NaN included
        return product
    return add_op(input if beta == 1 else mul_op(input, beta), product)


@public
def chain_matmul(*matrices: Array) -> Array:
    """The product of several matrices, from left to right."""
    result = matrices[0]
    for matrix in matrices[1:]:
        result = matmul(result, matrix)
    return result


# --- sums over named dimensions --------------------------------------------------------------------


def _einsum(*xs: ndarray, subscripts: tuple[str, ...], result: str) -> ndarray:
    return np.einsum(f"{','.join(subscripts)}->{result}", *xs, optimize=len(xs) > 1)


def _einsum_transpose(i: int, g: Array, *xs: Array, subscripts: tuple[str, ...], result: str) -> Array:
    own = subscripts[i]
    others = [k for k in range(len(subscripts)) if k != i]
    known = set(result).union(*[subscripts[k] for k in others])
    found = "".join(letter for letter in own if letter in known)
    equation = ",".join([result, *[subscripts[k] for k in others]]) + "->" + found
    d = np.einsum(equation, g, *[xs[k] for k in others])
    if found == own:
        return d
    # A dimension that only this input has was summed away: its gradient is the same all along it.
    shape = tuple([n if letter in known else 1 for letter, n in zip(own, xs[i].shape)])
    return np.broadcast_to(np.reshape(d, shape), xs[i].shape)


einsum_op = Multilinear(
    "einsum",
    _einsum,
    each=_einsum_transpose,
    formula="Σ x₁ · x₂ · …",
    local=("the product of the others",),
)


@public
def einsum(equation: str, *operands: Array) -> Array:
    """Sums of products by Einstein's convention, e.g. ``einsum("bij,bjk->bik", a, b)``.

    Raises ValueError for an equation that does not fit the operands.
    """
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    inputs, result = _parse(equation, [np.ndim(unwrap(x)) for x in operands])
    xs, subscripts = [], []
    for x, letters in zip(operands, inputs):
        x, letters = _without_repeats(x, letters)
        xs.append(x)
        subscripts.append(letters)
    lengths: dict[str, int] = {}
    for x, letters in zip(xs, subscripts):
        for letter, n in zip(letters, np.shape(unwrap(x))):
            if lengths.setdefault(letter, n) != n:
                if 1 not in (lengths[letter], n):
                    raise ShapeError(
                        f"einsum {equation!r}: dimension {letter!r} has sizes {lengths[letter]} and {n}"
                    )
                lengths[letter] = max(lengths[letter], n)
    full = []
    for x, letters in zip(xs, subscripts):
        wanted = tuple([lengths[letter] for letter in letters])
        if np.shape(unwrap(x)) != wanted:
            x = expand(x, wanted)
        full.append(x)
    return einsum_op.apply(tuple(full), {"subscripts": tuple(subscripts), "result": result})[0]


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _parse(equation: str, ndims: list[int]) -> tuple[list[str], str]:
    text = equation.replace(" ", "")
    left, arrow, result = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ndims):
        raise ShapeError(f"einsum {equation!r} names {len(inputs)} operands, got {len(ndims)}")
    free = [letter for letter in _LETTERS if letter not in text]
    widest = max([n - len(s.replace("...", "")) for s, n in zip(inputs, ndims) if "..." in s], default=0)
    dots = "".join(free[:widest]) if widest > 0 else ""
    for k, (letters, ndim) in enumerate(zip(inputs, ndims)):
        count = ndim - len(letters.replace("...", ""))
        if count < 0 or ("..." not in letters and count):
            raise ShapeError(
                f"einsum {equation!r}: {letters!r} does not fit an operand of {ndim} dimension(s)"
            )
        inputs[k] = letters.replace("...", dots[len(dots) - count :] if count else "")
    if arrow:
        result = result.replace("...", dots)
    else:
        joined = "".join(inputs)
        once = sorted(letter for letter in set(joined) if joined.count(letter) == 1 and letter not in dots)
        result = dots + "".join(once)
    if any(letter not in "".join(inputs) for letter in result):
        raise ShapeError(f"einsum {equation!r}: the result names a dimension that no operand has")
    return inputs, result


def _without_repeats(x: Array, letters: str) -> tuple[Array, str]:
    """A letter twice in one operand means its diagonal."""
    for letter in letters:
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            x = diagonal(x, 0, first, second)
            letters = letters[:first] + letters[first + 1 : second] + letters[second + 1 :] + letter
    return x, letters


@implements(np.einsum)
def _np_einsum(equation: str, *operands: Array, **_: object) -> Array:
    return einsum(equation, *operands)


@public
def tensordot(a: ArrayT, b: Array, dims: int | Sequence[Sequence[int]] = 2) -> ArrayT:
    """Sums over the last `dims` dimensions of a and the first of b, or over ``dims=(those of a, those of b)``."""
    na, nb = np.ndim(unwrap(a)), np.ndim(unwrap(b))
    if isinstance(dims, (int, np.integer)):
        over_a, over_b = tuple(range(na - dims, na)), tuple(range(dims))
    else:
        over_a, over_b = axes_of(dims[0], na) or (), axes_of(dims[1], nb) or ()
    for k, j in zip(over_a, over_b):  # a size of 1 stands for any size
        m, n = np.shape(unwrap(a))[k], np.shape(unwrap(b))[j]
        if m != 1 and n == 1:
            a = np.sum(a, axis=k, keepdims=True)
        elif m == 1 and n != 1:
            b = np.sum(b, axis=j, keepdims=True)
    sa, sb = np.shape(unwrap(a)), np.shape(unwrap(b))
    if [sa[k] for k in over_a] != [sb[k] for k in over_b]:
        raise ShapeError(f"tensordot over {over_a} and {over_b} needs equal sizes, got shapes {sa} and {sb}")
    rest_a = [k for k in range(na) if k not in over_a]
    rest_b = [k for k in range(nb) if k not in over_b]
    inner = int(np.prod([sa[k] for k in over_a], dtype=np.int64))
    rows = int(np.prod([sa[k] for k in rest_a], dtype=np.int64))
    columns = int(np.prod([sb[k] for k in rest_b], dtype=np.int64))
    left = reshape(permute(a, (*rest_a, *over_a)), (rows, inner))
    right = reshape(permute(b, (*over_b, *rest_b)), (inner, columns))
    return reshape(matmul(left, right), (*[sa[k] for k in rest_a], *[sb[k] for k in rest_b]))


implements(np.tensordot)(lambda a, b, axes=2: tensordot(a, b, axes))
implements(np.matmul)(matmul)
implements(np.outer)(lambda a, b: outer(reshape(a, (-1,)), reshape(b, (-1,))))


@implements(np.dot)
def _np_dot(a: Array, b: Array) -> Array:
    na, nb = np.ndim(unwrap(a)), np.ndim(unwrap(b))
    if na == 0 or nb == 0:
        return mul_op(a, b)
    if nb > 2:
        return tensordot(a, b, ((na - 1,), (nb - 2,)))
    return matmul(a, b)
