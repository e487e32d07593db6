"""Mixed precision for scripts that ask for it: as in PyTorch on a machine without a GPU, full precision is kept.

`autocast` changes no dtype and `GradScaler` scales by 1, so a training loop written with them trains as it stands.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


class autocast:
    """A context (or decorator) in which nothing changes: there is no GPU whose lower precision would be faster."""

    def __init__(
        self, device_type: Any = "cuda", dtype: Any = None, enabled: bool = True, cache_enabled: Any = None
    ) -> None:
        self.device_type, self.dtype, self.enabled = device_type, dtype, enabled

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *_exc: object) -> None:
        return None

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return fn(*args, **kwargs)

        return wrapped


class GradScaler:
    """A scaler that is off: `scale` gives the loss itself, `step` steps. PyTorch's is off without a GPU as well."""

    def __init__(
        self, device: Any = "cuda", init_scale: float = 2.0**16, growth_factor: float = 2.0,
        backoff_factor: float = 0.5, growth_interval: int = 2000, enabled: bool = True,
    ) -> None:  # fmt: skip
        pass

    def is_enabled(self) -> bool:
        """False."""
        return False

    def scale(self, outputs: Any) -> Any:
        """`outputs` itself."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Nothing to undo."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(…)`."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Nothing to update."""

    def get_scale(self) -> float:
        """1."""
        return 1.0

    def state_dict(self) -> dict[str, Any]:
        """Empty."""
        return {}

    def load_state_dict(self, state_dict: Any) -> None:
        """Nothing to load."""


def custom_fwd(fwd: Any = None, *, device_type: str = "cuda", cast_inputs: Any = None) -> Any:
    """A mark on a Function's forward; gives it back. Both options concern `autocast`, which changes nothing here."""
    return fwd if fwd is not None else (lambda fn: fn)


def custom_bwd(bwd: Any = None, *, device_type: str = "cuda") -> Any:
    """A mark on a Function's backward; gives it back."""
    return bwd if bwd is not None else (lambda fn: fn)
