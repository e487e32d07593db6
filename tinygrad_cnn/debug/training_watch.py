"""Watching a training while it runs, by rules that cost a few reductions at every n-th step.

    watch = tg.debug.watch(model, optimizer)          # a warning names each ailment once, with its step
    ...                                               # the training as it is
    watch.validation(loss)                            # where there is one: over-fitting is judged by it
    print(watch); watch.html("watch.html"); watch.close()

Between two measured steps it counts calls of the model, and does nothing else. At a measured step an observer looks at
activations as they are recorded, and hooks of the optimiser look at gradients and weights around the update. What was
measured is in `records`, and goes to a trainer's history (as a callback) and to TensorBoard (`writer`).
"""

from __future__ import annotations

import contextlib
import html
import io
import json
import os
import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.autograd.inspect import Node, Observer, observing
from tinygrad_cnn.debug.diagnosis_rules import (
    DEAD,
    EXPLODING,
    GAP,
    PLATEAU,
    PLATEAU_SAMPLES,
    SATURATED,
    SEVERAL,
    UPDATE,
    VANISHING_RATIO,
    Ailment,
)
from tinygrad_cnn.debug.rendering import table, to_text
from tinygrad_cnn.nn import Module
from tinygrad_cnn.optim import Optimizer
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.viz.files import write_text
from tinygrad_cnn.viz.plots import canvas

#: Of each parameter so many entries at most are compared before and after an update.
SAMPLE = 4096
#: How much the newest of the measurements behind the noise scale counts.
NEWEST = 0.2
#: Bounds of a squashing activation's output, beyond which its slope is under 5 % of the steepest.
_FLAT = {"sigmoid": (0.0127, 0.9873), "tanh": (-0.975, 0.975)}


class Writer(Protocol):
    """What TensorBoard's SummaryWriter offers."""

    def add_scalar(self, tag: str, value: float, step: int, /) -> object:
        """Write a number."""


def watch(
    model: Module, optimizer: Optimizer, *, every: int = 50, writer: Writer | None = None, warn: bool = True
) -> TrainingWatch:
    """Watch a training: rules run at every n-th step of it, until `close`.

    Args:
        model: the network that is trained, in this thread
        optimizer: its optimiser
        every: how many steps lie between two that are measured
        writer: whatever has ``add_scalar(tag, value, step)``, as TensorBoard's SummaryWriter has
        warn: whether each finding is a warning, too

    Returns:
        The watch. Its `findings` are what is wrong, its `records` what was measured.

    Raises:
        UsageError: `every` is no number from 1, or `writer` has no `add_scalar`
    """
    return TrainingWatch(model, optimizer, every=every, writer=writer, warn=warn)


