"""Asks scikit-learn once for the metrics of a few random problems, and freezes its answers beside this file.

    pip install scikit-learn && python tests/training/freeze_metrics.py
"""

import json
from pathlib import Path

import numpy as np
from sklearn import metrics as sk


def problem(seed, n, classes, missing=()):
    """Scores (n, classes) that know something of the classes (n,); some classes never occur."""
    rng = np.random.default_rng(seed)
    there = [c for c in range(classes) if c not in missing]
    y = rng.choice(there, n)
    scores = rng.standard_normal((n, classes)).round(2)
    scores[np.arange(n), y] += 1
    if missing:
        scores[:, list(missing)] -= 100
    return scores, y


def answers():
    found = {}
    for seed, n, classes, missing in [(0, 60, 4, ()), (1, 35, 3, ()), (2, 50, 5, (2,))]:
        scores, y = problem(seed, n, classes, missing)
        said = scores.argmax(1)
        p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        case = {"n": n, "classes": classes, "missing": missing, "mean_iou": sk.jaccard_score(y, said, average="macro")}
        for average in ("macro", "weighted", "micro"):
            options = dict(average=average, zero_division=0)
            case[average] = [f(y, said, **options) for f in (sk.precision_score, sk.recall_score, sk.f1_score)]
        case["top_2"] = sk.top_k_accuracy_score(y, scores, k=2, labels=range(classes))
        if not missing:
            case["auc"] = sk.roc_auc_score(y, p, multi_class="ovr", average="macro")
        found[str(seed)] = case
    rng = np.random.default_rng(9)
    y = rng.integers(0, 2, 80)
    logits = (rng.standard_normal(80) + y - 0.5).round(1)  # rounded, so that there are ties
    said = logits > 0
    found["binary"] = {
        "auc": sk.roc_auc_score(y, logits), "accuracy": sk.accuracy_score(y, said),
        "precision": sk.precision_score(y, said), "recall": sk.recall_score(y, said), "f1": sk.f1_score(y, said),
    }  # fmt: skip
    return {"scikit-learn": __import__("sklearn").__version__, **found}


if __name__ == "__main__":
    Path(__file__).with_name("scikit_learn.json").write_text(json.dumps(answers(), indent=1) + "\n")
