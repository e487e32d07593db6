"""Calls of elementwise ops, unrolled: the hot path of small tensors.

Equals `Op.__call__`: the same value, the same node. Held equal by tests/autograd/test_fast.py.
"""

from __future__ import annotations

from sys import _getframe
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import handle
from tinygrad_cnn.autograd.annotations import AnyFunction, Tensor
from tinygrad_cnn.autograd.elementwise import Elementwise
from tinygrad_cnn.autograd.graph import Node
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.autograd.operands import remember_operands
from tinygrad_cnn.autograd.primitive import NO_PARAMS
from tinygrad_cnn.autograd.provenance import KNOWN, calling_site
from tinygrad_cnn.autograd.state import state
from tinygrad_cnn.autograd.versions import tick

ndarray = np.ndarray
_new = object.__new__
_F32 = np.dtype(np.float32)
#: The code object that made the last node directly: a user's loop comes back to the same one.
_last_code: list[Any] = [None]


def method(op: Elementwise, reflected: bool = False) -> AnyFunction:
    """The op as a plain function of one or two tensors, for operators and methods."""
    if not reflected:
        return _unary(op) if len(op.rules) == 1 else _binary(op)
    return lambda b, a: op(a, b)


def _unary(op: Elementwise) -> AnyFunction:
    forward, keep = op.forward, op.keeps((True,))
    keep_y, keep_x = keep

    def method(x: Tensor) -> Any:
        now = state.now
        if now.on_record is not None or not isinstance(x, Handle):
            return op(x)
        array, parent = x.array, x.node
        out = forward(array)
        if type(out) is not ndarray:
            out = np.asarray(out)
        if out.dtype is not array.dtype:
            out = op.settled(out, (array,))
        if parent is None or not now.grad or out.dtype.kind != "f":
            return wrap(out)
        saved = (out if keep_y else None, array if keep_x else None)
        frame = _getframe(1)
        code = frame.f_code
        site = (code, frame.f_lasti) if KNOWN.get(code.co_filename) is False else calling_site()
        return wrap(out, Node(op, (parent,), NO_PARAMS, saved, out.shape, out.dtype, site, now.scope))

    return method


def _binary(op: Elementwise) -> AnyFunction:
    forward = op.forward
    keep_first, keep_second, keep_both = (op.keeps(k) for k in ((True, False), (False, True), (True, True)))

    def method(a: Any, b: Any) -> Any:
        x, first = a.array, a.node
        dtype = x.dtype
        y: Any
        if isinstance(b, Handle):
            y, second = b.array, b.node
            if y.dtype is not dtype:
                return op(a, b)  # the long way settles what NumPy and PyTorch promote differently
        elif type(b) is float or type(b) is int:
            y, second = b, None
        elif isinstance(b, (ndarray, np.generic, int, float)):
            return op(a, b)
        else:
            return NotImplemented
        now = state.now
        if now.on_record is not None:
            return op(a, b)
        try:  # without an exception it costs nothing
            out = forward(x, y)
        except ValueError as error:
            raise op.explained((x, y), error) from None
        if type(out) is not ndarray:
            out = np.asarray(out)
        if dtype is not _F32:  # float32 with itself or a number gives itself
            if out.dtype is not dtype:
                out = op.settled(out, (x, y))
                dtype = out.dtype
            if dtype.kind != "f":
                return wrap(out)
        if first is None:
            if second is None:
                return wrap(out)
            keep = keep_second
        else:
            keep = keep_first if second is None else keep_both
        if not now.grad:
            return wrap(out)
        # Slot by slot instead of Node(...) and wrap(...): a third of this function's time would be calls.
        node = _new(Node)
        node.op = op
        node.parents = (first, second)
        node.params = NO_PARAMS
        node.saved = (out if keep[0] else None, x if keep[1] else None, y if keep[2] else None)
        node.shape = out.shape
        node.dtype = dtype
        node.seq = tick()
        frame = _getframe(1)
        node.code = code = frame.f_code
        node.lasti = frame.f_lasti
        if code is not _last_code[0]:
            if KNOWN.get(code.co_filename) is False:
                _last_code[0] = code
            else:
                node.code, node.lasti = calling_site() or (None, 0)
        node.scope = now.scope
        node.extra = None
        if keep is not keep_both and y is not b:
            remember_operands(node, (x, y))
        result: Any = _new(handle._tensor_type)
        result.array = out
        result.node = node
        result._grad = result.name = None
        return result

    return method
