"""Derivatives held against finite differences; a failure names the op, the input, the element and both values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import AnyFunction, Tensor, Tensors
from tinygrad_cnn.autograd.gradients import gradients
from tinygrad_cnn.autograd.graph import Node, reachable
from tinygrad_cnn.autograd.handle import Handle, leaf, unwrap
from tinygrad_cnn.autograd.inspect import values_of
from tinygrad_cnn.autograd.node_check import check_inputs
from tinygrad_cnn.autograd.observe import keep_values
from tinygrad_cnn.autograd.saved import saved_values


class GradcheckError(RuntimeError):
    """An analytical derivative disagrees with the numerical one."""


@dataclass(frozen=True)
class Disagreement:
    """Where two Jacobians differ most.

    `output` and `element` index the output's and the input's entry.
    """

    input: int
    output: tuple[int, ...]
    element: tuple[int, ...]
    analytical: float
    numerical: float


def gradcheck(
    func: AnyFunction, inputs: Tensors, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    raise_exception: bool = True, check_forward_ad: bool = False, fast_mode: bool = False,
) -> bool:  # fmt: skip
    """Hold the gradients of ``func(*inputs)`` against central differences (f(x+eps) - f(x-eps)) / 2 eps.

    Every floating input that requires grad is checked, entry by entry; with `fast_mode` along one random
    direction of inputs and outputs. `check_forward_ad` checks the push-forwards too.

    Returns True, or raises GradcheckError (returns False with ``raise_exception=False``). Raises ValueError
    when no input requires grad, and TypeError for inputs of less than float64, whose differences are noise.
    """
    args = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    live = [k for k, x in enumerate(args) if isinstance(x, Handle) and x.node is not None]
    if not live:
        raise ValueError("gradcheck expected at least one input with requires_grad=True")
    for k in live:
        if args[k].array.dtype != np.float64:
            raise TypeError(
                f"gradcheck input {k} is {args[k].array.dtype}; use float64, in lower precision differences are noise"
            )
    with modes.enable_grad(), keep_values():
        outputs = _outputs(func, args)
    for o, output in enumerate(outputs):
        if output.node is None:
            continue
        problem = _check_output(func, args, live, o, output, eps, atol, rtol, fast_mode)
        if problem is None and check_forward_ad:
            problem = _check_forward(func, args, live, o, output, eps, atol, rtol)
        if problem is not None:
            if raise_exception:
                raise GradcheckError(_message(problem, output, eps, atol, rtol))
            return False
    return True


def gradgradcheck(
    func: AnyFunction, inputs: Tensors, grad_outputs: Tensors | None = None, *, eps: float = 1e-6, atol: float = 1e-5,
    rtol: float = 1e-3, raise_exception: bool = True, fast_mode: bool = False,
) -> bool:  # fmt: skip
    """`gradcheck` of the gradient: second derivatives against differences of first ones.

    `grad_outputs` are the seeds (random ones, fixed, when left out); they are differentiated through as well.
    """
    args = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    with modes.enable_grad():
        outputs = [o for o in _outputs(func, args) if o.node is not None]
    if grad_outputs is None:
        random = np.random.default_rng(0)
        seeds = [leaf(random.standard_normal(o.array.shape)) for o in outputs]
    else:
        seeds = list(grad_outputs) if isinstance(grad_outputs, (tuple, list)) else [grad_outputs]
    live = [k for k, x in enumerate(args) if isinstance(x, Handle) and x.node is not None]

    def first_order(*xs: Any) -> Any:
        points, vs = xs[: len(args)], xs[len(args) :]
        values = [o for o in _outputs(func, points) if o.node is not None]
        return tuple(gradients(values, [points[k] for k in live], list(vs), create_graph=True))

    return gradcheck(
        first_order,
        (*args, *seeds),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        fast_mode=fast_mode,
    )


# --- helpers ---------------------------------------------------------------------------------------


def _outputs(func: AnyFunction, args: Sequence[Any]) -> list[Any]:
    returned = func(*args)
    return list(returned) if isinstance(returned, (tuple, list)) else [returned]


def _moved(func: AnyFunction, args: Sequence[Any], k: int, o: int, array: np.ndarray) -> np.ndarray:
    """Output `o` of the function with input `k` replaced (recording on, as the function may differentiate)."""
    handle = leaf(array)
    with modes.enable_grad():
        return _outputs(func, [handle if j == k else x for j, x in enumerate(args)])[o].array


def _check_output(
    func: AnyFunction,
    args: Any,
    live: list[int],
    o: int,
    output: Tensor,
    eps: float,
    atol: float,
    rtol: float,
    fast: bool,
) -> Disagreement | None:
    random = np.random.default_rng(0)
    inputs = [args[k] for k in live]
    if fast:
        v = random.standard_normal(output.array.shape)
        pulled = gradients([output], inputs, [v], retain_graph=True)
        for k, g in zip(live, pulled, strict=True):
            u = random.standard_normal(args[k].array.shape)
            ends = [_moved(func, args, k, o, args[k].array + sign * eps * u) for sign in (1, -1)]
            numerical = float(np.sum(v * (ends[0] - ends[1])) / (2 * eps))
            analytical = float(np.sum(g * u))
            if not abs(analytical - numerical) <= atol + rtol * abs(numerical):
                return Disagreement(k, (), (), analytical, numerical)
        return None
    jacobians = [np.empty((output.array.size, x.array.size)) for x in inputs]
    for row in range(output.array.size):
        v = np.zeros(output.array.size)
        v[row] = 1
        pulled = gradients([output], inputs, [v.reshape(output.array.shape)], retain_graph=True)
        for jacobian, g in zip(jacobians, pulled, strict=True):
            jacobian[row] = np.ravel(g)
    return _worst(func, args, live, o, output, jacobians, eps, atol, rtol)


def _check_forward(
    func: AnyFunction, args: Any, live: list[int], o: int, output: Tensor, eps: float, atol: float, rtol: float
) -> Disagreement | None:
    from tinygrad_cnn.autograd.transforms import push_forward

    jacobians = []
    for k in live:
        jacobian = np.zeros((output.array.size, args[k].array.size))
        for column in range(args[k].array.size):
            t = np.zeros(args[k].array.size)
            t[column] = 1
            with modes.no_grad():
                pushed = push_forward([output.node], {args[k].node.seq: t.reshape(args[k].array.shape)})[0]
            if pushed is not None:
                jacobian[:, column] = np.ravel(unwrap(pushed))
        jacobians.append(jacobian)
    return _worst(func, args, live, o, output, jacobians, eps, atol, rtol)


def _worst(
    func: AnyFunction, args: Any, live: list[int], o: int, output: Tensor, jacobians: list[np.ndarray], eps: float,
    atol: float, rtol: float,
) -> Disagreement | None:  # fmt: skip
    worst: tuple[float, Disagreement] | None = None
    for k, jacobian in zip(live, jacobians, strict=True):
        x = args[k].array
        for column in range(x.size):
            element = tuple(int(n) for n in np.unravel_index(column, x.shape)) if x.shape else ()
            ends = []
            for sign in (1, -1):
                moved = np.array(x)
                moved[element] += sign * eps
                ends.append(_moved(func, args, k, o, moved).reshape(-1))
            numerical = (ends[0] - ends[1]) / (2 * eps)
            excess = np.abs(jacobian[:, column] - numerical) - (atol + rtol * np.abs(numerical))
            excess = np.where(np.isnan(excess), np.inf, excess)
            if excess.size and excess.max() > 0 and (worst is None or excess.max() > worst[0]):
                row = int(excess.argmax())
                at = (
                    tuple(int(n) for n in np.unravel_index(row, output.array.shape))
                    if output.array.shape
                    else ()
                )
                found = Disagreement(k, at, element, float(jacobian[row, column]), float(numerical[row]))
                worst = (float(excess.max()), found)
    return None if worst is None else worst[1]


def _message(problem: Disagreement, output: Tensor, eps: float, atol: float, rtol: float) -> str:
    place = (
        f"d output{list(problem.output)} / d input{list(problem.element)}"
        if problem.element or problem.output
        else ("the derivative along a random direction" if output.array.shape else "the derivative")
    )
    culprit = _culprit(output)
    return (
        f"gradcheck failed at {culprit or output.node.op.name}, input {problem.input}: {place} is "
        f"{problem.analytical:.9g} by the rule but {problem.numerical:.9g} by central differences "
        f"(eps {eps:g}; allowed {atol:g} + {rtol:g} · |numerical|)"
    )


def _culprit(output: Tensor) -> str | None:
    """The op whose own local gradient is wrong, if one node can be blamed."""
    nodes = [n for n in reachable([output.node]) if not n.is_leaf]
    values = values_of(reachable([output.node]))
    for node in reversed(nodes):
        try:
            inputs = _inputs_of(node, values)
            upstream = np.random.default_rng(0).standard_normal(node.shape)
            wrong = next((one for one in check_inputs(node, inputs, upstream) if one.element is not None), None)
        except (LookupError, RuntimeError, TypeError):
            continue  # this node cannot be run by itself; the search goes on, the failure is reported anyway
        if wrong is not None:
            return (
                f"op {node.op.name!r} ({node.where or 'engine'}; its input {wrong.input}, "
                f"element {list(wrong.element or ())}: {wrong.rule:.6g} by the rule, "
                f"{wrong.numerical:.6g} by differences)"
            )
    return None


def _inputs_of(node: Node, values: dict[int, np.ndarray]) -> list[Any]:
    """The values of a node's inputs in float64. Raises LookupError for one that nothing holds any more."""
    saved = saved_values(node)
    inputs: list[Any] = []
    for k, parent in enumerate(node.parents):
        value: Any = values.get(parent.seq) if parent is not None else None
        if value is None:
            value = saved[k + 1] if k + 1 < len(saved) else None
        if value is None and (parent is not None or not node.op.holds_constants):
            raise LookupError(f"input {k} of {node.op.name} is not held any more; record under keep_values()")
        floats = getattr(getattr(value, "dtype", None), "kind", "") == "f"
        inputs.append(np.asarray(value, np.float64) if floats else value)
    return inputs
