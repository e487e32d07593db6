"""Why does it not learn? The known ailments of a network, looked for over a few steps.

    print(tg.debug.diagnose(model, loader, loss_fn=F.cross_entropy))

Two phases. It looks: forward and backward over some batches, without updates. It trains: some steps on the
first batch, which any healthy network can learn by heart. Then everything is put back as it was. The rules'
names are those of SageMaker Debugger where it has the rule; the thresholds stand below.
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
from tinygrad_cnn.autograd.graph import Node, reachable
from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.debug.anomaly import Finding, anomaly
from tinygrad_cnn.debug.conditions import norm
from tinygrad_cnn.debug.moment import Moment
from tinygrad_cnn.debug.rendering import to_text
from tinygrad_cnn.errors import UsageError

#: Mean |gradient| below which a layer learns nothing in float32.
VANISHING = 1e-7
#: First layer's gradient per entry over the last layer's.
VANISHING_RATIO = 1e-4
#: Root mean square of a parameter's gradient that no usual learning rate survives.
EXPLODING = 1e3
#: Share of a rectifier's units that are off for every sample looked at.
DEAD = 0.5
#: Share of an activation's entries whose slope is under 5 % of the steepest.
SATURATED = 0.8
#: Sensible sizes of one update over the size of the weights; about 1e-3 is usual.
UPDATE = (1e-6, 1e-1)
#: Inputs beyond these are not normalised: |mean| and spread.
INPUT_MEAN, INPUT_STD = 3.0, (0.05, 5.0)
#: The loss of the batch trained on should fall by at least this share.
FALL = 0.02
#: Batches looked at.
BATCHES = 4


@dataclass(frozen=True)
class Ailment:
    """One finding: which rule, where, how much, and what people do about it."""

    rule: str
    where: str
    how_much: str
    advice: str


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
            "findings": [asdict(f) for f in self.findings],
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
        optimizer: the one to train with, so that its update sizes are judged; plain SGD with `lr` otherwise

    Parameters, buffers, gradients, optimiser, random generators and training switches are left as they were.
    Raises UsageError when the loader gives nothing, or something that is no pair.
    """
    from tinygrad_cnn.nn.functional import cross_entropy

    judge: Callable[..., Any] = loss_fn or cross_entropy
    moment = Moment(model, optimizer)
    try:
        batches = _batches(loader)
        model.train()
        look = _Look(model, judge)
        with modes.enable_grad(), np.errstate(all="ignore"):
            for batch in batches:
                look.over(batch)
            train = _Train(model, judge, optimizer, lr)
            if not look.broken:
                train.on(batches[0], steps)
        found = [*_inputs(batches), *look.findings(), *train.findings()]
    finally:
        moment.restore(model, optimizer)
    what = f"{len(batches)} batch(es) looked at, {len(train.losses)} step(s) on the first"
    return Report(found, train.losses, what)


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


