"""What every optimiser shares: parameter groups, state, and the step around an update rule.

An optimiser reads `p.grad`, writes `p.array` in place and stamps it (`versions.bump`), so that a backward
pass over values that were saved before the step complains instead of being silently wrong. Subclasses only
say how one group of parameters moves: `_update(group, params)`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tinygrad_cnn.autograd import modes, versions
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.autograd.hooks import RemovableHandle, add_hook

__all__ = ["Optimizer"]

Array: TypeAlias = np.ndarray
#: A parameter group (its tensors as "params", and its options), or an optimiser's state as `state_dict` gives it.
Group: TypeAlias = dict[str, Any]
#: What an optimiser is given: tensors, tensors with names, or groups.
ParamsT: TypeAlias = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[Group]
#: Computes the loss anew, gradients included, and returns it.
Closure: TypeAlias = Callable[[], Tensor]
#: What is called around a step, with the optimiser, the step's positional arguments and its keyword arguments.
StepHook: TypeAlias = Callable[["Optimizer", tuple[Any, ...], dict[str, Any]], None]

#: How PyTorch may compute a step; here there is one way, so they are accepted and change nothing.
_HINTS = {"foreach": None, "fused": None, "capturable": False, "differentiable": False}


class Optimizer:
    """Base of all optimisers.

    Args:
        params: tensors, (name, tensor) pairs, or dicts ``{"params": …, "lr": …}`` that each make a group
        defaults: the options of groups that do not give their own

    `param_groups` is a list of dicts; `state` maps a parameter to what the optimiser remembers of it. Raises
    TypeError or ValueError for an empty list, for what is no tensor, for tensors that are not leaves, and
    for a parameter in two groups.
    """

    def __init__(self, params: ParamsT, defaults: Group) -> None:
        if isinstance(params, Handle):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                f"but got {type(params).__name__} of shape {params.array.shape}: put it into a list"
            )
        self.defaults = defaults
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        #: Steps taken by this object; schedulers look at it to notice a wrong order of calls.
        self.steps_taken = 0
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list: does the model have parameters?")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    # --- what users call ---------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters (or, with `set_to_none=False`, fill them with zeros)."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none or p.grad is None:
                    p.grad = None
                elif p.grad.node is None and p.grad.array.flags.writeable:
                    p.grad.array[...] = 0
                    versions.bump(p.grad.array)
                else:  # a gradient that is itself part of a graph must keep its value
                    p.grad = wrap(np.zeros_like(p.grad.array))

    def step(self, closure: Closure | None = None) -> Tensor:
        """Move every parameter that has a gradient. `closure`, if given, computes and returns the loss."""
        hooks = self._before_step
        if hooks is not None:
            for hook in tuple(hooks.values()):
                hook(self, (closure,), {})
        loss = self._step(closure)
        hooks = self._after_step
        if hooks is not None:
            for hook in tuple(hooks.values()):
                hook(self, (closure,), {})
        return loss

    def _step(self, closure: Closure | None) -> Tensor:
        loss = None
        if closure is not None:
            with modes.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._update(group, params)
                for p in params:
                    versions.bump(p.array)
        self.steps_taken += 1
        return loss

    _before_step: dict[int, StepHook] | None = None
    _after_step: dict[int, StepHook] | None = None

    def register_step_pre_hook(self, hook: StepHook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step."""
        if self._before_step is None:
            self._before_step = {}
        return add_hook(self._before_step, hook)

    def register_step_post_hook(self, hook: StepHook) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        if self._after_step is None:
            self._after_step = {}
        return add_hook(self._after_step, hook)

    def add_param_group(self, param_group: Group) -> None:
        """Optimise these parameters too, with the options of this dict and the defaults for the rest."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group).__name__}")
        group = dict(param_group)
        given = group["params"]
        if isinstance(given, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but got a set: its order "
                "may change between runs; use a list"
            )
        params: list[Any] = [given] if isinstance(given, Handle) else list(given)
        if params and all(isinstance(p, tuple) and len(p) == 2 for p in params):
            group["param_names"] = [name for name, _ in params]
            params = [p for _, p in params]
        for p in params:
            if not isinstance(p, Handle):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}"
                )
            if p.node is not None and p.node.parents:
                raise ValueError(
                    f"can't optimize a non-leaf Tensor: this one is the result of {p.node.op.name}; "
                    "pass the tensor it was made from, or .detach() it"
                )
        if len({id(p) for p in params}) != len(params):
            raise ValueError("a parameter appears twice in one parameter group")
        taken = {id(p) for other in self.param_groups for p in other["params"]}
        if any(id(p) in taken for p in params):
            raise ValueError("some parameters appear in more than one parameter group")
        group["params"] = params
        for name, value in self.defaults.items():
            group.setdefault(name, value)
        self._check(group)
        self.param_groups.append(group)

    # --- saving and loading ------------------------------------------------------------------------

    def state_dict(self) -> Group:
        """``{"state": {index: {...}}, "param_groups": [{..., "params": [index, ...]}]}``, as in PyTorch.

        Indices count the parameters through the groups. State tensors are the optimiser's own, not copies.
        """
        index = {id(p): i for i, p in enumerate(self._all())}
        groups = [
            {
                **{k: v for k, v in group.items() if k != "params"},
                "params": [index[id(p)] for p in group["params"]],
            }
            for group in self.param_groups
        ]
        state = {index[id(p)]: dict(s) for p, s in self.state.items() if id(p) in index}
        return {"state": dict(sorted(state.items())), "param_groups": groups}

    def load_state_dict(self, state_dict: Group) -> None:
        """Continue from what `state_dict` gave. Tensors are copied, in each parameter's dtype.

        Raises ValueError when groups, their sizes, or the state's shapes do not fit the parameters.
        """
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"loaded state dict has a different number of parameter groups: {len(saved)} instead of "
                f"{len(self.param_groups)}"
            )
        by_index: dict[Any, Any] = {}
        for k, (theirs, ours) in enumerate(zip(saved, self.param_groups)):
            if len(theirs["params"]) != len(ours["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's "
                    f"group: group {k} has {len(theirs['params'])} parameters instead of "
                    f"{len(ours['params'])}"
                )
            by_index.update(zip(theirs["params"], ours["params"]))
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for index, values in state_dict["state"].items():
            p = by_index[index]
            state[p] = {name: _restored(name, value, p, index) for name, value in values.items()}
        groups = [
            {**ours, **{k: v for k, v in theirs.items() if k != "params"}, "params": ours["params"]}
            for theirs, ours in zip(saved, self.param_groups)
        ]
        for group in groups:
            self._check(group)
        self.state, self.param_groups = state, groups

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])

    # --- for subclasses ----------------------------------------------------------------------------

    def _update(self, group: Group, params: Sequence[Tensor]) -> None:
        """Move `params` (all with a gradient) in place by the rule, with the options of `group`."""
        raise NotImplementedError

    def _check(self, group: Group) -> None:
        """Raise ValueError for options of `group` that make no sense."""
        at_least_zero(group, lr="learning rate", weight_decay="weight_decay value", eps="epsilon value")

    def _zeros(self, p: Tensor, name: str, fill: float = 0.0) -> Array:
        """The array of `state[p][name]`, made on first use: same shape and memory layout as the parameter."""
        state = self.state[p]
        if name not in state:
            state[name] = wrap(np.full_like(p.array, fill))
        return state[name].array

    def _count(self, params: Sequence[Tensor]) -> list[tuple[int, list[Tensor]]]:
        """Add one to each parameter's step count; the parameters by their count.

        Usually that is one list: counts differ only after parameters were frozen for a while.
        """
        by_step: dict[int, list[Any]] = {}
        for p in params:
            state = self.state[p]
            state["step"] = step = state.get("step", 0) + 1
            by_step.setdefault(step, []).append(p)
        return list(by_step.items())

    def _all(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]


def gradient_of(p: Tensor, group: Group, *, decay: bool = True) -> Array:
    """The gradient to descend along: negated when maximising, with the L2 penalty's share when `decay`."""
    g = -p.grad.array if group["maximize"] else p.grad.array
    return g + group["weight_decay"] * p.array if decay and group["weight_decay"] else g


