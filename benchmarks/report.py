"""Figures as a Markdown table and a plot."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmarks import contestants
from benchmarks.driver import Figures

REFERENCE = "PyTorch"


def markdown(all_figures: list[Figures], environment: list[str]) -> str:
    """The whole report."""
    lines = ["# Benchmarks", "", *[f"- {line}" for line in environment], ""]
    groups = list(dict.fromkeys(contestants.ALL[n].group for f in all_figures for n in f.rounds))
    lines += [
        "Median time per unit of work; in brackets, the ratio to PyTorch in its best setting (median of the rounds, "
        "minimum to maximum). Below 1 is faster. Contestants take turns, with a short rest between them.",
        "",
        "| workload | " + " | ".join(groups) + " |",
        "|---" * (len(groups) + 1) + "|",
    ]
    for figures in all_figures:
        reference = figures.best_of(REFERENCE)
        cells = [_cell(figures, figures.best_of(group), reference) for group in groups]
        lines.append(f"| {figures.workload.title} | " + " | ".join(cells) + " |")
    trained = [f for f in all_figures if f.peaks]
    if trained:
        lines += [
            "",
            "Peak resident memory of a process that trains five steps, and in brackets what the steps added to it.",
            "",
            "| workload | " + " | ".join(groups) + " |",
            "|---" * (len(groups) + 1) + "|",
        ]
        for figures in trained:
            cells = []
            for group in groups:
                name = figures.best_of(group)
                whole = figures.peaks.get(name) if name else None
                cells.append(f"{whole[0] / 2**20:.0f} MiB (+{whole[1] / 2**20:.0f})" if whole else "–")
            lines.append(f"| {figures.workload.title} | " + " | ".join(cells) + " |")
    problems = [f"{f.workload.name}: {line}" for f in all_figures for line in f.disagree]
    lines += ["", "First results agree." if not problems else "First results that do NOT agree:", *problems]
    absent = sorted(
        {f"{name}: {why}" for f in all_figures for name, why in f.absent.items() if "means" not in why}
    )
    if absent:
        lines += ["", "Took no part:", *[f"- {line}" for line in absent]]
    return "\n".join(lines) + "\n"


def _cell(figures: Figures, name: str | None, reference: str | None) -> str:
    if name is None:
        return "–"
    text = duration(figures.median(name))
    if reference is None or name == reference:
        setting = contestants.ALL[name].environment.get("BENCH_TORCH")
        return f"{text} [{setting}]" if setting else text
    low, middle, high = figures.ratio(name, reference)
    return f"{text} (**{middle:.2f}×**, {low:.2f}–{high:.2f})"


def duration(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def plot(all_figures: list[Figures], path: Path) -> None:
    """Ratios to PyTorch as bars, one row per workload; written beside and renamed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = [f for f in all_figures if f.best_of(REFERENCE)]
    groups = [g for g in dict.fromkeys(c.group for c in contestants.ALL.values()) if g != REFERENCE]
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.62 * len(rows)), layout="constrained")
    height = 0.8 / len(groups)
    colors = plt.get_cmap("tab10")
    for g, group in enumerate(groups):
        ys, values = [], []
        for row, figures in enumerate(rows):
            name = figures.best_of(group)
            if name:
                ys.append(row + (g - (len(groups) - 1) / 2) * height)
                values.append(figures.ratio(name, figures.best_of(REFERENCE))[1])  # type: ignore[arg-type]
        axes.barh(ys, values, height, label=group, color=colors(g))
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [f.workload.name for f in rows])
    axes.invert_yaxis()
    axes.set_xlabel("time relative to PyTorch in its best setting (left of the line is faster)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=3, frameon=False)
    beside = path.with_name(f".{path.name}.{os.getpid()}.png")
    figure.savefig(beside, dpi=130)
    os.replace(beside, path)
    plt.close(figure)


def environment_lines(described: dict[str, Any], threads: int) -> list[str]:
    """What the figures depend on: processor, threads, BLAS kernels, versions."""
    import platform

    model = "unknown processor"
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            model = next(
                (line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name")), model
            )
    except OSError:
        model = platform.processor() or model
    lines = [
        f"{model}, {os.cpu_count()} cores, {threads} threads for everybody, Python {platform.python_version()}"
    ]
    for name, about in described.items():
        details = ", ".join(f"{k} {v}" for k, v in about.items() if k != "blas")
        lines.append(f"{name}: {details}; {'; '.join(about.get('blas', [])) or 'no BLAS seen'}")
    return lines
