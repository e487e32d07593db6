"""The terminal debugger, driven through a pseudo-terminal as a person would, and without one."""

import io
import subprocess
import sys

import pytest
from rich.console import Console

import tinygrad_cnn as tg
from tests.debug.conftest import PATIENCE
from tests.debug.conftest import environment as with_paths
from tinygrad_cnn.autograd.state import state
from tinygrad_cnn.debug import BackwardSession, Terminal, open_session, post_mortem, set_trace, unset_trace
from tinygrad_cnn.debug.terminal import QuitDebugger, make_console
from tinygrad_cnn.errors import UsageError

pexpect = pytest.importorskip("pexpect")

SCRIPT = """\
import sys
import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim
from tinygrad_cnn.nn import functional as F

tg.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3)
        self.conv2 = nn.Conv2d(4, 8, 3)
        self.fc = nn.Linear(8 * 16, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.relu(self.conv2(x))
        return self.fc(x.flatten(1))


model = Net()
optimizer = optim.SGD(model.parameters(), lr=0.1)
x, target = tg.randn(4, 1, 14, 14), tg.tensor([1, 2, 3, 4])
for step in range(2):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), target)
    loss.backward()
    optimizer.step()
    print(f"step {step}: loss {loss.item():.6f}", *sys.argv[1:])
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


def environment(**more):
    env = {k: v for k, v in with_paths().items() if k not in ("NO_COLOR", "COLORTERM", "COLUMNS")}
    return {**env, "TERM": "xterm-256color", **more}


def command(*words):
    return [sys.executable, "-m", "tinygrad_cnn", "debug", *words]


def run(*words, text="", **more):
    done = subprocess.run(
        command(*words),
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(**more),
        encoding="utf-8",
    )
    return done.returncode, done.stdout, done.stderr


def spawn(*words, **more):
    """The debugger in a pseudo-terminal of 80 columns."""
    first, *rest = command(*words)
    size = (40, 80)
    return pexpect.spawn(
        first, rest, env=environment(**more), dimensions=size, timeout=PATIENCE, encoding="utf-8"
    )


def interrupt(child, answer):
    """Ctrl-C until it is answered: one that comes just before a program begins to read a line may be lost."""
    for _ in range(PATIENCE // 10):
        child.sendcontrol("c")
        if child.expect_exact([answer, pexpect.TIMEOUT], timeout=10) == 0:
            return
    raise TimeoutError(f"Ctrl-C was never answered by {answer!r}")


def test_a_person_breaks_in_the_second_convolution_looks_steps_back_and_goes_on(script):
    child = spawn("--break", "conv2", str(script), "--lr", "3")
    said = io.StringIO()
    child.logfile_read = said
    child.expect_exact("(grad) ")
    assert "conv2" in said.getvalue() and "train.py:18" in said.getvalue()
    child.sendline("n")
    child.expect_exact("conv2.bias")
    child.expect_exact("(grad) ")
    child.sendline("")  # Enter repeats
    child.expect("step .*13.* of|correlate conv2")
    child.expect_exact("(grad) ")
    child.sendline("p g.sh\t")  # a tab that completes nothing does no harm
    child.sendline("")
    child.expect_exact("(grad) ")
    child.sendline("explain 0,0,1,1 of w")
    child.expect("Σ")
    child.expect_exact("(grad) ")
    child.sendline("back")
    child.expect_exact("conv2.bias")
    child.expect_exact("(grad) ")
    child.send("grap\t")
    child.sendline(" conv2")
    child.expect("made of|∂L/∂")
    child.expect_exact("(grad) ")
    interrupt(child, "q leaves the program")
    child.sendline("cl")
    child.expect_exact("Deleted breakpoint 1")
    child.expect_exact("(grad) ")
    child.sendline("c")
    child.expect_exact("step 0: loss")
    child.expect_exact("step 1: loss")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert "\x1b[" in said.getvalue()  # in colours
    assert "--lr 3" in said.getvalue()  # the script's own arguments


def test_control_c_stops_a_running_program_at_its_next_node_and_the_second_ends_it(script):
    script.write_text(
        "import tinygrad_cnn as tg\nx = tg.tensor([1.0, 2.0], requires_grad=True)\n(x * 2).sum().backward()\n"
        "print('running', flush=True)\nwhile True:\n    x.grad = None\n    (x * 3).sum().backward()\n"
    )
    child = spawn(str(script))
    child.expect_exact("(grad) ")
    child.sendline("c")
    child.expect_exact("running")
    child.sendcontrol("c")
    child.expect(r"backward \d+ · step 1 of 3 · paused")
    child.expect_exact("(grad) ")
    child.sendline("n 2")
    child.expect(r"step 3 of 3")
    child.expect_exact("(grad) ")
    child.sendline("p g")
    child.expect_exact("[3. 3.]")
    child.sendline("q")
    child.expect(pexpect.EOF)
    script.write_text("import sys\nprint('running', flush=True)\nwhile True:\n    pass\n")
    child = spawn(str(script))
    child.expect_exact("running")
    child.sendcontrol("c")
    child.expect_exact("Ctrl-C again ends the program")
    child.sendcontrol("c")
    child.expect_exact("interrupted")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


def test_a_debugged_script_trains_exactly_as_without(script):
    plain = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=PATIENCE, env=environment()
    ).stdout
    code, out, err = run("-c", "n 5", "-c", "back 3", "-c", "n", "-c", "c", str(script))
    assert code == 0, err
    losses = [line for line in out.splitlines() if line.startswith("step ")]
    assert losses == plain.splitlines() and len(losses) == 2


def test_commands_come_from_a_pipe(script):
    code, out, _ = run(str(script), text="n\nw\nb relu\nc\np norm > 0\nq\n")
    assert code == 0 and "breakpoint 1: relu" in out and "True" in out and "step 0" not in out
    assert "\x1b[" not in out and all(len(line) <= 80 for line in out.splitlines())


def test_the_end_of_the_input_leaves_the_program(script):
    code, out, _ = run(str(script), text="n\n")
    assert code == 0 and "step 0" not in out


@pytest.mark.parametrize("more", [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"PYTHONIOENCODING": "ascii"}])
def test_a_poor_terminal_is_enough(script, more):
    code, out, err = run("-c", "goto conv2", "-c", "q", str(script), **more)
    assert code == 0 and "conv2" in out and "\x1b[" not in out and "Traceback" not in err


def test_a_dumb_terminal_gets_no_control_codes(script):
    child = spawn(str(script), "-x", TERM="dumb")
    child.expect_exact("(grad) ")
    assert "\x1b[3" not in child.before and "upstream" in child.before
    child.sendline("q")
    child.expect(pexpect.EOF)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nosuch.py"], "cannot read the script nosuch.py"),
        ([], "expected a script"),
        (["--break", "norm >", "{script}"], "norm >"),
        (["--replay", "nosuch.json"], "nosuch.json"),
        (["--replay", "x.json", "{script}"], "not both"),
        (["--anomaly", "--break", "relu", "{script}"], "without --break"),
    ],
)
def test_user_errors_are_one_line(words, says, script):
    code, _, err = run(*[w.format(script=script) for w in words])
    assert code == 2 and says in err and "Traceback" not in err and err.count("\n") == 1


def test_an_exception_in_a_rule_opens_the_debugger_at_its_node(script):
    script.write_text(
        SCRIPT.replace(
            "    loss.backward()", "    model.fc.weight.register_hook(lambda g: 1 / 0)\n    loss.backward()"
        )
    )
    code, out, _ = run("--break", "nosuch", "-c", "w", "-c", "q", str(script))
    assert code in (0, 1) and "ZeroDivisionError" in out and "fc.weight" in out


def test_an_exception_elsewhere_is_pythons_own(script):
    script.write_text(SCRIPT + "raise KeyError('mine')\n")
    code, out, _ = run("-c", "c", str(script))
    assert code == 1 and "KeyError: 'mine'" in out and "attach.py" not in out


def test_the_exit_status_is_the_scripts(script):
    script.write_text("import sys\nsys.exit(7)\n")
    assert run(str(script))[0] == 7


def test_a_script_without_backward_says_so(script):
    script.write_text("print('hello', __name__, __file__)\n")
    code, out, _ = run(str(script))
    assert code == 0 and "hello __main__" in out and "without a backward()" in out


def test_passes_of_other_threads_run_on_and_that_is_said(script):
    script.write_text(
        "import threading\nimport tinygrad_cnn as tg\n"
        "def work():\n    x = tg.ones(2, requires_grad=True)\n    (x * 2).sum().backward()\n    print(x.grad)\n"
        "thread = threading.Thread(target=work)\nthread.start()\nthread.join()\n"
    )
    _, out, _ = run(str(script))
    assert "tensor([2., 2.])" in out and "without a backward(); other threads had some" in " ".join(
        out.split()
    )


# --- from code -----------------------------------------------------------------------------------


def talk(*lines):
    """A terminal that is told these lines, and what it printed."""
    out = io.StringIO()
    return Terminal(commands=lines, console=Console(file=out, width=80), read=_no_more), out


def _no_more(_prompt):
    raise EOFError


def test_backward_debug_opens_it(monkeypatch):
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    answers = iter(["n", "edit g = 10", "c"])
    monkeypatch.setattr("builtins.input", lambda _prompt: next(answers))
    (x * 3).sum().backward(debug=True)
    assert x.grad.tolist() == [30.0, 30.0]


def test_quitting_ends_the_program_and_writes_no_gradient():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    terminal, _ = talk("n", "n", "n", "q")
    with pytest.raises(QuitDebugger):
        open_session((x * 3).sum(), terminal=terminal)
    assert x.grad is None


def test_set_trace_stops_at_the_next_backward_only():
    x = tg.tensor([1.0], requires_grad=True)
    terminal, out = talk("c")
    try:
        set_trace(terminal=terminal)
        (x * 2).backward()
        (x * 2).backward()
    finally:
        unset_trace()
    assert out.getvalue().count("start of the backward pass") == 1
    assert x.grad.item() == 4
    assert state.now.observers == ()  # nothing is left behind


def test_set_trace_with_a_selector_stops_there_each_time():
    x = tg.tensor([1.0], requires_grad=True)
    terminal, out = talk("c", "c")
    try:
        set_trace("mul", terminal=terminal)
        (x * 2).backward()
        (x + 2).backward()
        (x * 2).backward()
    finally:
        unset_trace()
    assert out.getvalue().count("breakpoint 1: mul") == 2


def test_post_mortem_stands_at_the_node_that_failed():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: 1 / 0)
    terminal, out = talk("p op", "p g", "q")
    with pytest.raises(ZeroDivisionError) as caught:
        (y * 3).sum().backward()
    post_mortem(caught.value, terminal=terminal)
    assert "mul" in out.getvalue() and "[3. 3.]" in out.getvalue() and "ZeroDivisionError" in out.getvalue()
    with pytest.raises(UsageError, match="not raised inside a backward pass"):
        post_mortem(KeyError())


def test_watches_and_breakpoints_outlive_a_pass(script):
    code, out, _ = run(str(script), text="watch norm\nb relu\nc\nc\nc\nq\n")
    assert code == 0
    assert out.count("1: norm = ") >= 4 and "step 0" in out


def test_a_module_is_debugged_as_python_m_runs_it(tmp_path, monkeypatch):
    package = tmp_path / "project"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "size.py").write_text("SIZE = 3\n")
    (package / "train.py").write_text(
        "import sys\nimport tinygrad_cnn as tg\nfrom .size import SIZE\nfrom project.size import SIZE as same\n"
        "x = tg.ones(SIZE, requires_grad=True)\n(x * same).sum().backward()\nprint(__name__, sys.argv[1:], x.grad)\n"
    )
    (package / "__main__.py").write_text("from . import train\n")
    monkeypatch.chdir(tmp_path)
    code, out, err = run("--break", "mul", "-c", "w", "-c", "c", "-m", "project.train", "--lr", "1")
    assert code == 0 and "train.py:6" in out and "__main__ ['--lr', '1'] tensor([3., 3., 3.])" in out, err
    assert "train.py:6" in run("-c", "w", "-m", "project")[1]
    code, _, err = run("-m", "project.nosuch")
    assert code == 2 and "cannot run the module project.nosuch" in err and err.count("\n") == 1


def test_the_passes_are_numbered(script):
    code, out, _ = run("-c", "b step:2", "-c", "c", "-c", "c", "-c", "q", str(script))
    assert code == 0 and "\nbackward · step 2 of" in out and "\nbackward 2 · step 2 of" in out


def test_pdb_opens_in_the_backward_of_a_users_function_and_outlives_its_error(monkeypatch):
    class Doubled(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, upstream):
            raise ValueError("no such luck")

    s = BackwardSession(Doubled.apply(tg.tensor([1.0, 2.0], requires_grad=True)).sum())
    s.goto("Doubled")
    terminal, out = talk("pdb", "pdb", "q")
    monkeypatch.setattr("sys.stdin", io.StringIO("args\nc\nq\n"))
    monkeypatch.setattr("sys.stdout", io.StringIO())
    with pytest.raises(QuitDebugger):
        terminal.interact(s)
    assert "upstream = " in sys.stdout.getvalue()
    assert "it raised ValueError: no such luck" in out.getvalue() and "-- back --" in out.getvalue()


def test_pdb_opens_inside_the_rule(monkeypatch):
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    s = BackwardSession(tg.sigmoid(x).sum())
    s.goto("sigmoid")
    terminal, out = talk("pdb", "q")
    said = []
    monkeypatch.setattr("sys.stdin", io.StringIO("args\nc\n"))
    monkeypatch.setattr("sys.stdout", io.StringIO())
    with pytest.raises(QuitDebugger):
        terminal.interact(s)
    said = sys.stdout.getvalue()
    assert "(Pdb)" in said and "y = " in said and "it gave array (2,)" in out.getvalue()


def test_a_console_without_unicode_gets_ascii_letters():
    raw = io.BytesIO()
    console = make_console(io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    console.print("∂L/∂y · 2 → √x … 漢")
    assert raw.getvalue() == b"dL/dy * 2 -> sqrtx ... ?\n"


TWO_PASSES = """
import threading
import tinygrad_cnn as tg
x = tg.tensor([2.0], requires_grad=True)
(x * x).sum().backward()
(x * 3).sum().backward()
thread = threading.Thread(target=lambda: (x * 4).sum().backward())
thread.start(), thread.join()
(tg.log(x - x.detach())).sum().backward()
"""


def test_next_at_the_end_of_a_pass_goes_on_to_the_next_one(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(TWO_PASSES)
    _, out, _ = run(str(script), text="n 100\nn\np $session.number, op\nq\n")
    assert "(2, 'sum')" in out, out


def test_anomaly_numbers_its_pass_and_tells_of_other_threads(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(TWO_PASSES)
    _, out, _ = run("--anomaly", str(script), text="p $session.number\nq\n")
    assert "(grad) p $session.number\n3\n" in out, out
    script.write_text(TWO_PASSES.replace("tg.log(x - x.detach())", "x"))
    _, out, _ = run("--anomaly", str(script), text="")
    assert "no nan and no infinity was made in this thread; other threads had backward passes" in " ".join(out.split())
