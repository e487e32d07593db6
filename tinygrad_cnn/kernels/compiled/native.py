"""Shards without Python in between: worker threads that wait inside compiled code and take work by address.

Waking a thread through Python costs some 60 microseconds (the lock, then the interpreter's own lock), more
than a whole ReLU. A worker of this pool therefore stays in a compiled loop that looks at its *box* for a
while after each job (SPIN), and only then goes to sleep in Python. A job is the address of a compiled
function of (table, first, last).

A shard belongs to whoever takes it first: a caller that is through with its own does those that no worker has begun,
so a worker that is still asleep, or has lost its core to another program, is never waited for.

Boxes are eight 64-bit words: posted, done, function, table, first, last, asleep, taken; the second and the last follow
the first, a number that counts the jobs. The box behind the workers' is the pool's own: its first word says whether a
job is under way.

A job is posted, shared and waited for inside one compiled call, so that an exception which Python raises between two
lines (Ctrl-C) never leaves workers with the addresses of arrays that are gone.
"""

# Compiled functions get their types from Numba.
# mypy: allow-untyped-defs

from __future__ import annotations

import ctypes
import os
import struct
import sys
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.callconv import RETCODE_NONE, RETCODE_OK
from numba.extending import intrinsic

from .. import threads
from ..layout import Array
from . import jit

# A worker polls its mailbox LOOKS times, then yields; after SPIN yields (about 2 ms) it sleeps. That outlasts a small
# network's step, and waking a worker costs more than the largest kernel of such a step.
SPIN, LOOKS = 3_000, 100
WORDS = 8
POSTED, DONE, FUNCTION, TABLE, FIRST, LAST, ASLEEP, TAKEN = range(0, 8 * WORDS, 8)
SIGNATURE = types.void(types.int64, types.int64, types.int64)
_I64 = ir.IntType(64)


