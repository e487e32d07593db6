"""Switches of a GPU library that is not used: they may be set and read, and change nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

enabled = False
benchmark = False
deterministic = True
allow_tf32 = False
benchmark_limit = 10


def is_available() -> bool:
    """False: everything runs on the CPU."""
    return False


def version() -> None:
    """None: there is none."""


@contextlib.contextmanager
def flags(
    enabled: bool = False, benchmark: bool = False, benchmark_limit: int = 10, deterministic: bool = False,
    allow_tf32: bool = True,
) -> Iterator[None]:  # fmt: skip
    """Changes nothing."""
    yield
