"""The choice of kernels is made once, at first use, without importing Numba before it is wanted."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tinygrad_cnn import kernels


def run(code, **env):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": os.getcwd(), **env},
    )


def test_import_brings_neither_numba_nor_threads():
    code = (
        "import sys, threading, tinygrad_cnn.kernels\n"
        "print('numba' in sys.modules, threading.active_count(), tinygrad_cnn.kernels._chosen)"
    )
    assert run(code).stdout.split() == ["False", "1", "None"]


@pytest.mark.parametrize("wish", ["reference", "compiled"])
def test_the_environment_decides(wish):
    if wish == "compiled" and not find_spec("numba"):
        pytest.skip("Numba is not installed")
    ran = run(
        "from tinygrad_cnn import kernels; print(*kernels.backend(), sep='|')", TINYGRAD_CNN_KERNELS=wish
    )
    assert ran.stdout.strip() == f"{wish}|TINYGRAD_CNN_KERNELS={wish}"


def test_an_unknown_wish_is_refused():
    ran = run("from tinygrad_cnn import kernels; kernels.backend()", TINYGRAD_CNN_KERNELS="turbo")
    assert "expected auto, reference or compiled, got 'turbo'" in ran.stderr


def test_without_numba_everything_is_the_reference():
    code = (
        "import sys, importlib.machinery\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'numba': raise ModuleNotFoundError(name)\n"
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'numba' else real(name, *a)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "import numpy as np\n"
        "from tinygrad_cnn import kernels\n"
        "y = kernels.relu(np.array([-1.0, 2.0]))\n"
        "print(kernels.backend()[0], y.tolist(), 'numba' in sys.modules)"
    )
    assert run(code, TINYGRAD_CNN_KERNELS="auto").stdout.strip() == "reference [0.0, 2.0] False"


def test_both_forms_offer_every_kernel():
    assert kernels._KERNELS <= set(vars(kernels._load("reference", "")))


def test_both_forms_and_the_table_take_the_same_arguments():
    pytest.importorskip("numba")
    reference, compiled = kernels._load("reference", ""), kernels._load("compiled", "")

    def arguments(function):
        return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]

    for name in sorted(kernels._KERNELS):
        wanted = arguments(getattr(reference, name))
        assert arguments(getattr(compiled, name)) == wanted, name
        assert arguments(getattr(kernels, name)) == wanted, name
