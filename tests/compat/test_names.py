"""Names of `torch` that public code reaches for do in a served script what they say, or say why not."""

from __future__ import annotations

import pytest

from tests.compat.conftest import Run


def test_sizes_and_dtypes_print_as_in_pytorch(run: Run) -> None:
    done = run("""
        import torch
        x = torch.ones(2, 3)
        print(x.shape, x.size(), x[0].shape, x.dtype, [torch.int64], f"{torch.float16}", torch.bool)
        print(x.dtype is torch.float32, x.dtype.is_floating_point, torch.int8.is_signed, torch.float64.itemsize)
    """)
    assert done.out.splitlines() == [
        "torch.Size([2, 3]) torch.Size([2, 3]) torch.Size([3]) torch.float32 [torch.int64] torch.float16 torch.bool",
        "True True True 8",
    ]


def test_outside_of_a_script_they_bear_the_packages_name() -> None:
    import tinygrad_cnn as tg

    assert str(tg.ones(1).dtype) == "tinygrad_cnn.float32" and str(tg.ones(1, 2).shape) == "(1, 2)"


WORKS = {
    "marks": """
        from torch import fx
        @fx.wrap
        def f(x): return x
        torch.fx.wrap("len")
        @torch.compiler.disable
        def g(x): return x
        @torch.jit.script
        def h(x): return x
        assert f(1) == g(1) == h(1) == 1 and not torch.compiler.is_compiling() and not torch.onnx.is_in_onnx_export()
        net = torch.nn.Linear(1, 1)
        net.compile(mode="default")
        assert torch.compile(net) is net
        from torch.jit.annotations import List
    """,
    "devices": """
        assert not torch.accelerator.is_available() and torch.accelerator.current_accelerator() is None
        assert torch.get_default_device() == torch.device("cpu") and not torch.is_autocast_enabled()
        torch.set_default_device("cpu")
        assert torch.version.cuda is None and int(torch.__version__.split(".")[0]) >= 2
        assert not torch.is_complex(torch.ones(1))
    """,
    "_assert": """
        torch._assert(True, "fine")
        try:
            torch._assert(1 > 2, "so it is")
        except AssertionError as error:
            assert str(error) == "so it is"
        else:
            raise SystemExit(1)
    """,
    "_foreach": """
        a, b = [torch.ones(2), torch.zeros(3)], [torch.full((2,), 2.0), torch.ones(3)]
        torch._foreach_add_(a, b, alpha=2)
        assert a[0].tolist() == [5, 5] and a[1].tolist() == [2, 2, 2]
        assert torch._foreach_mul(a, 2)[0].tolist() == [10, 10] and torch._foreach_add_(a, [1.0, 2.0]) is None
        assert a[1].tolist() == [4, 4, 4] and torch._foreach_norm(a)[0] == 72 ** 0.5
        torch._foreach_zero_(a)
        assert not a[0].any()
    """,
    "assert_close": """
        from torch.testing import assert_close
        assert_close(torch.ones(2), torch.ones(2) + 1e-7)
        assert_close({"a": [1.0, torch.zeros(1)]}, {"a": [1.0, torch.zeros(1)]})
        x = torch.ones(2)
        for wrong in ((x, torch.ones(3)), (x, x.double()), (1.0, 1.1), ([1], [1, 2])):
            try:
                assert_close(*wrong)
            except AssertionError:
                continue
            raise SystemExit(1)
    """,
    "paths of classes": """
        from torch.nn.modules.channelshuffle import ChannelShuffle
        from torch.nn.modules.batchnorm import _BatchNorm
        from torch.nn.modules.conv import _ConvNd
        from torch.nn.modules.utils import _pair
        from torch.optim.adamw import AdamW
        from torch.optim.rmsprop import RMSprop
        from torch.utils.data._utils.collate import default_collate
        from torch.utils.hooks import RemovableHandle
        from torch.nn.attention import SDPBackend, sdpa_kernel
        assert ChannelShuffle is torch.nn.ChannelShuffle and AdamW is torch.optim.AdamW
        assert issubclass(torch.nn.BatchNorm2d, _BatchNorm) and issubclass(torch.nn.Conv2d, _ConvNd)
        with sdpa_kernel(SDPBackend.MATH):
            pass
    """,
    "library": """
        from torch import library
        lib = library.Library("mine", "DEF")
        assert lib.define("f(Tensor x) -> Tensor") == "f"
        @library.custom_op("mine::g", mutates_args=())
        def g(x): return x + 1
        @g.register_fake
        def _(x): return x
        assert g(1) == 2
    """,
    "hub": """
        import os
        os.environ["TORCH_HOME"] = "there"
        assert torch.hub.get_dir() == os.path.join("there", "hub")
        torch.hub.set_dir("here")
        assert torch.hub.get_dir() == "here"
    """,
}


