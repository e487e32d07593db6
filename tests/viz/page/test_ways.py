"""Search, table and keys: every way to a node that is no mouse on the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tinygrad_cnn as tg
from tests.viz.page.graphs import network, product

pytestmark = pytest.mark.browser

Show = Callable[..., Any]


@pytest.fixture
def net() -> dict[str, Any]:
    loss, _net = network()
    return tg.viz.graph(loss).to_dict()


# --- search -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "least"),
    [("tanh", 2), ("op:tanh", 2), ("module:second tanh", 1), ("6×6", 2), ("shape:6x6", 2), ("name:bias", 2)],
)
def test_search_finds_by_op_name_module_and_shape(show: Show, net: dict[str, Any], query: str, least: int) -> None:
    window = show(net)
    window.press("/")
    window.press(*query)
    assert window.count("#results [role=option]") >= least
    assert window.run("return page.matches.size") == window.count("#results [role=option]")


def test_enter_jumps_into_a_closed_module(show: Show, net: dict[str, Any]) -> None:
    from selenium.webdriver import Keys

    window = show(net)
    window.click("#collapse")
    window.press("/")
    window.press(*"op:tanh module:second", Keys.ENTER)
    assert window.run("return [page.selected.record.op, page.selected.record.module]") == ["tanh", "second"]
    assert window.count("#graph .node.selected") == 1


def test_nothing_found_is_said(show: Show, net: dict[str, Any]) -> None:
    window = show(net)
    window.press("/", *"no such thing")
    assert window.text("#result-count") == "no match"


# --- table ------------------------------------------------------------------------------------------


def test_the_table_lists_every_node_sorts_and_selects(show: Show, net: dict[str, Any]) -> None:
    window = show(net)
    window.click("#mode-both")
    assert window.find("#table").get_attribute("aria-rowcount") == str(len(net["nodes"]) + 1)
    window.click("#table th[data-column=gradient] button")
    assert window.find("#table th[data-column=gradient]").get_attribute("aria-sort") == "descending"
    sizes = window.run("return page.table.rows.map((n) => Format.magnitude(page.player.gradientOf(n)) ?? -1)")
    assert sizes == sorted(sizes, reverse=True)
    window.click("#table tbody tr[data-row='0'] td")
    assert window.run("return page.selected === page.table.rows[0]")
    assert window.find("#table tbody tr[data-row='0']").get_attribute("aria-selected") == "true"


def test_the_table_is_walked_by_keyboard_and_follows_the_graph(show: Show, net: dict[str, Any]) -> None:
    from selenium.webdriver import Keys

    window = show(net)
    window.click("#mode-both")
    window.run("page.jump(page.model.nodes[4])")
    assert window.run("return document.querySelector('#table [aria-selected=true]').dataset.row") == "4"
    window.run("document.querySelector('#table [tabindex=\"0\"]').focus()")
    window.press(Keys.ARROW_DOWN, Keys.ENTER)
    assert window.run("return page.selected.order") == 5


# --- keys -------------------------------------------------------------------------------------------


def test_arrow_keys_follow_the_edges(show: Show) -> None:
    from selenium.webdriver import Keys

    window = show(tg.viz.graph(product()).to_dict())
    window.run("page.view.focus(page.model.nodes[2])")
    window.press(Keys.ARROW_UP)
    first = window.focused
    window.press(Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    factors = {"x, leaf, shape scalar, value 2, gradient 3", "y, leaf, shape scalar, value 3, gradient 2"}
    assert {first, window.focused} <= factors
    window.press(Keys.ARROW_DOWN)
    assert "mul" in window.focused
    window.press(Keys.ENTER)
    assert window.run("return page.selected.order") == 2


def test_keys_step_play_open_close_and_help(show: Show, net: dict[str, Any]) -> None:
    from selenium.webdriver import Keys

    window = show(net)
    position = "return page.player.position"
    window.press(Keys.HOME)
    assert window.run(position) == 0
    window.press("n", "n", Keys.ARROW_RIGHT, "p")
    assert window.run(position) == 2
    window.press(Keys.SPACE)
    assert window.run("return page.controls.playing")
    window.press(Keys.SPACE)
    assert not window.run("return page.controls.playing")
    window.press("c")
    assert window.count("#graph .module.open") == 0
    window.run("page.view.focus(page.model.modules.get('first'))")
    window.press("o")
    assert window.run("return page.scene.isOpen(page.model.modules.get('first'))")
    assert "module first" in window.focused
    window.press("?")
    assert window.run("return document.getElementById('help').open")
    window.press(Keys.ESCAPE)
    assert not window.run("return document.getElementById('help').open")


def test_tab_reaches_every_part_and_the_focus_is_seen(show: Show, net: dict[str, Any]) -> None:
    from selenium.webdriver import Keys

    window = show(net)
    seen = set()
    for _ in range(40):
        window.press(Keys.TAB)
        part = "return document.activeElement.closest('#bar, #stage, #panel, #product, #transport, .zoom')"
        seen.add(window.run(f"{part}?.id || null"))
        if not window.run("return document.activeElement === document.body"):
            visible = """
                const focused = document.activeElement;
                const style = getComputedStyle(focused.id === 'search' ? focused.parentElement : focused);
                return style.outlineStyle !== 'none' || style.strokeWidth === '3.5px'"""
            assert window.run(visible), window.focused
    assert {"bar", "stage", "panel", "product", "transport"} <= seen
