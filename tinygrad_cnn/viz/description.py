"""The plain description of a graph: what every renderer reads, and what is saved as JSON.

Nothing here knows a tensor or an op. `collect` fills these records from a graph; DOT, text, the HTML page
and `compare` read them. They hold summaries, never whole tensors, so a description outlives the graph.

The JSON schema (``"schema": "tinygrad_cnn.graph", "version": 1``) is these records written out field by
field, with the rules

* a field that is None or at its default may be absent; unknown fields are ignored, so that older readers
  read newer files of the same version;
* JSON has no nan and no infinity: such a number is the string ``"nan"``, ``"inf"`` or ``"-inf"``;
* nodes are listed in the order they were computed (each behind its inputs), so reading backwards is the
  order of the backward pass; ids are strings.

    {"schema": "tinygrad_cnn.graph", "version": 1, "title": "…", "direction": "TB", "theme": "auto",
     "loss": "3", "nodes": [Node…], "edges": [Edge…], "modules": [Module…], "steps": [Step…],
     "gradients": "run" | "left" | "given" | "none", "notes": ["…"], "options": {…}}
"""

from __future__ import annotations

import base64
import json
import math
import os
import types
import typing
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from tinygrad_cnn.support.errors import DataError
from tinygrad_cnn.support.json_file import read_json
from tinygrad_cnn.viz.files import write_text

R = TypeVar("R")

SCHEMA = "tinygrad_cnn.graph"
VERSION = 1


@dataclass(slots=True)
class Image:
    """A small picture of an array: some of its 2-D slices, down-sampled, one byte a pixel.

    `data` is base64 of ``tiles * rows * cols`` bytes, tile by tile and row by row. Byte 0 means "not
    finite"; byte b in 1…255 stands for ``lo + (hi - lo) * (b - 1) / 254``. When `diverging`, lo = -hi and
    byte 128 is zero: use a two-sided colour map. `source_rows` and `source_cols` are those of one whole
    slice. `channels` is 3 when tiles are the red, green and blue planes of one picture.
    """

    rows: int
    cols: int
    tiles: int
    lo: float
    hi: float
    data: str
    diverging: bool = False
    caption: str = ""
    source_rows: int = 0
    source_cols: int = 0
    channels: int = 1


@dataclass(slots=True)
class Histogram:
    """Counts of the finite entries in equal bins between `lo` and `hi`."""

    lo: float
    hi: float
    counts: list[int]


@dataclass(slots=True)
class Summary:
    """What is told of an array instead of the array.

    `min`, `max`, `mean`, `std` (population) and `norm` (Euclidean) are over its finite entries and None when
    there are none. `zeros` is the share of entries that are exactly 0, from 0 to 1; `nan` and `inf` are
    counts. `data` holds all entries, nested as the array is, when they are few. With one entry `scalar` is
    the number itself (as a float64), and of the rest only `norm` is filled. Statistics keep 7 digits.
    """

    n: int
    shape: list[int]
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None
    norm: float | None = None
    zeros: float = 0.0
    nan: int = 0
    inf: int = 0
    scalar: float | None = None
    data: list[Any] | None = None
    image: Image | None = None
    histogram: Histogram | None = None


@dataclass(slots=True)
class Source:
    """The line of the user's code that made a node; `file` is the base name."""

    file: str
    line: int
    text: str = ""
    function: str = ""


@dataclass(slots=True)
class Other:
    """The same node in the first of two compared graphs; the node itself shows the second."""

    id: str
    value: Summary | None = None
    gradient: Summary | None = None


@dataclass(slots=True)
class Node:
    """One value of the graph.

    Attributes
        id: its number in the graph as text; inputs that need no gradient have ``"17.1"`` (input 1 of 17)
        op: name of the primitive: ``mul``, ``conv2d``…; ``leaf`` or ``constant``
        kind: elementwise, multilinear, general, leaf or constant
        label: short text to show (name, else op); may hold anything a user can type: escape it
        name: the user's name of the tensor, a parameter's path; None without one
        module: path of the module (or group) it belongs to; None outside all modules
        value, gradient: summaries; gradient is ∂loss/∂value, the *upstream* gradient of its backward step
        formula: ``y = a · b``; `numbers`: the same with the numbers in place, for scalars
        local_formula: the local gradients as text, ``∂y/∂a = b; ∂y/∂b = a``
        params: the op's keyword arguments as short text (stride, padding…)
        leaf, parameter, input, loss: what it is; `input` is a leaf or constant that is no parameter
        kept: False for an input of which its op kept nothing: then its value is not known, and its shape and dtype
            only where it was a tensor
        recorded: False for an op that ran without being recorded: nothing flows back through it
        highlighted: on the path that the user asked for
        alarm: ``"nan"``, ``"inf"`` or ``""``, of value or gradient; ``"error"`` for the call at which a forward pass
            failed (op is what was called, `formula` the error)
        change: of two compared graphs (``kind`` of the description is ``"compare"``): ``"added"``,
            ``"removed"``, ``"changed"`` (other shape, dtype, parameters or inputs) or ``"same"``
        changes: what changed, one short text each: ``dtype float32 → float64``
        other: the node's numbers in the first of them
    """

    id: str
    op: str
    kind: str
    label: str
    shape: list[int]
    dtype: str
    name: str | None = None
    module: str | None = None
    value: Summary | None = None
    gradient: Summary | None = None
    formula: str = ""
    local_formula: str = ""
    numbers: str | None = None
    params: dict[str, str] = field(default_factory=dict)
    source: Source | None = None
    leaf: bool = False
    parameter: bool = False
    input: bool = False
    loss: bool = False
    kept: bool = True
    recorded: bool = True
    highlighted: bool = False
    alarm: str = ""
    change: str = ""
    changes: list[str] = field(default_factory=list)
    other: Other | None = None


