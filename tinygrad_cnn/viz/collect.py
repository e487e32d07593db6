"""From a recorded graph to its plain description. Reads nodes, runs a silent backward pass, writes nothing.

The only place that touches both the engine and the description: renderers see the description alone.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.graph import RELEASED
from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.autograd.inspect import Node as EngineNode
from tinygrad_cnn.autograd.inspect import at_hand, dense, reachable, running_pass, saved_of
from tinygrad_cnn.viz import formula, gradients
from tinygrad_cnn.viz.caller_names import CallerNames, place_of
from tinygrad_cnn.viz.description import (
    Description,
    Downstream,
    Edge,
    Local,
    Node,
    Sample,
    Step,
    Summary,
)  # fmt: skip
from tinygrad_cnn.viz.equations import write_out
from tinygrad_cnn.viz.modules import BOXES, Tree, finish
from tinygrad_cnn.viz.naming import Operand, Places, names_of
from tinygrad_cnn.viz.summary import summarise
from tinygrad_cnn.viz.values import known_values

#: Graphs up to this many nodes get pictures and histograms; larger ones numbers only.
DETAILED = 1_500
#: All pictures of one description together stay within about so many bytes.
PICTURE_BYTES = 1_000_000
#: What the letters of formulas stand for where a network computes.
_ROLES = {"x": "input", "w": "weight"}
#: A local gradient's norm is looked for by power iteration only up to this many entries of the Jacobian.
NORM_ENTRIES = 100_000


@dataclass
class CollectOptions:
    """What to tell of a graph; see `viz.graph` for the meaning of each."""

    values: bool = True
    gradients: Any = "auto"
    seeds: Sequence[Any] | None = None
    names: Mapping[str, Any] = field(default_factory=dict)
    depth: int | None = None
    boxes: int = BOXES
    around: CallerNames = field(default_factory=CallerNames)


def collect(outputs: Sequence[Handle], options: CollectOptions) -> Description:
    """Describe everything that `outputs` were computed from. All of them must carry a graph."""
    return _Collector(outputs, options).description()


class _Collector:
    def __init__(self, outputs: Sequence[Handle], options: CollectOptions) -> None:
        self.options = options
        self.outputs = list(outputs)
        self.roots: list[EngineNode] = [t.node for t in outputs if t.node is not None]
        self.engine = reachable(self.roots)[::-1]
        self.by_seq = {node.seq: node for node in self.engine}
        self.values: dict[int, np.ndarray] = {}
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[int, int], Edge] = {}
        self.out = Description()
        self.detailed = len(self.engine) <= DETAILED
        self.places = Places()
        self.tree = Tree()
        self.placed: set[int] = set()
        self.scopes: dict[int, str | None] = {}
        self.constants: dict[str, str] = {}
        # about two pictures a node (value and gradient), and constants beside them
        self.pixels = min(2304, PICTURE_BYTES * 3 // 4 // (2 * len(self.engine) + 8)) if self.detailed else 0

    def description(self) -> Description:
        out = self.out
        found = names_of(self.engine, self.places, self.options.names, self.options.around)
        self.named, self.named_arrays, self.lost = found
        if self.options.values:
            known = [*self.outputs, *self.options.names.values(), *self.options.around.tensors]
            self.values, notes = known_values(self.engine, known, self._literal)
            out.notes += notes
        for node in self.engine:
            self._node(node)
        for root in self.roots:
            self.nodes[str(root.seq)].loss = True
        for node in self.engine:
            self._edges(node)
        self._gradients()
        self._numbers()
        out.nodes = list(self.nodes.values())
        out.edges = list(self.edges.values())
        out.modules = finish(
            self.tree, out.nodes, self.options.depth, self.options.boxes,
            self._parameters_by_module(), self.options.around.module_with,
        )  # fmt: skip
        out.loss = str(self.roots[0].seq)
        return out

    def _summary(self, array: Any, *, signed: bool = False) -> Summary:
        return summarise(
            array, data=self.detailed, histogram=self.detailed, pixels=self.pixels, signed=signed
        )

    # --- names and values -----------------------------------------------------------------------

    def _parameters_by_module(self) -> dict[str, set[int]]:
        """Which parameters each module's own nodes use, by path."""
        found: dict[str, set[int]] = {}
        for node in self.engine:
            path = self.scopes.get(node.seq)
            if path is not None:
                own = found.setdefault(path, set())
                own.update(p.seq for p in node.parents if p is not None and self.nodes[str(p.seq)].parameter)
        return found

    def _literal(self, node: EngineNode, i: int) -> int | float | None:
        """The number that the source line names as input `i`, of which the op kept nothing."""
        operand = self.places.operand(node, i)
        return None if operand is None else operand.number

    # --- nodes and edges ------------------------------------------------------------------------

    def _node(self, node: EngineNode) -> None:
        key = str(node.seq)
        tensor = node.tensor
        leaf = not node.parents
        parameter = leaf and (getattr(tensor, "is_parameter", False) or node.seq in self.lost)
        name = self.named.get(node.seq)
        value = self.values.get(node.seq)
        module = self.scopes[node.seq] = None if leaf else self.tree.enter(node.scope)
        for i, parent in enumerate(node.parents):
            if parent is None:
                self._constant(node, i, module)
        record = self.nodes[key] = Node(
            key, node.op.name, node.op.kind, name or node.op.name, list(node.shape), str(node.dtype),
            name=name, module=module,
            value=None if value is None else self._summary(value),
            params={} if leaf else {k: _text(v) for k, v in node.params.items() if k not in node.op.choice},
            source=self.places.source(node), leaf=leaf, parameter=parameter, input=leaf and not parameter,
        )  # fmt: skip
        if not leaf:
            record.formula = f"y = {node.op.formula}"
            arity = len(node.parents)
            record.local_formula = "; ".join(
                f"∂y/∂{node.op.input_name(i, arity)} = {node.op.local_text(i)}"
                for i, parent in enumerate(node.parents) if parent is not None
            )  # fmt: skip
        for parent in node.parents:
            # A parameter lives where it is first used: that is the module that owns it.
            if parent is not None and not parent.parents and parent.seq not in self.placed:
                self.placed.add(parent.seq)
                owner = self.nodes[str(parent.seq)]
                if owner.parameter:
                    owner.module = record.module

    def _constant(self, node: EngineNode, i: int, module: str | None) -> None:
        """An input that wants no gradient, as far as the node or its source line knows it."""
        kept = saved_of(node)
        if kept is None:
            return
        saved = kept[i + 1] if i + 1 < len(kept) else None
        operand = self.places.operand(node, i)
        is_value = isinstance(saved, (np.ndarray, numbers.Number))
        if not is_value and operand is not None and operand.number is not None:
            saved, is_value = operand.number, True
        place = f"array {id(saved)}" if isinstance(saved, np.ndarray) else f"{node.seq}.{i}"
        known = self.constants.get(place)
        if known is None:
            known = self.constants[place] = f"{node.seq}.{i}"
            at = place_of(saved) if isinstance(saved, np.ndarray) else None
            name = None if at is None else self.named_arrays.get(at)
            outside = name is not None and at not in self.options.around.state
            self.nodes[known] = Node(
                known, "constant", "constant", name or self._role(node, i, saved if is_value else None, operand),
                list(getattr(saved, "shape", ())) if is_value else [],
                str(getattr(saved, "dtype", type(saved).__name__)) if is_value else "",
                # A variable came from outside; the rest (a mask, running statistics) is the module's own.
                name=name, module=None if outside else module,
                value=self._summary(saved) if is_value and self.options.values else None,
                input=isinstance(saved, np.ndarray), kept=is_value,
            )  # fmt: skip
        self.edges[node.seq, i] = Edge(f"{node.seq}:{i}", known, str(node.seq), i)

    def _role(self, node: EngineNode, i: int, value: Any, operand: Operand | None) -> str:
        """What to call an input that has no name: its number, what the source line says, or what it is to the op."""
        if value is not None and np.size(value) == 1:
            return formula.number(float(np.real(np.asarray(value)).item()), 7)
        if operand is not None:
            return operand.text
        letter = node.op.input_name(i, len(node.parents))
        return _ROLES.get(letter, letter if len(letter) > 2 else "constant")

    def _edges(self, node: EngineNode) -> None:
        released = node.saved is RELEASED
        computable = released or at_hand(node)
        for i, parent in enumerate(node.parents):
            if parent is None:
                continue
            op = node.op
            local = Local(op.local_text(i), op.structure(node, i))
            edge = Edge(f"{node.seq}:{i}", str(parent.seq), str(node.seq), i, local=local)
            self.edges[node.seq, i] = edge
            if (
                self.options.values
                and computable
                and (not released or not any(op.keeps(tuple(p is not None for p in node.parents))))
            ):
                self._local_numbers(node, i, local)

    def _local_numbers(self, node: EngineNode, i: int, local: Local) -> None:
        parent = node.parents[i]
        assert parent is not None
        with np.errstate(all="ignore"):
            if local.structure == "identity" and tuple(parent.shape) == tuple(node.shape):
                local.norm = 1.0
                if not node.shape:
                    local.number = 1.0
            elif node.op.kind == "elementwise":
                factor = self._factor(node, i)
                if factor is None:
                    return
                local.factor = summarise(factor, data=self.detailed, histogram=self.detailed)
                low, high = local.factor.min, local.factor.max
                if local.factor.scalar is not None and tuple(parent.shape) == ():
                    local.number, local.factor = local.factor.scalar, None
                    local.norm = abs(local.number)
                elif low is not None and high is not None and tuple(parent.shape) == tuple(node.shape):
                    local.norm = max(abs(low), abs(high))
            elif node.op.kind == "multilinear" and self.detailed:
                entries = _size(node.shape) * _size(parent.shape)
                if 0 < entries <= NORM_ENTRIES and len(self.engine) <= 300:
                    try:
                        linear = node.local_gradient(i)
                        if entries == 1:
                            local.number = float(linear.T(np.ones(node.shape, node.dtype)).reshape(()))
                            local.norm = abs(local.number)
                        else:
                            local.norm = float(f"{linear.norm(iterations=12):.7g}")
                    except (NotImplementedError, RuntimeError, TypeError, ValueError):
                        return  # not cheap after all: no push-forward, or a value that is gone

    def _factor(self, node: EngineNode, i: int) -> np.ndarray | None:
        try:
            return node.local_gradient(i).factor
        except (RuntimeError, TypeError):
            return None

    # --- gradients ------------------------------------------------------------------------------

    def _gradients(self) -> None:
        want, out = self.options.gradients, self.out
        if isinstance(want, Mapping):
            out.gradients = "given"
            self._put(want)
            return
        if want == "none":
            return
        if all(map(at_hand, self.engine)) or want == "run":
            if any(node.saved is RELEASED for node in self.engine):
                raise RuntimeError(
                    "viz.graph(gradients='run') expected a graph whose saved values are still there, but a backward "
                    "pass has freed them: draw before backward(), or pass retain_graph=True to it"
                )
            try:
                gradients.walk(self.roots, self._seeds(), self.engine, self._visit)
                out.gradients = "run"
                if any(node.hooks is not None for node in self.engine):
                    out.notes.append(
                        "Hooks were not run for this picture: gradients are shown without what hooks change."
                    )
                return
            except RuntimeError as error:
                if want == "run":
                    raise
                out.notes.append(f"The gradients could not be computed: {error}")
                out.steps.clear()
                for record in self.nodes.values():
                    record.gradient = None
                for edge in self.edges.values():
                    edge.contribution = edge.gain = edge.sample = None
        found = gradients.left(self.engine)
        work = running_pass(self.roots)
        if work is not None:
            found |= work.grads
            out.notes.append(
                f"A backward pass is under way, at step {work.position} of {len(work.order)}: shown are the "
                "gradients that have arrived and are not handed on yet, and those in .grad."
            )
        out.gradients = "left" if found else "none"
        freed = any(node.saved is RELEASED for node in self.engine)
        if not freed and not all(map(at_hand, self.engine)):
            out.notes.append(
                "Parts of this graph are computed again in the backward pass (utils.checkpoint), and drawing does not "
                "run them: viz.graph(…, gradients='run') does, and shows all gradients."
            )
        elif freed and found and work is None:
            out.notes.append(
                "A backward pass has freed what the graph saved: only the gradients it left in .grad are shown. "
                "Draw before backward(), or pass retain_graph=True to it, to see them all."
            )
        self._put(found)

    def _seeds(self) -> list[np.ndarray]:
        given = self.options.seeds
        if given is not None:
            return [np.asarray(getattr(s, "array", s)) for s in given]
        if any(t.array.size != 1 for t in self.outputs):
            self.out.notes.append("The output is no scalar: gradients are those of the sum of its entries.")
        return [np.ones_like(t.array) for t in self.outputs if t.node is not None]

    def _put(self, found: Mapping[int, Any]) -> None:
        for seq, g in found.items():
            record = self.nodes.get(str(seq))
            if record is not None:
                record.gradient = self._summary(dense(g), signed=True)

    def _visit(
        self, node: EngineNode, upstream: np.ndarray, downstream: list[Any], before: dict[int, Any]
    ) -> None:
        record = self.nodes[str(node.seq)]
        record.gradient = self._summary(upstream, signed=True)
        step = Step(record.id)
        size = record.gradient.norm
        for i, (parent, d) in enumerate(zip(node.parents, downstream, strict=False)):
            if parent is None or d is None:
                continue
            edge = self.edges[node.seq, i]
            if d is upstream:
                edge.contribution = record.gradient
            else:
                edge.contribution = self._summary(d, signed=True)
            if size and edge.contribution.norm is not None:
                edge.gain = float(f"{edge.contribution.norm / size:.7g}")
            product = Downstream(edge.id)
            total = before.get(parent.seq)
            if total is not None:
                old = dense(total)
                new = old + d.astype(parent.dtype, copy=False)
                product.before, product.after = (
                    summarise(old, data=self.detailed),
                    summarise(new, data=self.detailed),
                )
                before[parent.seq] = new
            elif node.parents.count(parent) > 1:
                before[parent.seq] = d
            step.downstream.append(product)
            if self.detailed and node.op.kind == "elementwise" and d.size > 1:
                edge.sample = self._sample(node, i, upstream)
        self.out.steps.append(step)

    def _sample(self, node: EngineNode, i: int, upstream: np.ndarray) -> Sample | None:
        """The entry with the largest product, written out."""
        factor = self._factor(node, i)
        if factor is None:
            return None
        product = upstream * factor
        sizes = np.abs(product)
        if not np.isfinite(sizes).any():
            return None
        at = np.unravel_index(int(np.nanargmax(np.where(np.isfinite(sizes), sizes, -1))), sizes.shape)
        return Sample([int(k) for k in at], float(upstream[at]), float(factor[at]), float(product[at]))

    # --- formulas with names and numbers --------------------------------------------------------

    def _numbers(self) -> None:
        for node in self.engine:
            record = self.nodes[str(node.seq)]
            if _bad(record.gradient) or _bad(record.value):
                nan = any(s is not None and s.nan for s in (record.value, record.gradient))
                record.alarm = "nan" if nan else "inf"
            if node.parents and (self.detailed or not node.shape):
                edges = [self.edges.get((node.seq, i)) for i in range(len(node.parents))]
                sources = [None if edge is None else self.nodes[edge.from_] for edge in edges]
                write_out(node.op, record, edges, sources)


def _bad(summary: Summary | None) -> bool:
    return summary is not None and bool(summary.nan or summary.inf)


def _size(shape: Sequence[int]) -> int:
    n = 1
    for k in shape:
        n *= k
    return n


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
