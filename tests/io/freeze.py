"""Let PyTorch write the .pt files that the tests read: part of `make oracle`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

FILES = Path(__file__).parent / "pytorch_files"


class Hostile:
    """Runs a command where a pickle of it is loaded."""

    def __reduce__(self) -> Any:
        return os.system, ("echo it ran > ran.txt",)


def main() -> None:
    import torch

    torch.manual_seed(0)
    x = torch.arange(12.0).reshape(3, 4)
    tree = {
        "x": x, "transposed": x.t(), "row": x[1], "every other": x[:, ::2], "again": x,
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "grad": torch.ones(1, requires_grad=True), "expanded": torch.tensor([[7]]).expand(3, 2),
        "scalar": torch.tensor(1.5, dtype=torch.float64), "empty": torch.zeros(0, 3),
        "shape": x.shape, "dtype": torch.float16, "device": torch.device("cpu"),
        "bfloat16": torch.tensor([1.0, -2.5]).bfloat16(),
        **{str(kind): torch.tensor([0, 1], dtype=kind) for kind in KINDS(torch)},
        "plain": [None, True, 1, 2**70, -1.5, "ü", b"\x00\xff", (1, (2,)), {3}, {"deep": {0: []}}],
    }  # fmt: skip
    FILES.mkdir(exist_ok=True)
    for name, content in {
        "tree": tree,
        "state": torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)).state_dict(),
        "module": torch.nn.Linear(3, 2),
        "hostile": {"weights": x, "more": Hostile()},
    }.items():
        torch.save(content, FILES / f"{name}.pt")
        torch.save(content, FILES / f"{name}.legacy.pt", _use_new_zipfile_serialization=False)


def KINDS(torch: Any) -> list[Any]:
    return [
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.uint16,
        torch.bool,
        torch.float16,
    ]


if __name__ == "__main__":
    main()
