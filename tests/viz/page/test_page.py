"""The page in a browser with the network off: drawing, modules, pan and zoom, panel, comparison, themes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.viz.page.graphs import network, product
from tinygrad_cnn.viz.layout import layout

pytestmark = pytest.mark.browser

Show = Callable[..., Any]


@pytest.fixture
def net() -> dict[str, Any]:
    loss, _net = network()
    return tg.viz.graph(loss, title="two blocks").to_dict()


# --- drawing ----------------------------------------------------------------------------------------


def test_a_product_is_drawn_with_values_local_gradients_and_gradients(show: Show) -> None:
    window = show(tg.viz.graph(product(), title="z = x · y").to_dict())
    assert window.text("#title") == "z = x · y"
    assert window.count("#graph .node") == 3 and window.count("#graph .line") == 2
    assert sorted(window.texts("#graph .local text")) == ["× 2", "× 3"]
    assert sorted(window.texts("#graph .number.value")) == ["2", "3", "6"]


@pytest.mark.parametrize("direction", ["TB", "BT", "LR", "RL"])
def test_boxes_lie_apart_and_forwards(show: Show, net: dict[str, Any], direction: str) -> None:
    window = show(net | {"direction": direction})
    window.run("page.setAll(true); page.scene.setRoom({ w: 0, h: 0 })")  # in one column, however long
    places = window.run("""
        const closed = [...page.scene.places.values()].filter((p) => !p.open);
        return closed.map((p) => [p.box.order, p.x, p.y, p.x + p.w, p.y + p.h])""")
    for i, (_, x0, y0, x1, y1) in enumerate(places):
        for _, u0, v0, u1, v1 in places[:i]:
            assert x1 <= u0 or u1 <= x0 or y1 <= v0 or v1 <= y0
    at = {order: (x, y) for order, x, y, _, _ in places}
    axis, sign = {"TB": (1, 1), "BT": (1, -1), "LR": (0, 1), "RL": (0, -1)}[direction]
    edges = window.run("return page.model.edges.map((e) => [e.from.order, e.to.order])")
    assert all(sign * (at[to][axis] - at[source][axis]) > 0 for source, to in edges)


def test_boxes_lie_inside_their_modules(show: Show, net: dict[str, Any]) -> None:
    window = show(net)
    assert window.run("""
        return [...page.scene.places.values()].filter((p) => p.box.parent).every((p) => {
          const q = page.scene.places.get(p.box.parent.key);
          return q.x <= p.x && q.y <= p.y && p.x + p.w <= q.x + q.w && p.y + p.h <= q.y + q.h;
        })""")


def test_graphviz_places_decide_the_ranks(show: Show) -> None:
    x, y = (tg.tensor(v, requires_grad=True) for v in (2.0, 3.0))
    graph = tg.viz.graph(x * y)
    positions = layout(graph.description)
    if not positions:
        pytest.skip("needs Graphviz: pip install 'tinygrad-cnn[viz]'")
    places = "return page.model.nodes.map((n) => page.scene.places.get(n.key).x)"
    left, right, _ = show(graph.to_dict(), positions).run(places)
    assert left < right
    for place in positions[""].values():
        place["x"] = -place["x"]
    left, right, _ = show(graph.to_dict(), positions).run(places)
    assert right < left


def test_the_drawing_can_be_turned(show: Show, net: dict[str, Any]) -> None:
    window = show(net)
    window.run("page.scene.setRoom({ w: 0, h: 0 })")
    shape = "return page.scene.bounds.w > page.scene.bounds.h"
    assert not window.run(shape)
    window.click("#turn")
    assert window.run(shape)


# --- modules ----------------------------------------------------------------------------------------


def test_a_module_opens_and_closes_and_its_lines_lead_to_the_visible_box(show: Show, net: dict[str, Any]) -> None:
    window = show(net)
    before = sorted(window.boxes)
    window.run("page.toggle(page.model.modules.get('first'))")
    closed = window.run("""
        const lines = page.scene.linesAt.get(page.model.modules.get('first').key);
        return lines.map((l) => [l.from.name || l.from.label, l.to.name || l.to.label])""")
    assert "first" in window.boxes
    assert {end for line in closed for end in line} > {"first"} and all("first" in line for line in closed)
    window.run("page.toggle(page.model.modules.get('first'))")
    assert sorted(window.boxes) == before


def test_modules_close_by_their_button_and_stay_where_they_were_clicked(show: Show, net: dict[str, Any]) -> None:
    window = show(net)
    toggle = "#graph [data-toggle]"
    before = window.find(toggle).rect
    window.click(toggle)
    after = window.find("#graph .closed .toggle").rect
    assert window.focused.startswith("module") and window.focused.endswith("closed")
    assert abs(before["x"] - after["x"]) < 12 and abs(before["y"] - after["y"]) < 12


def test_a_double_click_opens_a_module(show: Show, net: dict[str, Any]) -> None:
    from selenium.webdriver import ActionChains

    window = show(net)
    window.click("#collapse")
    ActionChains(window.browser, duration=0).double_click(window.find("#graph .closed .title")).perform()
    window.settle()
    assert window.count("#graph .module.open") == 1


def test_all_close_and_all_open(show: Show, net: dict[str, Any]) -> None:
    window = show(net)
    window.click("#collapse")
    assert window.count("#graph .module.open") == 0
    assert {"first", "second"} <= set(window.boxes)
    window.click("#expand")
    assert window.run("return page.scene.open.size") == window.run("return page.model.containers.length")


# --- pan and zoom -----------------------------------------------------------------------------------


def test_zoom_buttons_wheel_and_fit(show: Show, net: dict[str, Any]) -> None:
    window = show(net)
    scale = "return page.view.at.k"
    start = window.run(scale)
    window.click("#zoom-in")
    assert window.run(scale) == pytest.approx(1.25 * start)
    window.run("""
        const wheel = new WheelEvent('wheel', { deltaY: 100, clientX: 300, clientY: 300, cancelable: true });
        document.getElementById('stage').dispatchEvent(wheel)""")
    assert window.run(scale) < 1.25 * start
    window.click("#fit")
    height = window.run("return page.scene.bounds.h * page.view.at.k")
    assert height <= window.find("#stage").rect["height"]


def test_two_fingers_zoom_about_the_point_between_them(show: Show, net: dict[str, Any]) -> None:
    window = show(net)
    stage = window.find("#stage").rect
    x, y = stage["x"] + 300, stage["y"] + 200
    before = window.run("return page.view.at")

    def touch(kind: str, apart: float | None) -> None:
        points = [] if apart is None else [{"x": x - apart, "y": y, "id": 1}, {"x": x + apart, "y": y, "id": 2}]
        window.browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 40)
    touch("touchMove", 60)
    touch("touchMove", 80)
    touch("touchEnd", None)
    after = window.run("return page.view.at")
    assert after["k"] == pytest.approx(2 * before["k"], rel=0.1)
    assert (300 - after["x"]) / after["k"] == pytest.approx((300 - before["x"]) / before["k"], abs=8)
    assert window.run("return page.selected") is None


def test_dragging_moves_the_picture_and_selects_nothing(show: Show, net: dict[str, Any]) -> None:
    from selenium.webdriver import ActionChains

    window = show(net)
    before = window.run("return page.view.at")
    press = ActionChains(window.browser, duration=0).move_to_element(window.find("#stage")).click_and_hold()
    press.move_by_offset(60, 40).release().perform()
    after = window.run("return page.view.at")
    assert (after["x"] - before["x"], after["y"] - before["y"]) == (60, 40)
    assert window.run("return page.selected") is None


# --- panel ------------------------------------------------------------------------------------------


def test_a_selected_node_shows_formula_pictures_histogram_and_source(show: Show, net: dict[str, Any]) -> None:
    window = show(net)
    window.run("page.jump(page.model.nodes.find((n) => n.record.op === 'tanh'))")
    assert window.text("#panel h2") == "tanh"
    assert "tanh" in window.text("#panel .formula")
    assert window.count("#panel canvas.heat-map") == 1 and window.count("#sums canvas.number-map") == 1
    assert window.count("#panel .histogram") == 2
    assert "graphs.py" in window.text("#panel .where")
    assert window.texts("#panel .crumbs li") == ["first"]


def test_heat_maps_tell_numbers_to_pointer_and_keys(show: Show, net: dict[str, Any]) -> None:
    from selenium.webdriver import ActionChains, Keys

    window = show(net)
    window.run("page.jump(page.model.nodes.find((n) => n.record.op === 'tanh'))")
    ActionChains(window.browser, duration=0).move_to_element(window.find("#panel canvas.heat-map")).perform()
    assert "entry [" in window.text("#panel .readout")
    window.run("document.querySelector('#panel canvas.heat-map').focus()")
    before = window.text("#panel .readout")
    window.press(Keys.ARROW_LEFT)
    assert window.text("#panel .readout") != before


def test_hovering_shows_a_node_until_one_is_selected(show: Show) -> None:
    from selenium.webdriver import ActionChains

    window = show(tg.viz.graph(product()).to_dict())
    nodes = window.browser.find_elements("css selector", "#graph .node .body")
    ActionChains(window.browser, duration=0).move_to_element(nodes[0]).perform()
    window.settle()
    hovered = window.text("#panel h2")
    assert hovered == window.boxes[0]
    nodes[0].click()
    ActionChains(window.browser, duration=0).move_to_element(nodes[1]).perform()
    window.settle()
    assert window.text("#panel h2") == hovered


# --- two runs ---------------------------------------------------------------------------------------


def test_two_runs_are_shown_side_by_side(show: Show) -> None:
    first = tg.viz.graph(product())
    x, y = (tg.tensor(v, requires_grad=True) for v in (2.0, 5.0))
    window = show(tg.viz.compare(first, x * y, labels=("before", "after")).to_dict())
    window.run("page.jump(page.model.nodes.find((n) => n.record.op === 'mul'))")
    assert window.texts("#panel .sides thead th") == ["before", "after", "change"]
    assert window.texts("#panel .sides tbody tr:first-child td") == ["6", "10", "+4"]


# --- themes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True])
def test_the_theme_follows_the_reader_until_switched(show: Show, net: dict[str, Any], dark: bool) -> None:
    window = show(net, dark=dark)
    theme = "return document.documentElement.dataset.theme"
    assert window.run(theme) == ("dark" if dark else "light")
    window.press("d")
    assert window.run(theme) == ("light" if dark else "dark")


def test_reduced_motion_is_honoured(show: Show, net: dict[str, Any]) -> None:
    window = show(net)
    window.run("page.controls.go(3)")
    window.settle()
    moving = "return getComputedStyle(document.querySelector('#graph .handing .stroke')).animationName"
    assert window.run(moving) == "none"
    window.run("page.view.moveTo({ x: 9000, y: 9000, k: 1 }); page.view.fit(true)")
    assert window.run("return page.view.at.x") < 9000, "no glide: the picture is there at once"


@pytest.mark.parametrize("size", [(360, 640), (700, 500), (1920, 1080)])
def test_nothing_sticks_out_of_narrow_and_wide_windows(show: Show, net: dict[str, Any], size: tuple[int, int]) -> None:
    window = show(net, size=size)
    window.run("page.controls.go(4); page.select(page.player.node)")
    whole = "const d = document.documentElement; return d.scrollWidth <= innerWidth && d.scrollHeight <= innerHeight"
    assert window.run(whole)
    assert window.find("#stage").rect["height"] > 60


# --- what a student asks ------------------------------------------------------------------------------


def test_a_named_box_says_its_op_and_a_number_is_a_box(show: Show) -> None:
    x = tg.tensor(2.0, requires_grad=True)
    y = x + 5
    window = show(tg.viz.graph(y).to_dict())
    assert sorted(window.texts("#graph .node .title")) == ["5", "x", "y"]
    assert window.texts("#graph .node .op") == ["add"]
    assert window.text("#title") == "Graph of y"


def test_what_was_not_kept_is_drawn_without_number(show: Show) -> None:
    x, offset = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([3.0, 4.0])
    loss = (x + offset).sum()
    del offset
    window = show(tg.viz.graph(loss).to_dict())
    box = "#graph .kind-constant"
    assert window.text(f"{box} .title") == "offset" and window.text(f"{box} .number.value") == "not kept"
    assert window.text(f"{box} .shape") == "2"
    spoken = window.run("return document.querySelector(arguments[0]).getAttribute('aria-label')", f"{box} .body")
    assert "value not kept" in spoken


def test_a_gradient_with_a_nan_is_called_nan_and_its_line_is_marked(show: Show) -> None:
    x = tg.tensor([-1.0, 4.0, 9.0], requires_grad=True)
    with np.errstate(invalid="ignore"):
        window = show(tg.viz.graph((x.sqrt() * 1).sum()).to_dict())
    assert "∂ nan" in window.texts("#graph .number.gradient")
    assert window.count("#graph .line.broken") == 1


def test_all_outputs_are_told_of(show: Show) -> None:
    x = tg.tensor(2.0, requires_grad=True)
    first, second = x * 3, x.exp()
    window = show(tg.viz.graph([first, second]).to_dict())
    assert window.texts("#panel .big-number") == ["6", "7.38906"]
    assert window.text("#title") == "Graph of first, second"


def test_networks_beside_each_other_each_have_a_frame(show: Show) -> None:
    trunk, head = tg.nn.Linear(3, 4), tg.nn.Linear(4, 2)
    window = show(tg.viz.graph(head(trunk(tg.randn(5, 3))).sum()).to_dict())
    assert sorted(window.texts("#graph .frame-head .title")) == ["head", "trunk"]


def test_paper_gets_the_whole_graph_in_light_colours(show: Show, net: dict[str, Any]) -> None:
    window = show(net, dark=True)
    window.run("page.view.zoomBy(3); window.dispatchEvent(new Event('beforeprint'))")
    assert window.run("return document.documentElement.dataset.theme") == "light"
    assert window.run("return page.scene.places.size - 1") == window.count("#graph .box, #graph .module.open")
    assert window.run("return document.getElementById('graph').hasAttribute('viewBox')")
    window.run("window.dispatchEvent(new Event('afterprint'))")
    assert window.run("return document.documentElement.dataset.theme") == "dark"
    assert not window.run("return document.getElementById('graph').hasAttribute('viewBox')")


# --- click a number -----------------------------------------------------------------------------------


def test_arrow_keys_in_the_map_show_the_sum_of_each_entry(show: Show) -> None:
    rng = np.random.default_rng(0)
    x = tg.tensor(rng.normal(size=(1, 1, 4, 4)).astype(np.float32), requires_grad=True)
    w = tg.tensor(rng.normal(size=(1, 1, 3, 3)).astype(np.float32), requires_grad=True)
    loss = tg.nn.functional.conv2d(x, w).square().sum()
    window = show(tg.viz.graph(loss).to_dict())
    loss.backward()
    window.run("page.showSums(page.model.nodes.find((n) => n.label === 'x'))")
    window.settle()
    assert x.grad is not None
    seen = set()
    for key in ("\ue014", "\ue015", "\ue012", "\ue013"):  # right, down, left, up
        window.press(key)
        at = window.text("#sums .sum-card code")
        row, column = (int(k) for k in at.rstrip("]").split("[")[1].split(", ")[2:])
        shown = float(window.text("#sums .sum-total").replace("−", "-"))
        assert shown == pytest.approx(float(x.grad.numpy()[0, 0, row, column]), rel=1e-3)
        seen.add(at)
    assert len(seen) > 1


def test_an_entry_of_a_value_lights_what_it_was_computed_from(show: Show) -> None:
    x = tg.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    w = tg.tensor([[1.0], [2.0], [3.0]], requires_grad=True)
    window = show(tg.viz.graph((x @ w).sum()).to_dict())
    window.run("page.jump(page.model.nodes.find((n) => n.record.op === 'matmul'))")
    said = window.texts("#panel .sum-card .mono")
    assert any("3 entries of x" in text for text in said) and any("3 entries of w" in text for text in said)
