"""The states of a replay file, as records that a file is held to before anything is shown of it.

`snapshot.describe` says what the fields mean; `replay` reads and writes the files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tinygrad_cnn.support.errors import DataError
from tinygrad_cnn.viz.description import Summary, read_record

VERSION = 1


def recorded_states(data: Any) -> list[dict[str, Any]]:
    """The states in the content of a replay file. Raises DataError for anything that is no replay."""
    replay = data.get("replay") if isinstance(data, dict) else None
    if not isinstance(replay, dict) or not isinstance(replay.get("states"), list):
        raise DataError("expected a replay written by session.record(…), got another kind of JSON")
    if replay.get("version") != VERSION:
        raise DataError(
            f"this replay has version {replay.get('version')!r}, this package reads {VERSION}: record it again"
        )
    states = replay["states"]
    if not states:
        raise DataError("this replay is damaged: it has no states")
    seen = set()
    for k, state in enumerate(states):
        found = read_record(RecordedState, state, f"state {k + 1} of this replay")
        if (found.step, found.position, found.total) != (k + 1, k, len(states)):
            raise DataError(f"state {k + 1} of this replay is damaged: it says it is {found.step} of {found.total}")
        if found.node.seq in seen:
            raise DataError(f"state {k + 1} of this replay is damaged: its node {found.node.seq} was done before")
        seen.add(found.node.seq)
    return states


@dataclass(slots=True)
class RecordedPlace:
    file: str
    line: int
    text: str = ""
    function: str = ""
    column: int = -1
    end_column: int = -1


@dataclass(slots=True)
class RecordedModule:
    path: str
    name: str
    kind: str


@dataclass(slots=True)
class RecordedNode:
    seq: int
    op: str
    kind: str
    name: str | None
    label: str
    module: str
    modules: list[RecordedModule]
    shape: list[int]
    dtype: str
    formula: str | None
    leaf: bool
    where: RecordedPlace | None
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class RecordedLocal:
    structure: str
    formula: str | None = None
    factor: Summary | None = None


@dataclass(slots=True)
class RecordedInput:
    index: int
    name: str
    node: int | None
    label: str | None
    shape: list[int] | None = None
    local: RecordedLocal | None = None
    downstream: Summary | None = None
    before: Summary | None = None
    after: Summary | None = None


@dataclass(slots=True)
class RecordedValue:
    name: str
    summary: Summary


@dataclass(slots=True)
class RecordedFrame:
    kind: str
    name: str
    where: RecordedPlace | None = None


@dataclass(slots=True)
class RecordedState:
    step: int
    position: int
    total: int
    node: RecordedNode
    upstream: Summary | None
    inputs: list[RecordedInput]
    values: list[RecordedValue]
    frames: list[RecordedFrame]
    hooks: bool
    error: str | None
    edits: list[str]
    held: float | None = None
