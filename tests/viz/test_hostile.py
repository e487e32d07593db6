"""A graph file that somebody made: hostile text in any field stays text, and what does not hold together is refused."""

import json
import types
import typing
import xml.etree.ElementTree as ElementTree
from dataclasses import MISSING, fields, is_dataclass

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import viz
from tinygrad_cnn.errors import DataError
from tinygrad_cnn.viz import description
from tinygrad_cnn.viz.description import Description

HOSTILE = {
    "markup": "<img src=x onerror=alert(1)>",
    "the end of a script": "</script><script>alert(1)</script>",
    "quotes": "\"' onload=\"alert(1)",
    "an entity": "&lt;b&gt; &amp; &#60;",
    "the end of a label": '>]; evil [label="',
    "a backslash": "\\N \\G \\",
    "terminal escapes": "\x1b[31mred\x1b[0m\x07",
    "directions": "\u202eabc\u2066",
    "a null byte": "a\0b",
    "a lone surrogate": "\ud800",
    "lines": "a\r\nb\u2028c",
}


@pytest.fixture(scope="module")
def plain():
    """A description with every kind of record in it."""
    tg.manual_seed(0)
    net = tg.nn.Sequential(tg.nn.Conv2d(1, 2, 3), tg.nn.ReLU(), tg.nn.Flatten(), tg.nn.Linear(8, 2))
    loss = (net(tg.randn(2, 1, 4, 4)) * 2.0).sum()
    return json.loads(viz.graph(loss).json())


def text_fields(kind, path=()):
    """The places in the schema that hold free text, as paths of JSON keys; lists are entered."""
    hints = typing.get_type_hints(kind)
    for f in fields(kind):
        yield from _texts(hints[f.name], (*path, f.name.rstrip("_")), kind)


def _texts(hint, path, owner):
    if isinstance(hint, types.UnionType):
        hint = next(h for h in typing.get_args(hint) if h is not type(None))
    if hint is str:
        yield path
    elif is_dataclass(hint) and hint is not owner:
        yield from text_fields(hint, path)
    elif typing.get_origin(hint) in (list, dict):
        inner = typing.get_args(hint)[-1]
        if inner is str:
            yield (*path, "*")
        elif is_dataclass(inner):
            yield from text_fields(inner, (*path, "*"))


def put(data, path, text):
    """Put the text at the first place that the path leads to; False where there is none."""
    key, *rest = path
    if key == "*":
        if not data:
            return False
        key = 0 if isinstance(data, list) else next(iter(data))
    elif not rest:
        data[key] = text
        return True
    elif not isinstance(data, dict) or data.get(key) is None:
        return False
    if not rest:
        data[key] = text
        return True
    return put(data[key], rest, text)


PATHS = sorted(set(text_fields(Description)))


def test_the_schema_was_walked():
    assert len(PATHS) > 50 and ("edges", "*", "local", "structure") in PATHS and ("nodes", "*", "alarm") in PATHS


@pytest.mark.parametrize("path", PATHS, ids=["/".join(path) for path in PATHS])
def test_hostile_text_stays_text_in_every_field_and_renderer(path, plain):
    placed = 0
    for text in HOSTILE.values():
        data = json.loads(json.dumps(plain))
        if not put(data, path, text):
            continue
        placed += 1
        try:
            graph = viz.Graph(Description.from_dict(data))
        except DataError:  # a word that is none of those there are, or a name that leads nowhere
            continue
        svg = graph.svg()
        root = ElementTree.fromstring(svg)
        names = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert not names & {"script", "img", "foreignObject", "iframe"}
        assert not [a for element in root.iter() for a in element.attrib if a.lower().startswith("on")]
        shown = graph.text() + graph.dot().source
        assert "\x1b" not in shown and "\u202e" not in shown and "\0" not in shown
        page = graph.html()
        assert page.count("<script") == viz.Graph(Description.from_dict(plain)).html().count("<script")
        assert "<img src=x" not in page
    if path[0] in ("nodes", "edges", "modules") and len(path) == 3 and path[-1] in plain[path[0]][0]:
        assert placed == len(HOSTILE)


