"""PyTorch, eager: as it is, with fused optimisers, and with channels-last memory (BENCH_TORCH)."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.contestants import Task, torch_like
from benchmarks.workloads import Workload


def missing() -> str | None:
    from importlib.util import find_spec

    return None if find_spec("torch") else "PyTorch is not installed: make bench"


def describe() -> dict[str, Any]:
    import torch

    return {
        "version": torch.__version__,
        "threads": torch.get_num_threads(),
        "setting": os.environ["BENCH_TORCH"],
    }


def prepare(work: Workload) -> Task | None:
    import torch

    setting = os.environ["BENCH_TORCH"]
    plain = work.kind in ("chain", "import") or len(work.input) != 4
    if setting == "channels-last" and plain or setting == "fused" and work.kind != "train":
        return None  # the same as eager
    layout = {"memory_format": torch.channels_last} if setting == "channels-last" else {}
    fused = {} if setting == "eager" else {"fused": True}
    return torch_like.prepare(torch, work, int(os.environ["BENCH_THREADS"]), layout, fused)
