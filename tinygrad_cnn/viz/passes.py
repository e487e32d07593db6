"""From a backward pass that was walked to its end, of whatever engine, to the description that pictures show.

A graph of PyTorch is described this way too: its pass is walked once, silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_cnn import bridge
from tinygrad_cnn.autograd.handle import wrap
from tinygrad_cnn.autograd.inspect import dense
from tinygrad_cnn.bridge.passes import Pass, Visit
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.viz.collect import CollectOptions, collect
from tinygrad_cnn.viz.description import Description, Downstream, Step
from tinygrad_cnn.viz.summary import summarise

ndarray = np.ndarray


def describe_pass(
    nodes: Sequence[Any], visits: Sequence[Visit], value_of: Callable[[Any], ndarray | None],
    options: CollectOptions | None = None,
) -> Description:  # fmt: skip
    """The graph of a pass, with the gradients that this very pass had."""
    consumed = {p.seq for n in nodes for p in n.parents if p is not None}
    roots = [n for n in nodes if n.seq not in consumed] or list(nodes[:1])
    handles = []
    for node in roots:
        value = value_of(node)
        handles.append(wrap(value if value is not None else np.zeros(node.shape, node.dtype), node))
    given = {visit.node.seq: visit.upstream for visit in visits}
    out = collect(handles, replace(options or CollectOptions(), gradients=given))
    edges = {edge.id: edge for edge in out.edges}
    for visit in visits:
        step = Step(str(visit.node.seq))
        size = summarise(visit.upstream).norm
        for i, (parent, d) in enumerate(zip(visit.node.parents, visit.downstream, strict=False)):
            edge = edges.get(f"{visit.node.seq}:{i}")
            if parent is None or d is None or edge is None:
                continue
            edge.contribution = summarise(d, signed=True)
            if size and edge.contribution.norm is not None:
                edge.gain = edge.contribution.norm / size
            product = Downstream(edge.id, None, None)
            old = visit.before.get(parent.seq)
            if old is not None:
                product = Downstream(edge.id, summarise(old), summarise(old + d))
            step.downstream.append(product)
        out.steps.append(step)
    out.gradients = "run" if visits else "none"
    out.notes = [note for note in out.notes if "freed" not in note]
    return out


def describe_foreign(
    given: Any, input: Any, input_size: Sequence[int] | None, seeds: Any, names: Any, options: CollectOptions
) -> tuple[Description, str]:  # fmt: skip
    """The graph of a pass, behind tensors of PyTorch, or of a module of PyTorch applied to an input; and its title."""
    title, modules = "", ()
    if not isinstance(given, Pass) and not bridge.is_torch(given):
        title = type(given).__name__
        given, modules = bridge.called_torch_module(given, input, input_size)
    elif input is not None or input_size is not None:
        raise UsageError("viz.graph takes input= and input_size= only with a model, not with a tensor")
    work = given if isinstance(given, Pass) else bridge.pass_of_torch(
        given, "ones" if seeds is None else seeds, silent=True, modules=modules
    )  # fmt: skip
    scopes = [dict(names)] if isinstance(names, Mapping) else []
    _name_leaves(work.nodes, work.names(scopes))
    with np.errstate(all="ignore"):
        visits = [] if options.gradients == "none" else list(_walked(work))
        return describe_pass(work.nodes, visits, work.value_of, options), title


def _name_leaves(nodes: Sequence[Any], names: Mapping[int, str]) -> None:
    """Give leaves their names; a parameter's own name is the last part, behind the path of the module that uses it."""
    for node in nodes:
        for parent in node.parents:
            if parent is not None and parent.is_leaf and parent.seq in names:
                name, under = names[parent.seq], f"{node.module}."
                parent.name = name[len(under) :] if name.startswith(under) else name


def _walked(work: Pass) -> list[Visit]:
    """Every step of a pass, done."""
    visits = []
    while work.position < len(work.nodes):
        node = work.nodes[work.position]
        step = work.advance({})
        visits.append(
            Visit(
                node, dense(step.upstream), tuple(None if d is None else dense(d) for d in step.downstream),
                {seq: None if g is None else dense(g) for seq, g in step.before.items()}, (),
            )  # fmt: skip
        )
    return visits

