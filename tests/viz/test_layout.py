"""Positions for the page: each module's inside on its own, every member, in forward order."""

import pytest

from tests.viz.conftest import chain
from tinygrad_cnn import viz
from tinygrad_cnn.viz import layout as room
from tinygrad_cnn.viz.layout import layout

pytest.importorskip("pygraphviz")


def test_each_module_with_several_members_has_its_own_places(net_loss):
    description = viz.graph(net_loss).description
    positions = layout(description)
    for module in description.modules:
        members = {*module.nodes, *(f"module:{p}" for p in module.children)}
        if module.path and len(members) > 1:
            assert positions[module.path].keys() == members
    top = {n.id for n in description.nodes if n.module is None} | {"module:conv", "module:fc", "module:mix"}
    assert top <= positions[""].keys()


def test_values_lie_above_what_uses_them(net_loss):
    description = viz.graph(net_loss).description
    positions = layout(description)
    home = {n.id: n.module or "" for n in description.nodes}
    checked = 0
    for edge in description.edges:
        if home[edge.from_] == home[edge.to] and edge.from_ in positions.get(home[edge.to], {}):
            inside = positions[home[edge.to]]
            assert inside[edge.from_]["y"] < inside[edge.to]["y"]
            checked += 1
    assert checked > 5


def test_left_to_right_swaps_the_axes(xyz):
    x, _y, z = xyz
    down, across = (layout(viz.graph(z, direction=d).description)[""] for d in ("TB", "LR"))
    a, b = str(x.node.seq), str(z.node.seq)
    assert down[a]["y"] < down[b]["y"]
    assert across[a]["x"] < across[b]["x"]


def test_too_many_boxes_are_left_to_the_page():
    loss, _x = chain(6000)
    assert sum(map(len, layout(viz.graph(loss).description).values())) <= room.ALL


def test_without_graphviz_there_are_no_hints(net_loss, monkeypatch):
    monkeypatch.setattr(room, "available", lambda: None)
    assert layout(viz.graph(net_loss).description) == {}
