"""PyTorch's own backward pass, one node at a time, forwards and back.

Each step lets PyTorch's engine do exactly one node: it is asked for the gradient behind that node alone, and the last
hook on the node takes down what the node hands on and ends the engine's run there. Hooks of every kind therefore run
as in `Tensor.backward`, and gradients are equal to its gradients bit for bit. Nodes that accumulate into `.grad` run
to their end; going back restores the tensor's former gradient.

What going back cannot undo is what the user's own hooks did elsewhere. PyTorch's graph stays alive until the loss
does: a node cannot be made to free its saved tensors without running it once more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tinygrad_cnn.bridge import torch_check
from tinygrad_cnn.bridge.passes import Pass, Step
from tinygrad_cnn.bridge.torch_graph import Edge, edge_of, nodes_of
from tinygrad_cnn.bridge.torch_node import (
    GraphNode,
    Lazy,
    LeafNode,
    OutputNode,
    TorchFn,
    TorchNode,
    Typed,
    to_torch,
)
from tinygrad_cnn.support.errors import UsageError

ndarray = np.ndarray
_MISSING: Any = object()

#: Whether this thread is inside a step: what asks PyTorch for gradients then is the pass itself.
inside = threading.local()
#: In the `metadata` of nodes that a pass without `retain_graph` has used; a second one raises, as PyTorch does.
_USED_UP = "tinygrad_cnn: used up"


#: Puts a state back as it was; gives what puts it forward again.
Restore = Callable[[], Callable[[], None]]


class _Done:
    """A step that was done: it is not done again when somebody goes back and forth over it, unless another gradient
    arrives."""

    def __init__(self, arrived: torch.Tensor) -> None:
        self.arrived = self.upstream = arrived
        self.downstream: tuple[torch.Tensor | None, ...] = ()
        self.restore: list[Restore] = []
        self.redo: list[Callable[[], None]] | None = None


class _Taken(BaseException):
    """Ends the engine's run behind the one node that it was asked to do."""


