"""Switches that PyTorch programs set at their start. Results are deterministic and in full precision in any case."""

from __future__ import annotations

from typing import Any

_deterministic = True
_precision = "highest"


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Nothing to choose: equal seeds give equal results on a machine in either case."""


def are_deterministic_algorithms_enabled() -> bool:
    """True."""
    return _deterministic


def get_float32_matmul_precision() -> str:
    """``"highest"``: products of float32 are computed in float32."""
    return _precision


def set_float32_matmul_precision(precision: str) -> None:
    """Nothing to choose: products of float32 are computed in float32. Raises ValueError for an unknown word."""
    if precision not in ("highest", "high", "medium"):
        raise ValueError(
            f"set_float32_matmul_precision expected 'highest', 'high' or 'medium', got {precision!r}"
        )


def compile(
    model: Any = None, *, fullgraph: bool = False, dynamic: bool | None = None, backend: Any = "inductor",
    mode: str | None = None, options: dict[str, Any] | None = None, disable: bool = False,
) -> Any:  # fmt: skip
    """`model` itself (or, called with options only, a decorator that gives back what it decorates)."""
    return model if model is not None else (lambda given: given)
