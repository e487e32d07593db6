"""Where a session stands, as plain data: what front ends draw and what a replay file holds.

Every number that is not finite is the string ``"nan"``, ``"inf"`` or ``"-inf"``, so that all of it is JSON.
Summaries of arrays are those of the pictures (`viz.summary`), so one page and one terminal read both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.inspect import Node, Site
from tinygrad_cnn.bridge.passes import Visit
from tinygrad_cnn.debug.conditions import norm
from tinygrad_cnn.debug.paused import Paused
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.viz.description import plain
from tinygrad_cnn.viz.summary import summarise

#: About how many pixels a heat map keeps of an array.
PIXELS = 512


def describe(session: Paused, *, pixels: int = PIXELS) -> dict[str, Any]:
    """The state at a stop.

        {"status": "paused" | "end" | "closed", "stop": {"kind", "text", "breakpoint"}, "pass": 1,
         "step": 17, "position": 16, "total": 42, "node": {…} or None, "upstream": summary,
         "inputs": [{"index", "name", "node", "label", "shape", "local", "downstream", "before", "after"}],
         "values": [{"name", "summary"}], "hooks": false, "error": None or text,
         "edits": ["…"], "watches": [{"id", "expression", "value"} or {…, "error"}]}

    `node` has seq, op, kind, name, label, module, modules (outermost first), shape, dtype, formula, leaf,
    and where (file, line, column, end_column, function, text). `local` has structure, formula and for
    elementwise ops the factor's summary. `before` is what the input's gradient was, `after` will be. "held" is the
    norm of what a leaf's `.grad` holds already.
    """
    node = session.node
    out: dict[str, Any] = {
        "status": "closed" if session.closed else "end" if node is None else "paused",
        "stop": session.stop._asdict(), "pass": session.number,
        "step": session.position + 1, "position": session.position, "total": session.total,
        "node": None, "upstream": None, "inputs": [], "values": [], "hooks": session.hooked, "error": None,
        "edits": session.pending_edits,
        "watches": [] if session.closed else watches(session),
    }  # fmt: skip
    if node is None:
        return out
    error = None
    try:
        downstream: Sequence[Any] = session.downstream
    except Exception as failure:  # a rule that fails is what the user is looking for: show it
        downstream = [None] * len(node.parents)
        error = f"{type(failure).__name__} in {node.op.name}.backward: {failure}"
    before = {p.seq: session.arrived(p) for p in node.parents if p is not None}
    return out | describe_step(session, node, session.upstream, downstream, before, pixels) | {"error": error}


def describe_visit(session: Paused, visit: Visit, *, pixels: int = PIXELS) -> dict[str, Any]:
    """A step that is done, as `describe` told it while it was ahead."""
    k = session.index_of(visit.node)
    return {
        "status": "paused", "stop": {"kind": "step", "text": f"step {k + 1} of {session.total}", "breakpoint": None},
        "step": k + 1, "position": k, "total": session.total, "hooks": visit.node.hooks is not None, "error": None,
        "edits": list(visit.edits), "watches": [],
        **describe_step(session, visit.node, visit.upstream, visit.downstream, visit.before, pixels),
    }  # fmt: skip


def describe_step(
    session: Paused, node: Node, upstream: np.ndarray, downstream: Sequence[Any],
    before: dict[int, Any], pixels: int,
) -> dict[str, Any]:  # fmt: skip
    """The part of a state that is the step itself: node, upstream, inputs and values."""
    handed = [*downstream] + [None] * (len(node.parents) - len(downstream))
    names = [node.op.input_name(i, len(node.parents)) for i in range(len(node.parents))]
    values = [("y", session.value_of(node)), *zip(names, session.input_values(node), strict=True)]
    return {
        "node": describe_node(session, node),
        "upstream": summary(upstream, pixels=pixels, signed=True),
        "held": _held(node),
        "inputs": [
            _input(session, node, i, p, handed[i], before, pixels) for i, p in enumerate(node.parents)
        ],
        "values": [{"name": n, "summary": summary(v, pixels=pixels)} for n, v in values if v is not None],
    }


def _held(node: Node) -> Any:
    """The norm of what a leaf's `.grad` holds already."""
    grad = None if node.tensor is None else node.tensor.grad
    return None if grad is None else number(norm(grad))


def describe_node(session: Paused, node: Node) -> dict[str, Any]:
    """What is said of a node itself."""
    modules = []
    scope = node.scope
    while scope is not None:
        modules.append({"path": scope.path, "name": scope.name, "kind": scope.kind})
        scope = scope.parent
    return {
        "seq": node.seq, "op": node.op.name, "kind": node.op.kind, "name": session.name_of(node),
        "label": session.label(node), "module": node.module, "modules": modules[::-1],
        "shape": list(node.shape), "dtype": str(node.dtype), "formula": node.formula, "leaf": node.is_leaf,
        "params": {k: _short(v) for k, v in node.params.items()}, "where": place(node.where),
    }  # fmt: skip


