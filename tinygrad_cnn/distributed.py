"""`tg.distributed`, for scripts that ask whether there are several processes: there is one."""

from __future__ import annotations

from typing import Any, NoReturn


def is_available() -> bool:
    """False: one process computes."""
    return False


def is_initialized() -> bool:
    """False: one process computes."""
    return False


def is_torchelastic_launched() -> bool:
    """False: one process computes."""
    return False


def init_process_group(*_args: Any, **_kwargs: Any) -> NoReturn:
    """Raises RuntimeError: there is nothing to talk to."""
    raise RuntimeError(
        "tinygrad_cnn trains in one process: guard init_process_group with `if tg.distributed.is_available():`"
    )


def get_rank(group: Any = None) -> NoReturn:
    """Raises RuntimeError, as PyTorch does before `init_process_group`."""
    raise RuntimeError(
        "tinygrad_cnn trains in one process: guard get_rank with `distributed.is_initialized()`"
    )


def get_world_size(group: Any = None) -> NoReturn:
    """Raises RuntimeError, as PyTorch does before `init_process_group`."""
    raise RuntimeError(
        "tinygrad_cnn trains in one process: guard get_world_size with `distributed.is_initialized()`"
    )