class TrainingWatch:
    """See `watch`. It is a callback of `fit` as well, which then writes the newest record into the history.

    `step` is how many steps were made; `records` has a dict per measured step: step, loss, grad_norm, noise_scale (in
    samples), update_ratio, and per layer ``dead/…`` and ``saturated/…``, shares from 0 to 1; `findings` is what is
    wrong, in the order in which it showed.
    """

    def __init__(
        self, model: Module, optimizer: Optimizer, *, every: int, writer: Writer | None, warn: bool
    ) -> None:
        if every < 1:
            raise UsageError(f"watch expected every of at least 1, got {every}")
        if writer is not None and not hasattr(writer, "add_scalar"):
            raise UsageError(f"watch expected a writer with add_scalar, got {type(writer).__name__}")
        self.model, self.optimizer, self.every, self.writer, self.warn = model, optimizer, every, writer, warn
        self.step = 0
        self.records: list[dict[str, float]] = []
        self.findings: list[Ailment] = []
        self._names = {id(p): name for name, p in model.named_parameters()}
        self._known: set[tuple[str, str]] = set()
        self._streaks: dict[tuple[str, str], int] = {}
        self._validation: list[tuple[float, float]] = []  # with the training loss of that time
        self._measuring = contextlib.ExitStack()
        self._look: _Activations | None = None
        self._before: list[tuple[Tensor, np.ndarray]] = []
        self._gradient: np.ndarray | None = None  # a sample, of the step before
        self._noise: tuple[float, float] | None = None  # |G|², and the variance of a batch's gradient
        self._hooks = [
            model.register_forward_pre_hook(self._on_forward),
            optimizer.register_step_pre_hook(self._on_step_begin),
            optimizer.register_step_post_hook(self._on_step_end),
        ]

    def close(self) -> None:
        """Watch no more."""
        for hook in self._hooks:
            hook.remove()
        self._measuring.close()
        self._look = None

    def __enter__(self) -> TrainingWatch:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # --- while the training runs -----------------------------------------------------------------

    @property
    def _measured(self) -> bool:
        return self.step % self.every == 0

    def _on_forward(self, module: Module, args: tuple[object, ...]) -> None:
        if (
            self.step % self.every
            or self._look is not None
            or not module.training
            or not modes.is_grad_enabled()
        ):
            return
        samples = next((len(a.array) for a in args if isinstance(a, Handle) and a.array.ndim), 1)
        self._look = self._measuring.enter_context(observing(_Activations(samples)))

    def _on_step_begin(self, _optimizer: Optimizer, _args: object, _kwargs: object) -> None:
        self._measuring.close()
        now = self.step % self.every
        if now > 1 or (now == 1 and self._gradient is None):
            return
        parameters = [
            p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None
        ]
        sample = np.concatenate([_sample(unwrap(p.grad)) for p in parameters] or [np.zeros(0)])
        if now == 1:
            self._second_gradient(sample)
            if not self._measured:
                return
        self._gradient = sample if self.every > 1 else sample.copy()
        self._before = [(p, _sample(p.array)) for p in parameters if p.array.ndim > 1]
        look = self._look
        record: dict[str, float] = {"step": self.step}
        if look is not None and look.last is not None:
            record["loss"] = float(look.last)
        sizes = {self._names.get(id(p), "?"): _norm(unwrap(p.grad)) for p in parameters}
        record["grad_norm"] = float(np.sqrt(sum(s * s for s in sizes.values())))
        if self._noise is not None and look is not None and self._noise[0] > 0:
            record["noise_scale"] = look.samples * self._noise[1] / self._noise[0]
        for name, shares in (look.shares if look is not None else {}).items():
            record[name] = max(shares)
        self.records.append(record)
        self._judge_gradients(sizes, parameters)

    def _on_step_end(self, _optimizer: Optimizer, _args: object, _kwargs: object) -> None:
        if self._measured and self._before:
            record = self.records[-1]
            ratios = {}
            for p, old in self._before:
                size = _norm(old)
                if size:
                    ratios[self._names.get(id(p), "?")] = _norm(_sample(p.array) - old) / size
            if ratios:
                record["update_ratio"] = float(np.median(list(ratios.values())))
            self._before = []
            self._judge(record, ratios)
            self._write(record)
        self._look = None
        self.step += 1

    def _second_gradient(self, sample: np.ndarray) -> None:
        """The gradients of two batches in a row: their product estimates |G|², the rest of their squares is noise."""
        first = self._gradient
        self._gradient = None
        if first is None or first.shape != sample.shape or not sample.size:
            return
        product = _product(first, sample)
        noise = max((_product(first, first) + _product(sample, sample)) / 2 - product, 0.0)
        if not np.isfinite(product + noise):
            return
        if self._noise is not None:
            product = (1 - NEWEST) * self._noise[0] + NEWEST * product
            noise = (1 - NEWEST) * self._noise[1] + NEWEST * noise
        self._noise = (product, noise)

    def validation(self, loss: Tensor | float) -> None:
        """Tell it the loss on validation data: over-fitting is judged by it."""
        value = float(np.asarray(unwrap(loss)))
        recent = [r["loss"] for r in self.records[-PLATEAU_SAMPLES:] if "loss" in r]
        self._validation.append((value, float(np.mean(recent)) if recent else float("nan")))
        self._overfitting()

    # --- the rules -------------------------------------------------------------------------------

    def _judge_gradients(self, sizes: dict[str, float], parameters: list[Tensor]) -> None:
        for p in parameters:
            name = self._names.get(id(p), "?")
            rms = sizes[name] / max(1, p.array.size) ** 0.5
            if not np.isfinite(rms):
                self._found("exploding_tensor", name, "its gradient is not finite")
            self._several("exploding_tensor", name, rms > EXPLODING, f"gradient of size {rms:.3g} per entry")
        weights = [n for p in parameters if p.array.ndim > 1 and (n := self._names.get(id(p))) is not None]
        if len(weights) > 2:
            first, last = sizes[weights[0]], sizes[weights[-1]]
            said = f"norm of the gradient {first:.2g}, {weights[-1]}'s is {last:.2g}"
            self._several("vanishing_gradient", weights[0], first < VANISHING_RATIO * last, said)

    def _judge(self, record: dict[str, float], ratios: dict[str, float]) -> None:
        for name, ratio in ratios.items():
            said = f"an update is {ratio:.2g} of the weights' size"
            self._several("weight_update_ratio", name, not UPDATE[0] <= ratio <= UPDATE[1], said)
        for name, share in record.items():
            kind, _, where = name.partition("/")
            if kind == "dead":
                said = f"{100 * share:.0f} % of the units are off for the whole batch"
                self._several("dead_relu", where, share > DEAD, said)
            elif kind == "saturated":
                said = f"{100 * share:.0f} % of the entries are on the flat part"
                self._several("saturated_activation", where, share > SATURATED, said)
        losses = [r["loss"] for r in self.records if "loss" in r]
        if losses and not np.isfinite(losses[-1]):
            self._found("exploding_tensor", "loss", f"the loss is {losses[-1]}")
        if len(losses) >= 2 * PLATEAU_SAMPLES:
            before = float(np.median(losses[-2 * PLATEAU_SAMPLES : -PLATEAU_SAMPLES]))
            now = float(np.median(losses[-PLATEAU_SAMPLES:]))
            if now > before - PLATEAU * abs(before):
                said = f"{before:.4g}, and {now:.4g} after {PLATEAU_SAMPLES * self.every} more steps"
                self._found("loss_plateau", "loss", said)

    def _overfitting(self) -> None:
        if len(self._validation) <= SEVERAL:
            return
        values = [value for value, _ in self._validation]
        best = int(np.nanargmin(values)) if np.isfinite(values).any() else 0
        at_best, now = self._validation[best], self._validation[-1]
        rising = all(value > GAP * at_best[0] for value in values[-SEVERAL:])
        if best < len(values) - SEVERAL and rising and not now[1] > at_best[1]:
            said = f"{at_best[0]:.4g} at best, {now[0]:.4g} now, while the training loss fell to {now[1]:.4g}"
            self._found("over_fitting", "validation loss", said)

    def _several(self, rule: str, where: str, bad: bool, said: str) -> None:
        """A finding only when it shows several times in a row: single batches may be odd."""
        streak = self._streaks[rule, where] = self._streaks.get((rule, where), 0) + 1 if bad else 0
        if streak >= SEVERAL:
            self._found(rule, where, said)

    def _found(self, rule: str, where: str, said: str) -> None:
        if (rule, where) in self._known:
            return
        self._known.add((rule, where))
        finding = Ailment(rule, where, f"step {self.step}: {said}")
        self.findings.append(finding)
        if self.warn:
            text = f"{rule} at {where}, {finding.how_much}; {finding.advice}"
            warnings.warn(text, stacklevel=_outside())

    # --- where it goes ---------------------------------------------------------------------------

    def _write(self, record: dict[str, float]) -> None:
        if self.writer is not None:
            for name, value in record.items():
                if name != "step":
                    self.writer.add_scalar(f"watch/{name}", value, int(record["step"]))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write records and findings as JSON."""
        findings = [{"rule": f.rule, "where": f.where, "how_much": f.how_much} for f in self.findings]
        return write_text(path, json.dumps({"records": self.records, "findings": findings}, indent=1) + "\n")

    def html(self, path: str | os.PathLike[str]) -> Path:
        """Write a page of its own: the findings with advice, and each measure over the steps."""
        rows = "".join(
            f"<tr><td><b>{html.escape(f.rule)}</b></td><td><code>{html.escape(f.where)}</code></td>"
            f"<td>{html.escape(f.how_much)}</td><td>{html.escape(f.advice)}</td></tr>"
            for f in self.findings
        )
        head = "<tr><th>rule<th>where<th>how much<th>what to do</tr>"
        found = f"<table>{head}{rows}</table>" if rows else "<p>No rule has found anything.</p>"
        said = f"{self.step} steps, measured at every {self.every}"
        return write_text(path, _PAGE.format(said=said, found=found, picture=self._picture()))

    def _picture(self) -> str:
        """The measures over the steps, as SVG text."""
        names = list(dict.fromkeys(n for r in self.records for n in r if n != "step" and "/" not in n))
        panels: list[tuple[str, list[str]]] = [(name, [name]) for name in names]
        for kind in ("dead", "saturated"):
            of_kind = dict.fromkeys(n for r in self.records for n in r if n.startswith(kind + "/"))
            if of_kind:
                panels.append((f"{kind}: share", list(of_kind)))
        if not panels:
            return ""
        with canvas.styled():
            figure = canvas.new_figure(10, 1.9 * len(panels))
            for k, (title, columns) in enumerate(panels):
                axes = figure.add_subplot(len(panels), 1, k + 1)
                for name in columns:
                    points = [
                        (r["step"], r[name]) for r in self.records if name in r and np.isfinite(r[name])
                    ]
                    if points:
                        axes.plot(*zip(*points, strict=True), label=name.partition("/")[2])
                if len(columns) > 1:
                    axes.legend(loc="upper right", fontsize=7)
                axes.set_title(title, loc="left", fontsize=9)
            axes.set_xlabel("step")
            out = io.StringIO()
            figure.savefig(out, format="svg", metadata={"Date": None})
        text = out.getvalue()
        return text[text.index("<svg") :]

    # As a callback of `training.fit`. An epoch's record gets the newest of each measure.

    def on_epoch_end(self, trainer: Any) -> None:
        """Write the newest measures into the epoch's record; judge over-fitting by its validation loss."""
        record = trainer.history.records[-1]
        newest: dict[str, float] = {}
        for measured in self.records:
            newest |= measured
        record |= {k: v for k, v in newest.items() if k not in ("step", "loss")}
        if record.get("val_loss") is not None:
            self.validation(record["val_loss"])

    def on_train_end(self, _trainer: object) -> None:
        """Watch no more."""
        self.close()

    def _nothing(self, _trainer: object) -> None: ...

    on_train_begin = on_epoch_begin = on_batch_end = on_interrupt = _nothing

    def state_dict(self) -> dict[str, object]:
        """Nothing: a continued run watches anew."""
        return {}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Nothing to load."""

    def __str__(self) -> str:
        if not self.findings:
            return f"nothing wrong found ({self.step} steps, {len(self.records)} measured)"
        rows = [(f.rule, f.where, f.how_much) for f in self.findings]
        return to_text([table(rows, ("rule", "where", "how much"))])

    __repr__ = __str__


class _Activations(Observer):
    """Shares of dead and flat activations as the forward pass records them, and the last scalar, which is the loss."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.shares: dict[str, list[float]] = {}
        self.last: float | None = None

    def on_record(self, node: Node, output: np.ndarray) -> None:
        """One reduction for an activation, none for anything else."""
        if output.size == 1:
            self.last = output.item()
            return
        name = node.op.name
        if output.ndim < 2:
            return
        where = node.module or name
        if name == "relu":
            dead = ~output.any(axis=(0, *range(2, output.ndim)))
            self.shares.setdefault(f"dead/{where}", []).append(float(dead.mean()))
        elif name in _FLAT:
            low, high = _FLAT[name]
            flat = np.count_nonzero(output < low) + np.count_nonzero(output > high)
            self.shares.setdefault(f"saturated/{where}", []).append(flat / max(1, output.size))


def _sample(array: np.ndarray) -> np.ndarray:
    """At most `SAMPLE` of the entries, evenly spread, copied."""
    flat = array.reshape(-1)
    return np.array(flat[:: -(-flat.size // SAMPLE) or 1], dtype=np.float64)


def _product(a: np.ndarray, b: np.ndarray) -> float:
    """Their inner product in float64, without BLAS: its threads cost more than they save where cores are busy."""
    return float(np.einsum("i,i->", a.reshape(-1), b.reshape(-1), dtype=np.float64))


def _norm(array: np.ndarray) -> float:
    return _product(array, array) ** 0.5


def _outside() -> int:
    """How many frames up the program is that calls `optimizer.step()`."""
    import sys

    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and __package__.split(".")[0] in frame.f_globals.get("__name__", "").split(
        "."
    ):
        level, frame = level + 1, frame.f_back
    return level


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>A training, watched</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }}
table {{ border-collapse: collapse; }} td, th {{ text-align: left; padding: .3rem .8rem .3rem 0; vertical-align: top; }}
svg {{ max-width: 100%; height: auto; }}
</style>
<h1>A training, watched</h1>
<p>{said}</p>
{found}
{picture}
</html>
"""
