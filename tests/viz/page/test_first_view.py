"""What a reader sees before the first click: large networks on one screen, readable, nothing over anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tinygrad_cnn as tg
from tests.viz.page.graphs import network
from tinygrad_cnn import nn
from tinygrad_cnn.viz.layout import layout

pytestmark = pytest.mark.browser

Show = Callable[..., Any]

#: All texts of the drawing that can be seen: (text, size of the letters on the screen, left, top, right, bottom).
TEXTS = """
const stage = document.getElementById('stage').getBoundingClientRect();
const told = [...document.querySelectorAll('#graph text')].filter((e) => e.textContent);
return told.filter((e) => getComputedStyle(e).display !== 'none').map((e) => {
  const r = e.getBoundingClientRect();
  return [e.textContent, parseFloat(getComputedStyle(e).fontSize) * page.view.at.k, r.left, r.top, r.right, r.bottom];
}).filter(([, , x0, y0, x1, y1]) => x1 > stage.left && x0 < stage.right && y1 > stage.top && y0 < stage.bottom);
"""


def assert_readable(window: Any) -> None:
    """No letters under 11 pixels, and no two texts over each other."""
    texts = window.run(TEXTS)
    assert texts and min(size for _t, size, *_ in texts) >= 11 - 1e-6
    for i, (text, _size, x0, y0, x1, y1) in enumerate(texts):
        for other, _s, u0, v0, u1, v1 in texts[:i]:
            # Letters fill less than the box around them: a pixel of two lines may touch.
            assert x1 <= u0 + 1 or u1 <= x0 + 1 or y1 <= v0 + 2 or v1 <= y0 + 2, (text, other)


@pytest.fixture(scope="module")
def resnet() -> tuple[dict[str, Any], Any]:
    tg.manual_seed(0)
    net = tg.models.resnet18(num_classes=10)
    loss = tg.nn.functional.cross_entropy(net(tg.randn(2, 3, 32, 32)), tg.tensor([3, 7]))
    graph = tg.viz.graph(loss, title="ResNet-18")
    return graph.to_dict(), layout(graph.description)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_resnet_18_is_seen_whole_on_a_small_screen(show: Show, resnet: Any, dark: bool) -> None:
    window = show(*resnet, dark=dark, size=(1366, 768))
    assert window.texts("#graph .closed .op").count("BasicBlock") == 8
    assert window.count("#graph .closed .skip-arc") == 8
    titles = window.texts("#graph .box .title")
    assert {"conv1", "bn1", "relu", "maxpool", "avgpool", "fc", "layer1.0", "layer4.1"} <= set(titles)
    inside = window.run("""
        const stage = document.getElementById('stage').getBoundingClientRect();
        return [...document.querySelectorAll('#graph .box .body')].every((e) => {
          const r = e.getBoundingClientRect();
          return r.left >= stage.left && r.right <= stage.right && r.top >= stage.top && r.bottom <= stage.bottom;
        })""")
    assert inside
    width = "(e) => Number(e.getAttribute('width'))"
    bars = window.run(f"return [...document.querySelectorAll('#graph .closed .progress')].map({width})")
    assert min(bars) > 0 and "74 k par." in " ".join(window.texts("#graph .closed .shape"))
    assert_readable(window)


@pytest.mark.parametrize("size", [(1366, 768), (1920, 1080), (420, 800)], ids=["small", "large", "phone"])
def test_every_first_view_is_readable(show: Show, resnet: Any, size: tuple[int, int]) -> None:
    loss, _net = network()
    lstm = nn.LSTM(4, 8)
    unrolled = tg.viz.graph(lstm(tg.randn(20, 2, 4))[0].square().mean())
    for description, positions in ((tg.viz.graph(loss).to_dict(), None), (unrolled.to_dict(), None), resnet):
        assert_readable(show(description, positions, size=size))


def test_a_long_chain_is_wrapped_and_its_boxes_lie_apart(show: Show, resnet: Any) -> None:
    window = show(*resnet, size=(1366, 768))
    places = window.run("""
        const closed = [...page.scene.places.values()].filter((p) => !p.open);
        return closed.map((p) => [p.x, p.y, p.x + p.w, p.y + p.h])""")
    assert len({round(x0 + x1) // 60 for x0, _y0, x1, _y1 in places}) >= 3
    for i, (x0, y0, x1, y1) in enumerate(places):
        for u0, v0, u1, v1 in places[:i]:
            assert x1 <= u0 or u1 <= x0 or y1 <= v0 or v1 <= y0


def test_a_block_without_a_connection_around_it_has_no_arc(show: Show) -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            return self.b(self.a(x).relu())

    net = nn.Sequential(*[Plain() for _ in range(4)])
    window = show(tg.viz.graph(net(tg.randn(2, 4)).sum()).to_dict())
    window.run("page.setAll(false); page.toggle(page.model.containers[1])")
    assert window.count("#graph .skip-arc") == 0


def test_twenty_steps_in_time_are_one_box_with_a_bar_each_and_a_slider(show: Show) -> None:
    lstm = nn.LSTM(4, 8)
    window = show(tg.viz.graph(lstm(tg.randn(20, 2, 4))[0][-1].square().mean()).to_dict())
    assert "step × 20" in window.boxes and window.count("#graph .spark") >= 1
    window.run("page.jump(page.model.containers.find((c) => c.name === 'step × 20'))")
    sizes = window.run("return Model.overCalls(page.selected)")
    assert len(sizes) == 20 and sizes[0] < sizes[-1]  # the gradient vanishes on the way back
    window.run("const s = document.querySelector('.call-slider'); s.value = 3; s.dispatchEvent(new Event('input'))")
    assert window.texts("#panel .panel-section .mono")[0].startswith("t = 3: ")
    window.run("page.toggle(page.selected)")
    assert window.run("return page.scene.isOpen(page.selected)")


def test_a_small_map_shows_where_one_is_in_a_graph_larger_than_the_window(show: Show, resnet: Any) -> None:
    window = show(*resnet, size=(1366, 768))
    hidden = "return document.getElementById('minimap').hidden"
    assert window.run(hidden)
    window.click("#expand")
    window.run("page.view.moveTo({ x: 0, y: 0, k: 1 })")
    window.settle()
    assert not window.run(hidden)
    before = window.run("return page.view.at.x")
    from selenium.webdriver import ActionChains

    ActionChains(window.browser, duration=0).move_to_element(window.find("#minimap")).click().perform()
    window.settle()
    assert window.run("return page.view.at.x") < before


def test_a_link_opens_the_page_at_a_step_and_a_node(show: Show) -> None:
    loss, _net = network()
    window = show(tg.viz.graph(loss).to_dict())
    window.run("location.hash = '#step=3&node=second'")
    window.settle()
    assert window.run("return [page.player.position, page.selected.name]") == [3, "second"]
    window.run("page.select(null); page.follow('#step=x&node=nobody')")
    assert window.run("return [page.player.position, page.selected]") == [3, None]
