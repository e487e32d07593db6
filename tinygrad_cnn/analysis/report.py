"""One report of a model's saturation over an epoch: dead units, the spread of activations and gradients, spectra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.analysis.saturation import is_activation
from tinygrad_cnn.analysis.spectra import Spectrum, spectrum, spectrum_table
from tinygrad_cnn.analysis.watch import evaluating
from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.backward import backward_steps
from tinygrad_cnn.autograd.graph import reachable
from tinygrad_cnn.autograd.handle import leaf, unwrap
from tinygrad_cnn.autograd.inspect import values_of
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.training.batch import split_batch
from tinygrad_cnn.training.loading import as_loader
from tinygrad_cnn.training.losses import make_loss

__all__ = ["Activity", "SaturationReport", "saturation_report"]


@dataclass(frozen=True)
class Activity:
    """One activation layer over all samples.

    Attributes
        layer: module path, or the op's name with its place outside modules
        op: relu, sigmoid, tanh…
        dead: share of units whose local gradient was (nearly) zero for every sample
        saturated: share of all entries where it was
        mean, spread: of the outputs: mean and standard deviation
        gradient: standard deviation of ∂L/∂output
        channels: (C,) share of entries with zero local gradient in each channel
    """

    layer: str
    op: str
    dead: float
    saturated: float
    mean: float
    spread: float
    gradient: float
    channels: npt.NDArray[np.float64]


@dataclass(frozen=True)
class SaturationReport:
    """What `saturation_report` found; `print` it, or draw it with `viz.saturation`.

    Attributes
        samples: that were looked at
        layers: the activations, in the order of computation
        weights: the spectra of the weights
    """

    samples: int
    layers: list[Activity]
    weights: list[Spectrum]

    def __str__(self) -> str:
        width = max([len(row.layer) for row in self.layers] + [5])
        head = f"{'layer':<{width}}  {'op':<8}  {'dead':>6}  saturated  {'mean':>8}  {'spread':>8}  {'gradient':>8}"
        rows = [
            f"{r.layer:<{width}}  {r.op:<8}  {r.dead:>6.1%}  {r.saturated:>9.1%}  {r.mean:>8.3g}  {r.spread:>8.3g}  "
            f"{r.gradient:>8.2g}"
            for r in self.layers
        ]
        seen = f"{self.samples:,} samples; dead: no gradient for any of them"
        return "\n".join([head, *rows, seen, "", spectrum_table(self.weights)])


#: For a value that no node keeps.
_NOTHING = np.full(1, np.nan)


class _Sums:
    """Running sums of one activation over the batches."""

    def __init__(self, layer: str, op: str) -> None:
        self.layer, self.op = layer, op
        self.dead: Any = None
        self.flat = self.entries = 0
        self.total = self.squares = self.pull = 0.0
        self.channels: Any = 0.0

    def add(self, value: Any, slope: Any, g: Any, tolerance: float) -> None:
        flat = np.abs(slope) <= tolerance
        gone = flat.all(axis=0)
        self.dead = gone if self.dead is None else self.dead & gone
        self.flat += int(flat.sum())
        self.entries += flat.size
        self.channels = self.channels + flat.sum(axis=tuple(k for k in range(flat.ndim) if k != 1))
        self.total += float(value.sum(dtype=np.float64))
        self.squares += float(np.square(value, dtype=np.float64).sum())
        self.pull += float(np.square(g, dtype=np.float64).sum()) if g is not None else 0.0

    def result(self) -> Activity:
        n = self.entries
        mean = self.total / n
        return Activity(
            self.layer, self.op, float(self.dead.mean()), self.flat / n, mean,
            float(np.sqrt(max(self.squares / n - mean * mean, 0.0))), float(np.sqrt(self.pull / n)),
            np.asarray(self.channels / (n / len(self.channels)), np.float64),
        )  # fmt: skip


def saturation_report(
    model: Any, data: Any, *, loss: Any = None, batch_size: int | None = None, tolerance: float = 1e-3
) -> SaturationReport:
    """Run all of `data` through the model, forwards and backwards, and say which units no longer learn.

    Args:
        model: the network; weights and gradients stay as they are
        data: a loader, a data set or a pair of arrays
        loss: as in `training.fit`
        batch_size: for data that are no loader already; 256 unless given
        tolerance: the size of a local gradient up to which it counts as zero

    Returns:
        the report

    Raises:
        UsageError: for a model without activations, or no samples
    """
    function = make_loss(loss)
    sums: list[_Sums] = []
    samples = 0
    kept = [(p, p.grad) for p in model.parameters()]
    try:
        with evaluating(model), modes.enable_grad():
            for batch in as_loader(data, batch_size, usual=(256, False)):
                inputs, targets = split_batch(batch)
                samples += len(unwrap(inputs))
                _measure(model, leaf(np.array(unwrap(inputs))), targets, function, tolerance, sums)
    finally:
        for p, grad in kept:
            p.grad = grad
    if not samples:
        raise UsageError("saturation_report() expected at least one sample, got none")
    if not sums:
        raise UsageError("saturation_report() found no activation in this model: no op with a slope that changes")
    return SaturationReport(samples, [part.result() for part in sums], spectrum(model))


def _measure(model: Any, x: Any, targets: Any, loss: Any, tolerance: float, sums: list[_Sums]) -> None:
    value = loss(model(x), targets)
    found = [node for node in reachable([value.node])[::-1] if is_activation(node)]
    place = {node.seq: k for k, node in enumerate(found)}
    if not sums:
        sums += [_Sums(node.module or f"{node.op.name} {k + 1}", node.op.name) for k, node in enumerate(found)]
    slopes = [node.local_gradient(0).factor for node in found]
    values = values_of(reachable([value.node]))
    for step in backward_steps(value, retain_graph=True):
        k = place.get(step.node.seq)
        if k is not None:
            sums[k].add(values.get(step.node.seq, _NOTHING), slopes[k], unwrap(step.upstream), tolerance)
