"""With no session, a training step runs exactly the instructions it would run without the debugger: counted."""

import subprocess
import sys

from tests.debug.conftest import PATIENCE

PROGRAM = '''
import gc, sys
import numpy as np
import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim
from tinygrad_cnn.nn import functional as F

tg.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 9, 10))
optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
x, t = tg.randn(2, 1, 8, 8), tg.tensor([1, 2])

def step():
    optimizer.zero_grad()
    F.cross_entropy(model(x), t).backward()
    optimizer.step()

def count():
    """Bytecode instructions and calls (C functions too) of one step, on this thread."""
    counts = [0, 0]
    def trace(frame, event, arg):
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            counts[0] += 1
        return trace
    def profile(frame, event, arg):
        counts[1] += event in ("call", "c_call")
    sys.settrace(trace)
    try:
        step()
    finally:
        sys.settrace(None)
    sys.setprofile(profile)
    try:
        step()
    finally:
        sys.setprofile(None)
    return counts

gc.disable()
for _ in range(4):
    step()
    count()
before = count()
assert not any(name.startswith("tinygrad_cnn.debug") for name in sys.modules), "the debugger was imported already"
import tinygrad_cnn.debug as debug
step()  # new classes empty Python's caches of isinstance answers, which the next step fills again
imported = count()

# used and left again: a session, a trace, an anomaly block, all gone
debug.BackwardSession(F.cross_entropy(model(x), t)).finish()
debug.set_trace("nosuch"); step(); debug.unset_trace()
with debug.anomaly():
    step()
step()
used = count()
print(before, imported, used)
assert before[0] > 1000 and before[1] > 100
assert before == imported == used
'''


def test_a_training_step_runs_the_same_instructions_with_the_debugger_imported_or_used_before():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
