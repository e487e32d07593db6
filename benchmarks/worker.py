"""One contestant's process: it answers JSON lines on standard input until told to stop.

{"do": "prepare", "workload": NAME} -> {"ok": true} or {"absent": reason}
{"do": "first"} -> {"result": [...]}           one unit of work, and what it computed
{"do": "time", "count": K} -> {"seconds": [...]}
{"do": "peak", "count": K} -> {"peak": bytes, "before": bytes}   resident memory, whole process
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
import traceback
from typing import Any

from benchmarks import workloads


def main() -> None:
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    contestant = importlib.import_module(f"benchmarks.contestants.{sys.argv[1]}")
    task: Any = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer: dict[str, Any]
            if asked["do"] == "missing":
                answer = {"missing": contestant.missing()}
            elif asked["do"] == "describe":
                answer = {"describe": {**contestant.describe(), "blas": blas()}}
            elif asked["do"] == "prepare":
                task = contestant.prepare(workloads.ALL[asked["workload"]])
                answer = {"ok": True} if task is not None else {"absent": "has no means for it"}
            elif asked["do"] == "first":
                task.run()
                answer = {"result": task.result()}
            elif asked["do"] == "time":
                answer = {"seconds": timed(task, asked["count"])}
            else:
                answer = peak(task, asked["count"])
        except Exception as problem:  # the driver decides what a contestant's failure means
            traceback.print_exc()
            first = str(problem).splitlines()[:1]
            answer = {"absent": f"{type(problem).__name__}: {' '.join(first)}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def timed(task: Any, count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        task.run()
        seconds.append(time.perf_counter() - start)
    return seconds


def peak(task: Any, count: int) -> dict[str, int]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for _ in range(count):
        task.run()
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "before": before}


def blas() -> list[str]:
    """The BLAS libraries loaded, their kernels and threads."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return ["unknown: pip install threadpoolctl"]
    return [
        f"{pool.get('internal_api')} {pool.get('version')} {pool.get('architecture', '')} ×{pool.get('num_threads')}"
        for pool in threadpool_info()
    ]


if __name__ == "__main__":
    main()
