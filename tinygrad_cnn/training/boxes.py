"""Boxes: how much two overlap, and the average precision of a detector as COCO measures it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["average_precision", "box_iou"]

Floats: TypeAlias = npt.NDArray[np.floating]
#: Recalls at which COCO reads the precision.
_RECALLS = np.linspace(0, 1, 101)


def box_iou(boxes1: npt.ArrayLike, boxes2: npt.ArrayLike) -> Floats:
    """Intersection over union of each of `boxes1` (n, 4) with each of `boxes2` (m, 4): (n, m), 0 for empty boxes.

    A box is (left, top, right, bottom).
    """
    a, b = (np.asarray(boxes, np.float64).reshape(-1, 4) for boxes in (boxes1, boxes2))
    sides = np.minimum(a[:, None, 2:], b[:, 2:]) - np.maximum(a[:, None, :2], b[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=2)
    area_a, area_b = (np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (a, b))
    union = area_a[:, None] + area_b - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def average_precision(
    found: Sequence[tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]],
    true: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]], iou: float = 0.5,
) -> float:  # fmt: skip
    """The mean over the classes of the average precision at one IoU, as COCO's AP50 for 0.5.

    Of each class the detections of all images are taken surest first; each is right when it overlaps a true box of
    its class
    and image, that no surer one has taken, by `iou` or more. The precision, made to fall only, is read at 101 recalls.

    Args:
        found: for each image (boxes (n, 4), scores (n,), labels (n,))
        true: for each image (boxes (m, 4), labels (m,))
        iou: the overlap from which on a detection is right

    Returns:
        from 0 to 1; NaN where there is no true box

    Raises:
        ValueError: for different numbers of images
    """
    if len(found) != len(true):
        raise ValueError(f"average_precision expected the same images, got {len(found)} found and {len(true)} true")
    answers = [tuple(np.asarray(part) for part in image) for image in found]
    wanted = [tuple(np.asarray(part) for part in image) for image in true]
    classes = sorted({int(label) for _boxes, labels in wanted for label in labels})
    values = [_of_class(answers, wanted, label, iou) for label in classes]
    return float(np.mean(values)) if values else float("nan")


def _of_class(
    found: Sequence[tuple[Floats, ...]], true: Sequence[tuple[Floats, ...]], label: int, iou: float
) -> float:
    scores: list[float] = []
    right: list[bool] = []
    count = 0
    for (boxes, all_scores, labels), (true_boxes, true_labels) in zip(found, true):
        mine = labels == label
        order = np.argsort(-all_scores[mine], kind="stable")
        targets = true_boxes.reshape(-1, 4)[true_labels == label]
        overlap = box_iou(boxes.reshape(-1, 4)[mine][order], targets)
        free = np.ones(len(targets), bool)
        for row in overlap:
            best = int(np.argmax(np.where(free, row, -1))) if free.any() else -1
            # COCO's own margin: an overlap of exactly `iou` counts.
            hit = best >= 0 and row[best] >= min(iou, 1 - 1e-10)
            if hit:
                free[best] = False
            right.append(bool(hit))
        scores += all_scores[mine][order].tolist()
        count += len(targets)
    order = np.argsort(-np.asarray(scores), kind="mergesort")
    hits = np.cumsum(np.asarray(right, float)[order])
    precision = hits / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(hits / count, _RECALLS, side="left")
    return float(np.where(place < len(hits), np.append(falling, 0)[np.minimum(place, len(hits))], 0).mean())
