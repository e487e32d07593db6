"""The tuned backward pass.

Equals `BackwardPass.run`, node for node and bit for bit; held equal by tests/autograd/test_fast.py. What it saves:

* the calls: for most nodes, `visit` and `pull_all` are unrolled, and each op's pull-backs are chosen once;
* memory: sums go on in place in arrays that the pass made itself, a lazy gradient may pass through a node without
  being laid out, and a leaf takes over an array that nobody else holds as its `.grad`;
* the look at the versions of saved values, where nothing at all was changed in place since the graph was recorded.

What is rare (hooks, wanted inputs, retained gradients) is done by `visit` itself.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import versions
from tinygrad_cnn.autograd.annotations import AnyFunction, Array, Params, Saved
from tinygrad_cnn.autograd.backward_pass import BackwardPass
from tinygrad_cnn.autograd.broadcast import unbroadcast
from tinygrad_cnn.autograd.elementwise import Elementwise
from tinygrad_cnn.autograd.fast.lazy import Lazy
from tinygrad_cnn.autograd.graph import RELEASED, Node
from tinygrad_cnn.autograd.handle import wrap
from tinygrad_cnn.autograd.primitive import Op
from tinygrad_cnn.autograd.saved import check_versions, release, saved_values
from tinygrad_cnn.autograd.state import state

ndarray = np.ndarray


def run(work: BackwardPass) -> None:
    """Exhaust the pass."""
    if work.keep or state.now.on_visit is not None:
        work.run()  # a pass that is recorded, stepped or observed does each step as it is defined
        return
    order, grads, needed, captured = work.order, work.grads, work.needed, work.captured
    pop, add, releases = grads.pop, np.add, not work.retain_graph
    owned: set[int] = set()  # whose gradient so far is an array that this pass made
    # Leaves save nothing; anything changed before the oldest of the others was recorded is no concern.
    oldest = next((node.seq for node in reversed(order) if node.parents), None)
    suspicious = oldest is not None and versions.any_change_since(oldest)
    g: Any = None
    saved: Any
    d: Any
    try:
        for position in range(work.position, len(order)):
            node = order[position]
            work.position = position + 1
            g = pop(node.seq, None)
            if g is None:
                continue
            extra, parents = node.extra, node.parents
            if type(g) is not ndarray:
                if isinstance(g, Lazy) and extra is None and (captured is None or node.seq not in captured):
                    d = g.through(node)
                    if d is not None:
                        _receive(grads, owned, parents[0], d)  # type: ignore[arg-type]  # its only input is live
                        if releases:
                            release(node)
                        continue
                if isinstance(g, Lazy):
                    owned.add(node.seq)
                g = np.asarray(g)
            if (
                extra is not None
                and (extra.hooks is not None or parents)
                or captured is not None
                and node.seq in captured
            ):
                work.visit(node, g)
                continue
            if not parents:
                if work.accumulate:
                    # Taken over as it is when nobody else holds the array (or what it is a view of).
                    alone = node.seq in owned or (
                        sys.getrefcount(g) <= _ALONE and (g.base is None or sys.getrefcount(g.base) <= _ALONE)
                    )
                    tensor = node.tensor
                    if tensor is not None and tensor._grad is None and alone and g.flags.writeable:
                        tensor._grad = wrap(g)
                    else:
                        work.write_grad(node, g)
                continue
            saved = node.saved
            if type(saved) is not tuple:
                saved = saved_values(node)
            if suspicious:
                check_versions(node, saved)
            op = node.op
            pullers = op.pullers
            if pullers is None:
                pullers = op.pullers = _pullers(op)
            if pullers:
                params = node.params
                i = -1
                for parent in parents:
                    i += 1
                    if parent is None or needed is not None and parent.seq not in needed:
                        continue
                    d = pullers[i](g, saved, params)
                    if d.shape != parent.shape:
                        d = unbroadcast(d, parent.shape)
                    seq = parent.seq
                    if seq not in grads and d.dtype is parent.dtype:
                        grads[seq] = d
                    elif seq in owned and type(d) is ndarray and d.dtype is parent.dtype and _alike(grads[seq], d):
                        total = grads[seq]
                        add(total, d, total)
                        total = None
                    else:
                        _receive(grads, owned, parent, d)
            elif type(op).pull_all is Op.pull_all:
                i = -1
                for parent in parents:
                    i += 1
                    if parent is not None and (needed is None or parent.seq in needed):
                        d = op.pull(i, g, node, saved)
                        if parent.seq not in grads and d.dtype is parent.dtype:
                            grads[parent.seq] = d
                        else:
                            _receive(grads, owned, parent, d)
            else:
                downstream = op.pull_all(g, node, saved)
                for parent, d in zip(parents, downstream):
                    if d is not None and parent is not None and (needed is None or parent.seq in needed):
                        _receive(grads, owned, parent, d)
                downstream = None
            if releases:
                node.saved = RELEASED
                if op.choice:
                    release(node)
            saved = d = None  # hold nothing: a leaf may take over an array that nobody else holds
    except BaseException as error:
        work.failed(node, g, error)
        raise


def _receive(grads: dict[int, Any], owned: set[int], node: Node, d: Any) -> None:
    """`BackwardPass.receive`, in place where the sum so far is the pass's own."""
    if d.dtype is not node.dtype and d.dtype != node.dtype:
        d = d.astype(node.dtype)
    seq = node.seq
    total = grads.get(seq)
    if total is None:
        grads[seq] = d
    elif seq in owned and isinstance(d, Lazy):
        d.add_to(total)
    elif seq in owned and type(d) is ndarray and _alike(total, d):
        np.add(total, d, out=total)
    else:
        grads[seq] = total = total + d
        if type(total) is ndarray:  # not one of the scalars that 0-d sums give
            owned.add(seq)


