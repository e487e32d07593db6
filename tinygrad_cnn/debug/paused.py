"""Where a pass stands, as whoever asks sees it: breakpoints, conditions, snapshots, explanations and checks.

They take a `Paused` as an argument and never move it. A live session and a recorded pass are both one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from tinygrad_cnn.bridge.passes import Visit
from tinygrad_cnn.debug.selectors import Query


class Stop(NamedTuple):
    """Why the session stands where it stands.

    `kind` is start, step, back, breakpoint, condition, goto, edit, exception, end or closed; `text` says it
    in words; `breakpoint` is the number of the one that was hit.
    """

    kind: str
    text: str
    breakpoint: int | None = None


class Watch(NamedTuple):
    """An expression shown at every stop."""

    id: int
    expression: str


class Place(Protocol):
    """Where something may hold: all that a breakpoint asks."""

    def matches(self, query: Query) -> bool: ...
    def evaluate(self, expression: str) -> Any: ...


class Paused(Place, Protocol):
    """A pass that stands before `node`, or at its end (then `node` is None).

    Attributes
        nodes, names: what it visits, in order, and what the leaves are called, by `seq`
        position, total: how many nodes are done, and how many there are
        stop, closed, hooked: why it stands here, whether it is over, whether hooks of the user's run at the node
        watches: expressions shown at every stop
        user_scopes: mappings in which expressions find the program's names
        hidden_frames, number: outermost Python frames that are not the program's; which pass of it this is, from 1
        upstream, downstream: ∂L/∂y of the node, and what it will hand to each input
        pending_edits: what was edited since the last step, as text
    """

    nodes: Sequence[Any]
    names: dict[int, str]
    watches: list[Watch]
    stop: Stop
    closed: bool
    user_scopes: list[Mapping[str, Any]]
    hidden_frames: int
    number: int

    @property
    def position(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def node(self) -> Any: ...
    @property
    def hooked(self) -> bool: ...
    @property
    def upstream(self) -> Any: ...
    @property
    def downstream(self) -> list[Any]: ...
    @property
    def pending_edits(self) -> list[str]: ...

    def name_of(self, node: Any) -> str | None: ...
    def label(self, node: Any) -> str: ...
    def index_of(self, node: Any) -> int: ...
    def arrived(self, node: Any) -> Any: ...
    def gradient_of(self, node: Any) -> Any: ...
    def value_of(self, node: Any) -> Any: ...
    def cannot_rerun(self, node: Any) -> str: ...
    def input_values(self, node: Any = None) -> list[Any]: ...
    def edited_edge(self, input: int) -> bool: ...
    def visits(self) -> list[Visit]: ...