def _loss(model: Any, loss_fn: Callable[..., Any], batch: tuple[Any, ...]) -> Any:
    loss = loss_fn(model(*batch[:-1]), batch[-1])
    if not isinstance(loss, Handle) or loss.array.size != 1:
        raise UsageError("diagnose expected loss_fn to give a scalar tensor")
    return loss


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

    def over(self, batch: tuple[Any, ...]) -> None:
        for p in self.model.parameters():
            p.grad = None
        with anomaly(error=False, warn=False) as found:
            loss = _loss(self.model, self.loss_fn, batch)
            if loss.node is None:
                return
            nodes = reachable([loss.node])[::-1]
            for node in nodes:
                self._activation(node)
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

    def findings(self) -> list[Ailment]:
        found = []
        at = self.broken_at
        if at is not None:
            found.append(
                Ailment("exploding_tensor", _place(at), str(at).splitlines()[0], _ADVICE["exploding_tensor"])
            )
        for name, p in self.model.named_parameters():
            if not p.requires_grad:
                continue
            if name not in self.used:
                found.append(
                    Ailment("unused_parameter", name, "never got a gradient", _ADVICE["unused_parameter"])
                )
            elif self.zero.get(name):
                found.append(
                    Ailment("all_zero", name, "its gradient is exactly 0 everywhere", _ADVICE["all_zero"])
                )
            elif not self.broken and not self.largest[name] <= EXPLODING:
                said = f"gradient of size {self.largest[name]:.3g} per entry"
                found.append(Ailment("exploding_tensor", name, said, _ADVICE["exploding_tensor"]))
        found += self._vanishing()
        for label, off in self.off.items():
            if off.size and off.mean() > DEAD:
                said = f"{off.sum()} of {off.size} units are off for every sample"
                found.append(Ailment("dead_relu", label, said, _ADVICE["dead_relu"]))
        for label, shares in self.flat.items():
            if np.mean(shares) > SATURATED:
                said = f"{100 * np.mean(shares):.0f} % of the entries are on the flat part"
                found.append(Ailment("saturated_activation", label, said, _ADVICE["saturated_activation"]))
        return found

    def _vanishing(self) -> list[Ailment]:
        sizes = {n: float(np.mean(v)) for n, v in self.sizes.items() if not self.zero[n]}
        weights = [n for n in self.order if n in sizes and n.endswith("weight")]
        found = []
        for name in sizes:
            if sizes[name] < VANISHING:
                said = f"mean |gradient| {sizes[name]:.2g}"
                found.append(Ailment("vanishing_gradient", name, said, _ADVICE["vanishing_gradient"]))
        if (
            not found
            and len(weights) > 2
            and sizes[weights[-1]]
            and sizes[weights[0]] < VANISHING_RATIO * sizes[weights[-1]]
        ):
            first, last = sizes[weights[0]], sizes[weights[-1]]
            said = f"mean |gradient| {first:.2g}, {last / first:.0f} times less than {weights[-1]}'s"
            found.append(Ailment("vanishing_gradient", weights[0], said, _ADVICE["vanishing_gradient"]))
        return found


#: Activations with flat ends, and their steepest slope.
_SQUASHING = {
    "sigmoid": 0.25,
    "tanh": 1.0,
    "softsign": 1.0,
    "hardtanh": 1.0,
    "hardsigmoid": 1 / 6,
    "erf": 1.13,
}


# --- training ------------------------------------------------------------------------------------


class _Train:
    """Some updates on one batch."""

    def __init__(self, model: Any, loss_fn: Callable[..., Any], optimizer: Any, lr: float) -> None:
        self.model, self.loss_fn = model, loss_fn
        self.given = optimizer is not None
        if optimizer is None:
            from tinygrad_cnn.optim import SGD

            optimizer = SGD([p for p in model.parameters() if p.requires_grad], lr=lr)
        self.optimizer = optimizer
        self.losses: list[float] = []
        self.ratios: dict[str, list[float]] = {}
        self.broken: Finding | None = None

    def on(self, batch: tuple[Any, ...], steps: int) -> None:
        with anomaly(error=False, warn=False) as found:
            for _ in range(steps):
                if not self._step(batch):
                    break
        if found and not np.isfinite(self.losses[-1]):
            self.broken = found.forward or found.backward

    def _step(self, batch: tuple[Any, ...]) -> bool:
        self.optimizer.zero_grad()
        loss = _loss(self.model, self.loss_fn, batch)
        self.losses.append(float(unwrap(loss).item()))
        if loss.node is None or not np.isfinite(self.losses[-1]):
            return False
        loss.backward()
        weights = {n: p.array.copy() for n, p in self.model.named_parameters() if p.array.ndim > 1}
        self.optimizer.step()
        for name, p in self.model.named_parameters():
            if name in weights and p.grad is not None and p.requires_grad:
                size = norm(weights[name])
                if size:
                    self.ratios.setdefault(name, []).append(norm(p.array - weights[name]) / size)
        return True

    def findings(self) -> list[Ailment]:
        found = []
        if self.broken is not None:
            said = f"in training step {len(self.losses)}: {str(self.broken).splitlines()[0]}"
            found.append(Ailment("exploding_tensor", _place(self.broken), said, _ADVICE["exploding_tensor"]))
        with_what = type(self.optimizer).__name__
        for name, ratios in self.ratios.items():
            ratio = float(np.median(ratios))
            if not UPDATE[0] <= ratio <= UPDATE[1] and (self.given or ratio > UPDATE[1]):
                said = f"an update is {ratio:.2g} of the weights' size ({with_what})"
                found.append(Ailment("weight_update_ratio", name, said, _ADVICE["weight_update_ratio"]))
        if self.losses:
            first, last = self.losses[0], self.losses[-1]
            if not np.isfinite(last):
                said = f"{first:.4g}, then {last:g} after {len(self.losses) - 1} step(s)"
                found.append(Ailment("loss_not_decreasing", "loss", said, _ADVICE["loss_not_decreasing"]))
            elif len(self.losses) > 2 and not last < first - FALL * abs(first):
                said = f"{first:.4g} at first, {last:.4g} after {len(self.losses) - 1} steps on one batch"
                found.append(Ailment("loss_not_decreasing", "loss", said, _ADVICE["loss_not_decreasing"]))
        return found


