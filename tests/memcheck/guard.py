"""An allocator that gives every array its own pages, between two that nobody may touch.

    header | guard page | data, up to whole pages | guard page

`Guard` puts it under NumPy (NEP 49) and under the arrays that compiled code makes for itself. An array ends exactly
where the guard page behind it begins, or begins exactly where the one before it ends (`at_end`): the first byte read or
written on that side ends the process. What is left of its pages on the other side holds a pattern that is compared when
the array is freed (`damaged` counts those that differ). Fresh memory is full of that pattern, which is not a number, so
that a result nobody wrote shows, and freed memory is unmapped.

All of it is compiled: an allocator runs where no Python may run. It works on Linux, whose numbers `mmap` gets.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import carray, cfunc, njit, types
from numba.core.registry import cpu_target
from numba.core.runtime import _nrt_python, rtsys

from tinygrad_cnn.kernels.compiled.vector import _pointer, integers

PAGE = 4096
FILL = 0xFF
READ_WRITE, NOTHING, PRIVATE_ANONYMOUS = 3, 0, 0x22
# Where NumPy's table of C functions holds PyDataMem_SetHandler (numpy/__multiarray_api.h).
SET_HANDLER = 304

_word = ctypes.c_int64
_library = ctypes.CDLL(None, use_errno=False)


def _function(name: str, arguments: int, result: Any = _word) -> Any:
    function = _library[name]
    function.argtypes, function.restype = [_word] * arguments, result
    return function


_mmap, _munmap, _mprotect = _function("mmap", 6), _function("munmap", 2), _function("mprotect", 3)
_memset, _memcpy = _function("memset", 3), _function("memcpy", 3)
_bytes = _pointer(types.uint8, ir.IntType(8))

_state = np.ones(2, np.int64)  # whether arrays end at the guard page; how many were found damaged
_state[1] = 0
_STATE = _state.ctypes.data


@njit(nogil=True)
def allocate(size):
    size = max(size, 1)
    pages = (size + PAGE - 1) // PAGE
    base = _mmap(0, (pages + 3) * PAGE, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0)
    if base == -1:
        return 0
    data = base + 2 * PAGE
    _mprotect(base + PAGE, PAGE, NOTHING)
    _mprotect(data + pages * PAGE, PAGE, NOTHING)
    _memset(data, FILL, pages * PAGE)
    head = integers(base)
    head[0], head[1], head[2] = pages, size, pages * PAGE - size if integers(_STATE)[0] else 0
    return data + head[2]


@njit(nogil=True)
def release(at):
    if at == 0:
        return
    data = at // PAGE * PAGE
    base = data - 2 * PAGE
    head = integers(base)
    pages, size, before = head[0], head[1], head[2]
    whole = carray(_bytes(data), pages * PAGE)
    damaged = before != at - data
    for i in range(before):
        damaged |= whole[i] != FILL
    for i in range(before + size, pages * PAGE):
        damaged |= whole[i] != FILL
    if damaged:
        integers(_STATE)[1] += 1
    _munmap(base, (pages + 3) * PAGE)


# What NumPy calls, with a context that is not used.


@cfunc("int64(int64, int64)")
def _malloc(_context, size):
    return allocate(size)


@cfunc("int64(int64, int64, int64)")
def _calloc(_context, count, size):
    at = allocate(count * size)
    if at:
        _memset(at, 0, count * size)
    return at


@cfunc("int64(int64, int64, int64)")
def _realloc(_context, old, size):
    at = allocate(size)
    if at and old:
        _memcpy(at, old, min(size, integers(old // PAGE * PAGE - 2 * PAGE)[1]))
        release(old)
    return at


@cfunc("void(int64, int64, int64)")
def _free(_context, at, _size):
    release(at)


# What compiled code calls for `np.empty` and its like.


@cfunc("void(int64)")
def _free_compiled(at):
    release(at)


rtsys.initialize(cpu_target.target_context)
_api = ctypes.CFUNCTYPE(ctypes.POINTER(_word))(_nrt_python.c_helpers["get_api"])()
_manage = ctypes.CFUNCTYPE(_word, _word, _word)(_api[2])  # manage_memory(data, its destructor), see nrt_external.h
_FREE_COMPILED = _free_compiled.address


@cfunc("int64(int64)")
def _array(size):
    at = allocate(size)
    return _manage(at, _FREE_COMPILED) if at else 0


@cfunc("int64(int64, int32)")
def _aligned_array(size, _align):
    at = allocate(size)
    return _manage(at, _FREE_COMPILED) if at else 0


class _Handler(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("context", _word), ("malloc", _word),
        ("calloc", _word), ("realloc", _word), ("free", _word),
    ]  # fmt: skip


class Guard:
    """``with guard(at_end): ...`` guards the arrays that NumPy makes in the block, in this thread."""

    def __init__(self) -> None:
        """From here on compiled code that is loaded guards its own arrays, in and outside of such blocks."""
        for name, function in (("alloc", _array), ("alloc_safe", _array), ("alloc_aligned", _aligned_array),
                               ("alloc_safe_aligned", _aligned_array)):  # fmt: skip
            binding.add_symbol(f"NRT_MemInfo_{name}", function.address)
        functions = (_malloc, _calloc, _realloc, _free)
        self._handler = _Handler(b"guard pages", 1, 0, *(f.address for f in functions))
        api = ctypes.pythonapi
        api.PyCapsule_New.restype = ctypes.py_object
        api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        api.PyCapsule_GetPointer.restype = ctypes.POINTER(ctypes.c_void_p)
        api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
        self._capsule = api.PyCapsule_New(ctypes.addressof(self._handler), b"mem_handler", None)
        table = api.PyCapsule_GetPointer(np._core._multiarray_umath._ARRAY_API, None)
        self._set = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[SET_HANDLER])
        self._former: Any = None

    def __call__(self, at_end: bool) -> Guard:
        _state[0] = at_end
        return self

    def __enter__(self) -> None:
        self._former = self._set(self._capsule)

    def __exit__(self, *_exc: object) -> None:
        self._set(self._former)

    @property
    def damaged(self) -> int:
        """Arrays so far whose surroundings had been written to when they were freed."""
        return int(_state[1])
