"""What a classifier's answers are worth, from plain arrays or tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap

__all__ = ["accuracy", "class_iou", "class_report", "confusion_matrix", "top_k_accuracy"]

Array = np.ndarray[Any, Any]


def accuracy(scores: Any, targets: Any) -> float:
    """The share of samples whose largest score (N, C) is at the target (N,). NaN for no samples."""
    s, t = _pair(scores, targets)
    return float(np.mean(s.argmax(1) == t)) if len(t) else float("nan")


def top_k_accuracy(scores: Any, targets: Any, k: int = 5) -> float:
    """The share of samples whose target is among the k largest scores (ties count as larger)."""
    s, t = _pair(scores, targets)
    if not 1 <= k <= s.shape[1]:
        raise ValueError(f"top_k_accuracy expected k from 1 to the {s.shape[1]} classes, got {k}")
    own = s[np.arange(len(t)), t][:, None]
    # Itself is never larger; of equal scores, count those with a smaller index, as argmax does.
    before = (s > own) | ((s == own) & (np.arange(s.shape[1]) < t[:, None]))
    return float(np.mean(before.sum(1) < k)) if len(t) else float("nan")


def confusion_matrix(targets: Any, predictions: Any, num_classes: int | None = None) -> Array:
    """(C, C) counts: row = true class, column = predicted class. ValueError for labels outside 0..C-1."""
    t, p = np.asarray(unwrap(targets)).ravel(), np.asarray(unwrap(predictions)).ravel()
    if t.shape != p.shape:
        raise ValueError(
            f"confusion_matrix expected as many predictions as targets, got {p.size} and {t.size}"
        )
    seen = max(int(t.max(initial=-1)), int(p.max(initial=-1))) + 1
    c = seen if num_classes is None else num_classes
    if seen > c or min(t.min(initial=0), p.min(initial=0)) < 0:
        raise ValueError(
            f"confusion_matrix expected labels from 0 to {c - 1}, got {min(t.min(), p.min())} to {seen - 1}"
        )
    return np.bincount(t.astype(np.int64) * c + p.astype(np.int64), minlength=c * c).reshape(c, c)


def class_report(confusion: Any) -> list[dict[str, float]]:
    """Per class: precision, recall, f1 and support, from a confusion matrix; 0 where nothing was predicted."""
    m = np.asarray(unwrap(confusion), np.float64)
    hits, predicted, true = np.diag(m), m.sum(0), m.sum(1)
    precision = np.divide(hits, predicted, out=np.zeros_like(hits), where=predicted > 0)
    recall = np.divide(hits, true, out=np.zeros_like(hits), where=true > 0)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(hits), where=both > 0)
    return [
        {"precision": float(a), "recall": float(b), "f1": float(c), "support": int(d)}
        for a, b, c, d in zip(precision, recall, f1, true)
    ]


def class_iou(confusion: Any) -> Array:
    """Each class's intersection over union, TP / (TP + FP + FN), from a confusion matrix; NaN where a class never
    occurs.

    Their mean without the NaNs is the mean IoU of a segmentation (Jaccard index).
    """
    m = np.asarray(unwrap(confusion), np.float64)
    hits = np.diag(m)
    union = m.sum(0) + m.sum(1) - hits
    return np.divide(hits, union, out=np.full_like(hits, np.nan), where=union > 0)


def _pair(scores: Any, targets: Any) -> tuple[Array, Array]:
    s, t = np.asarray(unwrap(scores)), np.asarray(unwrap(targets))
    if s.ndim != 2 or t.shape != s.shape[:1]:
        raise ValueError(f"expected scores (N, C) and targets (N,), got {s.shape} and {t.shape}")
    return s, t
