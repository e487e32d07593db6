"""Where torchvision is installed, networks that are not here come from its own files, on this engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.conftest import Run

FILES = {
    "__init__.py": "raise RuntimeError('the installed package itself is not imported')",
    "models/__init__.py": "raise RuntimeError('nor is its list of networks')",
    "models/_api.py": """
names = []
def register(f):
    assert f.__name__ not in names
    names.append(f.__name__)
    return f
""",
    "models/toy.py": """
import torch
from torch import nn
from ..ops.misc import Conv2dNormActivation
from ..utils import _log_api_usage_once
from ._api import register
__all__ = ["Toy", "toy_small"]
class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        _log_api_usage_once(self)
        self.part = Conv2dNormActivation(1, 2)
    def forward(self, x):
        return self.part(x)
@register
def toy_small():
    return Toy()
hidden = 3
""",
    "models/resnet.py": """
from ._api import register
__all__ = ["resnet18", "resnet999"]
def resnet18():
    raise RuntimeError("ours comes first")
@register
def resnet999():
    return "theirs"
""",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder in which a torchvision is installed."""
    for name, text in FILES.items():
        path = tmp_path / "site" / "torchvision" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "site"


def test_its_networks_run_and_ours_come_first(run: Run, site: Path) -> None:
    done = run(f"""
        import sys
        sys.path.append({str(site)!r})
        import torch, torchvision, tinygrad_cnn
        from torchvision.models import resnet18, resnet999, toy_small
        from torchvision.models.toy import Toy, hidden
        from torchvision.models.resnet import resnet999 as again
        import torchvision.models.toy
        assert resnet18 is tinygrad_cnn.models.resnet18 and again is resnet999 and torchvision.models.toy.Toy is Toy
        net = toy_small()
        assert type(net) is Toy and isinstance(net, tinygrad_cnn.nn.Module)
        net(torch.ones(1, 1, 4, 4)).sum().backward()
        print(net.part[0].weight.grad.shape, resnet999(), hidden)
    """)
    assert done.out == "torch.Size([2, 1, 3, 3]) theirs 3\n", done.err


def test_what_neither_has_is_missing(run: Run, site: Path) -> None:
    for name in ("models.nothing", "datasets.Toy", "nothing"):
        done = run(f"import sys; sys.path.append({str(site)!r}); import torchvision; torchvision.{name}")
        assert done.status == 1 and f"torchvision.{name} is not in tinygrad_cnn" in done.err
