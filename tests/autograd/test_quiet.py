"""Infinities and NaN come without NumPy's warnings, from the engine alone."""

import subprocess
import sys

import numpy as np
import pytest

import tinygrad_cnn as tg

# In a process of its own: pytest takes back every filter that is set while it imports.
SCRIPT = """
import threading
import numpy as np
import tinygrad_cnn as tg
import tinygrad_cnn.nn.functional as F

def compute():
    x = tg.tensor([0.0, -1.0, np.inf, 3e38], requires_grad=True)
    y = x.log() + x / 0 + x * x + x**0.5 + x.cumsum(0) + F.silu(x)
    (g,) = tg.autograd.grad(y.sum(), x, create_graph=True)
    g.sum().backward()
    F.cross_entropy(tg.ones(2, 3), tg.tensor([-100, -100]))
    tg.tensor([1e300], dtype=tg.float64).float()
    np.log(tg.zeros(2))

compute()
thread = threading.Thread(target=compute)
thread.start()
thread.join()
print("computed")
np.log(np.zeros(2))
"""


def test_the_engine_says_nothing_of_infinities_and_numpy_what_it_always_says() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "computed\n"
    lines = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert lines == ["<string>:21: RuntimeWarning: divide by zero encountered in log"]


def test_numpys_own_setting_still_raises() -> None:
    with np.errstate(all="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
        tg.zeros(2).log()
