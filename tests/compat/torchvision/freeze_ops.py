"""Ask torchvision what its functions on boxes and its drawings give, and freeze the answers.

python -m tests.compat.torchvision.freeze_ops      where torchvision is installed
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

FROZEN = Path(__file__).with_name("ops_answers.npz")


def images(engine: Any) -> tuple[Any, Any]:
    """Five images in [-1, 2], and one of bytes."""
    rng = np.random.default_rng(0)
    several = rng.uniform(-1, 2, (5, 3, 6, 7)).astype(np.float32)
    return engine.from_numpy(several), engine.from_numpy(rng.integers(0, 256, (3, 24, 30), dtype=np.uint8))


def boxes(engine: Any, seed: int = 0, count: int = 6) -> Any:
    """Boxes in an image of 30 × 24."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 14, (count, 2))
    return engine.from_numpy(
        np.concatenate([low, low + rng.uniform(2, 14, (count, 2))], 1).astype(np.float32)
    )


def answers(engine: Any, utils: Any, ops: Any) -> dict[str, np.ndarray]:
    """What each call gives, as arrays."""
    several, one = images(engine)
    some, others = boxes(engine), boxes(engine, 1, 4)
    masks = engine.from_numpy(np.random.default_rng(3).random((2, 24, 30)) < 0.3)
    red, three = (255, 40, 0), ["blue", "#00ff7f", (250, 250, 3)]
    rng = np.random.default_rng(5)
    logits = engine.from_numpy(rng.standard_normal((4, 5)))
    targets = engine.from_numpy((rng.random((4, 5)) < 0.4).astype(np.float64))
    found = {
        "grid": utils.make_grid(several), "grid 2": utils.make_grid(several, nrow=2, padding=1, pad_value=0.5),
        "grid normal": utils.make_grid(several, nrow=3, normalize=True),
        "grid each": utils.make_grid(several, normalize=True, scale_each=True),
        "grid range": utils.make_grid(several, normalize=True, value_range=(0, 1)),
        "grid one": utils.make_grid(several[0]), "grid grey": utils.make_grid(several[:, :1], nrow=2),
        "grid list": utils.make_grid([several[0], several[1]]), "grid flat": utils.make_grid(several[0, 0]),
        "boxes": utils.draw_bounding_boxes(one, some[:3], colors=three, width=2),
        "boxes filled": utils.draw_bounding_boxes(one, some[:2], colors=red, fill=True),
        "boxes float": utils.draw_bounding_boxes(one / 255, some[:2], colors="white"),
        "boxes grey": utils.draw_bounding_boxes(one[:1], some[:2], colors=red),
        "masks": utils.draw_segmentation_masks(one, masks, colors=three[:2], alpha=0.6),
        "masks float": utils.draw_segmentation_masks(one / 255, masks[0], colors=red),
        "area": ops.box_area(some), "iou": ops.box_iou(some, others), "giou": ops.generalized_box_iou(some, others),
        **{f"{a} to {b}": ops.box_convert(some, a, b) for a in ("xyxy", "xywh", "cxcywh")
           for b in ("xyxy", "xywh", "cxcywh")},
        "clipped": ops.clip_boxes_to_image(some * 2 - 9, (24, 30)), "large": ops.remove_small_boxes(some, 6.0),
        "around": ops.masks_to_boxes(masks),
        "focal": ops.sigmoid_focal_loss(logits, targets),
        "focal mean": ops.sigmoid_focal_loss(logits, targets, 0.6, 1.5, "mean"),
        "focal plain": ops.sigmoid_focal_loss(logits, targets, -1, 3, "sum"),
    }  # fmt: skip
    return {name: np.asarray(value.detach().numpy()) for name, value in found.items()}


def main() -> None:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

    found = answers(torch, torchvision.utils, torchvision.ops)
    np.savez_compressed(FROZEN, **found)
    print(f"{FROZEN.name}: {len(found)} answers of torchvision {torchvision.__version__}")


if __name__ == "__main__":
    main()
