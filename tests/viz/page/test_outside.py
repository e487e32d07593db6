"""Names and numbers from outside, and graphs of 10,000 nodes: nothing runs, nothing breaks, nothing freezes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tinygrad_cnn as tg
from tests.viz.page.graphs import chain

pytestmark = pytest.mark.browser

Show = Callable[..., Any]


# --- what comes from outside ------------------------------------------------------------------------

HOSTILE = [
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    '"\'><svg onload="window.hacked = 3">',
    "\u202eright to left \u2067שלום مرحبا",
    "a\u2028b\u2029c\x00\x1b[31m",
    "__proto__",
    "constructor",
    "n" * 10_000,
    "",
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_neither_run_nor_break(show: Show, name: str) -> None:
    x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    description = tg.viz.graph((x * x).sum()).to_dict()
    first, second, *_ = description["nodes"]
    first["label"] = first["name"] = description["title"] = name
    second |= {"op": name, "formula": name, "module": name, "params": {name: name}}
    second["source"] = {"file": name, "line": 1, "text": name}
    second["value"]["image"] = None
    description |= {"modules": [{"path": name, "name": name, "cls": name}], "notes": [name]}
    window = show(description)
    for node in (0, 1):
        window.run("page.jump(page.model.nodes[arguments[0]])", node)
        window.settle()
    window.run("page.setMode('both'); page.search.input.value = arguments[0].slice(0, 40); page.search.run()", name)
    window.settle()
    assert window.run("return window.hacked === undefined")
    assert window.count("img, iframe, object, embed") == 0
    window.run("page.select(page.model.nodes[0])")
    assert name in window.text("#panel h2"), "the panel has the whole name"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_not_finite_numbers_are_shown_as_such(show: Show) -> None:
    x = tg.tensor([0.0, 1.0, -1.0], requires_grad=True)
    window = show(tg.viz.graph(tg.log(x).sum()).to_dict())
    window.run("page.jump(page.model.nodes.find((n) => n.record.op === 'log'))")
    cells = window.texts("#panel .matrix td")
    assert cells[:3] == ["−∞", "0", "nan"]
    assert window.count("#graph .alarm") > 0


def test_a_description_without_anything_opens(show: Show) -> None:
    window = show({"schema": "tinygrad_cnn.graph", "version": 1})
    assert window.count("#graph .node") == 0


# --- size -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modules", [0, 40])
def test_ten_thousand_nodes_start_collapsed_and_draw_only_what_is_seen(show: Show, modules: int) -> None:
    window = show(chain(10_000, modules))
    assert window.run("return [...page.scene.places.values()].filter((p) => !p.open).length") <= 150
    assert window.count("*") < 1500
    window.click("#expand")
    assert window.run("return [...page.scene.places.values()].filter((p) => !p.open).length") == 10_000
    window.run("page.view.fit()")
    window.settle()
    assert window.run("return page.view.isFar") and window.count("*") < 1500
    place = "const p = page.scene.places.get(page.model.nodes[70].key);"
    assert window.run(f"{place} return Far.hit(page.view, p.x + 5, p.y + 5).order") == 70
    window.run("page.jump(page.model.nodes[5000])")
    assert window.count("#graph .node.selected") == 1 and window.count("*") < 3000
    window.click("#mode-table")
    assert 0 < window.count("#table tbody tr") < 100
    window.run("page.controls.go(9000)")
    assert window.text("#step-count") == "9000 / 10000"


def test_resnet_18_is_one_small_file_and_starts_with_few_boxes(show: Show) -> None:
    tg.manual_seed(0)
    net = tg.models.resnet18(num_classes=10)
    loss = tg.nn.functional.cross_entropy(net(tg.randn(2, 3, 32, 32)), tg.tensor([3, 7]))
    graph = tg.viz.graph(loss)
    assert len(graph.html().encode()) < 3_000_000
    window = show(graph.to_dict())
    assert 15 < window.run("return [...page.scene.places.values()].filter((p) => !p.open).length") <= 20
    assert window.count("*") < 2000
    window.press("n", "p")
    window.run("page.jump(page.model.nodes.find((n) => n.record.name === 'layer4.1.conv2.weight'))")
    assert window.texts("#panel .crumbs li") == ["layer4.1", "conv2"]
