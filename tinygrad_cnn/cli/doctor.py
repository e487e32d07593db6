"""`doctor`: what this installation runs on, and what would make it faster or more complete."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn import kernels
from tinygrad_cnn.cli.console import console
from tinygrad_cnn.support.extras import available

#: What a CPU feature is called by NumPy, from the widest vectors down.
_VECTORS = ("AVX512F", "AVX2", "AVX", "SSE42", "SVE", "NEON", "VSX", "VX")

#: Vector width of OpenBLAS's kernels, by the processor they are named after.
_WIDTHS = {
    "haswell": "AVX2", "zen": "AVX2", "excavator": "AVX2", "skylakex": "AVX512", "cooperlake": "AVX512",
    "sapphirerapids": "AVX512", "sandybridge": "AVX", "nehalem": "SSE4.2", "prescott": "SSE3",
    "neoversev1": "SVE", "neoversen1": "NEON", "armv8": "NEON", "armv8sve": "SVE", "vortex": "NEON",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def run(_args: argparse.Namespace) -> int:
    out = console()
    advice: list[str] = []
    for name, value in _facts(advice):
        out.print(f"{name:<19}{value}", soft_wrap=True)
    out.print("\noptional extras", style="bold")
    for extra in available():
        versions = ", ".join(f"{name} {version}" for name, version in extra.versions.items())
        state = versions if extra.present else f"missing ({', '.join(extra.missing)})"
        style = None if extra.present else "yellow"
        out.print(f"  {extra.name:<13}{state}: {extra.gives}", soft_wrap=True, style=style)
        if not extra.present:
            advice.append(f"for {extra.gives}: {extra.install}")
    out.print()
    for line in advice or ["nothing to improve"]:
        out.print(line, soft_wrap=True, style="yellow" if advice else "green")
    return 0


def _facts(advice: list[str]) -> list[tuple[str, str]]:
    from tinygrad_cnn.support.version import __version__

    blas = kernels.blas_info()
    backend, why = kernels.backend()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    pinned = os.environ.get("OPENBLAS_CORETYPE")
    vectors = _vectors()
    if pinned:
        advice.append(
            f"OPENBLAS_CORETYPE={pinned} makes BLAS use that processor's kernels whatever this one can do "
            f"({vectors}): unset it for full speed"
        )
    facts = [
        ("tinygrad_cnn", f"{__version__} in {Path(__file__).resolve().parents[1]}"),
        ("python", f"{platform.python_version()} on {platform.platform(terse=True)}"),
        ("numpy", np.__version__),
        ("graphviz, rich", ", ".join(_version(name) for name in ("graphviz", "rich"))),
        ("processor", f"{_processor()}, {cores} cores, vectors {vectors}"),
        ("BLAS", f"{blas['library']} {blas['config']}".strip()),
        ("BLAS kernels", f"{_core(blas)}{' (OPENBLAS_CORETYPE=' + pinned + ')' if pinned else ''}"),
        ("BLAS threads", "unknown" if blas["threads"] is None else str(blas["threads"])),
        ("OPENBLAS_CORETYPE", pinned or "not set"),
        ("kernels", f"{backend} ({why})"),
        ("kernel threads", str(kernels.get_num_threads())),
        ("conv precision", kernels.get_float32_conv_precision()),
    ]
    return facts


def _core(blas: dict[str, Any]) -> str:
    core = blas["core"] or "unknown"
    kind = _WIDTHS.get(core.lower())
    return f"{core} ({kind})" if kind else core


def _vectors() -> str:
    # NumPy tells what it found at start-up in a module of its own, whose place differs between versions.
    for place in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        features = getattr(sys.modules.get(place), "__cpu_features__", None)
        if features is not None:
            return next((name for name in _VECTORS if features.get(name)), "none")
    return "unknown"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor() or platform.machine()
    return platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
