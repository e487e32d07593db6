"""The command language: pdb's words with a node for a line, and answers instead of tracebacks."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.debug.conftest import Small
from tinygrad_cnn.debug import BackwardSession, Interpreter
from tinygrad_cnn.debug.commands import COMMANDS


@pytest.fixture
def i(small):
    return Interpreter(BackwardSession(small.loss()), file="conftest.py")


def run(i, *lines):
    for line in lines:
        reply = i.execute(line)
    return reply


def test_stepping_words_and_enter_repeats(i):
    assert run(i, "n").moved and i.session.position == 1
    run(i, "", "")
    assert i.session.position == 3
    run(i, "back 2")
    assert i.session.position == 1
    run(i, "next 4", "bk")
    assert i.session.position == 4
    run(i, "p norm", "")  # what has no effect is not repeated
    assert i.session.position == 4


def test_breakpoint_words(i):
    assert "1 node(s)" in run(i, "b tanh").text
    assert "nothing in this pass yet" in run(i, "b nosuch").text
    run(i, "tbreak relu", "condition 1 norm >= 0", "ignore 2 5", "disable 2")
    listed = run(i, "b").text
    assert (
        "tanh if norm >= 0" in listed
        and "ignores next 5" in listed
        and "disabled" in listed
        and "temporary" in listed
    )
    assert "breakpoint 1" in run(i, "c").text and i.session.node.op.name == "tanh"
    assert "breakpoint 3" in run(i, "c").text and i.session.node.op.name == "relu"
    assert "no breakpoint 3" in run(i, "cl 3").text  # it was temporary
    assert "Deleted breakpoint 1" in run(i, "cl 1").text
    assert run(i, "cl").text.count("Deleted") == 1
    assert run(i, "c").resume


def test_a_misspelt_condition_is_told_when_it_is_set_and_one_that_fits_elsewhere_is_not(i):
    assert run(i, "b relu if nrom > 1").error
    assert not run(i, "b relu if param.shape[0] > 3").error
    assert run(i, "c").resume


def test_commands_run_at_their_breakpoint(i):
    run(i, "b tanh", "commands 1")
    assert i.collecting
    run(i, "p 6 * 7", "watch norm", "end")
    assert not i.collecting
    assert "42" in run(i, "c").text and i.session.watches


def test_log_points_print_and_go_on(i):
    run(i, "log tanh :: at {op} {step}", "b relu")
    text = run(i, "c").text
    assert "at tanh" in text and i.session.node.op.name == "relu"


def test_going_to_places(i):
    run(i, "goto conv")
    assert i.session.node.module == "conv"
    run(i, "r")
    assert i.session.node is None or i.session.node.module != "conv"
    run(i, "goto 1")
    assert i.session.position == 0
    run(i, "unt op == 'tanh'")
    assert i.session.node.op.name == "tanh"
    run(i, f"goto {i.session.node.where.lineno + 10**6 - 10**6}")
    assert "chosen by 'nosuch'" in run(i, "unt nosuch").text


def test_looking_at_a_node(i):
    run(i, "goto correlate")
    shown = run(i, "st").text
    for words in (
        "correlate conv",
        "upstream ∂L/∂y",
        "downstream ∂L/∂w",
        "to conv.weight",
        "conftest.py",
        "->",
    ):
        assert words in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "conv (Conv2d)" in run(i, "w").text
    assert "conv (Conv2d)" in run(i, "u").text and "->" in run(i, "l").text
    assert "newest frame" in run(i, "d", "d").text
    assert "conv.weight" in run(i, "a").text
    assert "∂L/∂w → conv.weight" in run(i, "retval").text
    assert "∂y/∂w" in run(i, "local w").text
    assert "used by" in run(i, "graph").text and "made of" in run(i, "graph").text
    assert "no gradient yet" in run(i, "grad conv.weight").text
    assert "∂L/∂fc.weight (10, 3)" in run(i, "grad fc.weight").text
    assert "relu" in run(i, "history 30").text
    assert "agrees with numerical" in run(i, "check").text
    assert "Σ" in run(i, "explain 0,0,1,1 of w").text
    assert "fc.bias" in run(i, "info params").text and "MB" in run(i, "info").text
    assert "float32" in run(i, "whatis g").text


def test_expressions_are_python_and_errors_are_one_line(i):
    assert run(i, "p 1 + 1").text == "2"
    assert run(i, "2 ** 10").text == "1024"
    assert run(i, "!len(downstream)").text == str(len(i.session.downstream))
    assert run(i, "g.shape").text == str(tuple(i.session.upstream.shape))
    for line in (
        "p 1 +", "p nosuch", "frobnicate", "goto", "b norm >", "edit 3 = 4", "edit g[99] = 1", "explain 77", "n x",
        "ignore x", "cl x", "info x", "h x", "watch 1 +", "unwatch 9", "record", "local 9", "condition 5 x", "enable",
    ):  # fmt: skip
        reply = i.execute(line)
        assert reply.error and reply.text.startswith("***"), line
        assert "Traceback" not in reply.text
    assert i.session.position == 0


def test_editing(i):
    run(i, "goto tanh")
    assert run(i, "edit g = 2 * g").edited
    assert "edited the gradient" in run(i, "st").text
    run(i, "edit g[0, 0, 0, 0] = 5")
    assert i.session.upstream[0, 0, 0, 0] == 5
    run(i, "edit d0 = 0")
    assert not i.session.downstream[0].any()
    assert "no rule of this pass reads" in run(i, "edit of conv.weight value = 1").text
    run(i, "edit of relu value = 0.25")
    assert (i.session.value_of(i.session.find("relu")[0]) == 0.25).all()


def test_watches_show_at_every_stop(i):
    run(i, "watch norm")
    assert "1: norm = " in run(i, "n").text
    run(i, "unwatch 1")
    assert "1: norm" not in run(i, "n").text


def test_step_goes_into_a_composite_and_comes_out_behind_it(i):
    run(i, "goto cross_entropy")
    at = i.session.position
    assert "inside cross_entropy" in run(i, "s").text and i.outer
    run(i, "n")
    run(i, "r")
    assert not i.outer and i.session.position == at + 1
    run(i, "back", "s", "back")
    assert not i.outer and i.session.position == at


def test_a_rule_that_fails_is_shown_and_the_second_time_goes_to_the_program():
    x = tg.tensor([1.0], requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: 1 / 0)
    i = Interpreter(BackwardSession(y * 3))
    reply = run(i, "c")
    assert (
        reply.error
        and "ZeroDivisionError" in reply.text
        and i.session.node.op.name == "mul"
        and not reply.resume
    )
    assert run(i, "c").resume


def test_every_command_has_help_and_completion(i):
    listed = run(i, "h").text
    for name in COMMANDS:
        assert name in listed and run(i, f"help {name}").text
    assert "relu" in i.complete("b re") and "goto" in i.complete("go") and "conv" in i.complete("goto c")
    assert (
        "param:fc.weight" in i.complete("b param:f")
        and "fc.weight" in i.complete("goto fc.w")
        and "norm" in i.complete("p no")
        and "break" in i.complete("info b")
    )
    assert "norm" in run(i, "help names").text and "SELECTOR" in run(i, "help selectors").text


def test_running_on_to_the_end_and_past_it(i):
    reply = run(i, "n 1000")
    assert "every node is done" in reply.text and i.session.at_end
    assert not i.execute("grad fc.bias").error
    assert i.execute("p g").error
    run(i, "back")
    assert not i.session.at_end
    run(i, "n")
    assert run(i, "c").resume and i.session.closed


def test_nonfinite_goes_to_the_op_that_makes_it():
    x = tg.tensor([4.0, 0.0], requires_grad=True)
    with np.errstate(all="ignore"):
        i = Interpreter(BackwardSession((tg.log(x * 1.0) * 2).sum()))
        run(i, "nan")
    assert i.session.node.op.name == "log"


def test_several_commands_on_a_line(i):
    run(i, "n ;; n ;; p 5")
    assert i.session.position == 2


def test_a_command_that_fails_without_moving_does_not_show_the_stop_again():
    def bad(g):
        raise ValueError("no such luck")

    x = tg.tensor([1.0], requires_grad=True)
    wrong = tg.exp(x)
    i = Interpreter(BackwardSession(wrong.sum()))
    i.session.check = bad
    reply = i.execute("check")
    assert reply.error and not reply.moved and reply.text == "*** ValueError: no such luck"
    wrong.register_hook(bad)
    reply = i.execute("n 2")
    assert reply.error and reply.moved and "upstream" in reply.text


def test_a_statement_runs_in_the_program_and_names_of_the_stop_are_not_overwritten():
    program = {"lr": 0.1, "seen": []}
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    i = Interpreter(BackwardSession((x * x).sum(), scopes=[program]))
    assert not run(i, "lr = lr / 2").error and program["lr"] == 0.05
    assert not run(i, "!for k in range(2): seen.append((k, norm))").error and program["seen"] == [
        (0, 1.0),
        (1, 1.0),
    ]
    assert run(i, "p lr").text == "0.05"
    assert "`edit` changes" in run(i, "g = 3").text and "ZeroDivisionError" in run(i, "y = 1 / 0").text
    assert i.session.upstream == 1
    assert run(Interpreter(BackwardSession((x * x).sum())), "lr = 1").error  # in no program


def test_silent_commands_show_no_stop(i):
    run(i, "b tanh", "commands 1", "silent", "p op", "end")
    assert run(i, "c").text == "'tanh'"


def test_the_list_of_commands_tells_how_each_is_written(i):
    text = run(i, "help").text
    for usage in (
        "n [COUNT]",
        "b SELECTOR [if",
        "log SELECTOR ::",
        "explain [INDEX] [of",
        "condition NUMBER",
    ):
        assert usage in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_leaf_tells_what_its_grad_holds_already():
    w = tg.tensor([3.0, 4.0], requires_grad=True)
    texts = []
    for _ in range(2):
        s = BackwardSession((w * w).sum() / 2)
        s.goto(w)
        texts.append(" ".join(Interpreter(s).execute("state").text.split()))
        s.finish()
    assert "norm 5 of" not in texts[0] and "norm 5 of" in texts[1]


def test_names_and_attributes_of_the_program_are_completed():
    scope = {"model": Small(), "momentum": 0.9, "broken": type("Broken", (), {"__getattr__": None})()}
    x = tg.tensor([1.0], requires_grad=True)
    i = Interpreter(BackwardSession((x * x).sum(), scopes=[scope]))
    assert i.complete("p mo") == ["model", "module", "momentum"]
    assert i.complete("p abs(model.fc.we") == ["abs(model.fc.weight"]
    assert "model.conv" in i.complete("model.co") and "upstream.shape" in i.complete("watch upstream.sh")
    assert not [word for word in i.complete("p model.") if "._" in word]
    assert "model.__class__" in i.complete("p model.__c")
    for text in ("p nosuch.", "p broken.", "p .", "p a.b.c", "p (", "p g..", "p 'x."):
        i.complete(text)


def test_at_a_prompt_the_names_of_the_program_win_and_a_prefix_reaches_the_debuggers():
    program = {"step": "the loop's", "norm": 7, "x": tg.tensor([5.0])}
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    i = Interpreter(BackwardSession((x * x).sum(), scopes=[program]))
    assert "the loop's" in run(i, "p step").text and run(i, "!norm").text == "7"
    assert run(i, "p $step").text == "1" and run(i, "$norm").text == "1"
    assert "'$step'" in run(i, "p ['$step', $step]").text
    run(i, "step = 12")
    assert program["step"] == 12 and run(i, "p step, $step").text == "(12, 1)"
    assert run(i, "until norm > 1").moved or i.session.position  # a condition means the node's


def test_an_attribute_of_the_programs_tensor_is_found_at_a_leaf():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    i = Interpreter(BackwardSession((x * x).sum(), scopes=[{"x": x}]))
    run(i, "goto leaf")
    assert not run(i, "p x.grad").error and not run(i, "p x.shape").error


def test_what_was_mistyped_is_guessed():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    i = Interpreter(BackwardSession((x * x).sum(), scopes=[{"learning_rate": 0.1}]))
    assert "did you mean 'explain'?" in run(i, "explainn").text
    assert "did you mean learning_rate?" in " ".join(run(i, "p learning_rte").text.split())
    assert "did you mean mul?" in run(i, "goto mull").text


def test_a_number_that_is_a_module_and_no_line_is_told():
    model = tg.nn.Sequential(tg.nn.Linear(2, 2), tg.nn.ReLU())
    i = Interpreter(BackwardSession(model(tg.ones(1, 2)).sum()), file="net.py")
    assert "module:1" in run(i, "until 1").text and "module:1" in run(i, "goto 1").text
    assert not run(i, "goto module:1").error