def test_an_alarm_and_a_structure_are_escaped_even_where_no_file_is_read(plain):
    told = Description.from_dict(plain)
    local = next(edge.local for edge in told.edges if edge.local is not None)
    told.nodes[0].alarm = local.structure = HOSTILE["markup"]
    local.text = "x" * 40
    svg = viz.Graph(told).svg()
    assert "<img" not in svg
    ElementTree.fromstring(svg)


def values_of(kind):
    """For each field, values of wrong types."""
    for f in fields(kind):
        for wrong in ([], {}, 3.5, True, "text", None, [[]], {"a": 1}, 10**18, -1, "∂" * 10):
            yield f.name.rstrip("_"), wrong, f.default is MISSING


@pytest.mark.parametrize("where", ["", "nodes", "edges", "modules", "steps"])
def test_a_value_of_a_wrong_type_is_refused_or_shown(where, plain):
    kinds = {
        "nodes": description.Node, "edges": description.Edge, "modules": description.Module, "steps": description.Step,
    }  # fmt: skip
    for key, wrong, _needed in values_of(kinds.get(where, Description)):
        data = json.loads(json.dumps(plain))
        place = data if not where else data[where][0]
        place[key] = wrong
        try:
            graph = viz.Graph(Description.from_dict(data))
        except DataError as error:
            assert len(str(error)) < 300
            continue
        assert graph.svg() and graph.text() and graph.html() and graph.json()


BROKEN = {
    "an edge from nowhere": lambda d: d["edges"][0].update({"from": "99999"}),
    "an edge to nowhere": lambda d: d["edges"][0].update(to="99999"),
    "an edge to itself": lambda d: d["edges"][0].update(to=d["edges"][0]["from"]),
    "a cycle of edges": lambda d: d["edges"].append(
        {"id": "back", "from": d["edges"][0]["to"], "to": d["edges"][0]["from"], "index": 0}
    ),
    "two nodes of one id": lambda d: d["nodes"].append(d["nodes"][0]),
    "a module inside itself": lambda d: d["modules"][1].update(parent=d["modules"][1]["path"]),
    "a module that is not there": lambda d: d["nodes"][0].update(module="nowhere.at.all"),
    "a step of an unknown node": lambda d: d["steps"][0].update(node="x"),
    "an unknown word": lambda d: d.update(theme="neon"),
    "a picture that is too short": lambda d: next(
        n["value"]["image"] for n in d["nodes"] if n.get("value", {}).get("image")
    ).update(rows=10**6),
    "a node without an id": lambda d: d["nodes"][0].pop("id"),
    "a number that is a list": lambda d: d["nodes"][0].update(shape=["a"]),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_graph_that_does_not_hold_together_is_refused(kind, plain, tmp_path):
    data = json.loads(json.dumps(plain))
    BROKEN[kind](data)
    path = tmp_path / "g.json"
    path.write_text(json.dumps(data))
    with pytest.raises(DataError, match="damaged: ") as refused:
        viz.Graph.load(path)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"schema":' + "[" * 300 + "]" * 300 + "}", "nested"),
        ('{"schema":' + "9" * 5000 + "}", "an integer of 5000 digits"),
        ('{"schema": NaN}', "NaN is no JSON number"),
        ('{"schema": -Infinity}', "-Infinity is no JSON number"),
        ("{", "cannot read"),
        ("", "cannot read"),
        ("[]", "expected a graph description"),
        ("3", "expected a graph description"),
    ],
    ids=["deep", "rather deep", "digits", "nan", "infinity", "half", "empty", "a list", "a number"],
)
def test_what_is_no_graph_is_refused_in_a_line(text, message, tmp_path):
    path = tmp_path / "g.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as refused:
        viz.Graph.load(path)
    assert len(str(refused.value)) < 300