class TorchPass(Pass):
    """A backward pass of PyTorch that is stepped through.

    Attributes
        create_graph: whether the pass is itself recorded
        modules: the modules that the program called, for the names of parameters; see `torch_watch`
    """

    def __init__(
        self, roots: Sequence[Edge], seeds: Sequence[torch.Tensor], *, create_graph: bool = False,
        retain_graph: bool | None = None, silent: bool = False,
    ) -> None:  # fmt: skip
        self.create_graph = create_graph
        self.retain_graph = create_graph if retain_graph is None else retain_graph
        self.silent = silent
        self.nodes, self._entry = nodes_of(roots)
        self.modules: Sequence[torch.nn.Module] = ()
        self._grads: dict[int, torch.Tensor] = {}
        for edge, seed in zip(roots, seeds, strict=True):
            _add(self._grads, self._entry[edge].seq, seed)
        self._nothing: dict[int, torch.Tensor] = {}  # zeros that stand for a gradient that did not arrive
        self._again: dict[int, _Done] = {}  # steps that were gone back on
        self._buffers: _Buffers | None = None
        self.position = 0
        self._refuse_second_pass()
        self._settle()

    @classmethod
    def of(
        cls, outputs: Any, seeds: Any = None, inputs: Any = None, *, create_graph: bool = False,
        retain_graph: bool | None = None, accumulate: bool = True, silent: bool = False,
    ) -> TorchPass:  # fmt: skip
        """A pass that begins; parameters as in `bridge.pass_of_torch`."""
        if inputs is not None or not accumulate:
            raise NotImplementedError(
                "stepping PyTorch's pass to some inputs only (inputs=…, torch.autograd.grad) is not possible: "
                "step backward() without inputs"
            )
        tensors = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
        given = [seeds] * len(tensors) if seeds is None or isinstance(seeds, (str, torch.Tensor)) else list(seeds)
        if len(given) != len(tensors):
            raise UsageError(f"expected {len(tensors)} seeds, one per output, got {len(given)}")
        made = [_seed(t, s) for t, s in zip(tensors, given, strict=True)]
        return cls(
            [edge_of(t) for t in tensors], made, create_graph=create_graph, retain_graph=retain_graph, silent=silent
        )

    def watch_modules(self, modules: Sequence[torch.nn.Module]) -> None:
        """Name parameters after these modules, and keep their buffers as one `backward()` would leave them."""
        self.modules = modules
        if not self.silent:
            self._buffers = _Buffers([b for m in modules for b in m.buffers()])

    # --- where it stands ---------------------------------------------------------------------------

    def arrived(self, node: GraphNode) -> Lazy | None:
        found = self._grads.get(node.seq)
        return None if found is None else Lazy(found)

    def value_of(self, node: GraphNode) -> ndarray | None:
        return node.tensor.array if isinstance(node, LeafNode) else node.value

    def input_values(self, node: GraphNode) -> list[ndarray | None]:
        noted = node.noted() if isinstance(node, TorchNode) else [None] * len(node.parents)
        return [
            value if value is not None or parent is None else self.value_of(parent)
            for value, parent in zip(noted, node.parents, strict=True)
        ]

    def names(self, scopes: Sequence[Mapping[str, Any]]) -> dict[int, str]:
        """A parameter's path in its module, else the innermost scope's variable."""
        known: dict[int, str] = {}
        held = [value for scope in scopes for value in list(scope.values())]
        for module in [*self.modules, *(v for v in held if isinstance(v, torch.nn.Module))]:
            for name, parameter in module.named_parameters():
                known.setdefault(id(parameter), name)
        for scope in scopes:
            for name, value in list(scope.items()):
                if isinstance(value, torch.Tensor) and not name.startswith("_"):
                    known.setdefault(id(value), name)
        return {
            node.seq: known[id(node.variable)]
            for node in self.nodes if isinstance(node, LeafNode) and id(node.variable) in known
        }  # fmt: skip

    # --- moving ------------------------------------------------------------------------------------

    def advance(self, edits: Mapping[int, Any]) -> Step:
        position, node = self.position, self.nodes[self.position]
        arrived = self._grads[node.seq]
        before = {p.seq: self._grads.get(p.seq, _MISSING) for p in node.parents if p is not None}
        done = self._again.get(node.seq)
        if done is None or not _same(done.arrived, arrived):
            done = _Done(arrived)

        def undo() -> None:
            self.position = position
            for seq, old in before.items():
                _put(self._grads, seq, old)
            self._grads[node.seq] = arrived
            done.redo = [restore() for restore in reversed(done.restore)]
            self._again[node.seq] = done

        try:
            if done.redo is None:
                done.upstream, handed = self._do(node, arrived, done.restore)
                done.downstream = tuple(handed)
            else:  # it was done before, and gone back on: hooks do not run a second time
                for redo in reversed(done.redo):
                    redo()
        except BaseException:
            undo()
            self._again.pop(node.seq, None)
            raise
        downstream = list(done.downstream)
        for i, edit in edits.items():
            parent = node.parents[i]
            assert parent is not None
            given = to_torch(np.asarray(edit), _typed_as(parent))
            downstream[i] = given.requires_grad_(self.create_graph and given.is_floating_point())
        with torch.set_grad_enabled(self.create_graph):
            for parent, d in zip(node.parents, downstream, strict=True):
                if parent is not None and d is not None:
                    _add(self._grads, parent.seq, d)
        del self._grads[node.seq]
        self.position += 1
        self._settle()
        return Step(
            Lazy(arrived), Lazy(done.upstream), tuple(None if d is None else Lazy(d) for d in downstream),
            {seq: None if g is _MISSING else Lazy(g) for seq, g in before.items()}, undo,
        )  # fmt: skip

    def _do(
        self, node: GraphNode, gradient: torch.Tensor, restore: list[Restore]
    ) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
        """What came to the node behind its hooks, and what it hands on."""
        if isinstance(node, OutputNode):
            return gradient, [_into_row(node, gradient)]
        if self.silent:
            if isinstance(node, LeafNode) or node.runs_a_pass:
                return gradient, [None] * len(node.parents)
            with torch.no_grad():
                return gradient, node.pull(gradient)
        if isinstance(node, LeafNode):
            restore.append(_keeping(node.variable))
            self._run(node, [gradient])
            return gradient, []
        if self._buffers is not None:
            restore.append(self._buffers.keeping())
        if node.runs_a_pass:
            restore += [_keeping(p) for module in self.modules for p in module.parameters()]
        taken: list[Any] = []

        def take(downstream: Any, upstream: Any) -> None:
            taken[:] = [downstream, upstream]
            raise _Taken

        handles = [node.fn.register_hook(take)]
        if gradient is self._nothing.get(node.seq):  # PyTorch then gives the function zeros, unless it wants None
            handles.append(node.fn.register_prehook(lambda came: (None,) * len(came)))
        try:
            self._run(node, node.upstream_of(gradient))
        except _Taken:
            pass
        finally:
            for handle in handles:
                handle.remove()
        if self._buffers is not None:
            self._buffers.settle(step=True)
        if not taken:
            raise RuntimeError(f"PyTorch's engine did not reach {node.fn.name()}")
        downstream, upstream = taken
        came = [upstream[i] for i in node.indices]
        if len(came) == 1:
            behind = came[0] if came[0] is not None else torch.zeros_like(gradient)
        else:
            behind = torch.cat([
                torch.zeros(shape, dtype=node.torch_dtype, device=node.device).reshape(-1) if g is None
                else g.detach().reshape(-1) for g, shape in zip(came, node.shapes, strict=True)
            ])  # fmt: skip
        return behind, list(downstream)

    def _run(self, node: TorchNode | LeafNode, gradients: Sequence[torch.Tensor | None]) -> None:
        """Let PyTorch's engine begin at this node."""
        edges = [
            (torch.autograd.graph.GradientEdge(node.fn, i), g) for i, g in enumerate(gradients) if g is not None
        ]
        inside.step = True
        try:
            torch.autograd.backward(
                [edge for edge, _ in edges], [g for _, g in edges], retain_graph=True, create_graph=self.create_graph
            )
        finally:
            inside.step = False

    def cannot_rerun(self, node: GraphNode) -> str:
        if not isinstance(node, TorchNode):
            return "it is one of several outputs; check the node behind it"
        reason = torch_check.why_not(node)
        if not reason and node.op.rerun is None:
            node.op.rerun = torch_check.Rerun(node)
        return reason

    def preview(self) -> list[Lazy | None]:
        node = self.nodes[self.position]
        if isinstance(node, LeafNode):
            return []
        gradient = self._grads[node.seq]
        if isinstance(node, OutputNode):
            return [Lazy(_into_row(node, gradient))]
        try:
            with torch.no_grad():
                return [None if d is None else Lazy(d) for d in node.pull(gradient.detach())]
        finally:
            if self._buffers is not None:
                self._buffers.settle(step=False)

    def _settle(self) -> None:
        """Skip nodes that no gradient reaches, but for functions of the user's own: PyTorch calls them all the same,
        with zeros or with None, and zeros are shown."""
        while self.position < len(self.nodes):
            node = self.nodes[self.position]
            if node.seq in self._grads:
                return
            if isinstance(node, TorchNode) and isinstance(node.fn, torch.autograd.function.BackwardCFunction):
                zeros = torch.zeros(node.shape, dtype=node.torch_dtype, device=node.device)
                self._grads[node.seq] = self._nothing[node.seq] = zeros
                return
            self.position += 1

    def release(self) -> None:
        if not self.retain_graph and not self.silent:
            for node in self.nodes:
                if isinstance(node, TorchNode) and _saves(node.fn):
                    node.fn.metadata[_USED_UP] = True

    def _refuse_second_pass(self) -> None:
        for node in self.nodes:
            if isinstance(node, TorchNode) and _USED_UP in node.fn.metadata:
                raise RuntimeError(
                    "Trying to backward through the graph a second time: the first backward() was stepped through "
                    f"without retain_graph=True (at {node.op.name})"
                )

    # --- editing -----------------------------------------------------------------------------------

    def set_gradient(self, node: GraphNode, gradient: ndarray) -> Callable[[], None]:
        old = self._grads.get(node.seq, _MISSING)
        self._grads[node.seq] = to_torch(gradient, _typed_as(node))
        return lambda: _put(self._grads, node.seq, old)

    def set_value(self, node: GraphNode, value: ndarray) -> Callable[[], None] | None:
        raise UsageError(
            "edit: what a node of PyTorch saved cannot be replaced; edit the gradient, or what the node hands on "
            "(edit -i N)"
        )


