"""`torch.multiprocessing`: Python's own `multiprocessing`, whose processes are served as this one is."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing import *  # noqa: F403
from typing import Any

__all__ = [*multiprocessing.__all__, "get_sharing_strategy", "set_sharing_strategy", "spawn"]


def spawn(
    fn: Callable[..., None], args: tuple[Any, ...] = (), nprocs: int = 1, join: bool = True, daemon: bool = False,
    start_method: str = "spawn",
) -> Any:  # fmt: skip
    """Run ``fn(i, *args)`` in `nprocs` new processes. Raises RuntimeError when one of them fails.

    With ``join=False`` it gives the processes and does not wait for them.
    """
    context: Any = multiprocessing.get_context(start_method)
    processes = [context.Process(target=fn, args=(i, *args), daemon=daemon) for i in range(nprocs)]
    for process in processes:
        process.start()
    if not join:
        return processes
    for process in processes:
        process.join()
    for i, process in enumerate(processes):
        if process.exitcode:
            raise RuntimeError(
                f"process {i} of torch.multiprocessing.spawn ended with exit status {process.exitcode}"
            )
    return None


def get_sharing_strategy() -> str:
    """How tensors get into other processes: their numbers are sent."""
    return "file_system"


def set_sharing_strategy(new_strategy: str) -> None:
    """Nothing to choose: the numbers of tensors are sent."""
