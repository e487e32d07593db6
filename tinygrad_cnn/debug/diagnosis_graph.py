"""What shows in single forward and backward passes, without updates: the first half of `diagnose`.

Reads the graphs of a few batches through `autograd.inspect`; the model's gradients are overwritten, nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.autograd.inspect import Node, reachable
from tinygrad_cnn.debug.anomaly import Finding, anomaly
from tinygrad_cnn.debug.conditions import norm
from tinygrad_cnn.debug.diagnosis_rules import (
    CANCELLED,
    DEAD,
    EXPLODING,
    IDENTICAL,
    SATURATED,
    VANISHING,
    VANISHING_RATIO,
    Ailment,
)
from tinygrad_cnn.debug.learning import base, place, scalar
from tinygrad_cnn.debug.training_snapshot import Batch, LossFn
from tinygrad_cnn.nn import Module

#: Losses and log-probabilities that take scores, and what must not stand directly before them.
_WRONG_BEFORE = {
    "cross_entropy": {"softmax": "softmax_twice", "sigmoid": "softmax_twice", "relu": "relu_on_logits"},
    "log_softmax": {"softmax": "softmax_twice", "sigmoid": "softmax_twice", "relu": "relu_on_logits"},
    "bce_with_logits": {"softmax": "softmax_twice", "sigmoid": "softmax_twice", "relu": "relu_on_logits"},
}
#: Activations with flat ends, and their steepest slope.
_SQUASHING = {"sigmoid": 0.25, "tanh": 1.0, "softsign": 1.0, "hardtanh": 1.0, "hardsigmoid": 1 / 6}
#: Activations whose values are bounded, for targets that are no classes.
_RANGE = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "softmax": (0.0, 1.0), "relu": (0.0, np.inf)}
#: Ops that multiply by a weight whose rows are units.
_WEIGHING = ("linear", "correlate", "matmul")
_NO_LOGARITHMS = ("linear", "bias_add", "softmax", "relu", "sigmoid")
_NORMALISING = ("batch_norm", "standardize")


class Look:
    """Forward and backward without updates: call `over` for each batch, then read `findings` and `notes`."""

    def __init__(self, model: Module, loss_fn: LossFn) -> None:
        self.model, self.loss_fn = model, loss_fn
        self.off: dict[str, np.ndarray] = {}
        self.flat: dict[str, list[float]] = {}
        self.sizes: dict[str, list[float]] = {}
        self.losses: list[float] = []
        self.used: set[str] = set()
        self.largest: dict[str, float] = {}
        self.zero: dict[str, bool] = {}
        self.normalises_first = False
        self.last_activation = ""
        self.broken = False
        self.no_graph = False
        self.broken_at: Finding | None = None
        self.order: list[str] = []
        self.shapes: dict[tuple[str, str], str] = {}  # what is wrong with the loss: (rule, where) -> how much
        self.before_norm: dict[str, str] = {}  # biases, and the normalisation that follows
        self.weight_of: dict[str, str] = {}  # biases, and the weight beside them
        self.inner: set[str] = set()  # weights whose output goes into an activation or a normalisation
        self.groups: dict[str, int] = {}

    def over(self, batch: Batch) -> None:
        """Look at one batch."""
        for p in self.model.parameters():
            p.grad = None
        with anomaly(error=False, warn=False) as found:
            output = self.model(*batch[:-1])
            loss = scalar(self.loss_fn(output, batch[-1]))
            self.losses.append(float(unwrap(loss).item()))
            if loss.node is None:
                self.no_graph = True
                return
            nodes = reachable([loss.node])[::-1]
            names = {id(p): n for n, p in self.model.named_parameters()}
            self._structure(nodes, names)
            self._loss(nodes, output, batch[-1])
            for node in nodes:
                self._activation(node)
            loss.backward()
        if found and not self.broken:
            self.broken = True
            self.broken_at = found.forward or found.backward
        order = [names[id(n.tensor)] for n in nodes if n.is_leaf and id(n.tensor) in names]
        self.order = sorted(set(order), key=lambda n: _first_use(nodes, names, n))
        for name, p in self.model.named_parameters():
            if p.grad is None:
                continue
            self.used.add(name)
            g = unwrap(p.grad).astype(np.float64)
            self.sizes.setdefault(name, []).append(norm(g))
            self.largest[name] = max(self.largest.get(name, 0.0), norm(g) / max(1, g.size) ** 0.5)
            self.zero[name] = self.zero.get(name, True) and not g.any()

    # --- reading the graph -----------------------------------------------------------------------

    def _structure(self, nodes: list[Node], names: dict[int, str]) -> None:
        """Which weights feed an activation or a normalisation, and which bias stands before the latter."""
        consumers: dict[int, list[Node]] = {}
        for node in nodes:
            for parent in node.parents:
                if parent is not None:
                    consumers.setdefault(parent.seq, []).append(node)
        first = next((n for n in nodes if n.parents), None)
        self.normalises_first = first is not None and first.op.name in _NORMALISING
        for node in nodes:
            if node.op.name in _WEIGHING and len(node.parents) > 1:
                weight = _parameter(node.parents[1], names)
                after = _followers(node, consumers, ("bias_add",))
                if weight is not None and any(_shapes_values(n) for n in after):
                    self.inner.add(weight)
                    self.groups[weight] = int(node.params.get("groups", 1))
            elif node.op.name == "bias_add":
                bias = _parameter(node.parents[1], names)
                maker = node.parents[0]
                if bias is None or maker is None:
                    continue
                if maker.op.name in _WEIGHING and len(maker.parents) > 1:
                    weight = _parameter(maker.parents[1], names)
                    if weight is not None:
                        self.weight_of[bias] = weight
                for n in _followers(node, consumers, ()):
                    if n.op.name in _NORMALISING:
                        self.before_norm[bias] = n.module or n.op.name

    def _loss(self, nodes: list[Node], output: Any, target: Any) -> None:
        """A loss that does not fit what it gets."""
        for node in nodes:
            before = _through_views(node.parents[0]) if node.parents else None
            if before is None:
                continue
            rule = _WRONG_BEFORE.get(node.op.name, {}).get(before.op.name)
            if rule is not None:
                said = f"{node.op.name} takes scores, and gets the output of {before.op.name}"
                self.shapes[rule, _label(before)] = said
            if node.op.name == "neg" and before.op.name == "pick":  # this is what nll_loss is made of
                scores = _through_views(before.parents[0])
                if scores is not None and scores.op.name in _NO_LOGARITHMS:
                    said = f"nll_loss takes log-probabilities, and gets the output of {scores.op.name}"
                    self.shapes["wrong_scores", _label(scores)] = said
        if not isinstance(output, Handle) or output.node is None:
            return
        last = _through_views(output.node)
        samples = np.shape(unwrap(target))[:1]
        if last is not None and last.op.name in ("softmax", "log_softmax") and len(last.shape) > 1:
            axis = last.params.get("axis", -1)
            if axis in (0, -len(last.shape)) and last.shape[:1] == samples:
                said = f"{last.op.name} over dimension 0, the {samples[0]} samples of {tuple(last.shape)}"
                self.shapes["softmax_over_batch", _label(last)] = said
        wanted = np.asarray(unwrap(target))
        if wanted.dtype.kind != "f" or not wanted.size:
            return
        self._broadcast(nodes, output, wanted)
        if last is not None and last.op.name in _RANGE and last.op.name != "softmax":
            low, high = _RANGE[last.op.name]
            outside = float(np.mean((wanted < low - 1e-3) | (wanted > high + 1e-3)))
            if outside > 0.05:
                said = f"{100 * outside:.0f} % of the targets lie outside of what {last.op.name} can give"
                self.shapes["unreachable_targets", _label(last)] = said

    def _broadcast(self, nodes: list[Node], output: Any, wanted: np.ndarray) -> None:
        given = tuple(output.shape)
        if given == wanted.shape or len(given) == len(wanted.shape):
            return
        try:
            both = np.broadcast_shapes(given, wanted.shape)
        except ValueError:
            return
        if np.prod(both) > max(np.prod(given), wanted.size):
            for node in nodes:
                if node.seq > output.node.seq and tuple(node.shape) == both:
                    said = f"output {given} and target {wanted.shape} are broadcast to {both}"
                    self.shapes["target_broadcast", _label(node)] = said
                    return

    def _activation(self, node: Node) -> None:
        if not node.op.has_factor or len(node.parents) != 1 or node.op.constants[0] is not None:
            return
        if node.parents[0] is None or len(node.shape) < 2:
            return
        label = _label(node)
        if "relu" in node.op.name:
            slope = np.abs(node.local_gradient(0).factor)
            off = (slope == 0).all(axis=(0, *range(2, slope.ndim)))
            before = self.off.get(label)
            self.off[label] = off if before is None or before.shape != off.shape else before & off
        elif node.op.name in _SQUASHING:
            slope = np.abs(node.local_gradient(0).factor)
            self.flat.setdefault(label, []).append(float(np.mean(slope < 0.05 * _SQUASHING[node.op.name])))
            self.last_activation = label

    # --- verdicts --------------------------------------------------------------------------------

    def cancelled(self, name: str) -> bool:
        """Whether a bias's gradient is 0 by cancellation, while the weights beside it get one."""
        weight = self.weight_of.get(name)
        if weight is None or name not in self.sizes or weight not in self.sizes:
            return False
        return float(np.mean(self.sizes[name])) < CANCELLED * float(np.mean(self.sizes[weight]))

    def notes(self) -> list[Ailment]:
        """What is worth knowing and no ailment."""
        return [
            Ailment(
                "redundant_bias", name, f"its gradient is 0 by mathematics: {norm_layer} subtracts the mean"
            )
            for name, norm_layer in self.before_norm.items()
            if self.cancelled(name)
        ]

    def copies(self) -> dict[str, tuple[int, int]]:
        """Inner weights with units that are copies of one another: how many, and of how many."""
        found = {}
        for name, p in self.model.named_parameters():
            if name not in self.inner or not p.requires_grad or p.array.ndim < 2:
                continue
            groups = max(1, self.groups.get(name, 1))
            if p.array.shape[0] % groups or p.array.shape[0] // groups < 2:
                continue
            rows = p.array.reshape(groups, p.array.shape[0] // groups, -1)
            distinct = sum(len(np.unique(block, axis=0)) for block in rows)
            copies = p.array.shape[0] - distinct
            if copies >= IDENTICAL * (p.array.shape[0] - groups):
                found[name] = (copies + groups, p.array.shape[0])
        return found

    def zero_weights(self) -> list[str]:
        """Inner weights that are 0 everywhere."""
        named = self.model.named_parameters()
        return [n for n, p in named if n in self.inner and p.requires_grad and not p.array.any()]

    def findings(self, *, stuck: set[str], learnt: bool) -> list[Ailment]:
        """What is wrong, without the gradients that are not `stuck`: still 0 everywhere when some updates were made.

        A network that has `learnt` its targets may well have a saturated output.
        """
        found = [Ailment(rule, where, said) for (rule, where), said in self.shapes.items()]
        if self.no_graph:
            return [
                *found,
                Ailment("no_graph", "loss", "it has no path to a parameter: nothing can be learnt"),
            ]
        at = self.broken_at
        if at is not None:
            found.append(Ailment("exploding_tensor", place(at), str(at).splitlines()[0]))
        for name, p in self.model.named_parameters():
            if not p.requires_grad:
                continue
            if name not in self.used:
                found.append(Ailment("unused_parameter", name, "never got a gradient"))
            elif self.zero.get(name) and name in stuck and not self.cancelled(name):
                found.append(Ailment("all_zero", name, "its gradient is exactly 0 everywhere"))
            elif not self.broken and not self.largest[name] <= EXPLODING:
                said = f"gradient of size {self.largest[name]:.3g} per entry"
                found.append(Ailment("exploding_tensor", name, said))
        found += self._vanishing()
        for label, off in self.off.items():
            # Of a handful of units most may be off by chance, and the network learns with the others.
            if off.size and off.mean() > DEAD and (off.size >= 8 or off.all()):
                said = f"{off.sum()} of {off.size} units are off for every sample"
                found.append(Ailment("dead_relu", label, said))
        for label, shares in self.flat.items():
            if np.mean(shares) > SATURATED and not (learnt and label == self.last_activation):
                said = f"{100 * np.mean(shares):.0f} % of the entries are on the flat part"
                found.append(Ailment("saturated_activation", label, said))
        return found

    def _vanishing(self) -> list[Ailment]:
        """Weights only: a bias's gradient may cancel by mathematics, and there is no bias without a weight."""
        parameters = dict(self.model.named_parameters())
        sizes = {n: float(np.mean(v)) for n, v in self.sizes.items() if not self.zero[n]}
        weights = [n for n in self.order if n in sizes and parameters[n].array.ndim > 1]
        loss = abs(float(np.mean(self.losses)))
        found = []
        for name in weights if loss else ():
            w = parameters[name].array
            share = sizes[name] * max(norm(w), w.shape[0] ** 0.5) / loss
            if share < VANISHING:
                said = (
                    f"norm of the gradient {sizes[name]:.2g}, which changes the loss by {share:.1g} of itself"
                )
                found.append(Ailment("vanishing_gradient", name, said))
        if not found and len(weights) > 2 and sizes[weights[0]] < VANISHING_RATIO * sizes[weights[-1]]:
            first, last = sizes[weights[0]], sizes[weights[-1]]
            said = f"norm of the gradient {first:.2g}, {last / first:.0f} times less than {weights[-1]}'s"
            found.append(Ailment("vanishing_gradient", weights[0], said))
        return found


def _parameter(node: Node | None, names: dict[int, str]) -> str | None:
    node = _through_views(node)
    return (
        names.get(id(node.tensor)) if node is not None and node.is_leaf and node.tensor is not None else None
    )


def _through_views(node: Node | None) -> Node | None:
    """The node that computed what this one is a view of."""
    while node is not None and node.op.is_view and node.parents:
        node = node.parents[0]
    return node


def _followers(node: Node, consumers: dict[int, list[Node]], pass_by: tuple[str, ...]) -> list[Node]:
    """The first ops behind a node that compute something, through views and the ops of `pass_by`."""
    found, waiting = [], list(consumers.get(node.seq, ()))
    while waiting:
        one = waiting.pop()
        if one.op.is_view or one.op.name in pass_by:
            waiting += consumers.get(one.seq, ())
        else:
            found.append(one)
    return found


def _shapes_values(node: Node) -> bool:
    """Whether an op is an activation or a normalisation."""
    if node.op.name in _NORMALISING:
        return True
    return node.op.has_factor and len(node.parents) == 1 and node.op.constants[0] is None


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
