"""`torch._C`: the few names of PyTorch's compiled core that model files call."""

from __future__ import annotations

from typing import Any


def _log_api_usage_once(_event: str) -> None:
    """Nothing is logged."""


def _get_tracing_state() -> None:
    """None: nothing is traced."""


def _jit_set_profiling_executor(_mode: Any) -> bool:
    """There is no compiler to tell."""
    return False


_jit_set_profiling_mode = _jit_set_profiling_executor
