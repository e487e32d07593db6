"""DOT: a cluster per module, lines as wide as gradients are large, and names from outside that break nothing."""

import re

import pytest

import tinygrad_cnn as tg
from tests.viz.conftest import HOSTILE, chain
from tinygrad_cnn import viz
from tinygrad_cnn.errors import MissingExtraError, OutputError
from tinygrad_cnn.viz import render
from tinygrad_cnn.viz.style import DARK, LIGHT, Scale

pygraphviz = pytest.importorskip("pygraphviz")


def parsed(source):
    return pygraphviz.AGraph(string=source)


def test_a_box_per_node_and_a_line_per_edge(net_loss):
    graph = viz.graph(net_loss)
    drawn = parsed(graph.dot().source)
    assert drawn.number_of_nodes() == len(graph.description.nodes)
    assert drawn.number_of_edges() == len(graph.description.edges)


def test_a_cluster_per_open_module_nested_as_they_are(net_loss):
    graph = viz.graph(net_loss)
    drawn = parsed(graph.dot().source)

    def depth(g):
        inner = g.subgraphs()
        return 1 + max(map(depth, inner), default=0)

    clusters = graph.dot().source.count("subgraph cluster_")
    alone = [m for m in graph.description.modules if m.open and len(m.nodes) == 1 and not m.children]
    assert clusters == sum(m.open for m in graph.description.modules) - len(alone)
    assert alone and all(f"{m.name} {m.cls}" in graph.dot().source for m in alone)  # in the one node's title
    assert depth(drawn) - 1 == 3  # Net, mix, mix.0


def test_closed_modules_are_one_box(net_loss):
    shut = viz.graph(net_loss, depth=0).dot().source
    drawn = parsed(shut)
    assert "subgraph" not in shut
    # the input's constant belongs to nobody, the whole network is one box, and the loss stands outside
    assert drawn.number_of_nodes() < 6
    one = viz.graph(net_loss).dot(opened=["", "mix"])
    assert one.source.count("subgraph cluster_") == 2


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_names_from_outside_break_nothing(name):
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    net = tg.nn.Sequential()
    net.add_module("m" if not name or "." in name else name, tg.nn.Linear(2, 2))
    graph = viz.graph(net(x * 2.0).sum(), names={name: x}, title=name)
    source = graph.dot().source
    drawn = parsed(source.encode("utf-8", "replace").decode())
    assert drawn.number_of_nodes() == len(graph.description.nodes)
    assert len(source) < 12_000
    svg = graph.svg()
    assert "<script" not in svg.lower() and "\u202e" not in svg
    assert "\u202e" not in graph.text()


def test_a_name_is_shown_as_it_was_typed():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    svg = viz.graph((x * 2.0).sum(), names={'a<b & "c"': x}).svg()
    import html

    assert 'a<b & "c"' in html.unescape(svg)


def test_width_and_colour_grow_with_the_gradient():
    scale = Scale([1e-4, 1e-2, 1.0])
    widths = [scale.width(v) for v in (0.0, 1e-4, 1e-2, 1.0)]
    assert widths == sorted(widths) and widths[-1] > 2 * widths[1]
    assert scale.colour(1.0, LIGHT) == LIGHT.ramp[-1] and scale.colour(None, LIGHT) == LIGHT.line
    assert scale.width(float("inf")) == scale.width(None)


