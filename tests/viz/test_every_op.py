"""Every op of the table of cases can be drawn, with the values it had and the gradients the engine gives."""

import numpy as np
import pytest

from tests.ops import driver
from tinygrad_cnn import viz
from tinygrad_cnn.autograd.observe import keep_values


def is_recorded(case):
    """Whether a result has a graph: a piecewise constant function has none, and nothing to draw."""
    return any(o.requires_grad for o in driver.call(case, driver.leaves(case.inputs()[0])))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@driver.each_case(is_recorded)
def test_it_is_drawn_with_its_own_numbers(case):
    arrays, _rng = case.inputs()
    xs = driver.leaves(arrays)
    with keep_values():
        outputs = [o for o in driver.call(case, xs) if o.requires_grad]
    kept = viz.graph(outputs).description
    for o in outputs:
        for node in _nodes(o):
            node.value = None
    graph = viz.graph(outputs)
    again = graph.description
    assert again.gradients == "run", again.notes
    truth = {n.id: n for n in kept.nodes}
    for node in again.nodes:
        if node.value is not None:
            assert node.value == truth[node.id].value, node.op
    grads = {str(x.node.seq): x for x in xs}
    for o in outputs:
        o.sum().backward(retain_graph=True)
    for node in again.nodes:
        x = grads.get(node.id)
        if x is not None and node.gradient is not None and node.gradient.n:
            assert node.gradient.norm == pytest.approx(np.linalg.norm(x.grad.numpy()), rel=1e-5, abs=1e-12)
    assert graph.dot().source and graph.text() and graph.json()


def _nodes(tensor):
    from tinygrad_cnn.autograd.graph import reachable

    return reachable([tensor.node])
