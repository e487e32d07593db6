"""`tg.cuda`, so that programs which ask for a GPU get an honest no."""

from __future__ import annotations

from typing import Any


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
