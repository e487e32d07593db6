"""A planted nan or infinity is found at its line, forward and backward, with the operand that caused it."""

import subprocess
import sys

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.debug.conftest import PATIENCE, environment
from tinygrad_cnn import nn
from tinygrad_cnn.debug import AnomalyError, anomaly
from tinygrad_cnn.nn import functional as F

# NumPy's own warnings say that a number is not finite, but not which op, line and operand made it.
pytestmark = pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")


class Inner(nn.Module):
    def forward(self, x):
        return tg.log(x)  # PLANTED


class Middle(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, x):
        return self.inner(tg.relu(x)) * 2


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.middle = Middle()

    def forward(self, x):
        return self.middle(x).sum()


def planted_line():
    with open(__file__, encoding="utf-8") as file:
        return next(k for k, line in enumerate(file, 1) if line.rstrip().endswith("# PLANTED"))


def test_the_logarithm_of_zero_three_modules_deep_is_found_forward_and_backward():
    x = tg.tensor([[1.0, 2.0], [0.0, 3.0]], requires_grad=True)
    with pytest.raises(AnomalyError) as caught:
        with anomaly():
            Outer()(x * 1.0).backward()
    found = caught.value.anomaly
    for finding in (found.forward, found.backward):
        assert finding.op == "log" and finding.module == "middle.inner" and finding.made
        assert finding.line == planted_line() and finding.file == __file__
    assert found.forward.index == (1, 0) and found.forward.value == -np.inf
    assert [str(o) for o in found.forward.operands] == ["x[1, 0] = 0"]
    assert "x[1, 0] = 0" in str(caught.value) and "tg.log(x)" in str(caught.value)


def test_zero_times_infinity_in_a_backward_rule_is_found_with_both_factors():
    x = tg.tensor([4.0, 0.0], requires_grad=True)
    y = tg.sqrt(x)
    with pytest.raises(AnomalyError) as caught:
        with anomaly():
            (tg.sqrt(x * 1.0) * tg.tensor([1.0, 0.0])).sum().backward()
    found = caught.value.anomaly
    assert found.forward is None and found.backward.op == "sqrt"
    operands = {o.name: o.value for o in found.backward.operands}
    assert operands["upstream ∂L/∂y"] == 0 and operands["local ∂y/∂x"] == np.inf
    assert found.backward.index == (1,) and np.isnan(found.backward.value)
    del y


def test_an_overflow_in_float16_is_found_where_it_happened():
    x = tg.tensor(np.array([10.0, 300.0], np.float16), requires_grad=True)
    with pytest.raises(AnomalyError) as caught:
        with anomaly():
            z = x * 1.0
            (z * z - z * z).sum().backward(gradient=None)
            y = tg.exp(z)
            (y * y).sum().backward()
    found = caught.value.anomaly
    assert found.forward.op == "exp" or found.forward.op == "mul"
    assert "300" in str(found.forward)


def test_an_infinity_that_no_gradient_meets_is_only_a_warning():
    x = tg.tensor([1.0, 0.0], requires_grad=True)
    with pytest.warns(RuntimeWarning, match="add was handed an infinity"):
        with anomaly() as found:
            tg.softmax(x + tg.tensor([0.0, -np.inf]), 0)[0].backward()  # a mask
    assert found.backward is None and found.forward is not None


def test_finite_computations_find_nothing_and_leave_the_same_gradients(small):
    small.loss().backward()
    wanted = small.grads()
    small.clear()
    with anomaly() as found:
        small.loss().backward()
    assert not found and found.report() == "no nan and no infinity was made"
    for name, g in small.grads().items():
        assert g.tobytes() == wanted[name].tobytes()


def test_the_session_stands_at_the_culprit():
    x = tg.tensor([1.0, 0.0], requires_grad=True)
    seen = []
    with anomaly(
        callback=lambda s, found: seen.append((s.node.op.name, s.evaluate("nonfinite"), s.position)),
        error=False,
    ):
        tg.log(x * 2).sum().backward()
    assert seen == [("log", 1, 1)]
    assert not np.isfinite(x.grad.numpy()).all()  # it went on to the end


