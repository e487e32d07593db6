"""tinygrad_cnn itself; with TINYGRAD_CNN_KERNELS=reference, without its compiled kernels."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.contestants import Task, torch_like
from benchmarks.workloads import Workload


def missing() -> str | None:
    if os.environ.get("TINYGRAD_CNN_KERNELS") == "auto":
        from importlib.util import find_spec

        if find_spec("numba") is None:
            return "Numba is not installed: pip install 'tinygrad-cnn[fast]'"
    return None


def describe() -> dict[str, Any]:
    import tinygrad_cnn as tg
    from tinygrad_cnn import kernels

    return {"version": tg.__version__, "kernels": str(kernels.backend()), "threads": tg.get_num_threads()}


def prepare(work: Workload) -> Task:
    import tinygrad_cnn as tg

    return torch_like.prepare(tg, work, int(os.environ["BENCH_THREADS"]), {}, {})
