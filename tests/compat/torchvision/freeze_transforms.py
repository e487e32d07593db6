"""Ask torchvision what its transforms give, and freeze the answers.

    python -m tests.compat.torchvision.freeze_transforms      where torchvision is installed

The wheel's compiled operators need a CUDA build of PyTorch; they are not called here, and only have to be declared.
"""

from __future__ import annotations

import numpy as np

from tests.compat.torchvision import cases


def main() -> None:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision
    from torchvision.transforms import functional

    answers = {f"{call}/{kind}": cases.answer(call, kind, functional, torch) for call, kind in cases.cases()}
    np.savez_compressed(cases.FROZEN, **answers)
    print(f"{cases.FROZEN.name}: {len(answers)} answers of torchvision {torchvision.__version__}")


if __name__ == "__main__":
    main()
