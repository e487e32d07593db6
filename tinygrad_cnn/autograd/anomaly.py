"""PyTorch's names for anomaly detection; what they switch on is `tinygrad_cnn.debug.anomaly`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

_on: list[tuple[contextlib.ExitStack, bool]] = []
_detector: Callable[..., contextlib.AbstractContextManager[Any]] | None = None


def register_detector(detector: Callable[..., contextlib.AbstractContextManager[Any]]) -> None:
    """Say what switches the detection on (called once, by the package's root, with `debug.anomaly`)."""
    global _detector
    _detector = detector


class set_detect_anomaly:
    """Find where a nan or an infinity comes from: on or off at once when called, put back as a context manager.

    While on, `backward` raises a RuntimeError that names the first rule that made one, the first forward op that
    did, both source lines and the operands. Slow: every result is looked at. `check_nan` False looks at none.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = (is_anomaly_enabled(), is_anomaly_check_nan_enabled())
        _switch(bool(mode), check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_exc: object) -> None:
        _switch(*self._before)


class detect_anomaly(set_detect_anomaly):
    """`set_detect_anomaly(True)` for the time of a block: ``with detect_anomaly(): ...``."""

    def __init__(self, check_nan: bool = True) -> None:
        self._check_nan = check_nan

    def __enter__(self) -> None:
        super().__init__(True, self._check_nan)


def is_anomaly_enabled() -> bool:
    """Whether anomaly detection is on."""
    return bool(_on)


def is_anomaly_check_nan_enabled() -> bool:
    """Whether it looks for numbers that are not finite."""
    return _on[-1][1] if _on else True


def _switch(mode: bool, check_nan: bool) -> None:
    if mode == is_anomaly_enabled() and (not mode or check_nan == is_anomaly_check_nan_enabled()):
        return
    while _on:
        _on.pop()[0].close()
    if mode:
        if _detector is None:
            raise RuntimeError("anomaly detection is part of tinygrad_cnn.debug; import tinygrad_cnn first")
        stack = contextlib.ExitStack()
        stack.enter_context(_detector(check_nan=check_nan, warn=False))
        _on.append((stack, check_nan))