def test_the_terminal_opens_there_when_asked(monkeypatch, capsys):
    x = tg.tensor([1.0, 0.0], requires_grad=True)
    answers = iter(["p op", "explain", "edit d0 = 0", "c"])
    monkeypatch.setattr("builtins.input", lambda _prompt: next(answers))
    with anomaly(session=True, error=False):
        tg.log(x * 2).sum().backward()
    said = capsys.readouterr().out
    assert "because" in said and "'log'" in said and "inf" in said
    assert x.grad.tolist() == [0.0, 0.0]  # what was edited there is what went on


def test_pytorchs_names_switch_it_on_and_off():
    x = tg.tensor([0.0], requires_grad=True)
    with tg.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="log"):
        tg.log(x).sum().backward()
    with tg.autograd.set_detect_anomaly(True):
        assert tg.autograd.is_anomaly_enabled()
        with tg.autograd.set_detect_anomaly(False):
            tg.log(x).sum().backward()
        with pytest.raises(RuntimeError):
            tg.log(x).sum().backward()
    assert not tg.autograd.is_anomaly_enabled()
    tg.autograd.set_detect_anomaly(True)
    tg.autograd.set_detect_anomaly(False)
    tg.log(x).sum().backward()


PLANTED = {
    "log of zero": "y = tg.log(tg.relu(x - 1.0)).sum()  # HERE",
    "0 · inf": "z = x - 1.0\ny = (tg.sqrt(z) * 0.0).sum()  # HERE",
    "float16": "y = (tg.exp((x * 20.0).half())).sum()  # HERE",
}


@pytest.mark.parametrize("kind", PLANTED)
def test_one_command_names_the_line(kind, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import tinygrad_cnn as tg\nx = tg.tensor([1.0, 2.0], requires_grad=True)\n"
        + PLANTED[kind]
        + "\ny.backward()\nprint('done')\n"
    )
    here = next(k for k, line in enumerate(script.read_text().splitlines(), 1) if line.endswith("# HERE"))
    out = subprocess.run(
        [sys.executable, "-m", "tinygrad_cnn", "debug", "--anomaly", "-c", "c", str(script)],
        capture_output=True, text=True, input="", timeout=PATIENCE, env=environment(),
    )  # fmt: skip
    assert f"train.py:{here}" in out.stdout and "backward: " in out.stdout and "because" in out.stdout, (
        out.stdout + out.stderr
    )
    assert "done" in out.stdout and out.returncode == 0


def test_a_nan_that_data_or_a_parameter_brought_is_not_blamed_on_the_op():
    linear = nn.Linear(2, 1)
    with tg.no_grad():
        linear.weight[0, 1] = float("nan")
    with anomaly(error=False) as found:
        linear(tg.ones(1, 2)).sum().backward()
    assert not found.forward.made and str(found.forward.operands[0]) == "weight[0, 1] = nan"
    assert "was handed a nan" in found.report()


def attention(mask):
    scores = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    causal = F.softmax(scores.masked_fill(tg.tensor([[False, True], [False, False]]), float("-inf")), dim=1)
    return (
        (causal + F.softmax(mask(scores), dim=1)).log().sum()
    )  # the second softmax has nothing to choose from


@pytest.mark.parametrize("how", ["filled", "added"])
def test_a_mask_is_not_blamed_for_the_nan_that_a_row_of_nothing_makes(how):
    row = tg.tensor([[True, True], [False, False]])
    masks = {
        "filled": lambda s: s.masked_fill(row, float("-inf")),
        "added": lambda s: s + tg.zeros(2, 2).masked_fill(row, float("-inf")),
    }
    with anomaly(error=False) as found:
        attention(masks[how]).backward()
    blamed = found.forward
    assert blamed.op == "softmax" and blamed.made and blamed.value != blamed.value and blamed.index == (0, 0)
    assert str(blamed.operands[0]) == "x[0, 0] = -inf"


def test_a_mask_that_does_no_harm_is_said_to_be_one():
    with pytest.warns(RuntimeWarning, match="as a mask does"), anomaly() as found:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        F.softmax(x.masked_fill(tg.tensor([True, False]), float("-inf")), dim=0).sum().backward()
    assert found.forward.meant and not found.forward.made and found.backward is None