class Task:
    """A compiled function (table, first, last) that does units [first, last) of a job described by a table
    of 64-bit words: addresses of arrays and their sizes. `run` cuts a job into shards."""

    def __init__(self, function: Callable[[Any, Any, Any], None]) -> None:
        self.compiled = jit.njit(nogil=True, cache=True, error_model="numpy")(function)
        self.__doc__ = function.__doc__
        self._address = 0

    @property
    def address(self) -> int:
        """Where the machine code lies; compiles, or loads from the cache, at first use."""
        if not self._address:
            self.compiled.compile(SIGNATURE)
            result = self.compiled.overloads[SIGNATURE.args]
            self._address = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
        return self._address

    def run(self, entries: tuple[int, ...], total: int, grain: int = 1) -> int:
        """Does all units [0, total) in at most one shard per thread of at least `grain`; returns the number
        of shards. Raises MemoryError where a shard did not get the memory it works in."""
        # Before the table is a word that a shard sets when it fails. Alive to the end: the task knows the table by
        # address only.
        table = _packed(len(entries) + 1).pack(0, *entries)
        at = _bytes_address(table) + 8
        pieces = min(threads.get_num_threads(), total // grain)
        if pieces > 1:
            pool = _pool_of(pieces - 1)
            wake(pool, pieces - 1)
            done = share(address(pool.boxes), len(pool.bells), pieces, self.address, at, total, _give_way)
        else:
            done = alone(self.address, at, total)
        if not done:
            raise MemoryError("a compiled kernel did not get the memory it works in: its arrays, padded, are too large")
        return done


def _find_give_way() -> int:
    """The address of the system's sched_yield: a spinning thread must let the one it waits for onto its
    core."""
    try:
        function = ctypes.CDLL(None).sched_yield
    except (AttributeError, OSError, TypeError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def address(x: Array) -> int:
    """Where the first number of x lies."""
    return _word(id(x) + _HEAD).value


def _bytes_address(b: bytes) -> int:
    """Where the first byte of b lies."""
    return id(b) + _BYTES_HEAD


# Asking NumPy for an address builds an object in Python, which costs more than a small kernel. In CPython an array's
# struct has the pointer right behind the object's header (NumPy documents it as PyArrayObject), and a bytes object
# ends with its bytes and a zero. Both are tried out here; where they do not hold, the slow way is taken.
_word = ctypes.c_ssize_t.from_address
_HEAD = object.__basicsize__
_BYTES_HEAD = bytes.__basicsize__ - 1


def _try_shortcuts() -> None:
    global address, _bytes_address
    probe, text = np.arange(6.0).reshape(2, 3)[:, 1:], b"tinygrad"
    try:
        if sys.implementation.name != "cpython" or address(probe) != probe.ctypes.data:
            raise ValueError
        if ctypes.string_at(_bytes_address(text), 9) != text + b"\0":
            raise ValueError
    except ValueError:

        def address(x: Array) -> int:
            return x.ctypes.data

        def _bytes_address(b: bytes) -> int:
            return ctypes.cast(ctypes.c_char_p(b), ctypes.c_void_p).value or 0


_try_shortcuts()
@cache
def _packed(words: int) -> struct.Struct:
    return struct.Struct(f"{words}q")


class Pool:
    """Workers of this process, their boxes, and the bells that wake them. `boxes` has one more row, the pool's own."""

    def __init__(self, n: int) -> None:
        self.boxes = np.zeros((n + 1, WORDS), np.int64)
        self.asleep = np.empty(n, np.int64)
        self.bells: list[SimpleQueue[None]] = [SimpleQueue() for _ in range(n)]
        for i in range(n):
            threading.Thread(
                target=_work, args=(self.boxes, i, self.bells[i]), name=f"tinygrad_cnn-native-{i + 1}", daemon=True
            ).start()


_pool: Pool | None = None
_give_way = _find_give_way()


def _pool_of(n: int) -> Pool:
    """A pool of at least n workers; a larger one replaces a smaller one, whose workers end."""
    global _pool
    pool = _pool
    if pool is None or len(pool.bells) < n:
        former, pool = pool, Pool(n)
        _pool = pool
        if former is not None:
            retire(address(former.boxes), len(former.bells), _give_way)
            for bell in former.bells:
                bell.put(None)
    return pool


def wake(pool: Pool, n: int) -> None:
    """Ring for those of the first n workers that are asleep; they will look for a job for a while."""
    for k in range(sleepers(address(pool.boxes), n, address(pool.asleep))):
        pool.bells[pool.asleep[k]].put(None)


def _work(boxes: Array, i: int, bell: SimpleQueue[None]) -> None:
    box = address(boxes) + i * WORDS * 8
    while serve(box, SPIN, _give_way):
        bell.get()
        while not bell.empty():  # rung more than once before it woke
            bell.get()


def _after_fork_in_child() -> None:
    """A fork takes the memory along, but not the threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


# Compiled: what each side does ------------------------------------------------------------------------------


@intrinsic
def call(context, function, table, first, last):
    """Calls the compiled function at an address, by Numba's own convention; whether it came to its end. It does not
    where memory it allocates cannot be had."""

    def generate(context, builder, signature, args):
        slot = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.IntType(32), [slot.as_pointer()] * 2 + [_I64] * 3)
        slots = [cgutils.alloca_once(builder, slot) for _ in range(2)]  # for the result and the exception
        status = builder.call(builder.inttoptr(args[0], kind.as_pointer()), [*slots, *args[1:]])
        ended = [builder.icmp_signed("==", status, code) for code in (RETCODE_OK, RETCODE_NONE)]
        return builder.or_(*ended)

    return types.boolean(*(types.int64,) * 4), generate


@intrinsic
def call_plain(context, function):
    """Calls a function of the C library that takes nothing and returns an int, which is dropped."""

    def generate(context, builder, signature, args):
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), [])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def look(context, at):
    """Reads a word that another thread may write, in one order for all threads."""

    def generate(context, builder, signature, args):
        return builder.load_atomic(builder.inttoptr(args[0], _I64.as_pointer()), "seq_cst", 8)

    return types.int64(types.int64), generate


@intrinsic
def tell(context, at, value):
    """Writes a word for another thread; all it wrote before is visible to whoever sees the word."""

    def generate(context, builder, signature, args):
        builder.store_atomic(args[1], builder.inttoptr(args[0], _I64.as_pointer()), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def take(context, at, number):
    """Whether the word was number - 1 and has been made `number`, which only one of several threads can do."""

    def generate(context, builder, signature, args):
        before = builder.sub(args[1], _I64(1))
        word = builder.inttoptr(args[0], _I64.as_pointer())
        return builder.extract_value(builder.cmpxchg(word, before, args[1], "seq_cst", "seq_cst"), 1)

    return types.boolean(types.int64, types.int64), generate


@njit("void(int64, int64, int64, int64)", nogil=True, cache=True)
def do(function, table, first, last):
    """A shard. The word before the table tells when one has failed."""
    if not call(function, table, first, last):
        tell(table - 8, 1)


@njit("int64(int64, int64, int64)", nogil=True, cache=True)
def alone(function, table, total):
    """All of a job in this thread; 1, or 0 where it failed."""
    return 1 if call(function, table, 0, total) else 0


@njit("int64(int64, int64, int64)", nogil=True, cache=True)
def sleepers(boxes, workers, found):
    """Writes the numbers of the workers that are asleep to `found`; returns how many there are."""
    count = 0
    for i in range(workers):
        if look(boxes + i * WORDS * 8 + ASLEEP):
            tell(found + 8 * count, i)
            count += 1
    return count


@njit("void(int64, int64, int64, int64, int64)", nogil=True, cache=True)
def post(boxes, pieces, function, table, total):
    """Puts a shard in each worker's box."""
    for i in range(1, pieces):
        box = boxes + (i - 1) * WORDS * 8
        tell(box + FUNCTION, function)
        tell(box + TABLE, table)
        tell(box + FIRST, total * i // pieces)
        tell(box + LAST, total * (i + 1) // pieces)
        tell(box + POSTED, look(box + POSTED) + 1)


@njit("void(int64, int64, int64)", nogil=True, cache=True)
def retire(boxes, workers, give_way):
    """Ends the workers once the pool's job is done, and lets it take no other: a function below zero is no job."""
    looks = 0
    while not take(boxes + workers * WORDS * 8, 1):
        looks += 1
        if looks % LOOKS == 0 and give_way:
            call_plain(give_way)
    for i in range(workers):
        box = boxes + i * WORDS * 8
        tell(box + FUNCTION, -1)
        tell(box + POSTED, look(box + POSTED) + 1)


@njit("void(int64, int64, int64, int64, int64, int64)", nogil=True, cache=True)
def finish(boxes, pieces, function, table, total, give_way):
    """The caller's own shard and those nobody has begun; then waits for the others."""
    do(function, table, 0, total // pieces)
    for i in range(1, pieces):
        box = boxes + (i - 1) * WORDS * 8
        posted = look(box + POSTED)
        if take(box + TAKEN, posted):
            do(function, table, total * i // pieces, total * (i + 1) // pieces)
            tell(box + DONE, posted)
    for i in range(1, pieces):
        box = boxes + (i - 1) * WORDS * 8
        posted = look(box + POSTED)
        looks = 0
        while look(box + DONE) != posted:
            looks += 1
            if looks % LOOKS == 0 and give_way:
                call_plain(give_way)


@njit("int64(int64, int64, int64, int64, int64, int64, int64)", nogil=True, cache=True)
def share(boxes, workers, pieces, function, table, total, give_way):
    """Does a job with the pool's workers, or alone where the pool has one already or has been retired; returns the
    number of pieces it was cut into, or 0 where one failed."""
    own = boxes + workers * WORDS * 8
    if not take(own, 1):  # one job at a time: whoever comes second works alone instead of waiting
        return alone(function, table, total)
    post(boxes, pieces, function, table, total)
    finish(boxes, pieces, function, table, total, give_way)
    tell(own, 0)
    return 0 if look(table - 8) else pieces


@njit("boolean(int64, int64, int64)", nogil=True, cache=True)
def serve(box, spin, give_way):
    """Does jobs as they come; True after `spin` rounds without one (then ring the bell to wake), False to
    end."""
    tell(box + ASLEEP, 0)
    left = spin * LOOKS
    while True:
        posted = look(box + POSTED)
        if posted != look(box + DONE):
            if look(box + FUNCTION) < 0:
                return False
            if take(box + TAKEN, posted):
                do(look(box + FUNCTION), look(box + TABLE), look(box + FIRST), look(box + LAST))
                tell(box + DONE, posted)
                left = spin * LOOKS
                continue
        left -= 1
        if left % LOOKS == 0 and give_way:
            call_plain(give_way)
        if left == 0:
            tell(box + ASLEEP, 1)
            # A job posted between the last look and this word is seen here, or its poster has seen the word.
            if look(box + POSTED) == look(box + DONE):
                return True
            tell(box + ASLEEP, 0)
            left = spin * LOOKS
