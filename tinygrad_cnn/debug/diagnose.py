"""Why does it not learn? The known ailments of a network, looked for over a few steps.

    print(tg.debug.diagnose(model, loader, loss_fn=F.cross_entropy))

It looks at inputs and targets (`diagnosis_data`), at forward and backward passes over some batches without updates
(`diagnosis_graph`), and trains some steps on the first batch, which any healthy network can learn by heart
(`learning`). Then everything is put back as it was. Rules, thresholds and advice are in `diagnosis_rules`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.debug.diagnosis_data import contradictions, judge_inputs, judge_targets, unrelated
from tinygrad_cnn.debug.diagnosis_graph import Look
from tinygrad_cnn.debug.diagnosis_rules import BATCHES, PROBE, READ, SAMPLES, Ailment
from tinygrad_cnn.debug.learning import Learning
from tinygrad_cnn.debug.rendering import to_text
from tinygrad_cnn.debug.training_snapshot import Batch, LossFn, TrainingSnapshot
from tinygrad_cnn.nn import Module
from tinygrad_cnn.optim import Optimizer
from tinygrad_cnn.support.errors import UsageError


@dataclass
class Report:
    """What `diagnose` found. True when something is wrong; `str` and rich show it.

    Attributes:
        findings: what is wrong
        notes: what is worth knowing and no ailment: frozen layers, biases that a normalisation cancels
        losses: the loss before each update of the training on one batch
        looked_at: how much was looked at
    """

    findings: list[Ailment] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    looked_at: str = ""
    notes: list[Ailment] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.findings)

    def of(self, rule: str) -> list[Ailment]:
        """The findings (and notes) of one rule."""
        return [f for f in [*self.findings, *self.notes] if f.rule == rule]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "findings": [asdict(f) | {"advice": f.advice} for f in self.findings],
            "notes": [asdict(f) | {"advice": f.advice} for f in self.notes],
            "losses": self.losses,
            "looked_at": self.looked_at,
        }

    def __rich__(self) -> Any:
        lines: list[Any] = []
        if self.findings:
            lines.append(_table(self.findings, "rule", "bold red"))
        else:
            lines.append(Text(f"nothing wrong found ({self.looked_at})", "green"))
        if self.notes:
            lines += [Text(""), _table(self.notes, "note", "bold yellow")]
        advice = {f.rule: f.advice for f in [*self.findings, *self.notes]}
        if advice:
            lines.append(Text(""))
        lines += [Text.assemble((f"{rule}: ", "bold"), text) for rule, text in advice.items()]
        if self.findings:
            lines.append(Text(f"({self.looked_at})", "dim"))
        return Group(*lines)

    def __str__(self) -> str:
        return to_text([self.__rich__()])

    __repr__ = __str__


def _table(rows: list[Ailment], title: str, style: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(title, style=style, no_wrap=True)
    table.add_column("where", style="cyan", overflow="fold")
    table.add_column("how much")
    for f in rows:
        table.add_row(f.rule, Text(f.where), Text(f.how_much))
    return table


def diagnose(
    model: Module, loader: Iterable[Any], loss_fn: LossFn | None = None, *, steps: int = 10,
    optimizer: Optimizer | None = None, lr: float = 0.01,
) -> Report:  # fmt: skip
    """Look for what keeps a network from learning.

    Parameters
        model, loader: the network, and batches ``(input, target)`` for it
        loss_fn: ``loss_fn(model(input), target)`` -> a scalar; cross-entropy when left out
        steps: updates on the first batch
        optimizer: the one to train with, so that its update sizes are judged; without one, SGD with `lr`, and
            Adam where that does not get the loss down

    What is wrong is in `findings`; `notes` has what is worth knowing and no ailment: frozen layers, and biases
    that a normalisation behind them cancels. The model is judged in the mode it came in, and trained in training mode.

    Parameters, buffers, gradients, optimiser, random generators and training switches are left as they were.
    Raises UsageError when the loader gives nothing, or something that is no pair.
    """
    from tinygrad_cnn.nn.functional import cross_entropy

    judge: LossFn = loss_fn or cross_entropy
    before = TrainingSnapshot(model, optimizer)
    try:
        read = _batches(loader)
        batches = read[:BATCHES]
        modes_found = _modes(model)
        if not model.training:
            model.train()
        look = Look(model, judge)
        learning = Learning(model, judge, optimizer, lr, before)
        with modes.enable_grad(), np.errstate(all="ignore"):
            for batch in batches:
                look.over(batch)
            zero, copies = look.zero_weights(), look.copies()
            stuck = {name for name, is_zero in look.zero.items() if is_zero}
            if not look.broken and not look.no_graph:
                learning.on(batches[0], steps)
                stuck, copies = _still(model, judge, batches[0], stuck, copies)
        found = [*judge_inputs(batches, look.normalises_first), *judge_targets(read), *modes_found]
        found += [Ailment("zero_weights", name, "every weight is 0") for name in zero]
        found += [
            Ailment("identical_units", name, f"{n} of {of} units are copies of one another")
            for name, (n, of) in copies.items()
            if name not in zero
        ]
        found += [*look.findings(stuck=stuck, learnt=learning.learnt), *learning.findings()]
        found += _belonging(read, learning, found)
        notes = look.notes()
    finally:
        before.restore(model, optimizer)
    own = list(model.named_parameters())
    frozen = [n for n, p in own if not p.requires_grad]
    what = f"{len(batches)} batch(es) looked at, {len(learning.losses)} step(s) on the first{learning.how}"
    if frozen:
        what += f"; frozen, so not judged: {', '.join(frozen[:5])}{', …' if len(frozen) > 5 else ''}"
        said = "requires_grad is False: it is not trained"
        if len(frozen) == len(own):
            found = [f for f in found if f.rule not in ("no_graph", "not_in_optimizer")]
            found.insert(0, Ailment("frozen", "model", "requires_grad is False for every parameter"))
        else:
            notes += [Ailment("frozen", name, said) for name in frozen]
    return Report(found, learning.losses, what, notes)


def _batches(loader: Iterable[Any]) -> list[Batch]:
    """The first batches: some to compute with, and more of them to judge the targets by."""
    found: list[Batch] = []
    samples = 0
    for batch in loader:
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise UsageError(f"diagnose expected batches (input, target), got {type(batch).__name__}")
        found.append(tuple(batch))
        samples += (np.shape(unwrap(batch[-1])) or (1,))[0]
        if len(found) >= BATCHES and (samples >= SAMPLES or len(found) >= READ):
            break
    if not found:
        raise UsageError("diagnose expected at least one batch, the loader gave none")
    return found


def _modes(model: Module) -> list[Ailment]:
    """Normalisation and dropout that are in evaluation mode. Frozen layers may be, on purpose."""
    found = []
    for name, module in model.named_modules():
        if module.training:
            continue
        parameters = list(module.parameters(recurse=False))
        dropout = "Dropout" in type(module).__name__ and getattr(module, "p", 0) > 0
        running = getattr(module, "running_mean", None) is not None
        if running and parameters and not any(p.requires_grad for p in parameters):
            continue
        if dropout or running:
            what = "drops nothing" if dropout else "uses its running statistics, not the batch's"
            found.append(
                Ailment(
                    "evaluation_mode", name or "model", f"{type(module).__name__} is in eval(): it {what}"
                )
            )
    return found


def _still(
    model: Module, judge: LossFn, batch: Batch, stuck: set[str],
    copies: dict[str, tuple[int, int]],
) -> tuple[set[str], dict[str, tuple[int, int]]]:  # fmt: skip
    """Which gradients are still 0, and which units still copies, now that some updates were made.

    The last layer of a network, or of a residual branch, may start at zero: one update frees the others.
    """
    if not stuck and not copies:
        return stuck, copies
    again = Look(model, judge)
    again.over(batch)
    same = again.copies()
    return {n for n in stuck if again.zero.get(n, True)}, {n: c for n, c in copies.items() if n in same}


def _belonging(read: list[Batch], learning: Learning, found: list[Ailment]) -> list[Ailment]:
    """Targets that contradict each other, or have nothing to do with the inputs although the network can learn."""
    if any(f.rule in ("constant_targets", "class_imbalance", "not_finite_data") for f in found):
        return []
    if torn := contradictions(read):
        return torn
    said = unrelated(read)
    if said is None:
        return []
    fits = learning.fits(read[0], PROBE)
    if fits is None:
        return []
    first, last = fits
    by_heart = f"; {PROBE} samples are learnt by heart all the same (loss {first:.3g}, then {last:.3g})"
    return [Ailment("unrelated_targets", "targets", said + by_heart)]