@dataclass(slots=True)
class Local:
    """The local gradient ∂to/∂from of an edge.

    `structure` is one word: identity, diagonal, selection, linear or general. `number` is the local
    gradient itself when both ends are scalars; `factor` summarises the diagonal of elementwise ops; `norm`
    is the most it can stretch (largest |factor|, else largest singular value), when that is cheap to know.
    `numbers` is `text` with the numbers in place, `short` what a line of a picture has room for.
    """

    text: str
    structure: str
    short: str = ""
    number: float | None = None
    norm: float | None = None
    factor: Summary | None = None
    numbers: str | None = None


@dataclass(slots=True)
class Sample:
    """One entry of an elementwise product: ``upstream * local = product`` at `index` of the consumer's output."""

    index: list[int]
    upstream: float
    local: float
    product: float


@dataclass(slots=True)
class Sums:
    """Entries of a contribution, each as the sum it is: Σ upstream · local over entries of the consumer's output.

    `entries` holds lists ``[k, value, terms, rest, rest_sum]``: place `k` in the flat array of the input (of shape
    `input_shape`), the engine's number, the terms, the largest first, and how many more there are with what sum. A term
    is ``[at, upstream, local]``, `at` a place in the flat output (of shape `output_shape`), with a fourth number where
    the local gradient is an entry of the op's other input `whose` (of shape `other_shape`): its flat place. Outputs
    that do not depend on the entry are left out. `complete`: all entries are there, with all their terms.
    """

    output_shape: list[int]
    input_shape: list[int]
    whose: str = ""
    other_shape: list[int] = field(default_factory=list)
    complete: bool = False
    entries: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class Edge:
    """The value of node `from_` used as input `index` of node `to` (JSON: ``"from"``, ``"to"``).

    `contribution` is the downstream gradient: what `to` hands back along this edge. `gain` is its norm over
    that of the upstream gradient. Edges from constants carry neither local gradient nor contribution.
    `numbers` writes the product out for scalars: ``∂L/∂x = 1 · 3 = 3``; `sums` does for entries of arrays.
    """

    id: str
    from_: str
    to: str
    index: int
    local: Local | None = None
    contribution: Summary | None = None
    gain: float | None = None
    sample: Sample | None = None
    numbers: str | None = None
    sums: Sums | None = None
    highlighted: bool = False
    change: str = ""


@dataclass(slots=True)
class Module:
    """A module, or a made-up group of consecutive nodes (``cls == "group"``) where one place has very many.

    `path` is as in `named_modules()`; the outermost module's is the empty string. `nodes` are the ids
    directly in it, `children` the paths of what is directly inside. `parameters` counts trainable numbers
    in it and below. `size` counts nodes in it and below. `open` says how it starts: shown open, or as one box.
    `gradient_norm` is over all its parameters' gradients, None when unknown.
    """

    path: str
    name: str
    cls: str
    parent: str | None = None
    children: list[str] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    parameters: int = 0
    size: int = 0
    open: bool = True
    gradient_norm: float | None = None


@dataclass(slots=True)
class Downstream:
    """One product of a backward step: along `edge`, the gradient of its producer goes from `before` to `after`.

    Both are None where nothing had arrived yet: then the edge's `contribution` is all there is. Otherwise
    both are short summaries (no picture, no histogram), and after = before + contribution.
    """

    edge: str
    before: Summary | None = None
    after: Summary | None = None


@dataclass(slots=True)
class Step:
    """One step of the backward pass: the upstream gradient is `gradient` of `node`. Leaves end with no products."""

    node: str
    downstream: list[Downstream] = field(default_factory=list)


