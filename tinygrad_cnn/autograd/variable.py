"""`Variable`, PyTorch's old name of a tensor: old model files still import it."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.autograd.handle import Handle, wrap


def Variable(data: Any, requires_grad: bool = False, volatile: bool = False) -> Any:
    """A tensor on the memory of `data`, a leaf if it requires grad. `volatile` is accepted and does nothing.

    Raises TypeError for anything but a tensor.
    """
    if not isinstance(data, Handle):
        raise TypeError(f"Variable expected a Tensor, got {type(data).__name__}")
    if data.node is not None and not requires_grad:
        return data
    t = wrap(data.array)
    return t.requires_grad_() if requires_grad else t