def _seed(output: torch.Tensor, seed: Any) -> torch.Tensor:
    if output.grad_fn is None and not output.requires_grad:
        raise RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn")
    if seed is None or isinstance(seed, str):
        if seed is None and output.numel() != 1:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        return torch.ones_like(output, memory_format=torch.preserve_format)
    seed = torch.as_tensor(seed, dtype=output.dtype, device=output.device)
    if seed.shape != output.shape:
        raise RuntimeError(f"Mismatch in shape: the seed has {tuple(seed.shape)}, the output {tuple(output.shape)}")
    return seed


def _add(grads: dict[int, torch.Tensor], seq: int, d: torch.Tensor) -> None:
    """Accumulate as PyTorch does: in the order of arrival, never in place."""
    old = grads.get(seq)
    grads[seq] = d if old is None else old + d


def _into_row(node: OutputNode, gradient: torch.Tensor) -> torch.Tensor:
    """The gradient of one output at its place in the row of all."""
    main = node.main
    parts = [
        gradient.reshape(-1) if index == node.index
        else torch.zeros(int(np.prod(shape)), dtype=gradient.dtype, device=gradient.device)
        for index, shape in zip(main.indices, main.shapes, strict=True)
    ]  # fmt: skip
    return torch.cat(parts)


def _typed_as(node: GraphNode) -> Typed:
    """What has the dtype and the device that a node's gradient needs."""
    if isinstance(node, LeafNode):
        return _Type(node.variable.dtype, node.variable.device)
    return node.main if isinstance(node, OutputNode) else node


