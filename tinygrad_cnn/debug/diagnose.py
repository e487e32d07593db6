"""Why does it not learn? The known ailments of a network, looked for over a few steps.

    print(tg.debug.diagnose(model, loader, loss_fn=F.cross_entropy))

Two phases. It looks: forward and backward over some batches, without updates. It trains (`learning`): some steps
on the first batch, which any healthy network can learn by heart. Then everything is put back as it was. Rules,
thresholds and advice are in `diagnosis_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.autograd.inspect import Node, reachable
from tinygrad_cnn.debug.anomaly import Finding, anomaly
from tinygrad_cnn.debug.conditions import norm
from tinygrad_cnn.debug.diagnosis_rules import (
    BATCHES,
    DEAD,
    ENOUGH,
    EXPLODING,
    INPUT_MEAN,
    INPUT_STD,
    ONE_CLASS,
    SATURATED,
    VANISHING,
    VANISHING_RATIO,
    Ailment,
)  # fmt: skip
from tinygrad_cnn.debug.learning import Learning, base, loss_of, place
from tinygrad_cnn.debug.rendering import to_text
from tinygrad_cnn.debug.training_snapshot import TrainingSnapshot
from tinygrad_cnn.support.errors import UsageError


@dataclass
class Report:
    """What `diagnose` found. True when something is wrong; `str` and rich show it; `findings` is the data."""

    findings: list[Ailment] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    looked_at: str = ""

    def __bool__(self) -> bool:
        return bool(self.findings)

    def of(self, rule: str) -> list[Ailment]:
        """The findings of one rule."""
        return [f for f in self.findings if f.rule == rule]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "findings": [asdict(f) | {"advice": f.advice} for f in self.findings],
            "losses": self.losses,
            "looked_at": self.looked_at,
        }

    def __rich__(self) -> Any:
        if not self.findings:
            return Text(f"nothing wrong found ({self.looked_at})", "green")
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("rule", style="bold red", no_wrap=True)
        table.add_column("where", style="cyan", overflow="fold")
        table.add_column("how much")
        for f in self.findings:
            table.add_row(f.rule, Text(f.where), Text(f.how_much))
        advice = {f.rule: f.advice for f in self.findings}
        lines = [Text.assemble((f"{rule}: ", "bold"), text) for rule, text in advice.items()]
        return Group(table, Text(""), *lines, Text(f"({self.looked_at})", "dim"))

    def __str__(self) -> str:
        return to_text([self.__rich__()])

    __repr__ = __str__


def diagnose(
    model: Any, loader: Iterable[Any], loss_fn: Callable[..., Any] | None = None, *, steps: int = 10,
    optimizer: Any = None, lr: float = 0.01,
) -> Report:  # fmt: skip
    """Look for what keeps a network from learning.

    Parameters
        model, loader: the network, and batches ``(input, target)`` for it
        loss_fn: ``loss_fn(model(input), target)`` -> a scalar; cross-entropy when left out
        steps: updates on the first batch
        optimizer: the one to train with, so that its update sizes are judged; without one, SGD with `lr`, and
            Adam where that does not get the loss down

    Parameters, buffers, gradients, optimiser, random generators and training switches are left as they were.
    Raises UsageError when the loader gives nothing, or something that is no pair.
    """
    from tinygrad_cnn.nn.functional import cross_entropy

    judge: Callable[..., Any] = loss_fn or cross_entropy
    before = TrainingSnapshot(model, optimizer)
    try:
        batches = _batches(loader)
        model.train()
        look = _Look(model, judge)
        with modes.enable_grad(), np.errstate(all="ignore"):
            for batch in batches:
                look.over(batch)
            learning = Learning(model, judge, optimizer, lr, before)
            if not look.broken:
                learning.on(batches[0], steps)
        found = [*_inputs(batches), *_targets(batches), *look.findings(), *learning.findings()]
    finally:
        before.restore(model, optimizer)
    what = f"{len(batches)} batch(es) looked at, {len(learning.losses)} step(s) on the first{learning.how}"
    if frozen := [n for n, p in model.named_parameters() if not p.requires_grad]:
        what += f"; frozen, so not judged: {', '.join(frozen[:5])}{', …' if len(frozen) > 5 else ''}"
    return Report(found, learning.losses, what)


def _batches(loader: Iterable[Any]) -> list[tuple[Any, ...]]:
    found = []
    for batch in loader:
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise UsageError(f"diagnose expected batches (input, target), got {type(batch).__name__}")
        found.append(tuple(batch))
        if len(found) == BATCHES:
            break
    if not found:
        raise UsageError("diagnose expected at least one batch, the loader gave none")
    return found


# --- looking -------------------------------------------------------------------------------------


class _Look:
    """Forward and backward without updates."""

    def __init__(self, model: Any, loss_fn: Callable[..., Any]) -> None:
        self.model, self.loss_fn = model, loss_fn
        self.off: dict[str, np.ndarray] = {}
        self.flat: dict[str, list[float]] = {}
        self.sizes: dict[str, list[float]] = {}
        self.used: set[str] = set()
        self.largest: dict[str, float] = {}
        self.zero: dict[str, bool] = {}
        self.broken = False
        self.broken_at: Finding | None = None
        self.order: list[str] = []
        self.twice: dict[str, str] = {}

    def over(self, batch: tuple[Any, ...]) -> None:
        for p in self.model.parameters():
            p.grad = None
        with anomaly(error=False, warn=False) as found:
            loss = loss_of(self.model, self.loss_fn, batch)
            if loss.node is None:
                return
            nodes = reachable([loss.node])[::-1]
            for node in nodes:
                self._activation(node)
                self._softmax(node)
            loss.backward()
        if found and not self.broken:
            self.broken = True
            self.broken_at = found.forward or found.backward
        names = {id(p): n for n, p in self.model.named_parameters()}
        order = [names[id(n.tensor)] for n in nodes if n.is_leaf and id(n.tensor) in names]
        self.order = sorted(set(order), key=lambda n: _first_use(nodes, names, n))
        for name, p in self.model.named_parameters():
            if p.grad is None:
                continue
            self.used.add(name)
            g = unwrap(p.grad).astype(np.float64)
            self.sizes.setdefault(name, []).append(float(np.mean(np.abs(g))))
            self.largest[name] = max(self.largest.get(name, 0.0), norm(g) / max(1, g.size) ** 0.5)
            self.zero[name] = self.zero.get(name, True) and not g.any()

    def _activation(self, node: Node) -> None:
        if node.op.kind != "elementwise" or len(node.parents) != 1 or node.op.constants[0] is not None:
            return
        if node.parents[0] is None or len(node.shape) < 2:
            return
        label = _label(node)
        slope = np.abs(node.local_gradient(0).factor)
        if "relu" in node.op.name:
            off = (slope == 0).all(axis=(0, *range(2, slope.ndim)))
            before = self.off.get(label)
            self.off[label] = off if before is None or before.shape != off.shape else before & off
        elif node.op.name in _SQUASHING:
            self.flat.setdefault(label, []).append(float(np.mean(slope < 0.05 * _SQUASHING[node.op.name])))

    def _softmax(self, node: Node) -> None:
        """A loss that takes scores, and gets what softmax or sigmoid made of them."""
        wrong = _TAKES_SCORES.get(node.op.name)
        parent = node.parents[0] if wrong else None
        while parent is not None and parent.op.is_view and parent.parents:
            parent = parent.parents[0]
        if parent is not None and parent.op.name == wrong:
            self.twice[_label(parent)] = f"{node.op.name} takes scores, and gets the output of {wrong}"

    def findings(self) -> list[Ailment]:
        found = [Ailment("softmax_twice", where, said) for where, said in self.twice.items()]
        at = self.broken_at
        if at is not None:
            found.append(Ailment("exploding_tensor", place(at), str(at).splitlines()[0]))
        for name, p in self.model.named_parameters():
            if not p.requires_grad:
                continue
            if name not in self.used:
                found.append(Ailment("unused_parameter", name, "never got a gradient"))
            elif self.zero.get(name):
                found.append(Ailment("all_zero", name, "its gradient is exactly 0 everywhere"))
            elif not self.broken and not self.largest[name] <= EXPLODING:
                said = f"gradient of size {self.largest[name]:.3g} per entry"
                found.append(Ailment("exploding_tensor", name, said))
        found += self._vanishing()
        for label, off in self.off.items():
            if off.size and off.mean() > DEAD:
                said = f"{off.sum()} of {off.size} units are off for every sample"
                found.append(Ailment("dead_relu", label, said))
        for label, shares in self.flat.items():
            if np.mean(shares) > SATURATED:
                said = f"{100 * np.mean(shares):.0f} % of the entries are on the flat part"
                found.append(Ailment("saturated_activation", label, said))
        return found

    def _vanishing(self) -> list[Ailment]:
        sizes = {n: float(np.mean(v)) for n, v in self.sizes.items() if not self.zero[n]}
        weights = [n for n in self.order if n in sizes and n.endswith("weight")]
        found = []
        for name in sizes:
            if sizes[name] < VANISHING:
                said = f"mean |gradient| {sizes[name]:.2g}"
                found.append(Ailment("vanishing_gradient", name, said))
        if (
            not found
            and len(weights) > 2
            and sizes[weights[-1]]
            and sizes[weights[0]] < VANISHING_RATIO * sizes[weights[-1]]
        ):
            first, last = sizes[weights[0]], sizes[weights[-1]]
            said = f"mean |gradient| {first:.2g}, {last / first:.0f} times less than {weights[-1]}'s"
            found.append(Ailment("vanishing_gradient", weights[0], said))
        return found


#: Losses that apply a softmax or a sigmoid themselves, and which.
_TAKES_SCORES = {"cross_entropy": "softmax", "bce_with_logits": "sigmoid"}
#: Activations with flat ends, and their steepest slope.
_SQUASHING = {
    "sigmoid": 0.25,
    "tanh": 1.0,
    "softsign": 1.0,
    "hardtanh": 1.0,
    "hardsigmoid": 1 / 6,
    "erf": 1.13,
}


# --- data ---------------------------------------------------------------------------------------


def _inputs(batches: list[tuple[Any, ...]]) -> list[Ailment]:
    found = []
    for k in range(len(batches[0]) - 1):
        parts = [np.asarray(unwrap(b[k])) for b in batches]
        if parts[0].dtype.kind not in "fu" or not parts[0].size:
            continue
        x = np.concatenate([p.astype(np.float64).ravel() for p in parts])
        if not np.isfinite(x).all():
            bad = int((~np.isfinite(x)).sum())
            found.append(Ailment("input_not_normalised", f"input {k}", f"{bad} entries are nan or infinite"))
        elif abs(x.mean()) > INPUT_MEAN or not INPUT_STD[0] <= x.std() <= INPUT_STD[1]:
            said = f"mean {x.mean():.3g}, spread {x.std():.3g}, from {x.min():.3g} to {x.max():.3g}"
            found.append(Ailment("input_not_normalised", f"input {k}", said))
    return found


def _targets(batches: list[tuple[Any, ...]]) -> list[Ailment]:
    """Classes that are all the same one."""
    parts = [np.asarray(unwrap(b[-1])) for b in batches]
    if any(p.dtype.kind not in "iu" for p in parts):
        return []
    classes = np.concatenate([p.ravel() for p in parts])
    if classes.size < ENOUGH:
        return []
    found, counts = np.unique(classes, return_counts=True)
    share = counts.max() / classes.size
    if share < ONE_CLASS:
        return []
    said = f"{100 * share:.0f} % of {classes.size} targets are class {found[counts.argmax()]}"
    return [Ailment("class_imbalance", "targets", said)]


def _label(node: Node) -> str:
    if node.module:
        return node.module
    where = node.where
    return f"{node.op.name} at {base(where.filename)}:{where.lineno}" if where is not None else node.op.name


def _first_use(nodes: list[Node], names: dict[int, str], name: str) -> int:
    for k, node in enumerate(nodes):
        for parent in node.parents:
            if parent is not None and names.get(id(parent.tensor)) == name:
                return k
    return len(nodes)
