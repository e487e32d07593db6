"""Calling a module with other tensors in the place of its parameters, as in ``torch.func``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap, wrap
from tinygrad_cnn.nn.modules.module import Module


def functional_call(
    module: Module, parameters: Any, args: Any = (), kwargs: dict[str, Any] | None = None
) -> Any:
    """Call a module with other tensors in the place of its parameters and buffers.

    `parameters` maps names as in `named_parameters()` to tensors, or is a tuple of such dicts. The module is left
    as it was.
    Raises KeyError for a name the module does not have.
    """
    swapped: list[tuple[dict[str, Any], str, Any]] = []
    if isinstance(parameters, (tuple, list)):
        parameters = {name: value for part in parameters for name, value in part.items()}
    try:
        for name, value in parameters.items():
            path, _, own = name.rpartition(".")
            owner = module.get_submodule(path) if path else module
            table = next((t for t in (owner._parameters, owner._buffers) if own in t), None)
            if table is None:
                raise KeyError(
                    f"functional_call: {type(module).__name__} has no parameter or buffer {name!r}"
                )
            swapped.append((table, own, table[own]))
            table[own] = value
        return module(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {}))
    finally:
        for table, own, before in reversed(swapped):
            table[own] = before


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the buffers of networks of one kind, stacked: for ``vmap`` over an ensemble."""
    if not models:
        raise RuntimeError("stack_module_state expected at least one module, got none")
    stacked = []
    for table in ("named_parameters", "named_buffers"):
        parts = [dict(getattr(model, table)()) for model in models]
        stacked.append({k: wrap(np.stack([unwrap(part[k]) for part in parts])) for k in parts[0]})
    for value in stacked[0].values():
        value.requires_grad_()
    return stacked[0], stacked[1]
