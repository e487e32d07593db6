"""Runs the contestants in turns and keeps their figures.

Each lives in its own process, so that no thread pool or memory pool meets another's. They take turns in
every round: when the machine slows down, it does so for all, and ratios hold.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import contestants, workloads

ROOT = Path(__file__).resolve().parents[1]


class Worker:
    """A contestant's process."""

    def __init__(self, contestant: contestants.Contestant, threads: int) -> None:
        self.contestant = contestant
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", contestant.module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
            env=environment(contestant, threads),
        )  # fmt: skip

    def ask(self, do: str, **what: Any) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **what}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            return {"absent": f"its process ended with exit code {self.process.wait()}"}
        return json.loads(line)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def environment(contestant: contestants.Contestant, threads: int) -> dict[str, str]:
    """The same number of threads for everybody, and every BLAS free to pick its own kernels."""
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "TINYGRAD_CNN_KERNELS")}
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BENCH_THREADS"):
        env[name] = str(threads)
    env["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}"
    env["PYTHONPATH"] = str(ROOT)
    return {**env, **contestant.environment}


@dataclass
class Figures:
    """What was measured of one workload: seconds per unit, by contestant and round."""

    workload: workloads.Workload
    rounds: dict[str, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    peaks: dict[str, tuple[int, int]] = field(default_factory=dict)
    disagree: list[str] = field(default_factory=list)

    def median(self, name: str) -> float:
        return statistics.median(self.rounds[name])

    def best_of(self, group: str) -> str | None:
        """The fastest contestant of a group."""
        members = [n for n in self.rounds if contestants.ALL[n].group == group]
        return min(members, key=self.median, default=None)

    def ratio(self, name: str, reference: str) -> tuple[float, float, float]:
        """Time relative to `reference`, round by round: minimum, median, maximum."""
        pairs = [a / b for a, b in zip(self.rounds[name], self.rounds[reference], strict=False)]
        return min(pairs), statistics.median(pairs), max(pairs)


#: Seconds of rest before each turn. OpenBLAS's threads keep a core busy for a while after their last product (0.11 s
#: here; PyTorch's for 0.01 s), which the next contestant's second thread would pay for.
PAUSE = 0.2


def measure(
    work: workloads.Workload, names: list[str], *, threads: int, rounds: int, say: Callable[[str], None]
) -> Figures:
    """All contestants on one workload."""
    if work.kind == "import":
        return _measure_import(work, names, threads, rounds)
    figures = Figures(work)
    workers: dict[str, Worker] = {}
    results: dict[str, list[float]] = {}
    try:
        for name in names:
            worker = Worker(contestants.ALL[name], threads)
            reason = worker.ask("missing").get("missing")
            answer = {"absent": reason} if reason else worker.ask("prepare", workload=work.name)
            if "absent" not in answer and work.kind != "epoch":
                answer = worker.ask("first")
                results[name] = answer.get("result", [])
            if "absent" in answer:
                figures.absent[name] = answer["absent"]
                results.pop(name, None)
                worker.close()
            else:
                workers[name] = worker
        figures.disagree = disagreements(results)
        for line in figures.disagree:
            say(f"  NOT EQUAL: {line}")
        counts = {}
        for name, worker in workers.items():
            if work.kind == "epoch":
                counts[name] = 1
                continue
            warm = worker.ask("time", count=3)["seconds"]
            counts[name] = max(1, min(200, int(0.25 / min(warm))))
        for _ in range(1 if work.kind == "epoch" else rounds):
            for name, worker in workers.items():
                time.sleep(PAUSE)
                seconds = worker.ask("time", count=counts[name])["seconds"]
                figures.rounds.setdefault(name, []).append(statistics.median(seconds))
    finally:
        for worker in workers.values():
            worker.close()
    if work.kind == "train":
        for name in figures.rounds:
            peak = _peak(work, name, threads)
            if peak is not None:
                figures.peaks[name] = peak
    return figures


def disagreements(results: dict[str, list[float]], tolerance: float = 2e-3) -> list[str]:
    """Whose first result (loss and gradient norms, say) differs from the first contestant's."""
    if not results:
        return []
    reference, expected = next(iter(results.items()))
    problems = []
    for name, found in results.items():
        if len(found) != len(expected):
            problems.append(f"{name} gives {len(found)} figures, {reference} {len(expected)}")
            continue
        # Gradients that cancel to nothing (a bias before a normalisation) are compared with the largest.
        scale = 1e-3 * max(map(abs, expected), default=0.0)
        worst = max((abs(a - b) / max(abs(b), scale, 1e-6) for a, b in zip(found, expected)), default=0.0)
        if not worst <= tolerance:
            problems.append(f"{name} differs from {reference} by {worst:.2g} (relative)")
    return problems


def _peak(work: workloads.Workload, name: str, threads: int) -> tuple[int, int] | None:
    """Peak memory of a fresh process that only trains: (whole, grown since just before the first step); None where it
    did not live to tell, out of memory perhaps."""
    worker = Worker(contestants.ALL[name], threads)
    try:
        answer = worker.ask("prepare", workload=work.name)
        if "absent" not in answer:
            answer = worker.ask("peak", count=5)
        return None if "absent" in answer else (answer["peak"], answer["peak"] - answer["before"])
    finally:
        worker.close()


def _measure_import(work: workloads.Workload, names: list[str], threads: int, rounds: int) -> Figures:
    figures = Figures(work)
    modules = {n: contestants.ALL[n].imports for n in names if contestants.ALL[n].imports}
    for _ in range(rounds + 1):  # the first warms the file cache and is dropped
        for name, module in modules.items():
            start = time.perf_counter()
            ended = subprocess.run(
                [sys.executable, "-c", f"import {module}"], cwd=ROOT, env=environment(contestants.ALL[name], threads),
                capture_output=True,
            )  # fmt: skip
            if ended.returncode:
                figures.absent[name] = "import fails"
                continue
            figures.rounds.setdefault(name, []).append(time.perf_counter() - start)
    figures.rounds = {name: seconds[1:] for name, seconds in figures.rounds.items()}
    return figures