@dataclass(slots=True)
class Description:
    """A whole graph; see the module's docstring for the JSON it is saved as.

    `modules` has each parent before its children. `steps` is empty when no gradient pass was run.
    `gradients` says where gradients come from: ``run`` (a pass of our own that wrote nothing), ``left``
    (what a finished backward pass left: `.grad` of leaves and retained tensors), ``given``, or ``none``.
    `notes` are sentences to show: what could not be known, and why. `kind` is ``graph`` or ``compare``;
    `sides` names the two compared graphs.
    """

    kind: str = "graph"
    title: str = ""
    direction: str = "TB"
    theme: str = "auto"
    loss: str | None = None
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    modules: list[Module] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    gradients: str = "none"
    notes: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    sides: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: dicts, lists, strings, finite numbers."""
        return {"schema": SCHEMA, "version": VERSION, **_plain(self)}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the JSON (beside the place first, then renamed)."""
        return write_text(path, self.to_json() + "\n")

    @classmethod
    def from_dict(cls, data: Any) -> Description:
        """The reverse of `to_dict`. Raises DataError for anything that is no such description."""
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise DataError(f'expected a graph description with "schema": "{SCHEMA}", got {_short(data)}')
        if data.get("version") != VERSION:
            raise DataError(
                f"this graph description has version {data.get('version')!r}, this package reads {VERSION}: "
                "save it again with this version"
            )
        description = read_record(cls, data, "this graph description")
        try:
            _check(description)
        except ValueError as error:
            raise DataError(f"this graph description is damaged: {error}") from error
        return description

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Description:
        """Read a description saved with `save`. Raises DataError when it is no such file."""
        return cls.from_dict(read_json(path, "the graph description"))


def plain(record: Any) -> Any:
    """A record (or numbers, lists, dicts of them) as JSON-able data."""
    return _plain(record)


def read_record(kind: type[R], data: Any, what: str) -> R:
    """A record of the class `kind` from plain data, every field of the type it is declared with.

    Raises DataError, which begins with `what`, for anything else.
    """
    try:
        return _read(kind, data)
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise DataError(f"{what} is damaged: {error}") from error


# --- what a description promises --------------------------------------------------------------------

DIRECTIONS = ("TB", "LR", "BT", "RL")
THEMES = ("auto", "light", "dark")
_CHOICES = {
    "kind": ("graph", "compare"), "direction": DIRECTIONS, "theme": THEMES,
    "gradients": ("run", "left", "given", "none"), "alarm": ("", "nan", "inf", "error"),
    "structure": ("identity", "diagonal", "selection", "linear", "general"),
    "change": ("", "added", "removed", "changed", "same"),
}  # fmt: skip


def _check(description: Description) -> None:
    """Raise ValueError unless words are among those there are, references lead somewhere, and nothing is its own
    ancestor."""
    for name in ("kind", "direction", "theme", "gradients"):
        _check_choice(name, getattr(description, name))
    nodes = _by_id("node", [node.id for node in description.nodes])
    edges = _by_id("edge", [edge.id for edge in description.edges])
    modules = _by_id("module", [module.path for module in description.modules])
    for node in description.nodes:
        _check_choice("alarm", node.alarm)
        _check_choice("change", node.change)
        _check_known("the module of a node", node.module, modules)
    for edge in description.edges:
        _check_choice("change", edge.change)
        _check_known("the start of an edge", edge.from_, nodes)
        _check_known("the end of an edge", edge.to, nodes)
        if edge.local is not None:
            _check_choice("structure", edge.local.structure)
    for module in description.modules:
        _check_known("the parent of a module", module.parent, modules)
        for path in module.children:
            _check_known("a child of a module", path, modules)
        for node_id in module.nodes:
            _check_known("a node of a module", node_id, nodes)
    for step in description.steps:
        _check_known("the node of a step", step.node, nodes)
        for product in step.downstream:
            _check_known("the edge of a product", product.edge, edges)
    _check_known("the loss", description.loss, nodes)
    _check_acyclic("edges", nodes, [(edge.from_, edge.to) for edge in description.edges])
    inside = [(module.path, path) for module in description.modules for path in module.children]
    inside += [(module.parent, module.path) for module in description.modules if module.parent is not None]
    _check_acyclic("modules", modules, inside)


def _check_choice(name: str, word: str) -> None:
    if word not in _CHOICES[name]:
        raise ValueError(f"{name} expected one of {', '.join(map(repr, _CHOICES[name]))}, got {_short(word)}")


def _by_id(what: str, ids: list[str]) -> set[str]:
    found = set(ids)
    if len(found) != len(ids):
        raise ValueError(f"two {what}s have the same name")
    return found


def _check_known(what: str, name: str | None, known: set[str]) -> None:
    if name is not None and name not in known:
        raise ValueError(f"{what} is {_short(name)}, which is not there")


