"""PyTorch's graph behind some tensors, as nodes in the order in which its backward pass visits them.

PyTorch's engine takes, of the nodes all of whose consumers are done, the one that was made last; parameters and inputs
come as soon as they are complete. The order is known before the pass runs, and is written down here.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence

import torch

from tinygrad_cnn.bridge.torch_node import GraphNode, LeafNode, OutputNode, TorchFn, TorchNode

#: An output of a node of PyTorch: the node, and the number of the output.
Edge = tuple[TorchFn, int]


def edge_of(tensor: torch.Tensor) -> Edge:
    """Where a tensor's gradient enters the graph. Raises RuntimeError for a tensor without a graph."""
    found = torch.autograd.graph.get_gradient_edge(tensor)
    return found.node, found.output_nr


def visiting_order(roots: Sequence[Edge]) -> list[TorchFn]:
    """PyTorch's node objects in the order of its backward pass."""
    waiting: Counter[TorchFn] = Counter()
    seen: set[TorchFn] = set()
    stack = [fn for fn, _ in roots]
    while stack:
        fn = stack.pop()
        if fn in seen:
            continue
        seen.add(fn)
        for target, _ in fn.next_functions:
            if target is not None:
                waiting[target] += 1
                stack.append(target)
    order: list[TorchFn] = []
    ready = [(-fn._sequence_nr(), k, fn) for k, fn in enumerate(_once(fn for fn, _ in roots)) if not waiting[fn]]
    heapq.heapify(ready)
    count = len(ready)
    while ready:
        _, _, fn = heapq.heappop(ready)
        order.append(fn)
        for target, _ in fn.next_functions:
            if target is None:
                continue
            waiting[target] -= 1
            if not waiting[target]:
                count += 1
                heapq.heappush(ready, (-target._sequence_nr(), count, target))
    return order


def nodes_of(roots: Sequence[Edge]) -> tuple[list[GraphNode], dict[Edge, GraphNode]]:
    """The nodes in the order of the pass, and for each output of PyTorch's nodes the node that takes its gradient.

    Numbers (`seq`) count from the inputs: a node's is larger than those of its inputs.
    """
    order = visiting_order(roots)
    used: dict[TorchFn, set[int]] = {fn: set() for fn in order}
    for fn, index in roots:
        used[fn].add(index)
    for fn in order:
        for target, index in fn.next_functions:
            if target is not None:
                used[target].add(index)
    nodes: list[GraphNode] = []
    entry: dict[Edge, GraphNode] = {}
    main: dict[TorchFn, TorchNode | LeafNode] = {}
    for fn in order:
        if hasattr(fn, "variable"):
            node: TorchNode | LeafNode = LeafNode(fn)
        else:
            node = TorchNode(fn, sorted(used[fn]))
            if len(node.indices) > 1:
                for index in node.indices:
                    entry[fn, index] = OutputNode(node, index)
                    nodes.append(entry[fn, index])
        for index in used[fn]:
            entry.setdefault((fn, index), node)
        main[fn] = node
        nodes.append(node)
    for fn, made in main.items():
        if isinstance(made, TorchNode):
            made.parents = tuple(
                None if target is None else entry[target, index] for target, index in fn.next_functions
            )
    for k, one in enumerate(reversed(nodes), 1):
        one.seq = k
        one.describe()
    return nodes, entry


def _once(items: Iterable[TorchFn]) -> list[TorchFn]:
    return list(dict.fromkeys(items))