def _luminance(colour):
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("look", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_can_be_read_on_every_box(look):
    texts = [look.ink, look.quiet, look.ramp[-1], look.alarm]
    for fill in [look.page, *look.module, *(fill for fill, _border in look.kinds.values())]:
        for text in texts:
            a, b = sorted([_luminance(text), _luminance(fill)])
            assert (b + 0.05) / (a + 0.05) >= 4.5, (text, fill)


def test_themes_differ_and_auto_follows_the_reader(net_loss):
    light, dark, auto = (viz.graph(net_loss, theme=t) for t in ("light", "dark", "auto"))
    assert DARK.page in dark.svg() and DARK.page not in light.svg()
    assert "prefers-color-scheme:dark" in auto.svg() and "prefers-color-scheme" not in light.svg()


def test_direction_is_that_of_the_forward_pass(xyz):
    assert "rankdir=LR" in viz.graph(xyz[2], direction="LR").dot().source
    assert "← 3" in viz.graph(xyz[2], direction="LR").dot().source
    assert "↑ 3" in viz.graph(xyz[2]).dot().source


def test_a_graph_with_an_alarm_stands_out():
    x = tg.tensor([1.0, -1.0], requires_grad=True)
    assert LIGHT.alarm in viz.graph(x.sqrt().sum()).dot().source


def test_large_graphs_are_drawn_collapsed():
    loss, _x = chain(5000)
    drawn = parsed(viz.graph(loss).dot().source)
    assert drawn.number_of_nodes() <= 150


def test_every_format_is_what_its_ending_says(net_loss, tmp_path):
    graph = viz.graph(net_loss)
    starts = {
        ".dot": b"digraph",
        ".svg": b"<svg",
        ".png": b"\x89PNG",
        ".pdf": b"%PDF",
        ".json": b"{",
        ".txt": b"net_loss (mean)",
    }
    for ending, start in starts.items():
        graph.save(tmp_path / f"g{ending}")
        assert (tmp_path / f"g{ending}").read_bytes().startswith(start)
    assert [p.suffix for p in tmp_path.iterdir() if p.suffix not in starts] == []
    with pytest.raises(ValueError, match=r"\.svg"):
        graph.save(tmp_path / "g.gif")
    with pytest.raises(OutputError, match="there is no folder"):
        graph.save(tmp_path / "deep" / "g.svg")
    assert not (tmp_path / "deep").exists()


def test_an_svg_has_a_name_for_screen_readers(net_loss):
    head = viz.graph(net_loss, title="my <net>").svg().split(">", 1)[0]
    assert 'role="img"' in head and 'aria-label="my &lt;net&gt;: ' in head


def test_without_graphviz_one_message_says_what_to_install(net_loss, monkeypatch):
    monkeypatch.setattr(render.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(render.shutil, "which", lambda _name: None)
    graph = viz.graph(net_loss)
    for draw in (graph.svg, graph.png, graph.pdf):
        with pytest.raises(MissingExtraError, match=re.escape("pip install 'tinygrad-cnn[viz]'")) as caught:
            draw()
        assert ".text()" in str(caught.value) and ".html()" in str(caught.value)
    assert graph.dot().source.startswith("digraph")
    assert "cross_entropy" in graph.text()
    assert "text/plain" in graph._repr_mimebundle_() and graph._repr_svg_() is None


def test_a_notebook_shows_a_picture(net_loss):
    bundle = viz.graph(net_loss)._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<svg")
    assert viz.graph(net_loss)._repr_html_() is None
    frame = viz.graph(net_loss).interactive()._repr_html_()
    assert frame.startswith("<iframe srcdoc=") and frame.count("<") == 2


def test_thousands_of_boxes_can_be_asked_for():
    loss, _x = chain(3000)
    graph = viz.graph(loss)
    source = graph.dot(opened=[m.path for m in graph.description.modules]).source
    assert parsed(source).number_of_nodes() == len(graph.description.nodes)


def test_dashed_lines_are_those_of_constants_even_without_gradients():
    x, c = tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([3.0, 4.0])
    for options in ({}, {"forward_only": True}):
        source = viz.graph((x * c).exp().sum(), **options).dot().source
        assert source.count("style=dashed") == 1


def test_a_picture_tells_what_it_could_not_know():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    loss = (x * x).exp().sum()
    loss.backward()
    assert "A backward pass has freed what the graph saved" in viz.graph(loss).dot().source