class _Type:
    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.torch_dtype, self.device = dtype, device


def _saves(fn: TorchFn) -> bool:
    """Whether a node of PyTorch keeps tensors, so that a second pass finds them freed."""
    return any(name.startswith("_raw_saved_") for name in dir(fn))


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a is b:
        return True
    return a.layout == b.layout == torch.strided and torch.equal(a, b)


def _keeping(variable: torch.Tensor) -> Restore:
    """Gives what restores a leaf's gradient, and the leaf itself where a hook of the user's may step an optimiser."""
    steps_it = bool(getattr(variable, "_post_accumulate_grad_hooks", None))

    def state() -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        grad = variable.grad
        copy = None if grad is None else grad.detach().clone()
        return grad, copy, variable.detach().clone() if steps_it else None

    def put(grad: torch.Tensor | None, copy: torch.Tensor | None, own: torch.Tensor | None) -> None:
        with torch.no_grad():
            if grad is not None and copy is not None:
                grad.copy_(copy)
            if own is not None:
                variable.copy_(own)
        variable.grad = grad

    before = state()

    def restore() -> Callable[[], None]:
        after = state()
        put(*before)
        return lambda: put(*after)

    return restore


class _Buffers:
    """The buffers of the program's modules during a pass.

    A checkpointed region runs forward again for each of its nodes that is stepped or looked at, and a batch norm in it
    counts each time; `backward()` runs it once. Only the first change of a buffer by a step is let stand.
    """

    def __init__(self, buffers: Sequence[torch.Tensor]) -> None:
        self._buffers = list(buffers)
        self._now = [b.detach().clone() for b in buffers]
        self._changed: set[int] = set()

    def settle(self, *, step: bool) -> None:
        """The region may have run: take back what it changed, unless this is the first step that did."""
        for k, (buffer, copy) in enumerate(zip(self._buffers, self._now, strict=True)):
            if torch.equal(buffer, copy):
                continue
            with torch.no_grad():
                if step and k not in self._changed:
                    self._changed.add(k)
                    copy.copy_(buffer)
                else:
                    buffer.copy_(copy)

    def keeping(self) -> Restore:
        """Gives what restores all buffers to what they are now."""

        def state() -> tuple[list[torch.Tensor], set[int]]:
            return [copy.clone() for copy in self._now], set(self._changed)

        def put(copies: list[torch.Tensor], changed: set[int]) -> None:
            self._changed = set(changed)
            with torch.no_grad():
                for buffer, now, copy in zip(self._buffers, self._now, copies, strict=True):
                    if not torch.equal(now, copy):
                        buffer.copy_(copy)
                        now.copy_(copy)

        before = state()

        def restore() -> Callable[[], None]:
            after = state()
            put(*before)
            return lambda: put(*after)

        return restore


def _put(table: dict[int, Any], key: int, old: Any) -> None:
    if old is _MISSING:
        table.pop(key, None)
    else:
        table[key] = old
