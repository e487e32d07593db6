"""One node of PyTorch run again in float64, for `autograd.node_check`: its operator as the forward pass noted it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tinygrad_cnn.bridge.torch_node import Kept, Lazy, TorchNode, look, tensors_in, to_torch

ndarray = np.ndarray
_RANDOM = ("bernoulli", "dropout", "rand", "normal", "multinomial")


def why_not(node: TorchNode) -> str:
    """Why a node cannot be run again; empty when it can."""
    record = node.record
    if record is None or record.call is None:
        return "nothing of its operator was noted; run the forward pass under the debugger"
    if any(word in node.op.name for word in _RANDOM):
        return "it draws random numbers"
    if any(kept.tensor._version != kept.version for kept in tensors_in((record.args, record.kwargs))):
        return "its inputs were changed in place since"
    if node.places is None:
        return "its inputs cannot be told from the operator's arguments"
    return ""


class Rerun:
    """The operator of a node as a function of the node's inputs, in float64."""

    def __init__(self, node: TorchNode) -> None:
        places = node.places
        assert places is not None and node.record is not None
        self.node, self.record = node, node.record
        self.places = [p if parent is not None else None for p, parent in zip(places, node.parents, strict=True)]

    def __call__(self, *inputs: npt.ArrayLike | None) -> ndarray:
        """The value for other inputs (arrays; None for what is no input of the node)."""
        with torch.no_grad():
            return look(self._run([None if x is None else torch.tensor(np.asarray(x)) for x in inputs]))

    def pull(self, inputs: Sequence[npt.ArrayLike | None], u: ndarray) -> list[ndarray | None]:
        """What PyTorch's own rule hands back for the upstream gradient `u`, in float64."""
        with torch.enable_grad():
            leaves = [
                None if place is None else torch.tensor(np.asarray(x)).requires_grad_()
                for x, place in zip(inputs, self.places, strict=True)
            ]
            out = self._run(leaves)
            live = [x for x in leaves if x is not None]
            found = iter(torch.autograd.grad(out, live, torch.tensor(u), allow_unused=True))
        handed = (None if x is None else next(found) for x in leaves)
        return [
            None if x is None else np.zeros(tuple(x.shape)) if d is None else look(d)
            for x, d in zip(leaves, handed, strict=True)
        ]

    def pull_in_own_dtype(self, u: ndarray) -> list[Lazy | None]:
        """What the node itself hands back for `u`, in its own dtype, without hooks."""
        with torch.no_grad():
            return [None if d is None else Lazy(d) for d in self.node.pull(to_torch(u, self.node))]

    def _run(self, inputs: Sequence[torch.Tensor | None]) -> torch.Tensor:
        # Copies, since the operator may work in place.
        by_place = {p: x.clone() for p, x in zip(self.places, inputs, strict=True) if p is not None and x is not None}
        count = itertools.count()
        args = _filled(self.record.args, count, by_place)
        kwargs = _filled(self.record.kwargs, count, by_place)
        out = self.record.call(*args, **kwargs)
        outputs = out if isinstance(out, (tuple, list)) else (out,)
        wanted = [outputs[i] for i in self.node.indices]
        return wanted[0] if len(wanted) == 1 else torch.cat([w.reshape(-1) for w in wanted])


def _filled(value: Any, count: Iterator[int], by_place: dict[int, torch.Tensor]) -> Any:
    """The noted arguments as fresh tensors in float64, with the inputs in their places."""
    if isinstance(value, Kept):
        given = by_place.get(next(count))
        if given is not None:
            return given
        tensor = value.tensor.detach().cpu()
        return tensor.double() if tensor.is_floating_point() and tensor.dtype != torch.float64 else tensor.clone()
    if isinstance(value, (list, tuple)):
        made = [_filled(v, count, by_place) for v in value]
        return made if isinstance(value, list) else tuple(made)
    if isinstance(value, dict):
        return {k: _filled(v, count, by_place) for k, v in value.items()}
    return torch.float64 if isinstance(value, torch.dtype) and value.is_floating_point else value