def _inputs(batches: list[tuple[Any, ...]]) -> list[Ailment]:
    found = []
    for k in range(len(batches[0]) - 1):
        parts = [np.asarray(unwrap(b[k])) for b in batches]
        if parts[0].dtype.kind not in "fu" or not parts[0].size:
            continue
        x = np.concatenate([p.astype(np.float64).ravel() for p in parts])
        if not np.isfinite(x).all():
            bad = int((~np.isfinite(x)).sum())
            found.append(
                Ailment(
                    "input_not_normalised",
                    f"input {k}",
                    f"{bad} entries are nan or infinite",
                    _ADVICE["input_not_normalised"],
                )
            )
        elif abs(x.mean()) > INPUT_MEAN or not INPUT_STD[0] <= x.std() <= INPUT_STD[1]:
            said = f"mean {x.mean():.3g}, spread {x.std():.3g}, from {x.min():.3g} to {x.max():.3g}"
            found.append(Ailment("input_not_normalised", f"input {k}", said, _ADVICE["input_not_normalised"]))
    return found


_ADVICE = {
    "exploding_tensor": "lower the learning rate, clip gradients (nn.utils.clip_grad_norm_), normalise inputs and "
    "activations; `with tg.debug.anomaly():` shows the operand that did it",
    "unused_parameter": "the forward pass does not use it, or something detached what it computed (.data, .numpy(), "
    "no_grad, an argmax): `graph` in the debugger shows where the path ends",
    "all_zero": "everything above it is off or cut: look at dead ReLUs, at a product with 0, at a loss that does not "
    "depend on this layer",
    "vanishing_gradient": "use ReLU instead of saturating activations, He or Xavier initialisation, normalisation "
    "layers, residual connections",
    "dead_relu": "lower the learning rate, initialise weights for ReLU (He) and biases at 0 or a little above, "
    "normalise the inputs, or use LeakyReLU, which never goes quite dead",
    "saturated_activation": "scale inputs and initial weights down, put a normalisation layer before it, or use ReLU",
    "weight_update_ratio": "an update of about a thousandth of the weights is usual: move the learning rate "
    "towards that",
    "loss_not_decreasing": "a network should learn one batch by heart: try other learning rates (3 times up and down), "
    "check that targets fit inputs, that zero_grad() is called and the optimiser got all parameters",
    "input_not_normalised": "bring inputs to mean 0 and spread 1 (transforms.Normalize), with the training set's "
    "figures",
}  # fmt: skip


def _label(node: Node) -> str:
    if node.module:
        return node.module
    where = node.where
    return f"{node.op.name} at {_base(where.filename)}:{where.lineno}" if where is not None else node.op.name


def _place(at: Finding) -> str:
    return f"{at.op}{f' in {at.module}' if at.module else ''}, {_base(at.file)}:{at.line}"


def _base(path: str | None) -> str:
    return (path or "?").rsplit("/", 1)[-1]


def _first_use(nodes: list[Node], names: dict[int, str], name: str) -> int:
    for k, node in enumerate(nodes):
        for parent in node.parents:
            if parent is not None and names.get(id(parent.tensor)) == name:
                return k
    return len(nodes)
