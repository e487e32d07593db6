"""`tg.cuda`, so that programs which ask for a GPU get an honest no."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NoReturn


def __getattr__(name: str) -> Any:
    if name == "amp":  # imported when first asked for
        return import_module(f"{__name__}.amp")
    raise AttributeError(f"tinygrad_cnn.cuda has no {name!r}: tinygrad_cnn computes on the CPU only")


def is_available() -> bool:
    """False: tinygrad_cnn computes on the CPU."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed: int) -> None:
    """Nothing to seed: there is no GPU."""


def manual_seed_all(seed: int) -> None:
    """Nothing to seed: there is no GPU."""


def synchronize(device: Any = None) -> None:
    """Nothing to wait for: there is no GPU."""


def empty_cache() -> None:
    """Nothing to free: there is no GPU."""


def is_initialized() -> bool:
    """False."""
    return False


def memory_allocated(device: Any = None) -> int:
    """0 bytes."""
    return 0


def max_memory_allocated(device: Any = None) -> int:
    """0 bytes."""
    return 0


def reset_peak_memory_stats(device: Any = None) -> None:
    """Nothing to reset: there is no GPU."""


def set_device(device: Any) -> NoReturn:
    """Raises RuntimeError: there is no GPU."""
    raise RuntimeError(
        "tinygrad_cnn computes on the CPU only: guard cuda.set_device with `if tg.cuda.is_available():`"
    )


def current_device() -> NoReturn:
    """Raises RuntimeError: there is no GPU."""
    raise RuntimeError(
        "tinygrad_cnn computes on the CPU only: guard cuda.current_device with `if tg.cuda.is_available():`"
    )


def get_device_name(device: Any = None) -> NoReturn:
    """Raises RuntimeError: there is no GPU."""
    raise RuntimeError(
        "tinygrad_cnn computes on the CPU only: guard cuda.get_device_name with `if tg.cuda.is_available():`"
    )
