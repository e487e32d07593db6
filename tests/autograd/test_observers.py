"""Observers: what they are told, when they take a pass over, and that nothing is left behind."""

import threading

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.autograd import inspect, state
from tinygrad_cnn.autograd.inspect import Observer, observing


class Diary(Observer):
    def __init__(self, takes_over=False):
        self.lines = []
        self.takes_over = takes_over

    def on_record(self, node, output):
        self.lines.append(("record", node.op.name, output.shape))

    def on_pass_begin(self, work):
        self.lines.append(("begin", len(work.order)))
        return self.takes_over

    def on_node_begin(self, node, upstream):
        self.lines.append(("node", node.op.name, inspect.dense(upstream).tolist()))

    def on_node_end(self, node, upstream, downstream):
        handed = [None if d is None else inspect.dense(d).tolist() for d in downstream]
        self.lines.append(("done", node.op.name, handed))

    def on_pass_end(self, work):
        self.lines.append(("end", work.position))

    def on_pass_failed(self, work, error):
        self.lines.append(("failed", work.failure.node.op.name if work.failure else None, str(error)))


def product():
    x = tg.tensor(2.0, requires_grad=True)
    return x, x * 3


class Fails(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        raise RuntimeError("planted")


def test_every_event_comes_in_order():
    diary = Diary()
    with observing(diary):
        _, y = product()
        y.backward()
    assert diary.lines == [
        ("record", "mul", ()),
        ("begin", 2),
        ("node", "mul", 1.0), ("done", "mul", [3.0, None]),
        ("node", "leaf", 3.0), ("done", "leaf", []),
        ("end", 2),
    ]  # fmt: skip


def test_nothing_is_left_when_nobody_observes():
    with observing(Diary()):
        pass
    now = state.state.now
    assert now.observers == () and now.on_record is now.on_visit is now.on_pass is None
    assert now.running == []


def test_observers_may_end_in_any_order():
    first, second = observing(Diary()), observing(Diary())
    one, two = first.__enter__(), second.__enter__()
    first.__exit__(None, None, None)
    product()
    assert one.lines == [] and len(two.lines) == 1
    second.__exit__(None, None, None)
    product()
    assert len(two.lines) == 1 and state.state.now.observers == ()


def test_the_newest_is_asked_first_and_may_take_the_pass_over():
    older, newer = Diary(), Diary(takes_over=True)
    x, y = product()
    with observing(older), observing(newer):
        y.backward()
    assert x.grad is None
    assert older.lines == [] and newer.lines == [("begin", 2), ("end", 0)]
    y.backward()
    assert x.grad == 3


def test_who_takes_over_may_drive_the_pass_and_run_others():
    x, y = product()

    class Driver(Observer):
        passes = 0

        def on_pass_begin(self, work):
            self.passes += 1
            other, z = product()
            z.backward()
            assert other.grad == 3
            for _ in work.steps():
                pass
            return True

    with observing(Driver()) as driver:
        y.backward()
    assert x.grad == 3 and driver.passes == 1


def test_a_pass_inside_a_pass_is_not_announced():
    class Inner(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            with tg.enable_grad():
                _, z = product()
            z.backward()
            return g

    x = tg.tensor(2.0, requires_grad=True)
    y = Inner.apply(x)
    diary = Diary()
    with observing(diary):
        y.backward()
    assert [line[0] for line in diary.lines].count("begin") == 1


def test_a_failure_says_where_and_what_had_arrived():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = (Fails.apply(x) * 3).sum()
    diary = Diary()
    with observing(diary), pytest.raises(RuntimeError, match="planted") as info:
        y.backward()
    assert diary.lines[-1] == ("failed", "Fails", "planted")
    work = inspect.failed_pass(info.value)
    assert work.failure.node.op.name == "Fails"
    assert np.array_equal(inspect.dense(work.failure.upstream), [3, 3])
    assert inspect.failed_pass(ValueError()) is None


def test_a_failure_is_found_behind_another_exception():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match="wrapped") as info:
        try:
            Fails.apply(x).sum().backward()
        except RuntimeError as error:
            raise ValueError("wrapped") from error
    assert inspect.failed_pass(info.value).failure.node.op.name == "Fails"


def test_other_threads_are_not_observed_but_every_pass_can_be_heard_of():
    diary, heard = Diary(), []

    def work():
        product()[1].backward()

    with observing(diary), inspect.on_every_pass(lambda work: heard.append(threading.get_ident())):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert diary.lines == [] and heard == [thread.ident]
        work()
    assert len(heard) == 2 and diary.lines[-1] == ("end", 2)


def test_the_running_pass_is_found_while_it_runs_and_while_it_is_stepped():
    x, y = product()
    found = []

    class Looks(Observer):
        def on_node_end(self, node, upstream, downstream):
            found.append(inspect.running_pass([y.node]))

    with observing(Looks()):
        y.backward(retain_graph=True)
    assert found[0].order[0] is y.node and found[-1] is None  # the last node's end is the pass's
    steps = tg.autograd.backward_steps(y)
    assert inspect.running_pass([y.node]) is None
    next(steps)
    assert inspect.running_pass([y.node]).order[0] is y.node
    del steps
    assert inspect.running_pass([y.node]) is None and state.state.now.paused == []
