"""The player tells what the engine computed, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.viz.page.graphs import chain, network, product
from tinygrad_cnn.autograd.backward_pass import BackwardPass

pytestmark = pytest.mark.browser


def number(text: str) -> float:
    """The size of what the page shows: a number, a norm, or the entries of a small array; three digits."""
    text = text.replace("−", "-")
    if text.startswith("["):
        return float(np.linalg.norm([float(entry) for entry in text.replace("][", ", ").strip("[]").split(", ")]))
    return float(text.removeprefix("norm ").strip("‖∂ "))


def size(array: Any) -> float:
    array = np.asarray(array)
    return float(array) if array.ndim == 0 else float(np.linalg.norm(array))


def products(window: Any) -> list[tuple[float, float]]:
    """(upstream, downstream) of each edge of the step shown."""
    up, down = (window.texts(f"#product [data-role={role}]") for role in ("upstream", "downstream"))
    return [(number(u), number(d)) for u, d in zip(up, down, strict=True)]


def test_every_step_shows_the_engines_gradients(show: Callable[..., Any]) -> None:
    loss, net = network()
    window = show(tg.viz.graph(loss).to_dict())
    window.click("#to-start")
    steps = 0
    engine = BackwardPass([loss.node], [np.ones_like(loss.array)], retain_graph=True, keep=True)
    for node, upstream, downstream in engine.steps():
        window.click("#step-forward")
        steps += 1
        assert window.run("return page.player.node.id") == str(node.seq)
        wanted = [(size(upstream), size(part)) for part in downstream if part is not None]
        assert np.allclose(products(window), wanted, rtol=5e-3) if wanted else products(window) == []
    assert steps == window.run("return page.player.steps.length")
    assert window.find("#step-forward").get_property("disabled")
    del net


def test_gradients_of_leaves_are_those_of_backward(show: Callable[..., Any]) -> None:
    loss, net = network()
    description = tg.viz.graph(loss).to_dict()
    loss.backward()
    window = show(description)
    for name, parameter in net.named_parameters():
        node = f"page.model.nodes.find((n) => n.record.name === '{name}')"
        shown = number(window.run(f"return Format.brief(page.player.gradientOf({node}))"))
        assert shown == pytest.approx(size(parameter.grad.numpy()), rel=1e-3)


def test_the_multiplication_is_shown_with_its_numbers(show: Callable[..., Any]) -> None:
    window = show(tg.viz.graph(product()).to_dict())
    window.click("#to-start")
    window.click("#step-forward")
    factors = [window.texts(f"#product [data-role={role}]") for role in ("upstream", "local", "downstream")]
    assert factors == [["1", "1"], ["3", "2"], ["3", "2"]]


def test_gradients_fill_in_as_they_arrive_and_leave_when_going_back(show: Callable[..., Any]) -> None:
    window = show(tg.viz.graph(product()).to_dict())
    gradients = "#graph .node .gradient"
    assert sorted(window.texts(gradients)) == ["∂ 1", "∂ 2", "∂ 3"]
    window.click("#to-start")
    assert sorted(window.texts(gradients)) == ["", "", "∂ 1"]
    assert (window.count("#graph .node.waiting"), window.count("#graph .line.waiting")) == (2, 2)
    window.click("#step-forward")
    assert sorted(window.texts(gradients)) == ["∂ 1", "∂ 2", "∂ 3"]
    assert window.count("#graph .node.current") == 1
    assert window.count("#graph .line.handing") == 2
    window.click("#step-back")
    assert sorted(window.texts(gradients)) == ["", "", "∂ 1"]


def test_contributions_are_summed_before_the_eyes(show: Callable[..., Any]) -> None:
    x = tg.tensor(3.0, requires_grad=True)
    window = show(tg.viz.graph(x * x + x, names={"x": x}).to_dict())
    seen = []
    for position in (0, 1, 2):
        window.run("page.controls.go(arguments[0])", position)
        seen.append(window.run("return Format.brief(page.player.gradientOf(page.model.nodes[0]))"))
    assert seen == ["–", "1", "7"]
    assert [text.replace("∂L/∂x: ", "") for text in window.texts("#product .sum")] == ["1 + 3 = 4", "4 + 3 = 7"]


def test_going_back_shows_what_going_forward_showed(show: Callable[..., Any]) -> None:
    loss, _net = network()
    window = show(tg.viz.graph(loss).to_dict())
    state = """
        const told = (n) => `${page.player.stateOf(n)} ${Format.brief(page.player.gradientOf(n))}`;
        return page.model.nodes.map(told)"""
    forward = []
    n = window.run("return page.player.steps.length")
    for position in range(n + 1):
        window.run("page.controls.go(arguments[0])", position)
        forward.append(window.run(state))
    for position in reversed(range(n + 1)):
        window.run("page.controls.go(arguments[0])", position)
        assert window.run(state) == forward[position]


def test_play_reaches_the_end_and_stops(show: Callable[..., Any]) -> None:
    window = show(tg.viz.graph(product()).to_dict())
    window.run("document.getElementById('speed').value = '300'")
    window.click("#play")
    window.browser.execute_async_script(
        "const done = arguments[0]; page.player.onMove(() => page.player.position === 3 && setTimeout(done, 50));"
        "if (page.player.position === 3) done();"
    )
    assert window.text("#step-count") == "3 / 3"
    assert window.find("#play").get_attribute("aria-label") == "Play the backward pass"


def test_the_current_node_is_in_sight_even_inside_a_closed_module(show: Callable[..., Any]) -> None:
    loss, _net = network()
    window = show(tg.viz.graph(loss).to_dict(), size=(900, 700))
    window.click("#collapse")
    inside = window.run("return page.player.steps.findIndex((s) => s.node.record.module === 'first.linear')")
    window.run("page.controls.go(arguments[0] + 1)", inside)
    window.settle()
    current = window.find("#graph .current")
    assert "module" in current.get_attribute("class")
    here, stage = current.rect, window.find("#stage").rect
    assert stage["x"] <= here["x"] and here["x"] + here["width"] <= stage["x"] + stage["width"]
    assert stage["y"] <= here["y"] and here["y"] + here["height"] <= stage["y"] + stage["height"]


def test_a_recording_may_go_back_repeat_and_edit(show: Callable[..., Any]) -> None:
    description = chain(3)
    first, second, third = description["steps"]
    seven, five = ({"n": 1, "shape": [], "scalar": v, "norm": v} for v in (7.0, 5.0))
    edited = first | {"upstream": seven, "note": "edited by hand"}
    edited["downstream"] = [first["downstream"][0] | {"contribution": five}]
    description["steps"] = [first, first | {"back": True}, edited, second, third]
    window = show(description)
    states = "return page.model.nodes.map((n) => page.player.stateOf(n))"
    seen = []
    for position in (1, 2, 3, 5):
        window.run("page.controls.go(arguments[0])", position)
        seen.append(window.run(states))
    once = ["waiting", "partial", "done"]
    assert seen == [once, ["waiting", "waiting", "partial"], once, ["done"] * 3]
    window.run("page.controls.go(3)")
    assert window.texts("#product [data-role=upstream]") == ["7"]
    assert window.texts("#product [data-role=downstream]") == ["5"]
    assert window.text("#product .step-note") == "edited by hand"
    assert window.run("return Format.brief(page.player.gradientOf(page.model.nodes[1]))") == "5"


def test_a_graph_without_backward_pass_says_so(show: Callable[..., Any]) -> None:
    window = show(tg.viz.graph(product(), forward_only=True).to_dict())
    assert "no backward pass" in window.text("#product")
    assert window.find("#play").get_property("disabled")
