"""`torch.save` and `torch.load` in a served script: PyTorch's form, weights unless the script asks for more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.conftest import Run
from tests.io.freeze import FILES

NET = """
    import argparse, io, torch
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.free = torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.ones(2)
        def forward(self, x):
            return self.norm(self.conv(x))
    net = Net()
    def equal(a, b):
        return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))
"""


def test_a_state_dict_is_written_as_weights_whatever_the_file_is_called(run: Run) -> None:
    done = run(
        NET
        + """
    for place in ("mnist_cnn.pt", "model.tar", io.BytesIO()):
        torch.save(net.state_dict(), place)
        if not isinstance(place, str):
            place.seek(0)
        twin = Net()
        twin.load_state_dict(torch.load(place, map_location="cpu"))
        assert equal(net, twin)
    print("done")
    """
    )
    assert done.out == "done\n" and done.err.count("\n") == 1, done.err
    assert Path("model.tar").read_bytes().startswith(b"PK")


def test_a_whole_module_is_pickled_and_a_line_says_so(run: Run) -> None:
    done = run(
        NET
        + """
    torch.save(net, "net.pt")
    try:
        torch.load("net.pt")
    except RuntimeError as error:
        print(error)
    twin = torch.load("net.pt", weights_only=False)
    assert equal(net, twin) and torch.equal(twin(torch.ones(1, 1, 4, 4)), net(torch.ones(1, 1, 4, 4)))
    """
    )
    assert done.status == 0, done.err
    assert "net.pt holds more than weights: it asks for __main__.Net" in done.out
    assert "If you trust the file and what it runs: torch.load(…, weights_only=False)" in done.out
    said = [line for line in done.err.splitlines() if "pickle" in line]
    assert said == [
        "tinygrad-cnn: torch.save: __main__.Net is more than weights, so net.pt is written by Python's pickle",
        "tinygrad-cnn: torch.load: weights_only=False, so net.pt is read by Python's pickle, which may run any code",
    ]


@pytest.mark.parametrize("form", ["pt", "legacy.pt"])
def test_a_module_that_pytorch_pickled_runs_here(run: Run, form: str) -> None:
    done = run(f"""
        import torch
        layer = torch.load({str(FILES / f"module.{form}")!r}, weights_only=False)
        assert type(layer) is torch.nn.Linear
        print(layer, layer(torch.zeros(1, 3)).shape == (1, 2))
    """)
    assert done.out == "Linear(in_features=3, out_features=2, bias=True) True\n", done.err


def test_classes_that_the_script_calls_safe_are_read(run: Run) -> None:
    done = run(
        NET
        + """
    torch.save({"args": argparse.Namespace(lr=0.1), "net": net.state_dict()}, "a.pt")
    with torch.serialization.safe_globals([argparse.Namespace]):
        found = torch.load("a.pt")
    print(found["args"], len(found["net"]))
    try:
        torch.load("a.pt")
    except RuntimeError:
        print("refused")
    """
    )
    assert done.out == "Namespace(lr=0.1) 7\nrefused\n", done.err


def test_a_hostile_file_runs_nothing(run: Run) -> None:
    done = run(f"import torch; torch.load({str(FILES / 'hostile.pt')!r})")
    assert done.status == 1 and "it asks for posix.system" in done.err.splitlines()[-1]
    assert not Path("ran.txt").exists()
