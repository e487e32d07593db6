"""Functions of functions: gradients, Jacobians and their products, as in ``torch.func``.

They record the function's graph once and walk it: backwards for vjp, grad and jacrev, forwards for jvp
and jacfwd. They nest, because both walks can be recorded themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import AnyFunction, Array, Shape, Tensor, Tensors
from tinygrad_cnn.autograd.gradients import gradients
from tinygrad_cnn.autograd.graph import reachable
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.autograd.higher_order import entered_at, push_forward
from tinygrad_cnn.autograd.tree import flatten
from tinygrad_cnn.autograd.versions import tick

Argnums = int | tuple[int, ...]


def grad(func: AnyFunction, argnums: Argnums = 0, has_aux: bool = False) -> AnyFunction:
    """The gradient of a scalar function, as a function of the same arguments.

    `argnums` says with respect to which positional arguments (nested structures of tensors allowed). With
    `has_aux` the function returns ``(value, aux)`` and the result is ``(gradient, aux)``.
    """
    both = grad_and_value(func, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def grad_and_value(
    func: AnyFunction, argnums: Argnums = 0, has_aux: bool = False
) -> AnyFunction:
    """Like `grad`, and the function's value beside it: ``(gradient, value)``."""

    def gradient_and_value(*args: Any, **kwargs: Any) -> Any:
        run = _Recorded(func, args, kwargs, argnums, has_aux)
        (output,) = run.single_output()
        if output.array.size != 1:
            raise RuntimeError(
                f"func.grad expected a function with a scalar result, got shape {output.array.shape}"
            )
        found = run.pull([np.ones_like(output.array)])
        value = run.result()
        return run.like_inputs(found), (value, run.aux) if has_aux else value

    return gradient_and_value