def _check_acyclic(what: str, names: Iterable[str], pairs: Iterable[tuple[str, str]]) -> None:
    """Kahn's algorithm: what is left when nothing without predecessors remains is a cycle."""
    after: dict[str, set[str]] = {name: set() for name in names}
    for first, second in pairs:
        after[first].add(second)
    before = dict.fromkeys(after, 0)
    for others in after.values():
        for name in others:
            before[name] += 1
    ready = [name for name, count in before.items() if not count]
    done = 0
    while ready:
        done += 1
        for name in after[ready.pop()]:
            before[name] -= 1
            if not before[name]:
                ready.append(name)
    if done != len(after):
        raise ValueError(f"its {what} form a cycle")


def _check_summary(summary: Summary) -> None:
    """Raise ValueError unless its entries fill its shape; make numbers of their texts for nan and infinities."""
    if summary.n < 0 or any(size < 0 for size in summary.shape) or summary.n != math.prod(summary.shape):
        raise ValueError(f"a summary of {summary.n} entries and shape {_short(summary.shape)}")
    if summary.data is not None:
        summary.data = _filling(summary.data, summary.shape)
    if summary.histogram is not None and any(count < 0 for count in summary.histogram.counts):
        raise ValueError("a histogram with a negative count")
    if summary.image is not None:
        _check_image(summary.image)


def _filling(data: Any, shape: list[int]) -> Any:
    """Nested lists of this shape, with the numbers that texts stand for."""
    if not shape:
        return _number(data)
    if not isinstance(data, list) or len(data) != shape[0]:
        raise ValueError(f"a summary whose data do not fill its shape: {_short(data)}")
    return [_filling(part, shape[1:]) for part in data]


def _check_image(image: Image) -> None:
    if min(image.rows, image.cols, image.tiles) < 0 or image.channels not in (1, 3):
        raise ValueError("a picture of negative size")
    if len(base64.b64decode(image.data, validate=True)) != image.tiles * image.rows * image.cols:
        raise ValueError("a picture whose data do not fill it")


# --- records to plain data and back ---------------------------------------------------------------


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else "nan" if value != value else "inf" if value > 0 else "-inf"
    if kind in (str, int, bool) or value is None:
        return value
    if kind is list or kind is tuple:
        return [_plain(v) for v in value]
    if kind is dict:
        return {str(k): _plain(v) for k, v in value.items()}
    out = {}
    for name, key, default in _written(kind):  # type: ignore[arg-type]
        v = getattr(value, name)
        if v is not None and v != default:
            out[key] = _plain(v)
    return out


@cache
def _written(kind: Any) -> tuple[tuple[str, str, Any], ...]:
    """(attribute, JSON key, default that is left out) of a record."""
    rows = []
    for f in fields(kind):
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        rows.append((f.name, f.name.rstrip("_"), default))
    return tuple(rows)


def _read(kind: Any, data: Any) -> Any:
    known = {}
    for name, key, hint in _hints(kind):
        if key in data:
            known[name] = _as(hint, data[key])
    record = kind(**known)
    if isinstance(record, Summary):
        _check_summary(record)
    return record


@cache
def _hints(kind: Any) -> tuple[tuple[str, str, Any], ...]:
    hints = typing.get_type_hints(kind)
    return tuple((f.name, f.name.rstrip("_"), hints[f.name]) for f in fields(kind))


def _as(hint: Any, value: Any) -> Any:
    """`value` as read from JSON, as the field's type."""
    if hint is Any:
        return value
    if value is None:
        if isinstance(hint, types.UnionType) and type(None) in typing.get_args(hint):
            return None
        raise TypeError(f"null where {hint} is expected")
    if isinstance(hint, types.UnionType):
        return _as(next(h for h in typing.get_args(hint) if h is not type(None)), value)
    origin = typing.get_origin(hint)
    if origin is list:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, got {_short(value)}")
        (inner,) = typing.get_args(hint)
        if inner in (int, str):
            if not all(type(v) is inner for v in value):
                raise TypeError(f"expected a list of {inner.__name__}, got {_short(value)}")
            return list(value)
        return list(value) if inner is Any else [_as(inner, v) for v in value]
    if origin is dict:
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, got {_short(value)}")
        inner = typing.get_args(hint)[1]
        return dict(value) if inner is Any else {key: _as(inner, v) for key, v in value.items()}
    if hint is float:
        if isinstance(value, bool):
            raise TypeError(f"expected a number, got {_short(value)}")
        return float(_number(value))
    if hint in (int, str, bool):
        if type(value) is not hint:
            raise TypeError(f"expected {hint.__name__}, got {_short(value)}")
        return value
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, got {_short(value)}")
    return _read(hint, value)


def _number(value: Any) -> Any:
    """A number of JSON's, or one of the texts that stand for the others."""
    if isinstance(value, (int, float)) or value in ("nan", "inf", "-inf"):
        return float(value) if isinstance(value, str) else value
    raise TypeError(f"expected a number, got {_short(value)}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
