"""Boxes as rows of four numbers, x₁, y₁, x₂, y₂ unless said otherwise: areas, overlaps, and which to keep.

Areas and overlaps pass gradients on; what chooses boxes gives their positions, int64.
"""

from __future__ import annotations

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn.autograd.annotations import Tensor

__all__ = [
    "batched_nms", "box_area", "box_convert", "box_iou", "clip_boxes_to_image", "generalized_box_iou", "masks_to_boxes",
    "nms", "remove_small_boxes",
]  # fmt: skip


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The boxes (N, 4) to keep, best scores (N,) first: none that overlaps a better one by more than the threshold.

    Returns their positions. Raises ValueError for other shapes.
    """
    _check(boxes, "nms")
    if scores.ndim != 1 or scores.shape[0] != boxes.shape[0]:
        raise ValueError(
            f"nms expected a score for each of {boxes.shape[0]} boxes, got {tuple(scores.shape)}"
        )
    return tg.from_numpy(_kept(boxes.detach().numpy(), scores.detach().numpy(), float(iou_threshold)))


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """`nms` within each class that `idxs` (N,) names: boxes of different classes do not suppress each other."""
    _check(boxes, "batched_nms")
    places, values, classes = boxes.detach().numpy(), scores.detach().numpy(), idxs.detach().numpy()
    kept = [np.zeros(0, np.int64)]
    for one in np.unique(classes):
        members = np.flatnonzero(classes == one)
        kept.append(members[_kept(places[members], values[members], float(iou_threshold))])
    found = np.concatenate(kept)
    return tg.from_numpy(found[np.argsort(-values[found], kind="stable")])


def box_area(boxes: Tensor, fmt: str = "xyxy") -> Tensor:
    """(N,): width times height."""
    _check(boxes, "box_area")
    if fmt not in ("xyxy", "xywh", "cxcywh"):
        raise ValueError(f"box_area expected fmt xyxy, xywh or cxcywh, got {fmt!r}")
    x, y, u, v = boxes.unbind(-1)
    return (u - x) * (v - y) if fmt == "xyxy" else u * v


def box_iou(boxes1: Tensor, boxes2: Tensor, fmt: str = "xyxy") -> Tensor:
    """(N, M): the area that a box of each shares, divided by the area that they cover together."""
    one, two = (box_convert(boxes, fmt, "xyxy") for boxes in (boxes1, boxes2))
    shared, covered = _overlaps(one, two)
    return shared / covered


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """(N, M): `box_iou` less the part of their common frame that neither covers (Rezatofighi et al. 2019)."""
    shared, covered = _overlaps(boxes1, boxes2)
    low = tg.minimum(boxes1[:, None, :2], boxes2[None, :, :2])
    high = tg.maximum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    frame = (high - low).clamp(min=0).prod(-1)
    return shared / covered - (frame - covered) / frame


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes (…, 4) in another form.

    xyxy are two corners, xywh a corner with width and height, cxcywh the centre with width and height. Raises
    ValueError for other forms.
    """
    for fmt in (in_fmt, out_fmt):
        if fmt not in ("xyxy", "xywh", "cxcywh"):
            raise ValueError(f"box_convert expected xyxy, xywh or cxcywh, got {fmt!r}")
    if in_fmt == out_fmt:
        return boxes.clone()
    a, b, c, d = boxes.unbind(-1)
    if in_fmt == "xywh":
        corners = (a, b, a + c, b + d)
    elif in_fmt == "cxcywh":
        corners = (a - 0.5 * c, b - 0.5 * d, a + 0.5 * c, b + 0.5 * d)
    else:
        corners = (a, b, c, d)
    x, y, u, v = corners
    if out_fmt == "xywh":
        corners = (x, y, u - x, v - y)
    elif out_fmt == "cxcywh":
        corners = ((x + u) / 2, (y + v) / 2, u - x, v - y)
    return tg.stack(corners, -1)


def clip_boxes_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes (…, 4) cut at the edges of an image of `size` (height, width)."""
    height, width = size
    x, y, u, v = boxes.unbind(-1)
    return tg.stack([x.clamp(0, width), y.clamp(0, height), u.clamp(0, width), v.clamp(0, height)], -1)


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """The positions of boxes (N, 4) of which both sides are `min_size` or more."""
    places = boxes.detach().numpy()
    large = ((places[:, 2:] - places[:, :2]) >= min_size).all(1)
    return tg.from_numpy(np.flatnonzero(large))


def masks_to_boxes(masks: Tensor) -> Tensor:
    """(N, 4): for each mask (N, H, W) the least box around what is not zero, in float32."""
    found = np.zeros((int(masks.shape[0]), 4), np.float32)
    for k, mask in enumerate(masks.detach().numpy()):
        rows, columns = np.nonzero(mask)
        if rows.size:
            found[k] = columns.min(), rows.min(), columns.max(), rows.max()
    return tg.from_numpy(found)


def _check(boxes: Tensor, name: str) -> None:
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name} expected boxes (N, 4), got {tuple(boxes.shape)}")


def _kept(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    order = np.argsort(-scores, kind="stable")
    x1, y1, x2, y2 = boxes.T
    area = (x2 - x1) * (y2 - y1)
    kept = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        width = np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest])
        height = np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        with np.errstate(invalid="ignore"):  # two boxes without area: neither suppresses the other
            order = rest[~(shared / (area[best] + area[rest] - shared) > threshold)]
    return np.array(kept, np.int64)


def _overlaps(one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
    """The shared areas (N, M), and those that the boxes cover together."""
    _check(one, "box_iou")
    _check(two, "box_iou")
    low = tg.maximum(one[:, None, :2], two[None, :, :2])
    high = tg.minimum(one[:, None, 2:], two[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    return shared, box_area(one)[:, None] + box_area(two) - shared
