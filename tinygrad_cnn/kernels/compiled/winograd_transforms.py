"""Winograd's transforms in one dimension, for tiles of 4 and of 6, and the compiled form that applies one along both
axes of a tile.

    Y = A^T [ (G w G^T) * (B^T d B) ] A

`data` is B^T, `kernel` is G and `result` is A^T, written on any values that can be added and scaled: NumPy arrays, or
vectors of the code that `transform` emits. The points are 0, 1, -1, infinity (tiles of 4), and 2, -2 besides (tiles
of 6). Scales stand in G alone, so that B and A serve every kernel size. Used by `winograd`.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .vector import LANES

DATA, KERNEL, RESULT = range(3)
_VEC = ir.VectorType(ir.FloatType(), LANES)


def data(d: list[Any]) -> list[Any]:
    """B^T d: as many values as it got, 4 or 6."""
    if len(d) == 4:
        return [d[0] - d[2], d[2] + d[1], d[2] - d[1], d[3] - d[1]]
    even, odd = d[4] - d[2] * 4.0, d[3] - d[1] * 4.0
    far, near = d[4] - d[2], (d[3] - d[1]) * 2.0
    first, last = d[0] * 4.0 - d[2] * 5.0 + d[4], d[1] * 4.0 - d[3] * 5.0 + d[5]
    return [first, even + odd, even - odd, far + near, far - near, last]


def kernel(g: list[Any], size: int) -> list[Any]:
    """G g: the polynomial with coefficients g (2 to 5) at the points of tiles of `size`, scaled."""
    even, odd = sum(g[2::2], g[0]), sum(g[3::2], g[1])
    if size == 4:
        return [g[0], (even + odd) * 0.5, (even - odd) * 0.5, g[-1]]
    far, near = g[0], g[1] * 2.0
    for i in range(2, len(g)):
        if i % 2:
            near = near + g[i] * float(2**i)
        else:
            far = far + g[i] * float(2**i)
    ones, twos = -1 / 6, 1 / 24
    return [
        g[0] * 0.25, (even + odd) * ones, (even - odd) * ones, (far + near) * twos, (far - near) * twos, g[-1]
    ]  # fmt: skip


def result(m: list[Any], count: int) -> list[Any]:
    """A^T m: `count` results of 4 or 6 products."""
    sums, differences = [m[1] + m[2]], [m[1] - m[2]]
    if len(m) == 6:
        sums.append(m[3] + m[4])
        differences.append(m[3] - m[4])
    results = [sum(sums, m[0])]
    for i in range(1, count):
        parts = differences if i % 2 else sums
        results.append(parts[0] if len(parts) == 1 else parts[0] + parts[1] * float(2**i))
    results[-1] = results[-1] + m[-1]
    return results


@intrinsic(prefer_literal=True)
def transform(context, kind, count, after, source, source_row, source_step, target, target_row, target_step):
    """Reads count x count vectors, applies `kind` along both axes and writes after x after vectors.

    The first three are literals. Addresses and steps are in bytes. All is read before anything is written.
    """
    literals = (kind, count, after)
    if not all(isinstance(x, types.IntegerLiteral) for x in literals):
        return None
    chosen, n, m = (x.literal_value for x in literals)

    def apply(values):
        if chosen == DATA:
            return data(values)
        return kernel(values, m) if chosen == KERNEL else result(values, m)

    def generate(context, builder, signature, args):
        source, row, step, target, target_row, target_step = args[3:]
        columns = []
        for v in range(n):
            column = [builder.add(source, _times(builder, step, v)) for _ in range(n)]
            column = [builder.add(at, _times(builder, row, u)) for u, at in enumerate(column)]
            columns.append(apply([_Vector(builder, _load(builder, at)) for at in column]))
        rows = [apply([column[u] for column in columns]) for u in range(m)]
        for u, line in enumerate(rows):
            for v, value in enumerate(line):
                at = builder.add(target, _times(builder, target_row, u))
                at = builder.add(at, _times(builder, target_step, v))
                builder.store(value.value, builder.inttoptr(at, _VEC.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(*literals, *(types.int64,) * 6), generate


class _Vector:
    """A vector of the code being emitted, with the arithmetic that the transforms use."""

    __slots__ = ("builder", "value")

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def __add__(self, other: _Vector) -> _Vector:
        return _Vector(self.builder, self.builder.fadd(self.value, other.value))

    def __sub__(self, other: _Vector) -> _Vector:
        return _Vector(self.builder, self.builder.fsub(self.value, other.value))

    def __mul__(self, scale: float) -> _Vector:
        return _Vector(self.builder, self.builder.fmul(self.value, ir.Constant(_VEC, [scale] * LANES)))


def _load(builder, at):
    return builder.load(builder.inttoptr(at, _VEC.as_pointer()), align=4)


def _times(builder, step, i):
    return builder.mul(step, ir.IntType(64)(i))
