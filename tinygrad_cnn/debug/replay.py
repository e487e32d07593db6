"""Replays: a whole backward pass as one JSON file, and a session that walks through it without the program.

The file is a graph description of `viz` (so ``viz.Graph.load(file).html(page)`` plays it) with one more
field, which readers of graphs ignore:

    "replay": {"version": 1, "states": [state…]}      one state per step, as `snapshot.describe` writes them,
                                                      each with "frames": the stack (`snapshot.frames`)

It holds summaries and small pictures, never whole arrays.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinygrad_cnn.bridge.node import Node, Op
from tinygrad_cnn.bridge.passes import Visit
from tinygrad_cnn.debug.breakpoints import Breakpoints
from tinygrad_cnn.debug.conditions import NAMES, Namespace
from tinygrad_cnn.debug.paused import Paused, Stop, Watch
from tinygrad_cnn.debug.recorded import VERSION, recorded_states
from tinygrad_cnn.debug.snapshot import describe_visit, frames, watches
from tinygrad_cnn.debug.walking import Walk
from tinygrad_cnn.support.errors import DataError, UsageError
from tinygrad_cnn.support.json_file import read_json
from tinygrad_cnn.viz.description import plain
from tinygrad_cnn.viz.files import write_text
from tinygrad_cnn.viz.graphs import Graph
from tinygrad_cnn.viz.passes import describe_pass

#: Pixels of a picture in a file; none in passes of more than so many nodes.
PIXELS, PICTURED = 256, 2000


def write(session: Paused, visits: Sequence[Visit], path: Any, *, title: str = "") -> Path:
    """Write a pass that has been walked to its end: what it did, with its edits.

    A path that ends in ``.html`` gets the page that plays it instead of the JSON. Raises OutputError when it cannot be
    written.
    """
    pixels = PIXELS if len(visits) <= PICTURED else 0
    states = []
    for k, visit in enumerate(visits):
        state = describe_visit(session, visit, pixels=pixels) | {"frames": frames(session, visit.node)}
        states.append(state | {"step": k + 1, "position": k, "total": len(visits)})
    with np.errstate(all="ignore"):
        description = describe_pass(session.nodes, visits, session.value_of)
    description.title = title or "recorded backward pass"
    if str(path).endswith((".html", ".htm")):
        Graph(description).html(path)
        return Path(path)
    data = description.to_dict() | {"replay": {"version": VERSION, "states": states}}
    text = json.dumps(_small(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return write_text(path, text + "\n")


class Replay(Walk):
    """A recorded pass that can be walked through: `state`, `where`, `history`, breakpoints, conditions.

    It holds summaries: what needs arrays (`explain`, `check`, `edit`, `p g`) raises UsageError.
    """

    def __init__(self, data: Any) -> None:
        self.states: list[dict[str, Any]] = recorded_states(data)
        try:
            made: dict[int, _Node] = {}
            for state in self.states:
                made[state["node"]["seq"]] = _Node(state)
            for node in made.values():
                node.parents = tuple(
                    made.get(i["node"]) if i["node"] is not None else None for i in node.inputs
                )
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"this replay is damaged: {type(error).__name__}: {error}") from error
        self.nodes = list(made.values())
        self.names = {n.seq: n.name for n in self.nodes if n.name and n.is_leaf}
        self._index = {n.seq: k for k, n in enumerate(self.nodes)}
        self._position = 0
        self.breakpoints = Breakpoints()
        self.watches: list[Watch] = []
        self.stop = Stop("start", "start of the recorded pass")
        self.hooked = False

    @classmethod
    def load(cls, path: Any) -> Replay:
        """Read a file that `record` wrote. Raises DataError when it is none, or damaged."""
        return cls(read_json(path, "the replay"))

    @property
    def position(self) -> int:
        return self._position

    def _advance(self) -> bool:
        self._open()
        if self.node is None:
            return False
        self._position += 1
        return True

    def _undo(self) -> bool:
        if self._position == 0:
            return False
        self._position -= 1
        return True

    @property
    def namespace(self) -> Namespace:
        return _Names(self)

    def state(self) -> dict[str, Any]:
        """Where it stands, as it was recorded."""
        here = {"stop": self.stop._asdict(), "watches": watches(self)}
        if self.node is not None:
            return self.states[self._position] | here
        status = "closed" if self.closed else "end"
        return here | {
            "status": status, "step": self.total + 1, "position": self.total, "total": self.total, "node": None,
            "upstream": None, "inputs": [], "values": [], "hooks": False, "error": None, "edits": [],
        }  # fmt: skip

    def where(self) -> list[dict[str, Any]]:
        """The recorded stack."""
        return self.states[self._position].get("frames", []) if self.node is not None else []

    def history(self) -> list[dict[str, Any]]:
        """The steps before this one."""
        return [
            {
                "step": s["step"], "seq": s["node"]["seq"], "label": s["node"]["label"], "op": s["node"]["op"],
                "module": s["node"]["module"], "norm": (s["upstream"] or {}).get("norm", 0.0), "edits": s["edits"],
            }
            for s in self.states[: self._position]
        ]  # fmt: skip

    def gradient_summary(self, node: Any) -> dict[str, Any] | None:
        """The whole gradient of a node that is done or stood before; None for one ahead."""
        k = self.index_of(node)
        return self.states[k]["upstream"] if k <= self._position else None

    def finish(self) -> None:
        """Close it."""
        self.closed = True
        self.stop = Stop("closed", "replay closed")

    abort = finish

    def __getattr__(self, name: str) -> Any:
        if name in _LIVE:
            raise UsageError(f"a replay holds summaries, not arrays: {_LIVE[name]} needs the program itself")
        raise AttributeError(name)

    def __repr__(self) -> str:
        return f"<Replay step {min(self.position + 1, self.total)} of {self.total} ({self.stop.text})>"


_LIVE = {
    "explain": "explain", "check": "check", "edit": "edit", "into": "stepping into an op", "record": "record",
    "input_values": "the inputs' values", "value_of": "a value", "downstream": "an array", "upstream": "an array",
    "gradient_of": "an array", "nbytes": "this",
}  # fmt: skip


class _Node(Node):
    """A node as its recorded state tells of it."""

    def __init__(self, state: dict[str, Any]) -> None:
        said, self.inputs = state["node"], state["inputs"]
        self.seq, self.name, self.dtype, self.shape = said["seq"], said["name"], said["dtype"], tuple(said["shape"])
        self.parents: tuple[Any, ...] = ()
        self.op = Op(said["op"], said["formula"], [i["name"] for i in self.inputs])
        self.op.kind = said["kind"]
        kind = said["modules"][-1]["kind"] if said["modules"] else ""
        self.scope = SimpleNamespace(kind=kind, path=said["module"])
        where = said["where"]
        self.where = None if where is None else SimpleNamespace(filename=where["file"], lineno=where["line"])

    def local_gradient(self, _i: int = 0) -> Any:
        raise UsageError("a replay holds summaries, not arrays: local needs the program itself")


class _Names(Namespace):
    """The names that a recorded state can answer."""

    def __missing__(self, name: str) -> Any:
        replay: Any = self._session
        node = replay._paused()
        state = replay.states[replay.position]
        up = state["upstream"] or {}
        below = [i["downstream"] for i in state["inputs"] if i.get("downstream")]
        if name in ("norm", "zeros"):
            return float(up.get(name, 0.0))
        if name in ("nan", "inf"):
            return sum(s.get(name, 0) for s in [up, *below])
        answers: dict[str, Any] = {
            "np": np, "session": replay, "node": node, "op": node.op.name, "name": node.name or "",
            "module": node.module,
            "shape": node.shape, "dtype": node.dtype, "step": replay.position + 1,
            "line": node.where.lineno if node.where else None,
        }  # fmt: skip
        if name in answers:
            return answers[name]
        if name == "nonfinite":
            return self["nan"] + self["inf"]
        if name == "all_zero":
            return self["zeros"] == 1
        if name in NAMES:
            raise UsageError(f"a replay holds summaries, not arrays: {name} needs the program itself")
        raise KeyError(name)


def _small(value: Any) -> Any:
    """Numbers at six digits: enough to look at, a third of the size."""
    if isinstance(value, float):
        return plain(float(f"{value:.6g}"))
    if isinstance(value, dict):
        return {k: _small(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_small(v) for v in value]
    return value
