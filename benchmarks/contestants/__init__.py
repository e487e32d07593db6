"""Who is measured: one module each, all with the same few functions.

`missing()` says why it cannot take part (None when it can), `describe()` gives its versions and threads,
`prepare(workload)` a `Task`, or None for work it has no means for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Task:
    """Work that is ready to run: `run()` does one unit of it, `result()` gives what the first unit computed."""

    run: Callable[[], Any]
    result: Callable[[], list[float]]
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Contestant:
    """A name, the module that runs it, the group it belongs to, and its process's environment."""

    name: str
    module: str
    group: str
    environment: dict[str, str] = field(default_factory=dict)
    imports: str | None = None


ALL: dict[str, Contestant] = {
    c.name: c
    for c in (
        Contestant(
            "tinygrad_cnn", "engine", "tinygrad_cnn", {"TINYGRAD_CNN_KERNELS": "auto"}, "tinygrad_cnn"
        ),
        Contestant(
            "tinygrad_cnn-numpy", "engine", "tinygrad_cnn (NumPy only)", {"TINYGRAD_CNN_KERNELS": "reference"}
        ),
        Contestant("pytorch", "pytorch", "PyTorch", {"BENCH_TORCH": "eager"}, "torch"),
        Contestant("pytorch-fused", "pytorch", "PyTorch", {"BENCH_TORCH": "fused"}),
        Contestant("pytorch-channels-last", "pytorch", "PyTorch", {"BENCH_TORCH": "channels-last"}),
        Contestant("jax", "jax_jit", "JAX jit", {"JAX_PLATFORMS": "cpu"}, "jax"),
        Contestant("mygrad", "mygrad_", "MyGrad", {}, "mygrad"),
        Contestant("autograd", "hips", "HIPS/autograd", {}, "autograd"),
    )
}