def vjp(func: AnyFunction, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The function's value and its pull-back: ``(output, vjp_fn)``, with `has_aux` also aux.

    ``vjp_fn(v)`` multiplies v (of the output's structure) with the Jacobian from the left and returns a tuple
    with one result per primal, as in PyTorch also when there is but one. It may be called again.
    """
    run = _Recorded(func, primals, {}, tuple(range(len(primals))), has_aux)
    output = run.result()

    def pull_back(*cotangents: Any) -> Any:
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        seeds, _ = flatten(given)
        return run.like_inputs(run.pull(seeds, retain_graph=True))

    return (output, pull_back, run.aux) if has_aux else (output, pull_back)


def jvp(
    func: AnyFunction, primals: Sequence[Tensor], tangents: Sequence[Tensor], *, has_aux: bool = False
) -> tuple[Any, ...]:
    """The function's value and the Jacobian times `tangents`: ``(output, jvp_out)``, with `has_aux` also aux.

    Raises TypeError when primals and tangents are no sequences of the same length, ValueError when shapes differ.
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TypeError("func.jvp expected tuples of primals and of tangents")
    if len(primals) != len(tangents):
        raise TypeError(
            f"func.jvp expected one tangent per primal: {len(primals)} primals, {len(tangents)} tangents"
        )
    run = _Recorded(func, primals, {}, tuple(range(len(primals))), has_aux)
    flat, _ = flatten(list(tangents))
    pushed = run.push(flat)
    output = run.result()
    return (output, pushed, run.aux) if has_aux else (output, pushed)


def jacrev(func: AnyFunction, argnums: Argnums = 0, has_aux: bool = False) -> AnyFunction:
    """The Jacobian, one pull-back per output entry (cheap for few outputs). Shape ``(*output, *input)``."""

    def jacobian(*args: Any, **kwargs: Any) -> Any:
        run = _Recorded(func, args, kwargs, argnums, has_aux)
        columns = []
        for output in run.outputs:
            rows = [
                run.pull(
                    [unit if o is output else np.zeros_like(o.array) for o in run.outputs], retain_graph=True
                )
                for unit in _units(output.array)
            ]
            shape = output.array.shape
            columns.append(
                run.like_inputs(
                    [_stacked([r[k] for r in rows], shape, x, 0) for k, x in enumerate(run.inputs)]
                )
            )
        found = run.rebuild_outputs(columns)
        return (found, run.aux) if has_aux else found

    return jacobian


def jacfwd(func: AnyFunction, argnums: Argnums = 0, has_aux: bool = False) -> AnyFunction:
    """The Jacobian, one push-forward per input entry (cheap for few inputs). Shape ``(*output, *input)``."""

    def jacobian(*args: Any, **kwargs: Any) -> Any:
        run = _Recorded(func, args, kwargs, argnums, has_aux)
        per_input = []
        for x in run.inputs:
            columns = [
                run.push_flat([unit if z is x else None for z in run.inputs]) for unit in _units(x.array)
            ]
            per_input.append(
                [_stacked([c[k] for c in columns], x.array.shape, o, -1) for k, o in enumerate(run.outputs)]
            )
        found = run.rebuild_outputs(
            [run.like_inputs([blocks[k] for blocks in per_input]) for k in range(len(run.outputs))]
        )
        return (found, run.aux) if has_aux else found

    return jacobian


def hessian(func: AnyFunction, argnums: Argnums = 0) -> AnyFunction:
    """The matrix of second derivatives of a scalar function: forward over reverse."""
    return jacfwd(jacrev(func, argnums), argnums)


def hvp(func: AnyFunction, inputs: Tensors, v: Tensor) -> tuple[Any, Any]:
    """The function's value and its Hessian times `v`, without the Hessian: the gradient, pushed forward.

    `inputs` and `v` are tensors or tuples of the same shapes; as ``torch.autograd.functional.hvp``.
    """
    several = isinstance(inputs, (tuple, list))
    primals = tuple(inputs) if several else (inputs,)
    tangents = tuple(v) if several else (v,)
    both = grad_and_value(func, tuple(range(len(primals))))
    (_, value), (found, _) = jvp(lambda *xs: both(*xs), primals, tangents)
    return value, found if several else found[0]


def linearize(func: AnyFunction, *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The function's value at `primals`, and its linear map there: ``(output, jvp_fn)`` with ``jvp_fn(*tangents)``."""
    output = func(*primals)
    return output, lambda *tangents: jvp(func, primals, tangents)[1]


# --- the recorded function ---------------------------------------------------------------------------------


class _Recorded:
    """A function's graph, recorded from fresh entry nodes so that walks end at its arguments."""

    def __init__(
        self,
        func: AnyFunction,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        argnums: Argnums,
        has_aux: bool,
    ) -> None:
        self.single = isinstance(argnums, int)
        numbers = [argnums] if isinstance(argnums, int) else list(argnums)
        for n in numbers:
            if not -len(args) <= n < len(args):
                raise ValueError(
                    f"argnums names argument {n}, but {len(args)} positional arguments were given"
                )
        self.outer_grad = modes.state.grad
        began = tick()
        self.rebuilders = []
        self.inputs: list[Any] = []
        entered = list(args)
        with modes.enable_grad():
            for n in numbers:
                leaves, rebuild = flatten(args[n])
                for leaf in leaves:
                    _check_differentiable(leaf, n)
                new = [entered_at(leaf) for leaf in leaves]
                self.inputs += new
                self.rebuilders.append((len(new), rebuild))
                entered[n] = rebuild(new)
            returned = func(*entered, **kwargs)
        self.aux = None
        if has_aux:
            returned, self.aux = returned
        self.outputs, self.rebuild_outputs = flatten(returned)
        for k, output in enumerate(self.outputs):
            if not isinstance(output, Handle):
                raise TypeError(
                    f"the function should return tensors, but its result {k} is a {type(output).__name__}"
                )
        # Something older than this call is part of the graph: an outer transform (or .backward()) may want
        # to differentiate what we return, so the walks are recorded too.
        self.create_graph = self.outer_grad and any(
            node.seq < began for node in reachable(output.node for output in self.outputs)
        )

    def single_output(self) -> list[Any]:
        if len(self.outputs) != 1:
            raise RuntimeError(
                f"func.grad expected a function with one scalar result, got {len(self.outputs)} results"
            )
        return self.outputs

    def pull(self, seeds: Sequence[Tensor], retain_graph: bool = False) -> list[Any]:
        given = [seed if isinstance(seed, Handle) else wrap(np.asarray(seed)) for seed in seeds]
        if len(given) != len(self.outputs):
            raise RuntimeError(f"expected {len(self.outputs)} cotangent(s), one per output, got {len(given)}")
        for seed, output in zip(given, self.outputs, strict=True):
            if seed.array.shape != output.array.shape:
                raise RuntimeError(
                    f"expected a cotangent of the output's shape {output.array.shape}, got {seed.array.shape}"
                )
        record = self.create_graph or (self.outer_grad and any(s.node is not None for s in given))
        values = given if record else [s.array for s in given]
        with modes.set_grad_enabled(record):
            found = gradients(
                self.outputs, self.inputs, values, create_graph=record, retain_graph=retain_graph or record
            )
        return [g if isinstance(g, Handle) else wrap(g) for g in found]

    def push_flat(self, tangents: Sequence[Tensor]) -> list[Any]:
        known = {}
        record = self.create_graph or (
            self.outer_grad and any(isinstance(t, Handle) and t.node is not None for t in tangents)
        )
        for x, t in zip(self.inputs, tangents, strict=True):
            if t is None:
                continue
            if tuple(np.shape(unwrap(t))) != x.array.shape:
                raise ValueError(
                    f"expected a tangent of the primal's shape {x.array.shape}, got {np.shape(unwrap(t))}"
                )
            value = t if isinstance(t, Handle) else wrap(np.asarray(t, x.array.dtype))
            known[x.node.seq] = value if record else value.array
        with modes.set_grad_enabled(record):
            found = push_forward([o.node for o in self.outputs], known, create_graph=record)
        return [
            wrap(np.zeros_like(o.array)) if t is None else t if isinstance(t, Handle) else wrap(np.asarray(t))
            for o, t in zip(self.outputs, found, strict=True)
        ]

    def push(self, tangents: Sequence[Tensor]) -> Array:
        return self.rebuild_outputs(self.push_flat(tangents))

    def result(self) -> Any:
        """The function's value; detached unless something outside is to be differentiated through it."""
        if self.create_graph:
            return self.rebuild_outputs(self.outputs)
        return self.rebuild_outputs([wrap(o.array) for o in self.outputs])

    def like_inputs(self, flat: Sequence[Tensor]) -> Any:
        groups, start = [], 0
        for size, rebuild in self.rebuilders:
            groups.append(rebuild(list(flat[start : start + size])))
            start += size
        return groups[0] if self.single else tuple(groups)


def _check_differentiable(leaf: Tensor, n: int) -> None:
    if not isinstance(leaf, Handle) or leaf.array.dtype.kind != "f":
        got = f"a tensor of {leaf.array.dtype}" if isinstance(leaf, Handle) else type(leaf).__name__
        raise TypeError(
            f"argument {n} should hold floating tensors to differentiate with respect to, got {got}"
        )


def _units(array: np.ndarray) -> Any:
    """The unit vectors of an array's space, each a fresh array."""
    for k in range(array.size):
        unit = np.zeros(array.size, array.dtype)
        unit[k] = 1
        yield unit.reshape(array.shape)


def _stacked(parts: Sequence[Tensor], shape: Shape, other: Any, axis: int) -> Any:
    """Rows (axis 0) or columns (axis -1) of a Jacobian, stacked, with the flat axis given its shape back."""
    full = (*shape, *other.array.shape) if axis == 0 else (*other.array.shape, *shape)
    if not parts:
        return wrap(np.zeros(full, other.array.dtype))
    if any(p.node is not None for p in parts):
        return np.reshape(np.stack(parts, axis=axis), full)
    return wrap(np.stack([p.array for p in parts], axis=axis).reshape(full))
