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
from tinygrad_cnn.autograd.inspect import Operand as Remembered
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
from tinygrad_cnn.viz.sums import Writer
from tinygrad_cnn.viz.trace import Trace
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
    trace: Trace | None = None
    failed: EngineNode | None = None


def collect(outputs: Sequence[Handle], options: CollectOptions) -> Description:
    """Describe everything that `outputs` were computed from.

    All of them must carry a graph, unless `options.trace` saw how they were made.
    """
    return _Collector(outputs, options).description()


class _Collector:
    def __init__(self, outputs: Sequence[Handle], options: CollectOptions) -> None:
        self.options = options
        self.outputs = list(outputs)
        self.roots: list[EngineNode] = [t.node for t in outputs if t.node is not None]
        self.engine = reachable(self.roots)[::-1]
        self.ends, self.all = self._seen()
        #: the box of each array that wants no gradient, by its own reference
        self.arrays: dict[int, str] = {}
        self.values: dict[int, np.ndarray] = {}
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[int, int], Edge] = {}
        self.out = Description()
        self.detailed = len(self.all) <= DETAILED
        self.places = Places()
        self.sums = Writer()
        self.tree = Tree()
        self.placed: set[int] = set()
        self.scopes: dict[int, str | None] = {}
        self.constants: dict[str, str] = {}
        # about two pictures a node (value and gradient), and constants beside them
        self.pixels = min(2304, PICTURE_BYTES * 3 // 4 // (2 * len(self.all) + 8)) if self.detailed else 0

    def description(self) -> Description:
        out = self.out
        found = names_of(self.all, self.places, self.options.names, self.options.around)
        self.named, self.named_arrays, self.lost = found
        if self.options.values:
            known = [*self.outputs, *self.options.names.values(), *self.options.around.tensors]
            self.values, notes = known_values(self.all, known, self._literal)
            out.notes += notes
        self.owners = {id(value): seq for seq, value in self.values.items()}
        for node in self.all:
            self._node(node)
        for root in self.ends:
            self.nodes[str(root.seq)].loss = root is not self.options.failed
        for node in self.all:
            self._edges(node)
        self._gradients()
        self._numbers()
        out.nodes = list(self.nodes.values())
        out.edges = list(self.edges.values())
        out.modules = finish(
            self.tree, out.nodes, self.options.depth, self.options.boxes,
            self._parameters_by_module(), self.options.around.module_with,
        )  # fmt: skip
        out.loss = str(self.ends[0].seq)
        return out

    def _seen(self) -> tuple[list[EngineNode], list[EngineNode]]:
        """The nodes that nothing uses, and all nodes in the order of computation, the recorded ones and the others."""
        trace, failed = self.options.trace, self.options.failed
        if trace is None:
            return self.roots, self.engine
        ends = [t.node if t.node is not None else trace.producer(t.array) for t in self.outputs]
        found = [node for node in ends if node is not None]
        if failed is not None:
            found = [failed, *trace.ends()]
        known = {node.seq: node for node in found}
        stack = list(known.values())
        while stack:
            for parent in trace.inputs(stack.pop()):
                if parent is not None and parent.seq not in known:
                    known[parent.seq] = parent
                    stack.append(parent)
        return found, [known[seq] for seq in sorted(known)]

    def _inputs(self, node: EngineNode) -> Sequence[EngineNode | None]:
        return node.parents if self.options.trace is None else self.options.trace.inputs(node)

    def _recorded(self, node: EngineNode) -> bool:
        trace = self.options.trace
        return trace is None or node.seq not in trace.unrecorded

    def _summary(self, array: Any, *, signed: bool = False) -> Summary:
        return summarise(
            array, data=self.detailed, histogram=self.detailed, pixels=self.pixels, signed=signed
        )

    # --- names and values -----------------------------------------------------------------------

    def _parameters_by_module(self) -> dict[str, set[int]]:
        """Which parameters each module's own nodes use, by path."""
        found: dict[str, set[int]] = {}
        for node in self.all:
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
        inputs = self._inputs(node)
        for i, parent in enumerate(inputs):
            if parent is None:
                self._constant(node, i, module)
        failed = node is self.options.failed
        record = self.nodes[key] = Node(
            key, node.op.name, node.op.kind, name or node.op.name, list(node.shape), str(node.dtype),
            name=name, module=module, recorded=self._recorded(node), kept=not failed,
            value=None if value is None else self._summary(value),
            params={} if leaf else {k: _text(v) for k, v in node.params.items() if k not in node.op.choice},
            source=self.places.source(node), leaf=leaf, parameter=parameter, input=leaf and not parameter,
        )  # fmt: skip
        if failed:
            record.label, record.alarm = f"{node.op.name} failed", "error"
            record.formula = node.op.formula
        elif not leaf:
            record.formula = f"y = {node.op.formula}"
            arity = len(node.parents)
            record.local_formula = "; ".join(
                f"∂y/∂{node.op.input_name(i, arity)} = {node.op.local_text(i)}"
                for i, parent in enumerate(node.parents) if parent is not None
            )  # fmt: skip
        for parent in inputs:
            # A parameter lives where it is first used: that is the module that owns it.
            if parent is not None and not parent.parents and parent.seq not in self.placed:
                self.placed.add(parent.seq)
                owner = self.nodes[str(parent.seq)]
                if owner.parameter:
                    scope = node.scope
                    while scope is not None and not scope.name and scope.parent is not None:
                        scope = scope.parent  # a step in time has no parameters of its own
                    owner.module = self.tree.enter(scope)

    def _constant(self, node: EngineNode, i: int, module: str | None) -> None:
        """An input that wants no gradient, as far as the node or its source line knows it."""
        operand = self.places.operand(node, i)
        known = node.operands[i] if node.operands is not None else None
        if known is not None:
            self._array(node, i, known, operand, module)
            return
        kept = saved_of(node)
        if kept is None:
            return
        saved = kept[i + 1] if i + 1 < len(kept) else None
        is_value = isinstance(saved, (np.ndarray, numbers.Number))
        if not is_value and operand is not None and operand.number is not None:
            saved, is_value = operand.number, True
        key = f"{node.seq}.{i}"
        self.nodes[key] = Node(
            key, "constant", "constant", self._role(node, i, saved if is_value else None, operand),
            list(getattr(saved, "shape", ())) if is_value else [],
            str(getattr(saved, "dtype", type(saved).__name__)) if is_value else "", module=module,
            value=self._summary(saved) if is_value and self.options.values else None,
            input=isinstance(saved, np.ndarray), kept=is_value,
        )  # fmt: skip
        self.edges[node.seq, i] = Edge(f"{node.seq}:{i}", key, str(node.seq), i)

    def _array(
        self, node: EngineNode, i: int, known: Remembered, operand: Operand | None, module: str | None
    ) -> None:
        """An array without a gradient: one box, however often and wherever it is used."""
        array = known.ref()
        owner = self.owners.get(id(array)) if array is not None else None
        if owner is not None and owner < node.seq and self.values[owner] is array:
            # The value of another node, let go of by detach() or no_grad(): the edge is real, nothing flows back.
            self.edges[node.seq, i] = Edge(f"{node.seq}:{i}", str(owner), str(node.seq), i)
            return
        key = self.arrays.get(id(known.ref))
        if key is None:
            key = self.arrays[id(known.ref)] = f"{node.seq}.{i}"
            at = None if array is None else place_of(array)
            name = None if at is None else self.named_arrays.get(at)
            outside = name is not None and at not in self.options.around.state
            value = array if array is not None and array.size == 1 else None
            self.nodes[key] = Node(
                key, "constant", "constant", name or self._role(node, i, value, operand),
                list(known.shape), str(known.dtype), name=name,
                # A variable came from outside; the rest (a mask, running statistics) is the module's own.
                module=None if outside else module,
                value=self._summary(array) if array is not None and self.options.values else None, input=True,
                kept=array is not None,
            )  # fmt: skip
        else:
            box = self.nodes[key]
            box.module = self.tree.common(box.module, module)
            if box.name is None and operand is not None and operand.number is None:
                box.label = operand.text
        self.edges[node.seq, i] = Edge(f"{node.seq}:{i}", key, str(node.seq), i)

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
        recorded = self._recorded(node)
        for i, parent in enumerate(self._inputs(node)):
            if parent is None:
                continue
            if not recorded or node.parents[i] is None:
                self.edges[node.seq, i] = Edge(f"{node.seq}:{i}", str(parent.seq), str(node.seq), i)
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
            elif node.op.has_factor:
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
            elif node.op.is_linear and self.detailed:
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
        if not self.roots:
            if self.options.failed is None:
                out.notes.append("Nothing here wants a gradient: the picture shows the forward pass alone.")
            return
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
                    edge.contribution = edge.gain = edge.sample = edge.sums = None
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
            if self.detailed and node.op.has_factor and d.size > 1:
                edge.sample = self._sample(node, i, upstream)
            if self.detailed and self.options.values and d.size > 1:
                edge.sums = self.sums.edge(node, i, upstream, d)
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
        for node in self.all:
            record = self.nodes[str(node.seq)]
            if node is self.options.failed:
                continue
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
