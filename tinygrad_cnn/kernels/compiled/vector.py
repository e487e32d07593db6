"""Vectors of 16 floats for Numba, and the register tile on which every convolution here is built.

Numba's own loops leave the choice of vector code to LLVM; these few functions state it. They take raw
addresses (integers, in bytes), so that one compiled specialisation serves every memory layout. Used by
`direct` and `winograd`.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

import operator
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic, models, overload, register_model

LANES = 16
_F32, _I64 = ir.FloatType(), ir.IntType(64)
_VEC = ir.VectorType(_F32, LANES)
# 32 registers of 16 floats hold a tile of 12 x 2; elsewhere a vector takes several registers and the tile is
# smaller.
WIDE = bool(binding.get_host_cpu_features().get("avx512f"))
# Newer LLVMs know pointers without a type, and name intrinsics after that.
OPAQUE = binding.llvm_version_info[0] >= 17
ROWS, VECTORS = (12, 2) if WIDE else (6, 1)
PANEL = LANES * VECTORS


class Vector(types.Type):
    """16 float32, held in a register."""

    def __init__(self) -> None:
        super().__init__(name="Float32x16")


vector = Vector()


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VEC)


@intrinsic
def load(context, address):
    """The 16 floats at `address`."""

    def generate(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], _VEC.as_pointer()), align=4)

    return vector(types.int64), generate


@intrinsic
def prefetch(context, address):
    """Asks for the cache line at `address`, which need not exist."""

    def generate(context, builder, signature, args):
        _prefetch(builder, args[0], 0)
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def store(context, address, value):
    """Writes 16 floats to `address`."""

    def generate(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], _VEC.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, vector), generate


@intrinsic
def splat(context, value):
    """One number in all 16 places."""

    def generate(context, builder, signature, args):
        return _splat(builder, builder.fptrunc(args[0], _F32) if args[0].type != _F32 else args[0])

    return vector(value), generate


@intrinsic
def load_float(context, address):
    """The one float at `address`."""

    def generate(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], _F32.as_pointer()), align=4)

    return types.float32(types.int64), generate


def _pointer(kind: Any, bits: Any) -> Any:
    @intrinsic
    def pointer(context, address):
        def generate(context, builder, signature, args):
            return builder.inttoptr(args[0], bits.as_pointer())

        return types.CPointer(kind)(types.int64), generate

    return pointer


# An address as a pointer, for `numba.carray`, where a plain loop over raw memory is all that is needed.
floats = _pointer(types.float32, _F32)
doubles = _pointer(types.float64, ir.DoubleType())
integers = _pointer(types.int64, _I64)
short_integers = _pointer(types.int32, ir.IntType(32))


@intrinsic
def load_integer(context, address):
    """The 64-bit integer at `address`: an entry of a table of offsets."""

    def generate(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], _I64.as_pointer()), align=8)

    return types.int64(types.int64), generate


@intrinsic
def store_integer(context, address, value):
    """Writes one 64-bit integer to `address`."""

    def generate(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], _I64.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def store_float(context, address, value):
    """Writes one float to `address`."""

    def generate(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], _F32.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.float32), generate


@intrinsic
def fma(context, a, b, c):
    """a * b + c."""

    def generate(context, builder, signature, args):
        return _fma(builder, *args)

    return vector(vector, vector, vector), generate


@intrinsic
def transpose(context, source, source_step, target, target_step):
    """Writes 16 vectors, `source_step` bytes apart, as the columns of 16 vectors `target_step` bytes apart."""

    def generate(context, builder, signature, args):
        source, source_step, target, target_step = args
        rows = []
        for i in range(LANES):
            at = builder.add(source, builder.mul(source_step, _I64(i)))
            rows.append(builder.load(builder.inttoptr(at, _VEC.as_pointer()), align=4))
        distance = LANES // 2
        while distance:  # off-diagonal blocks change places, halves first
            low = [j - distance + LANES if j & distance else j for j in range(LANES)]
            high = [j + LANES if j & distance else j + distance for j in range(LANES)]
            low, high = (ir.Constant(ir.VectorType(ir.IntType(32), LANES), mask) for mask in (low, high))
            for i in range(LANES):
                if not i & distance:
                    a, b = rows[i], rows[i + distance]
                    rows[i], rows[i + distance] = (builder.shuffle_vector(a, b, mask) for mask in (low, high))
            distance //= 2
        for i in range(LANES):
            at = builder.add(target, builder.mul(target_step, _I64(i)))
            builder.store(rows[i], builder.inttoptr(at, _VEC.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 4), generate


def _binary(name: str) -> Any:
    @intrinsic
    def apply(context, a, b):
        def generate(context, builder, signature, args):
            return getattr(builder, name)(*args)

        return vector(vector, vector), generate

    return apply


_add, _sub, _mul = _binary("fadd"), _binary("fsub"), _binary("fmul")


@overload(operator.add)
def _overload_add(a, b):
    return (lambda a, b: _add(a, b)) if a is vector and b is vector else None


@overload(operator.sub)
def _overload_sub(a, b):
    return (lambda a, b: _sub(a, b)) if a is vector and b is vector else None


@overload(operator.mul)
def _overload_mul(a, b):
    if a is vector and b is vector:
        return lambda a, b: _mul(a, b)
    if a is vector and isinstance(b, types.Float):
        return lambda a, b: _mul(a, splat(b))
    return None


@intrinsic(prefer_literal=True)
def tile(context, rows, vectors, a, row_a, step_a, offsets, segments, count, b, step_b, c, row_c, add):
    """A tile of `rows` x 16 * `vectors` sums, kept in registers from the first product to the last:

        c[i, j] (+)= sum over s < segments, k < count of a[offsets[s] + i * row_a + k * step_a] * b[..., j]

    b goes on by step_b with every product, through all segments. a, b, c and offsets are addresses; every
    step is in bytes; `rows`, `vectors` are literals; `row_a` may be one, which saves address arithmetic.
    `add` adds to c.
    """
    fixed = isinstance(row_a, types.IntegerLiteral)
    signature = types.void(
        rows, vectors, types.int64, row_a if fixed else types.int64, *(types.int64,) * 8, types.boolean
    )
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(vectors, types.IntegerLiteral)):
        return None
    n, m = rows.literal_value, vectors.literal_value

    def generate(context, builder, signature, args):
        _, _, a, row_a_, step_a, offsets, segments, count, b, step_b, c, row_c, add = args
        if fixed:
            row_a_ = _I64(row_a.literal_value)
        _emit_tile(builder, n, m, a, row_a_, step_a, offsets, segments, count, b, step_b, c, row_c, add)
        return context.get_dummy_value()

    return signature, generate


def _emit_tile(builder, n, m, a, row_a, step_a, offsets, segments, count, b, step_b, c, row_c, add) -> None:
    zero, one = _I64(0), _I64(1)
    entry = builder.block
    outer, inner, inner_end, end = (
        builder.append_basic_block(x) for x in ("segment", "product", "next", "done")
    )
    rows_at = [builder.mul(row_a, _I64(i)) for i in range(n)]
    builder.branch(outer)

    builder.position_at_end(outer)
    s, b_s = builder.phi(_I64), builder.phi(_I64)
    sums_s = [builder.phi(_VEC) for _ in range(n * m)]
    for phi, start in ((s, zero), (b_s, b), *((x, ir.Constant(_VEC, [0.0] * LANES)) for x in sums_s)):
        phi.add_incoming(start, entry)
    a_s = builder.add(a, builder.load(builder.inttoptr(_offset(builder, offsets, s), _I64.as_pointer())))
    builder.branch(inner)

    builder.position_at_end(inner)
    k, a_k, b_k = (builder.phi(_I64) for _ in range(3))
    sums = [builder.phi(_VEC) for _ in range(n * m)]
    for phi, start in ((k, zero), (a_k, a_s), (b_k, b_s), *zip(sums, sums_s, strict=True)):
        phi.add_incoming(start, outer)
    right = [
        builder.load(builder.inttoptr(builder.add(b_k, _I64(j * LANES * 4)), _VEC.as_pointer()), align=4)
        for j in range(m)
    ]
    new = []
    for i in range(n):
        left = builder.load(builder.inttoptr(builder.add(a_k, rows_at[i]), _F32.as_pointer()), align=4)
        left = _splat(builder, left)
        new += [_fma(builder, left, right[j], sums[i * m + j]) for j in range(m)]
    k_next, a_next, b_next = builder.add(k, one), builder.add(a_k, step_a), builder.add(b_k, step_b)
    for phi, value in ((k, k_next), (a_k, a_next), (b_k, b_next), *zip(sums, new, strict=True)):
        phi.add_incoming(value, inner)
    builder.cbranch(builder.icmp_signed("<", k_next, count), inner, inner_end)

    builder.position_at_end(inner_end)
    s_next = builder.add(s, one)
    for phi, value in ((s, s_next), (b_s, b_next), *zip(sums_s, new, strict=True)):
        phi.add_incoming(value, inner_end)
    builder.cbranch(builder.icmp_signed("<", s_next, segments), outer, end)

    builder.position_at_end(end)
    fresh, adding, after = (builder.append_basic_block(x) for x in ("fresh", "adding", "after"))
    builder.cbranch(add, adding, fresh)
    for block, old in ((fresh, False), (adding, True)):
        builder.position_at_end(block)
        for i in range(n):
            at = builder.add(c, builder.mul(row_c, _I64(i)))
            for j in range(m):
                where = builder.inttoptr(builder.add(at, _I64(j * LANES * 4)), _VEC.as_pointer())
                value = new[i * m + j]
                if old:
                    value = builder.fadd(value, builder.load(where, align=4))
                builder.store(value, where, align=4)
        builder.branch(after)
    builder.position_at_end(after)


def _prefetch(builder, address, write) -> None:
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    name = "llvm.prefetch.p0" if OPAQUE else "llvm.prefetch.p0i8"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), [byte, word, word, word]), name)
    builder.call(function, [builder.inttoptr(address, byte), word(write), word(3), word(1)])


def _offset(builder, base, index):
    return builder.add(base, builder.mul(index, _I64(8)))


def _splat(builder, value):
    one = builder.insert_element(ir.Constant(_VEC, ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(
        one, ir.Constant(_VEC, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    )


def _fma(builder, a, b, c):
    name = f"llvm.fma.v{LANES}f32"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(_VEC, [_VEC] * 3), name)
    return builder.call(function, [a, b, c])
