"""`--forward`: pdb opens in the script's own frame, at the line that made the chosen node."""

import subprocess
import sys

import pytest

from tests.debug.conftest import PATIENCE, environment

SCRIPT = """\
import tinygrad_cnn as tg
from tinygrad_cnn import nn

class Scale(nn.Module):
    def forward(self, x):
        low = x.amin()
        y = tg.log(x - low) * 2  # HERE
        return y

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = Scale()
    def forward(self, x):
        return self.scale(x * 3)

x = tg.tensor([1.0, 2.0], requires_grad=True)
Net()(x).sum().backward()
print("end", x.grad.isfinite().all().item())
"""


def run(tmp_path, *options, text=""):
    script = tmp_path / "net.py"
    script.write_text(SCRIPT)
    return subprocess.run(
        [sys.executable, "-m", "tinygrad_cnn", "debug", *options, str(script)],
        input=text, capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE, env=environment(),
    )  # fmt: skip


@pytest.mark.parametrize("selector", ["nonfinite", "log", "log if inf == 1 and low == 3", "net.py:7"])
def test_pdb_stands_behind_the_line_that_made_it_with_the_scripts_names(tmp_path, selector):
    said = run(
        tmp_path, "--forward", selector, text="p float(low)\np type(self).__name__\nn\nn\nc\nc\nc\nc\nc\n"
    ).stdout
    assert f"forward · {selector.replace('net.py', 'line:net.py')} · " in said
    assert "net.py(8)forward()" in said and "3.0" in said and "'Scale'" in said
    assert "module.py" not in said  # `n` walks past the engine
    assert said.rstrip().endswith("net.py ended after 1 backward pass(es)") and "end False" in said


def test_what_is_computed_at_the_prompt_does_not_stop_and_q_leaves(tmp_path):
    done = run(tmp_path, "--forward", "log", text="p tg.log(x).sum() > -100\nq\n")
    assert done.returncode == 0 and done.stdout.count("forward · ") == 1 and "end" not in done.stdout


def test_what_is_never_made_and_conditions_that_fail_are_told(tmp_path):
    assert "no forward pass came to tanh" in run(tmp_path, "--forward", "tanh").stdout
    said = run(tmp_path, "--forward", "mul if nonsense > 3", text="q\n").stdout
    assert "'nonsense' is not defined" in said and "(Pdb)" in said
    done = run(tmp_path, "--forward", "norm >")
    assert done.returncode == 2 and "norm >" in done.stderr and "Traceback" not in done.stderr
