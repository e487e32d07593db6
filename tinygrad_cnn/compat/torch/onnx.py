"""`torch.onnx`: it may be imported; exporting is no part of this package."""

from __future__ import annotations

from typing import Any, NoReturn

from tinygrad_cnn.support.errors import UsageError

__all__ = ["export", "is_in_onnx_export"]


def export(model: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
    """Raises UsageError."""
    raise UsageError(
        f"onnx.export: a {type(model).__name__} is not exported here. Save its weights, torch.save(model.state_dict(), "
        "'weights.pt'), and export it in PyTorch"
    )


def is_in_onnx_export() -> bool:
    """False."""
    return False