def arrays(tensors: Iterable[Tensor]) -> list[Array]:
    """The bare arrays of tensors."""
    return [t.array for t in tensors]


def options(hints: Group, **known: Any) -> Group:
    """An optimiser's defaults; PyTorch's performance hints are accepted, anything else is a TypeError."""
    for name, value in hints.items():
        if name not in _HINTS:
            raise TypeError(f"unexpected keyword argument {name!r}; this optimiser takes {', '.join(known)}")
        if name == "differentiable" and value:
            raise ValueError(
                "differentiable=True is not supported: optimiser steps change parameters in place"
            )
    return {name: float(unwrap(v)) if isinstance(v, Handle) else v for name, v in known.items()}


def at_least_zero(group: Group, **named: str) -> None:
    """Raise ValueError for an option of the group that is negative or not a number."""
    for option, label in named.items():
        if option in group and not group[option] >= 0:
            raise ValueError(f"Invalid {label}: {group[option]} (expected {option} >= 0)")


def betas_below_one(group: Group) -> None:
    """Raise ValueError for Adam's two decay rates outside [0, 1)."""
    for i, beta in enumerate(group["betas"]):
        if not 0 <= beta < 1:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta} (expected 0 <= beta < 1)")


def _restored(name: str, value: Any, p: Tensor, index: int) -> Any:
    if name == "step":
        return int(np.asarray(unwrap(value)))
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value
    array = np.asarray(unwrap(value))
    if name == "mu_product" or (array.ndim == 0 and p.array.ndim):
        return float(array)
    if array.shape != p.array.shape:
        raise ValueError(
            f"loaded state dict does not fit: {name} of parameter {index} has shape {array.shape}, "
            f"the parameter {p.array.shape}"
        )
    fresh = np.empty_like(p.array)
    fresh[...] = array
    return wrap(fresh)