@pytest.mark.parametrize("what", WORKS)
def test_it_works(run: Run, what: str) -> None:
    done = run("\n        import torch" + WORKS[what])
    assert done.status == 0, done.err


SAYS_WHY_NOT = {
    "torch.fx.symbolic_trace(torch.nn.Linear(1, 1))": "a Linear is not traced symbolically here",
    "torch.onnx.export(torch.nn.Linear(1, 1), (), 'x.onnx')": "a Linear is not exported here",
    "torch.hub.download_url_to_file('https://x/y.pth', 'y.pth')": "https://x/y.pth is not downloaded here",
    "torch.set_default_device('cuda')": "computes on the CPU only",
}


@pytest.mark.parametrize("call", SAYS_WHY_NOT)
def test_it_says_why_not(run: Run, call: str) -> None:
    done = run(f"import torch\n{call}\n")
    assert done.status == 1 and SAYS_WHY_NOT[call] in done.err.splitlines()[-1]


def test_processes_of_torch_multiprocessing_run_a_function(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import subprocess
    import sys

    (tmp_path / "spawns.py").write_text(
        "import sys\nimport torch.multiprocessing as mp\n"
        "def work(i, n):\n    open(f'{i}.txt', 'w').write(str(n))\n    sys.exit(3 if n == 'fails' else 0)\n"
        "if __name__ == '__main__':\n    mp.spawn(work, args=(sys.argv[1],), nprocs=2)\n"
    )
    command = [sys.executable, "-m", "tinygrad_cnn", "run", "spawns.py"]
    assert subprocess.run([*command, "7"], cwd=tmp_path, capture_output=True).returncode == 0
    assert [(tmp_path / f"{i}.txt").read_text() for i in range(2)] == ["7", "7"]
    failed = subprocess.run([*command, "fails"], cwd=tmp_path, capture_output=True, text=True)
    assert failed.returncode == 1 and "ended with exit status 3" in failed.stderr


def test_bfloat16_is_a_dtype_of_tensors() -> None:
    import numpy as np

    import tinygrad_cnn as tg

    pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed (extra bfloat16)")
    x = tg.tensor([1.0, 3.14159]).to(tg.bfloat16)
    assert x.dtype is tg.bfloat16 and str(x.dtype) == "tinygrad_cnn.bfloat16"
    assert np.array_equal(x.float().numpy(), [1, 3.140625]) and (x + x).dtype is tg.bfloat16


def test_tensors_are_split_into_equal_parts() -> None:
    import tinygrad_cnn as tg

    x = tg.arange(16.0).reshape(2, 2, 4)
    assert [p.shape for p in tg.vsplit(x, 2)] == [(1, 2, 4)] * 2 and [p.shape for p in x.hsplit(2)] == [(2, 1, 4)] * 2
    assert [p.shape for p in tg.dsplit(x, [1, 3])] == [(2, 2, 1), (2, 2, 2), (2, 2, 1)]
    assert tg.hsplit(x.ravel(), 4)[1].tolist() == [4, 5, 6, 7] and tg.vdot(x.ravel(), x.ravel()) == 1240
    for wrong in (lambda: tg.dsplit(x, 3), lambda: tg.dsplit(x[0], 1), lambda: x.hsplit(0)):
        with pytest.raises(ValueError, match="split expected"):
            wrong()
