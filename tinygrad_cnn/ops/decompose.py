"""Decompositions of matrices (…, m, n) by NumPy's own routines: singular values, eigenvalues, QR, Cholesky, inverses.

An op with several results holds them end to end in one array, from which they are taken as views. The rules are in
NumPy's own functions, which tensors answer again, so that they can be differentiated themselves. Where singular
values or eigenvalues are equal, the vectors are not unique, and their gradient is infinite, as in PyTorch; that of the
values is not.

Sources: Giles 2008 (An extended collection of matrix derivative results), Walter & Lehmann 2012 (QR), Golub & Pereyra
1973 (pseudo-inverse).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd.annotations import Array, ArrayT, Operand
from tinygrad_cnn.autograd.dispatch import implements
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.autograd.modes import is_grad_enabled
from tinygrad_cnn.autograd.op import General
from tinygrad_cnn.ops.common import like
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.linalg import matmul
from tinygrad_cnn.ops.matrix import square
from tinygrad_cnn.ops.reduce import sum
from tinygrad_cnn.ops.shape import reshape

Shape = tuple[int, ...]


class LinalgSVD(NamedTuple):
    U: Array
    S: Array
    Vh: Array


class SVD(NamedTuple):
    U: Array
    S: Array
    V: Array


class Eigh(NamedTuple):
    eigenvalues: Array
    eigenvectors: Array


class QR(NamedTuple):
    Q: Array
    R: Array


class LeastSquares(NamedTuple):
    solution: Array
    residuals: Array
    rank: Array
    singular_values: Array


# --- several results in one array -------------------------------------------------------------------


def _packed(parts: Sequence[Array], batch: int) -> Array:
    rows = [np.reshape(part, (*part.shape[:batch], math.prod(part.shape[batch:]))) for part in parts]
    return np.concatenate(rows, axis=-1)


def _parts(packed: Array, shapes: Sequence[Shape]) -> list[Array]:
    """The arrays of the given shapes (without the batch's) that stand end to end along the last axis."""
    lead = tuple(packed.shape[:-1])
    found: list[Array] = []
    start = 0
    for shape in shapes:
        stop = start + math.prod(shape)
        found.append(np.reshape(packed[..., start:stop], (*lead, *shape)))
        start = stop
    return found


def _t(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def _diagonal(values: Array) -> Array:
    """(…, k) -> (…, k, k) with the values on the diagonal."""
    k = values.shape[-1]
    return np.reshape(values, (*values.shape, 1)) * np.eye(k, dtype=unwrap(values).dtype)


def _gaps(values: Array) -> Array:
    """values_j - values_i, and 1 on the diagonal."""
    k = values.shape[-1]
    apart = np.reshape(values, (*values.shape[:-1], 1, k)) - np.reshape(values, (*values.shape, 1))
    return apart + np.eye(k, dtype=unwrap(values).dtype)


def _over(g: Array, divisor: Array) -> Array:
    """g / divisor, and 0 where both are 0: equal or vanishing values matter only to who asks for their vectors."""
    return g / np.where((g == 0) & (divisor == 0), 1, divisor)


def _matrices(name: str, x: Array) -> Shape:
    shape = tuple(np.shape(unwrap(x)))
    if len(shape) < 2:
        raise ShapeError(f"{name} expected matrices (…, m, n), got shape {shape}")
    if unwrap(x).dtype.kind != "f":
        raise ShapeError(f"{name} expected a floating dtype, got {unwrap(x).dtype}: convert with .float()")
    return shape


# --- singular values ----------------------------------------------------------------------------------


def _svd_shapes(m: int, n: int, full: bool) -> list[Shape]:
    k = min(m, n)
    return [(m, m), (k,), (n, n)] if full else [(m, k), (k,), (k, n)]


def _svd_vjp(g: Array, y: Array, x: Array, full: bool) -> tuple[Array]:
    m, n = x.shape[-2:]
    k = min(m, n)
    u, s, vh = _parts(y, _svd_shapes(m, n, full))
    gu, gs, gvh = _parts(g, _svd_shapes(m, n, full))
    # The vectors beyond the first k are any basis of what is left: they have no derivative.
    u, gu, vh, gvh = u[..., :k], gu[..., :k], vh[..., :k, :], gvh[..., :k, :]
    v, gv = _t(vh), _t(gvh)
    gaps = _gaps(s * s)
    row = np.reshape(s, (*s.shape[:-1], 1, k))
    inner_u, inner_v = np.matmul(_t(u), gu), np.matmul(vh, gv)
    turn_u, turn_v = _over(inner_u - _t(inner_u), gaps), _over(inner_v - _t(inner_v), gaps)
    middle = turn_u * row + _t(row) * turn_v + _diagonal(gs)
    found = np.matmul(np.matmul(u, middle), vh)
    # What lies outside the spaces that the first k vectors span.
    if m > n:
        found = found + np.matmul(_over(gu - np.matmul(u, inner_u), row), vh)
    if n > m:
        found = found + np.matmul(u, _t(_over(gv - np.matmul(v, inner_v), row)))
    return (found,)


svd_op = General(
    "svd", lambda x, full: _packed(np.linalg.svd(x, full_matrices=full), x.ndim - 2), vjp=_svd_vjp,
    formula="x = U · diag(S) · Vᵀ", local=("changes of U, S and V",),
)  # fmt: skip
svdvals_op = General(
    "svdvals", lambda x: np.linalg.svd(x, compute_uv=False),
    vjp=lambda g, _y, x: (_svdvals_pull(g, *np.linalg.svd(x, full_matrices=False)),),
    formula="singular values of x", local=("u vᵀ",),
)  # fmt: skip


def _svdvals_pull(g: Array, u: Array, _s: Array, vh: Array) -> Array:
    return np.matmul(u * np.reshape(g, (*g.shape[:-1], 1, g.shape[-1])), vh)


def _no_driver(function: str, driver: str | None) -> None:
    if driver is not None:
        raise ValueError(f"{function} expected no driver, which is a choice on GPUs, got {driver!r}")


def linalg_svd(A: Array, full_matrices: bool = True, *, driver: str | None = None) -> LinalgSVD:
    """A = U · diag(S) · Vh, with S in falling order; U and Vh are square with `full_matrices`.

    The vectors that only `full_matrices` adds have no gradient. Raises ValueError for a `driver`, which PyTorch takes
    on GPUs only.
    """
    _no_driver("svd", driver)
    m, n = _matrices("svd", A)[-2:]
    full = bool(full_matrices) and m != n
    return LinalgSVD(*_parts(svd_op(A, full=full), _svd_shapes(m, n, full)))


def svdvals(A: ArrayT, *, driver: str | None = None) -> ArrayT:
    """The singular values (…, min(m, n)) in falling order; no `driver`, which PyTorch takes on GPUs only."""
    _no_driver("svdvals", driver)
    _matrices("svdvals", A)
    return svdvals_op(A)


@public(method=True)
def svd(input: Array, some: bool = True, compute_uv: bool = True) -> SVD:
    """PyTorch's older form: (U, S, V) with V instead of its transpose; reduced unless ``some=False``."""
    if not compute_uv:
        m, n = _matrices("svd", input)[-2:]
        zeros = [like(np.zeros((*np.shape(unwrap(input))[:-2], k, k), unwrap(input).dtype), input) for k in (m, n)]
        return SVD(zeros[0], svdvals(input), zeros[1])
    u, s, vh = linalg_svd(input, not some)
    return SVD(u, s, _t(vh))


def _bound(s: np.ndarray, shape: Shape, atol: Operand | None, rtol: Operand | None) -> np.ndarray:
    """The size up to which a singular value counts as 0, (…, 1): max(atol, rtol · the largest one).

    Numbers, or one for each matrix. Without both, rtol is max(m, n) · ε, as in NumPy and PyTorch.
    """
    absolute = np.asarray(0.0 if atol is None else unwrap(atol))[..., None]
    usual = max(shape[-2:]) * float(np.finfo(s.dtype).eps)
    relative = np.where(absolute > 0, 0.0, usual) if rtol is None else np.asarray(unwrap(rtol))[..., None]
    return np.maximum(absolute, relative * s.max(-1, keepdims=True, initial=0))


def matrix_rank(
    A: ArrayT, tol: Operand | None = None, hermitian: bool = False, *, atol: Operand | None = None,
    rtol: Operand | None = None,
) -> ArrayT:  # fmt: skip
    """How many singular values are above max(atol, rtol · the largest one); by default rtol is max(m, n) · ε.

    `tol` is PyTorch's older name of `atol`. With `hermitian` the matrices are symmetric, and one triangle is read.
    """
    shape = square("matrix_rank", A) if hermitian else _matrices("matrix_rank", A)
    values = unwrap(A)
    s = np.abs(np.linalg.eigvalsh(values)) if hermitian else np.linalg.svd(values, compute_uv=False)
    absolute = _bound(s, shape, tol, 0.0) if tol is not None else _bound(s, shape, atol, rtol)
    return like((s > absolute).sum(-1), A)


# --- eigenvalues --------------------------------------------------------------------------------------


def _eigh_shapes(n: int) -> list[Shape]:
    return [(n,), (n, n)]


def _eigh_vjp(g: Array, y: Array, x: Array, lower: bool) -> tuple[Array]:
    values, v = _parts(y, _eigh_shapes(x.shape[-1]))
    gvalues, gv = _parts(g, _eigh_shapes(x.shape[-1]))
    inner = np.matmul(_t(v), gv)
    inner = _over(0.5 * (inner - _t(inner)), _gaps(values))
    return (np.matmul(np.matmul(v, inner + _diagonal(gvalues)), _t(v)),)


eigh_op = General(
    "eigh", lambda x, lower: _packed(np.linalg.eigh(x, "L" if lower else "U"), x.ndim - 2), vjp=_eigh_vjp,
    formula="x = V · diag(λ) · Vᵀ", local=("changes of λ and V",), symmetric=True,
)  # fmt: skip
eigvalsh_op = General(
    "eigvalsh", lambda x, lower: np.linalg.eigvalsh(x, "L" if lower else "U"),
    vjp=lambda g, _y, x, lower: (_eigvalsh_pull(g, np.linalg.eigh(x, "L" if lower else "U")[1]),),
    formula="eigenvalues of the symmetric x", local=("v vᵀ",), symmetric=True,
)  # fmt: skip


def _eigvalsh_pull(g: Array, v: Array) -> Array:
    return np.matmul(v * np.reshape(g, (*g.shape[:-1], 1, g.shape[-1])), _t(v))


def eigh(A: Array, UPLO: str = "L") -> Eigh:
    """Eigenvalues in rising order and eigenvectors (columns) of symmetric matrices, of which one triangle is read."""
    n = square("eigh", A)[-1]
    return Eigh(*_parts(eigh_op(A, lower=_lower("eigh", UPLO)), _eigh_shapes(n)))


def eigvalsh(A: ArrayT, UPLO: str = "L") -> ArrayT:
    """The eigenvalues of `eigh`."""
    square("eigvalsh", A)
    return eigvalsh_op(A, lower=_lower("eigvalsh", UPLO))


def _lower(name: str, uplo: str) -> bool:
    if uplo not in ("L", "U"):
        raise ValueError(f"{name} expected UPLO 'L' or 'U', got {uplo!r}")
    return uplo == "L"


# --- triangles ----------------------------------------------------------------------------------------


def _qr_shapes(m: int, n: int) -> list[Shape]:
    k = min(m, n)
    return [(m, k), (k, n)]


def _qr_vjp(g: Array, y: Array, x: Array) -> tuple[Array]:
    m, n = x.shape[-2:]
    q, r = _parts(y, _qr_shapes(m, n))
    gq, gr = _parts(g, _qr_shapes(m, n))
    if m >= n:
        return (_qr_pull(q, r, gq, gr),)
    # The first m columns have the decomposition q · r[:, :m]; the others are qᵀ · x.
    found = _qr_pull(q, r[..., :m], gq + np.matmul(x[..., m:], _t(gr[..., m:])), gr[..., :m])
    return (np.concatenate([found, np.matmul(q, gr[..., m:])], axis=-1),)


def _qr_pull(q: Array, r: Array, gq: Array, gr: Array) -> Array:
    inner = np.triu(np.matmul(gr, _t(r)) - np.matmul(_t(q), gq))
    k = inner.shape[-1]
    symmetric = (inner + _t(inner)) * (1 - 0.5 * np.eye(k, dtype=unwrap(inner).dtype))
    return _t(np.linalg.solve(r, _t(gq + np.matmul(q, symmetric))))


qr_op = General(
    "qr", lambda x: _packed(np.linalg.qr(x), x.ndim - 2), vjp=_qr_vjp,
    formula="x = Q · R", local=("changes of Q and R",),
)  # fmt: skip


def linalg_qr(A: Array, mode: str = "reduced") -> QR:
    """A = Q · R, Q with orthonormal columns, R upper triangular.

    `mode` is 'reduced', 'complete' (Q square; no gradients where A has more rows than columns) or 'r' (R alone, without
    gradients). Raises ValueError for another mode, RuntimeError for gradients that are not defined.
    """
    m, n = _matrices("qr", A)[-2:]
    if mode == "reduced" or mode == "complete" and m <= n:
        return QR(*_parts(qr_op(A), _qr_shapes(m, n)))
    if mode not in ("complete", "r"):
        raise ValueError(f"qr expected mode 'reduced', 'complete' or 'r', got {mode!r}")
    if getattr(A, "requires_grad", False) and is_grad_enabled():
        raise RuntimeError(f"qr expected mode='reduced' for gradients, got {mode!r} for matrices of shape ({m}, {n})")
    if mode == "r":
        return QR(like(np.zeros(0, unwrap(A).dtype), A), like(np.linalg.qr(unwrap(A), "r"), A))
    return QR(*(like(part, A) for part in np.linalg.qr(unwrap(A), "complete")))


@public(method=True)
def qr(input: Array, some: bool = True) -> QR:
    """PyTorch's older form: reduced unless ``some=False``."""
    return linalg_qr(input, "reduced" if some else "complete")


def _cholesky_vjp(g: Array, y: Array, _x: Array) -> tuple[Array]:
    inverse = np.linalg.inv(y)
    inner = np.tril(np.matmul(_t(y), g))
    symmetric = 0.5 * (inner + _t(np.tril(inner, -1)))
    return (np.matmul(np.matmul(_t(inverse), symmetric), inverse),)


cholesky_op = General(
    "cholesky", np.linalg.cholesky, vjp=_cholesky_vjp,
    formula="x = L · Lᵀ", local=("changes of L",), symmetric=True,
)  # fmt: skip


def linalg_cholesky(A: ArrayT, *, upper: bool = False) -> ArrayT:
    """The lower triangle L with A = L · Lᵀ of symmetric positive definite matrices; its transpose with `upper`.

    Raises RuntimeError for matrices that are not positive definite.
    """
    square("cholesky", A)
    try:
        lower = cholesky_op(A)
    except np.linalg.LinAlgError as error:
        raise RuntimeError("cholesky expected positive definite matrices (…, n, n)") from error
    return _t(lower) if upper else lower


@public(method=True)
def cholesky(input: ArrayT, upper: bool = False) -> ArrayT:
    """PyTorch's older name of `linalg.cholesky`."""
    return linalg_cholesky(input, upper=upper)


# --- inverses -----------------------------------------------------------------------------------------


def _pinv(x: np.ndarray, atol: Operand | None, rtol: Operand | None, hermitian: bool) -> Array:
    if hermitian:
        values, v = np.linalg.eigh(x)
        u, vh = v, _t(v)
    else:
        u, values, vh = np.linalg.svd(x, full_matrices=False)
    sizes = np.abs(values)
    kept = sizes > _bound(sizes, x.shape, atol, rtol)
    inverse = np.where(kept, 1 / np.where(kept, values, 1), 0).astype(x.dtype, copy=False)
    return np.matmul(_t(vh) * inverse[..., None, :], _t(u))


def _pinv_vjp(g: Array, y: Array, x: Array, **_: object) -> tuple[Array]:
    gt, yt = _t(g), _t(y)
    if x.shape[-2] <= x.shape[-1]:
        k = np.matmul(gt, y)
        kyt = np.matmul(k, yt)
        rest = kyt - np.matmul(np.matmul(x, y), kyt) + np.matmul(np.matmul(yt, y), gt - np.matmul(k, x))
        return (rest - _t(np.matmul(y, k)),)
    k = np.matmul(y, gt)
    ytk = np.matmul(yt, k)
    rest = np.matmul(np.matmul(gt - np.matmul(x, k), y), yt) + ytk - np.matmul(np.matmul(ytk, y), x)
    return (rest - _t(np.matmul(k, y)),)


pinv_op = General(
    "pinv", _pinv, vjp=_pinv_vjp,
    formula="x⁺", local=("changes of x⁺",),
)  # fmt: skip


def pinv(
    A: ArrayT, rcond: Operand | None = None, hermitian: bool = False, *, atol: Operand | None = None,
    rtol: Operand | None = None,
) -> ArrayT:  # fmt: skip
    """The pseudo-inverses (…, n, m).

    Singular values up to max(atol, rtol · the largest one) count as 0; by default rtol is max(m, n) · ε. `rcond` is
    PyTorch's older name of `rtol`. With `hermitian` the matrices are symmetric, and one triangle is read. The gradient
    assumes that small changes leave the rank as it is (Golub & Pereyra 1973).
    """
    if hermitian:
        square("pinv", A)
    else:
        _matrices("pinv", A)
    return pinv_op(A, atol=atol, rtol=rtol if rcond is None else rcond, hermitian=bool(hermitian))


@public(method=True)
def pinverse(input: ArrayT, rcond: float = 1e-15) -> ArrayT:
    """PyTorch's older name of `linalg.pinv`."""
    return pinv(input, rtol=rcond)


DRIVERS = ("gelsy", "gels", "gelsd", "gelss")


def lstsq(A: Array, B: Array, rcond: float | None = None, *, driver: str | None = None) -> LeastSquares:
    """The X of least ‖A · X − B‖ for matrices A (…, m, n) and B (…, m, k), or vectors B (…, m): A⁺ · B.

    `driver` names LAPACK's routine in PyTorch. Here all of them compute the same X, and `driver` chooses which of the
    other results are filled, as it does there: the residuals (…, k), where m > n and the rank is n ('gels', 'gelsd',
    'gelss'), the rank (all but 'gels'), and the singular values ('gelsd', 'gelss'). The others are empty.
    """
    m, n = _matrices("lstsq", A)[-2:]
    driver = driver or DRIVERS[0]
    if driver not in DRIVERS:
        raise ValueError(f"lstsq expected a driver of {DRIVERS}, got {driver!r}")
    batch = tuple(np.shape(unwrap(A)))[:-1]
    vector = tuple(np.shape(unwrap(B))) == batch
    right = reshape(B, (*np.shape(unwrap(B)), 1)) if vector else B
    if np.ndim(unwrap(right)) < 2 or np.shape(unwrap(right))[-2] != m:
        raise ShapeError(f"lstsq expected a right side (…, {m}, k) or {batch}, got {np.shape(unwrap(B))}")
    solution = matmul(pinv(A, rtol=rcond), right)
    rank = matrix_rank(A, rtol=rcond)
    empty = like(np.zeros(0, unwrap(A).dtype), A)
    residuals = empty
    if m > n and driver != "gelsy" and bool(np.all(unwrap(rank) == n)):
        away = matmul(A, solution) - right
        residuals = sum(away * away, -2)
    return LeastSquares(
        reshape(solution, tuple(np.shape(unwrap(solution)))[:-1]) if vector else solution,
        residuals,
        like(np.zeros(0, np.int64), A) if driver == "gels" else rank,
        like(np.linalg.svd(unwrap(A), compute_uv=False), A) if driver in ("gelsd", "gelss") else empty,
    )


implements(np.linalg.svd)(
    lambda a, full_matrices=True, compute_uv=True, hermitian=False: (
        tuple(linalg_svd(a, full_matrices)) if compute_uv else svdvals(a)
    )
)
implements(np.linalg.eigh)(lambda a, UPLO="L": tuple(eigh(a, UPLO)))
implements(np.linalg.eigvalsh)(eigvalsh)
implements(np.linalg.qr)(lambda a, mode="reduced": tuple(linalg_qr(a, mode)))
implements(np.linalg.cholesky)(lambda a, upper=False: linalg_cholesky(a, upper=upper))
implements(np.linalg.pinv)(lambda a, rcond=None, hermitian=False: pinv(a, rcond, hermitian))
implements(np.linalg.matrix_rank)(lambda A, tol=None, hermitian=False: matrix_rank(A, tol, hermitian))
