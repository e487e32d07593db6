"""Published weights, which this package does not fetch: builders of networks say so through this."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.support.errors import UsageError

__all__ = ["without_weights"]


def without_weights(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The constructor's options: without `weights`, `pretrained` and `progress`, as torchvision's builders take them.

    Raises UsageError, which says how weights come in from a file, when they ask for published weights.
    """
    asked = {
        key: options.get(key) for key in ("weights", "weights_backbone", "pretrained", "pretrained_backbone")
    }
    for key, value in asked.items():
        if value is not None and value is not False:
            raise UsageError(
                f"{name}({key}={value}) asks for published weights, and this package downloads none: get the .pth file "
                f"yourself, build {name}(), and call load_state_dict(load('FILE.pth')) on it; its keys are "
                "torchvision's"
            )
    return {key: value for key, value in options.items() if key not in (*asked, "progress")}
