"""The tree of text: its exact form for z = x·y, sharing, order, and width."""

import tinygrad_cnn as tg
from tests.viz.conftest import chain
from tinygrad_cnn import viz

PRODUCT = """\
z = x · y
z = x · y  6  grad 1
├─ x       2  grad 3  1 · 3
└─ y       3  grad 2  1 · 2

3 values, 2 edges"""


def test_product_golden(xyz):
    assert viz.graph(xyz[2], title="z = x · y").text() == PRODUCT


def test_a_shared_node_is_shown_once_and_referred_to():
    a = tg.tensor(2.0, requires_grad=True)
    h = a * a
    lines = viz.graph(h + h * a, names={"h": h}).text().splitlines()
    assert sum("(below)" in line for line in lines) == 3  # h once more, a twice more
    assert sum(line.lstrip("│├└─ ").startswith("h = ") for line in lines) == 1


def test_every_node_comes_behind_all_that_use_it(net_loss):
    graph = viz.graph(net_loss)
    lines = graph.text().splitlines()
    ids = [n.id for n in graph.description.nodes if n.parameter is False and n.name is None and not n.leaf]
    place = {
        i: next(k for k, line in enumerate(lines) if f"#{i} " in line and "(below)" not in line)
        for i in ids
        if any(f"#{i} " in line for line in lines)
    }
    for edge in graph.description.edges:
        if edge.from_ in place and edge.to in place:
            assert place[edge.to] < place[edge.from_]
    assert len(place) > 10


def test_a_chain_stays_in_its_column():
    loss, _x = chain(500)
    assert max(map(len, viz.graph(loss).text().splitlines())) < 120


def test_max_nodes_ends_with_how_many_are_left():
    loss, _x = chain(50)
    graph = viz.graph(loss)
    text = graph.text(max_nodes=10)
    assert f"… {len(graph.description.nodes) - 10} more nodes" in text
    assert "more nodes" not in graph.text()


def test_wide_characters_keep_the_columns():
    x, y = tg.tensor(2.0, requires_grad=True), tg.tensor(3.0, requires_grad=True)
    rows = viz.graph(x * y, names={"画像": x, "y": y}).text().splitlines()
    first, second = (row for row in rows if row.startswith(("├─", "└─")))
    assert first.index("2") + 2 == second.index("3")  # two wide characters take two columns more
