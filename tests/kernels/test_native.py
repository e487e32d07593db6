"""The compiled pool does every unit once, from any number of Python threads, after sleeping and after a fork."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("numba", reason="without Numba there is no compiled pool")

from tinygrad_cnn import kernels
from tinygrad_cnn.kernels.compiled import elementwise, native


@pytest.fixture(autouse=True)
def as_found():
    before = kernels.get_num_threads()
    yield
    kernels.set_num_threads(before)


def relu(x):
    """ReLU over x in as many shards as there are threads; (result, shards)."""
    y = np.full_like(x, np.nan)
    return y, elementwise.clip.run((native.address(x), native.address(y)), x.size)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 65, 96, 130])
def test_every_unit_is_done_once_whatever_the_number_of_threads(n):
    kernels.set_num_threads(n)
    for size in (1, 2, 7, 1000):
        x = np.random.default_rng(size).standard_normal(size).astype(np.float32)
        y, shards = relu(x)
        np.testing.assert_array_equal(y, np.maximum(x, 0))
        assert shards == min(n, size)


def test_more_threads_than_a_word_has_bits_wake_again():
    kernels.set_num_threads(130)
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    for _ in range(3):
        np.testing.assert_array_equal(relu(x)[0], np.maximum(x, 0))
        time.sleep(0.05)  # the workers fall asleep
    kernels.set_num_threads(2)
    np.testing.assert_array_equal(relu(x)[0], np.maximum(x, 0))


def test_a_grain_keeps_small_jobs_in_the_calling_thread():
    kernels.set_num_threads(4)
    x = np.ones(100, np.float32)
    assert elementwise.clip.run((native.address(x), native.address(x)), 100, 60) == 1
    assert elementwise.clip.run((native.address(x), native.address(x)), 100, 50) == 2


def test_workers_that_have_gone_to_sleep_wake_again():
    kernels.set_num_threads(2)
    x = np.array([-1, 2, -3, 4], np.float32)
    for _ in range(5):
        np.testing.assert_array_equal(relu(x)[0], [0, 2, 0, 4])
        time.sleep(0.01)  # far longer than a worker keeps looking


def test_a_worker_that_does_not_come_is_not_waited_for():
    kernels.set_num_threads(3)
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    relu(x)  # so that there are workers
    y, boxes = np.full_like(x, np.nan), np.zeros((2, native.WORDS), np.int64)  # boxes that nobody serves
    base, table = native.address(boxes), np.array([native.address(x), native.address(y)])
    for job in (1, 2):
        y[:] = np.nan
        native.post(base, 3, elementwise.clip.address, native.address(table), x.size)
        native.finish(base, 3, elementwise.clip.address, native.address(table), x.size, 0)
        np.testing.assert_array_equal(y, np.maximum(x, 0))
        assert [box[native.DONE // 8] for box in boxes] == [job, job]


def test_many_python_threads_may_call_at_once():
    kernels.set_num_threads(2)
    right = []

    def call(seed):
        x = np.random.default_rng(seed).standard_normal(5000).astype(np.float32)
        for _ in range(200):
            right.append(np.array_equal(relu(x)[0], np.maximum(x, 0)))

    callers = [threading.Thread(target=call, args=(i,)) for i in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(right) == 800 and all(right)


@pytest.mark.parametrize("n", [1, 3])
def test_a_kernel_that_does_not_get_its_memory_raises_and_the_pool_goes_on(n):
    kernels.set_num_threads(n)
    compiled = kernels._load("compiled", "asked for by a test")
    x, w = np.ones((4, 1, 4, 4), np.float32), np.ones((1, 1, 2, 2), np.float32)
    geo = dict(stride=(2**22,) * 2, padding=((2**22,) * 2,) * 2, dilation=(1, 1), groups=1)  # 64 terabytes of padding
    with pytest.raises(MemoryError, match="did not get the memory"):
        compiled.correlate(x, w, **geo)
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    y, shards = relu(x)
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    assert shards == n


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_makes_workers_of_its_own():
    code = """if True:
        import os
        import numpy as np
        from tinygrad_cnn import kernels
        kernels.set_num_threads(2)
        x = np.linspace(-1, 1, 100_000, dtype=np.float32)
        kernels.relu(x)
        child = os.fork()
        if child == 0:
            os._exit(0 if np.array_equal(kernels.relu(x), np.maximum(x, 0)) else 1)
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    ran = subprocess.run(
        [sys.executable, "-c", code], timeout=600,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "TINYGRAD_CNN_KERNELS": "compiled"},
    )  # fmt: skip
    assert ran.returncode == 0


def test_an_interrupt_at_any_line_of_posting_leaves_the_pool_usable(interrupts):
    kernels.set_num_threads(3)
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    for grown in (False, True):
        for interrupt in interrupts(native.__file__):
            if grown:
                native._pool = None  # so that the lines that make workers are interrupted as well
            interrupt(lambda: relu(x))
            y, shards = relu(x)
            np.testing.assert_array_equal(y, np.maximum(x, 0))
            assert shards == 3
