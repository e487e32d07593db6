"""A small part of `make memcheck`, and the proof that its guards notice what they are there for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    not find_spec("numba") or not sys.platform.startswith("linux"),
    reason="the guards are for compiled kernels (Numba) and Linux",
)


def python(*arguments):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TINYGRAD_CNN_KERNELS": "compiled"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=900
    )


def test_every_kernel_stays_inside_its_arrays_on_random_and_hostile_arguments():
    ran = python("-m", "tests.memcheck", "--count", "330", "--no-bounds-check")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.splitlines()[-1].startswith("330 cases") and "no findings" in ran.stdout


FAULT = """if True:
    import ctypes, sys
    from tests.memcheck.guard import Guard
    guard = Guard()
    import numpy as np
    from numba import njit

    @njit
    def compiled():
        x = np.ones(10, np.float32)
        return x.ctypes.data

    at_end, reader = sys.argv[1] == "end", sys.argv[2]
    with guard(at_end):
        x, nothing = np.ones(10, np.float32), np.empty(3, np.float32)
        assert np.isnan(nothing).all()
        ctypes.memset(x.ctypes.data + (-1 if at_end else 40), 0, 1)
        assert guard.damaged == 0
        del x
        assert guard.damaged == 1
        x = np.ones(10, np.float32)
        at = compiled() if reader == "compiled" else x.ctypes.data
        print("guarded", flush=True)
        if reader != "outside":  # freed: by us, or by the compiled function
            del x
            ctypes.string_at(at, 1)
        ctypes.string_at(at + (40 if at_end else -1), 1)
"""


@pytest.mark.parametrize("side", ["end", "start"])
@pytest.mark.parametrize("reader", ["outside", "freed", "compiled"])
def test_the_first_byte_beside_an_array_ends_the_process(side, reader):
    ran = python("-c", FAULT, side, reader)
    assert ran.stdout.strip() == "guarded" and ran.returncode == -signal.SIGSEGV, ran.stderr