def _alike(total: ndarray, d: ndarray) -> bool:
    """Whether a new array for the sum would be laid out as `total` is."""
    return total.flags.c_contiguous or total.strides == d.strides


def _pullers(op: Any) -> tuple[Callable[..., Any], ...]:
    """Per input, (g, saved, params) -> g · ∂y/∂xᵢ before broadcasting is undone; none for the other kinds."""
    if not isinstance(op, Elementwise):
        return ()
    return tuple(map(_puller, op.rules, op.constants, op.fused, [len(op.rules)] * len(op.rules)))


def _puller(
    rule: Any, constant: float | None, fused: AnyFunction | None, inputs: int
) -> AnyFunction:
    if constant is not None:
        return (lambda g, _saved, _params: g) if constant == 1 else (lambda g, _saved, _params: g * constant)
    if fused is not None:
        return lambda g, saved, params: fused(g, *saved, **params)
    slot = _returned(rule, inputs)
    if slot is not None:
        return lambda g, saved, _params: g * saved[slot]

    def pull(g: Any, saved: Saved, params: Params) -> Array:
        return g * (rule(*saved, **params) if params else rule(*saved))

    return pull


def _returned(rule: Any, inputs: int) -> int | None:
    """Which of (y, *xs) the rule gives back as it is, as those of mul and exp do; None when it computes.

    Read from its code (``return b`` and nothing else); nothing is run. A parameter of the op is none of them.
    """
    code = getattr(rule, "__code__", None)
    if code is None or rule.__closure__ or rule.__defaults__:
        return None
    body = [i for i in dis.get_instructions(code) if i.opname not in ("RESUME", "NOP", "CACHE")]
    if len(body) != 2 or not body[0].opname.startswith("LOAD_FAST") or body[1].opname != "RETURN_VALUE":
        return None
    slot = code.co_varnames.index(body[0].argval)
    return slot if slot < min(code.co_argcount, inputs + 1) else None


def _refcount_when_alone() -> int:
    g = np.empty(1)
    return sys.getrefcount(g)


#: What `sys.getrefcount(local)` gives when nothing else holds the array (it differs between Pythons).
_ALONE = _refcount_when_alone()
