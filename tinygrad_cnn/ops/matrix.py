"""Square matrices: inverse, determinant, linear systems, powers; in batches (…, n, n).

The rules are in NumPy's own functions, which tensors answer again, so that they can be differentiated themselves.
"""

from __future__ import annotations

import numpy as np

from tinygrad_cnn.autograd.annotations import Array, ArrayT
from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.autograd.op import General, Op
from tinygrad_cnn.ops.common import like
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.elementwise import where
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.index import diagonal
from tinygrad_cnn.ops.linalg import matmul
from tinygrad_cnn.ops.reduce import sum
from tinygrad_cnn.ops.shape import broadcast_to, squeeze, transpose, unsqueeze

ndarray = np.ndarray


def _t(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def _cofactors(y: Array, x: Array) -> Array:
    """The gradient of a determinant: y · x⁻ᵀ, which stays finite where x is singular and y is 0.

    Of x = U·S·Vᵀ it is det(U)·det(V) · U·D·Vᵀ, where D holds for each singular value the product of the others.
    """
    if not isinstance(x, ndarray):  # to be differentiated again: regular matrices only
        return np.reshape(y, (*y.shape, 1, 1)) * _t(np.linalg.inv(x))
    try:
        return y[..., None, None] * _t(np.linalg.inv(x))
    except np.linalg.LinAlgError:
        u, s, vh = np.linalg.svd(x)
        others = np.where(np.eye(s.shape[-1], dtype=bool), 1, s[..., None, :]).prod(-1)
        sign = np.linalg.det(u) * np.linalg.det(vh)
        return sign[..., None, None] * ((u * others[..., None, :]) @ vh)


def _inverse_transposed(x: Array) -> Array:
    """x⁻ᵀ, the gradient of log |det x|; infinite or NaN where x is singular, as PyTorch's."""
    try:
        return _t(np.linalg.inv(x))
    except np.linalg.LinAlgError:
        if not isinstance(x, ndarray):
            raise
        y = np.linalg.det(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            return _cofactors(y, x) / y[..., None, None]


inverse_op = General(
    "inverse", np.linalg.inv, vjp=lambda g, y, _x: -np.matmul(np.matmul(_t(y), g), _t(y)),
    formula="x⁻¹", local=("−yᵀ · g · yᵀ",),
)  # fmt: skip
det_op = General(
    "det", lambda x: np.asarray(np.linalg.det(x), x.dtype),
    vjp=lambda g, y, x: np.reshape(g, (*g.shape, 1, 1)) * _cofactors(y, x),
    formula="|x|", local=("y · x⁻ᵀ",),
)  # fmt: skip
logabsdet_op = General(
    "logabsdet", lambda x: np.asarray(np.linalg.slogdet(x)[1], x.dtype),
    vjp=lambda g, _y, x: np.reshape(g, (*g.shape, 1, 1)) * _inverse_transposed(x),
    formula="log |det x|", local=("x⁻ᵀ",),
)  # fmt: skip


def _solve_vjp(g: Array, y: Array, a: Array, _b: Array) -> tuple[Array, Array]:
    back = np.linalg.solve(_t(a), g)
    return -np.matmul(back, _t(y)), back


solve_op = General(
    "solve", lambda a, b: np.linalg.solve(a, b), vjp=_solve_vjp,
    formula="A⁻¹ · B", local=("−A⁻ᵀ · g · yᵀ", "A⁻ᵀ · g"),
)  # fmt: skip


def square(name: str, x: Array) -> tuple[int, ...]:
    """The shape of x, which must be square matrices of a floating dtype."""
    shape = np.shape(unwrap(x))
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ShapeError(f"{name} expected square matrices (…, n, n), got shape {shape}")
    if unwrap(x).dtype.kind != "f":
        raise ShapeError(f"{name} expected a floating dtype, got {unwrap(x).dtype}: convert with .float()")
    return shape


def _regular(name: str, op: Op, *inputs: ArrayT) -> ArrayT:
    try:
        return op(*inputs)
    except np.linalg.LinAlgError as error:
        raise ShapeError(f"{name} expected matrices that can be inverted, got a singular one") from error


@public(method=True)
def inverse(input: ArrayT) -> ArrayT:
    """x⁻¹ of square matrices (…, n, n). Raises ValueError for others, and for singular ones."""
    square("inverse", input)
    return _regular("inverse", inverse_op, input)


@public(method=True)
def det(input: ArrayT) -> ArrayT:
    """The determinants (…) of square matrices (…, n, n); its second derivatives need regular ones."""
    square("det", input)
    return det_op(input)


@public(method=True)
def slogdet(input: ArrayT) -> tuple[ArrayT, ArrayT]:
    """(sign, log |det x|) of square matrices (…, n, n), without overflow."""
    square("slogdet", input)
    return like(np.linalg.slogdet(unwrap(input))[0].astype(unwrap(input).dtype), input), logabsdet_op(input)


@public(method=True)
def logdet(input: ArrayT) -> ArrayT:
    """log det x of square matrices; NaN where the determinant is negative."""
    sign, log = slogdet(input)
    return where(unwrap(sign) < 0, np.nan, log)


def solve(A: ArrayT, B: Array, *, left: bool = True) -> ArrayT:
    """The X with A · X = B, for matrices A (…, n, n) and B (…, n, k), or vectors B.

    B is vectors where it has one dimension, or is (…, n) with the leading dimensions of A. With ``left=False`` the X
    with X · A = B, for B (…, k, n). Raises ValueError where there is no solution.
    """
    matrices, shape = square("solve", A), tuple(np.shape(unwrap(B)))
    n = matrices[-1]
    vector = len(shape) == 1 or shape == matrices[:-1]
    if not left:
        if vector or shape[-1] != n:
            raise ShapeError(f"solve(left=False) expected a right side (…, k, {n}), got {shape}: matrices {matrices}")
        return transpose(solve(transpose(A, -1, -2), transpose(B, -1, -2)), -1, -2)
    if (shape[-1:] if vector else shape[-2:-1]) != (n,):
        raise ShapeError(f"solve expected a right side (…, {n}, k) or (…, {n}), got {shape}: matrices {matrices}")
    b = unsqueeze(B, -1) if vector else B
    lead = np.broadcast_shapes(matrices[:-2], tuple(np.shape(unwrap(b)))[:-2])
    A, b = (broadcast_to(x, (*lead, *np.shape(unwrap(x))[-2:])) for x in (A, b))
    y = _regular("solve", solve_op, A, b)
    return squeeze(y, -1) if vector else y


@public(method=True)
def matrix_power(input: ArrayT, n: int) -> ArrayT:
    """x · x · … n times; negative n of the inverse, 0 gives the identity."""
    square("matrix_power", input)
    if n < 0:
        return matrix_power(inverse(input), -n)
    if n == 0:
        x = unwrap(input)
        return like(np.broadcast_to(np.eye(x.shape[-1], dtype=x.dtype), x.shape).copy(), input)
    result: ArrayT | None = None
    while n:  # by the binary digits of n
        if n & 1:
            result = input if result is None else matmul(result, input)
        n >>= 1
        if n:
            input = matmul(input, input)
    assert result is not None  # n has a digit
    return result


implements(np.linalg.inv)(inverse)
implements(np.linalg.det)(det)
implements(np.linalg.solve)(solve)
implements(np.linalg.matrix_power)(matrix_power)


@public(method=True)
def trace(input: ArrayT) -> ArrayT:
    """The sum of the diagonal."""
    return sum(diagonal(input))


implements(np.trace)(lambda a: trace(a))
