"""The pool covers a range once, hands errors on, survives a fork, and leaves BLAS as it found it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tinygrad_cnn import kernels
from tinygrad_cnn.kernels import threads


@pytest.fixture(autouse=True)
def as_found():
    before = kernels.get_num_threads()
    yield
    kernels.set_num_threads(before)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_shards_cover_the_range_exactly_once(n):
    kernels.set_num_threads(n)
    hits = np.zeros(17, int)

    def shard(start, stop):
        hits[start:stop] += 1

    assert threads.run_shards(shard, 17) == n
    assert hits.tolist() == [1] * 17
    assert threads.run_shards(shard, 17, grain=9) == 1


def test_shards_run_in_different_threads_at_once():
    kernels.set_num_threads(2)
    meet = threading.Barrier(2, timeout=300)
    threads.run_shards(lambda start, stop: meet.wait(), 2)


def test_the_error_of_a_shard_comes_out_and_the_pool_goes_on():
    kernels.set_num_threads(2)
    for failing in (0, 1):

        def shard(start, stop, failing=failing):
            if start == failing:
                raise KeyError(f"shard {start}")

        with pytest.raises(KeyError, match=f"shard {failing}"):
            threads.run_shards(shard, 2)
    done = []
    threads.run_shards(lambda start, stop: done.append(start), 2)
    assert sorted(done) == [0, 1]


def test_a_kernel_inside_a_shard_does_not_wait_for_itself():
    kernels.set_num_threads(2)
    inner = []

    def shard(start, stop):
        threads.run_shards(lambda a, b: inner.append((start, a, b)), 4)

    threads.run_shards(shard, 2)
    assert sorted(inner) == [(0, 0, 4), (1, 0, 4)]


def test_many_threads_may_call_at_once():
    kernels.set_num_threads(3)
    totals = []

    def call():
        for _ in range(50):
            hits = np.zeros(30, int)

            def shard(start, stop, hits=hits):
                hits[start:stop] += 1

            threads.run_shards(shard, 30)
            totals.append(int(hits.min()) == int(hits.max()) == 1)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert totals == [True] * 200


@pytest.mark.skipif(threads._blas() is None, reason="this NumPy's BLAS has no thread setting")
def test_blas_is_limited_while_shards_run_and_put_back_as_found():
    get, put = threads._blas()
    found = get()
    put(2)
    seen = []
    kernels.set_num_threads(2)
    threads.run_shards(lambda start, stop: seen.append(get()), 2)
    assert seen == [1, 1] and get() == 2
    with pytest.raises(ZeroDivisionError):
        threads.run_shards(lambda start, stop: 1 // 0, 2)
    assert get() == 2
    put(found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_makes_its_own_pool():
    code = """if True:
        import os
        from tinygrad_cnn.kernels import threads
        threads.set_num_threads(2)
        threads.run_shards(lambda a, b: None, 2)
        child = os.fork()
        if child == 0:
            done = []
            threads.run_shards(lambda a, b: done.append(a), 2)
            os._exit(0 if sorted(done) == [0, 1] else 1)
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    ran = subprocess.run(
        [sys.executable, "-c", code], timeout=600, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    assert ran.returncode == 0


def test_fewer_than_one_thread_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        kernels.set_num_threads(0)


def test_blas_info_names_library_and_threads():
    info = kernels.blas_info()
    assert {"library", "config", "core", "threads"} <= set(info)


# One of the lines is run by a `__del__`, where Python prints what is raised.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_at_any_line_of_sharing_leaves_the_pool_usable(interrupts):
    threads.set_num_threads(3)
    blas = threads._blas()
    before = blas[0]() if blas is not None else None
    for interrupt in interrupts(threads.__file__):
        running, left = [], []

        def shard(start, stop, running=running, left=left):
            running.append(start)
            time.sleep(0.002)
            left.append(start)

        interrupt(lambda shard=shard: threads.run_shards(shard, 3))
        assert sorted(running) == sorted(left)  # nobody goes on writing after the call has ended
        done = []
        assert threads.run_shards(lambda start, stop, done=done: done.append(start), 3) == 3
        assert sorted(done) == [0, 1, 2]
        assert before is None or blas[0]() == before
