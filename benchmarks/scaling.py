"""How cost grows with batch size, image size and depth: none may grow faster than the arithmetic."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import contestants
from benchmarks.driver import ROOT, environment

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
SIZES = (28, 40, 56, 80, 112, 160, 224)
DEPTHS = (1, 3, 10, 30, 100, 300, 1000)


def run(out: Path, threads: int) -> Path:
    """Measure in processes of their own, print the figures, and draw them."""
    measured = {}
    for name in ("tinygrad_cnn", "pytorch"):
        ended = subprocess.run(
            [sys.executable, "-m", "benchmarks.scaling", contestants.ALL[name].imports or name],
            cwd=ROOT, env=environment(contestants.ALL[name], threads), capture_output=True, text=True,
        )  # fmt: skip
        if ended.returncode == 0:
            measured[name] = json.loads(ended.stdout.splitlines()[-1])
        else:
            print(f"  {name} took no part: {ended.stderr.strip().splitlines()[-1:]}")
    for name, curves in measured.items():
        for axis, points in curves.items():
            print(f"  {name:14s} {axis}: " + ", ".join(f"{x}: {y:.3g}" for x, y in points))
    return draw(measured, out / "scaling.png")


def draw(measured: dict[str, Any], path: Path) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    titles = {
        "batch": ("batch size", "ms per image (MNIST CNN step)"),
        "size": ("image height and width", "µs per 1,000 pixels (3×3 conv 8→8, ReLU, step)"),
        "depth": ("layers", "ms per layer (3×3 conv 8→8, ReLU, step)"),
    }
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    for ax, (axis, (xlabel, ylabel)) in zip(axes, titles.items(), strict=True):
        for name, curves in measured.items():
            ax.plot(*zip(*curves[axis], strict=True), marker="o", markersize=3.5, label=name)
        ax.set(xlabel=xlabel, ylabel=ylabel, xscale="log", yscale="log")
        ax.grid(alpha=0.3)
    axes[0].legend(frameon=False)
    beside = path.with_name(f".{path.name}.{os.getpid()}.png")
    figure.savefig(beside, dpi=130)
    os.replace(beside, path)
    plt.close(figure)
    return path


def curves(library: Any) -> dict[str, list[tuple[int, float]]]:
    """Cost per unit of arithmetic along each axis, on `torch` or this package."""
    from benchmarks.contestants.torch_like import build
    from benchmarks.workloads import MNIST_CNN, conv

    library.set_num_threads(int(os.environ["BENCH_THREADS"]))

    def step(model: Any, x: Any) -> float:
        def once() -> None:
            model.zero_grad()
            (model(x) ** 2).mean().backward()

        once()
        seconds: list[float] = []
        until = time.perf_counter() + 0.6
        while len(seconds) < 3 or time.perf_counter() < until and len(seconds) < 50:
            start = time.perf_counter()
            once()
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds)

    found: dict[str, list[tuple[int, float]]] = {"batch": [], "size": [], "depth": []}
    model = build(library.nn, MNIST_CNN)
    for n in BATCHES:
        found["batch"].append((n, step(model, library.randn(n, 1, 28, 28)) / n * 1e3))
    layer = (conv(8, 8, 3, 1, 1), ("relu",))
    model = build(library.nn, layer * 2)
    for n in SIZES:
        found["size"].append((n, step(model, library.randn(8, 8, n, n)) / (8 * n * n) * 1e9))
    for n in DEPTHS:
        found["depth"].append((n, step(build(library.nn, layer * n), library.randn(2, 8, 16, 16)) / n * 1e3))
    return found


if __name__ == "__main__":
    import importlib

    print(json.dumps(curves(importlib.import_module(sys.argv[1]))))