def place(site: Site | None) -> dict[str, Any] | None:
    """A source position; columns count from 0 and are -1 when unknown."""
    if site is None:
        return None
    line, first, last = site.position
    return {
        "file": site.filename, "line": line, "column": first, "end_column": last, "function": site.function,
        "text": site.text,
    }  # fmt: skip


def frames(session: Paused, node: Node | None = None) -> list[dict[str, Any]]:
    """The stack, innermost first: {"kind": "node" | "module" | "python", "name", "where"}.

    Python frames beyond the creating line are there when the forward pass ran under the debugger or
    `keep_values(stack=True)`.
    """
    node = node or session.node
    if node is None:
        return []
    here = place(node.where)
    under = f" · {node.module}" if node.module else ""
    out = [
        {
            "kind": "node",
            "name": f"∂ {node.op.name}.backward{under}" if node.parents else f"∂ {session.label(node)}",
            "where": here,
        }
    ]
    scope = node.scope
    while scope is not None:
        if scope.parent is not None or scope.kind:
            out.append(
                {"kind": "module", "name": f"{scope.path or 'the model'} ({scope.kind})", "where": here}
            )
        scope = scope.parent
    stack = node.stack if node.stack is not None else (node.where,) if node.where is not None else ()
    stack = stack[: max(1, len(stack) - session.hidden_frames)]
    out += [{"kind": "python", "name": site.function, "where": place(site)} for site in stack]
    return out


def history(session: Paused) -> list[dict[str, Any]]:
    """The steps done, oldest first."""
    return [
        {
            "step": session.index_of(visit.node) + 1, "seq": visit.node.seq, "label": session.label(visit.node),
            "op": visit.node.op.name, "module": visit.node.module, "norm": number(norm(visit.upstream)),
            "edits": list(visit.edits),
        }
        for visit in session.visits()
    ]  # fmt: skip


def watches(session: Any) -> list[dict[str, Any]]:
    """The watched expressions with their values as text."""
    out = []
    for watch in session.watches:
        entry: dict[str, Any] = {"id": watch.id, "expression": watch.expression}
        try:
            entry["value"] = show(session.evaluate(watch.expression))
        except (UsageError, AttributeError) as error:
            entry["error"] = str(error)
        out.append(entry)
    return out


def summary(array: Any, *, pixels: int = 0, signed: bool = False) -> dict[str, Any] | None:
    """The plain summary of an array (see `viz.description.Summary`); None stays None."""
    return None if array is None else plain(summarise(array, pixels=pixels, signed=signed))


def number(x: float) -> float | str:
    """A number as JSON can hold it."""
    return plain(float(x))


def show(value: Any, *, limit: int = 400, entries: int = 64) -> str:
    """A value as text for people: arrays of up to `entries` written out, larger ones summarised."""
    if hasattr(value, "array"):
        value = value.array
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return f"{value.item():.6g}" if value.dtype.kind == "f" else str(value.item())
        if value.size > entries:
            s = summarise(value)
            if s.min is None:
                return f"array {value.shape} {value.dtype}: {s.nan} nan, {s.inf} inf"
            rest = f", {s.nan} nan, {s.inf} inf" if s.nan or s.inf else ""
            spread = f"norm {s.norm:.4g}, mean {s.mean:.4g}, from {s.min:.4g} to {s.max:.4g}"
            return f"array {value.shape} {value.dtype}: {spread}{rest}"
        return np.array2string(value, precision=4, suppress_small=False, max_line_width=78)
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.6g}"
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _input(
    session: Paused, node: Node, i: int, parent: Node | None, handed: Any, before: dict[int, Any], pixels: int
) -> dict[str, Any]:  # fmt: skip
    name = node.op.input_name(i, len(node.parents))
    if parent is None:
        return {"index": i, "name": name, "node": None, "label": None}
    got = before.get(parent.seq)
    after = handed if got is None or handed is None else got + handed
    return {
        "index": i, "name": name, "node": parent.seq, "label": session.label(parent), "shape": list(parent.shape),
        "local": _local(node, i, pixels), "downstream": summary(handed, pixels=pixels, signed=True),
        "before": summary(got), "after": summary(after),
    }  # fmt: skip


def _local(node: Node, i: int, pixels: int) -> dict[str, Any]:
    local = node.local_gradient(i)
    out: dict[str, Any] = {"structure": local.structure, "formula": local.formula}
    if node.op.has_factor:
        try:
            with np.errstate(all="ignore"):
                out["factor"] = summary(local.factor, pixels=pixels)
        except Exception as error:
            out["error"] = f"{type(error).__name__}: {error}"
    return out


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array {value.shape} {value.dtype}"
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
