"""axe-core finds no serious violation of the accessibility rules, in light and dark and in each state."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest

import tinygrad_cnn as tg
from tests.viz.page.graphs import network, product

pytestmark = pytest.mark.browser

STATES = {
    "as opened": "",
    "midway": "page.controls.go(5)",
    "selected": "page.jump(page.model.nodes[2])",
    "module": "page.jump(page.model.containers.at(-1))",
    "searching": "page.search.input.focus(); page.search.input.value = 'a'; page.search.run()",
    "table": "page.setMode('table')",
    "both": "page.setMode('both')",
    "help": "page.help()",
}


@pytest.fixture(scope="module")
def axe() -> str:
    pytest.importorskip("axe_core_python", reason="needs axe-core: pip install -e '.[dev]'")
    return resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1400, 900), (420, 800)], ids=["wide", "narrow"])
def test_axe_finds_nothing_serious(show: Callable[..., Any], axe: str, dark: bool, size: tuple[int, int]) -> None:
    loss, _net = network()
    compared = tg.viz.compare(tg.viz.graph(product()), tg.viz.graph(product()))
    for description in (tg.viz.graph(loss).to_dict(), compared.to_dict()):
        window = show(description, dark=dark, size=size)
        window.run(axe)
        for name, script in STATES.items():
            window.run(script)
            window.settle()
            violations = window.browser.execute_async_script("""
                const done = arguments[0];
                const short = (v) => [v.impact, v.id, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200))];
                axe.run(document, { resultTypes: ['violations'] }).then((r) => done(r.violations.map(short)))""")
            assert [v for v in violations if v[0] in ("serious", "critical")] == [], name
