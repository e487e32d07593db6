"""Metrics collected batch by batch equal scikit-learn's over all samples (`freeze_metrics` asked it)."""

import json
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.errors import UsageError
from tinygrad_cnn.training import AUC, Accuracy, F1Score, Mean, MeanIoU, Precision, Recall, TopKAccuracy
from tinygrad_cnn.training.metric_objects import make_metrics

FROZEN = json.loads(Path(__file__).with_name("scikit_learn.json").read_text())


def problem(seed, n, classes, missing):
    """The same numbers as in `freeze_metrics`."""
    rng = np.random.default_rng(seed)
    y = rng.choice([c for c in range(classes) if c not in missing], n)
    scores = rng.standard_normal((n, classes)).round(2)
    scores[np.arange(n), y] += 1
    if missing:
        scores[:, list(missing)] -= 100
    return scores, y


def in_batches(metric, scores, y, size=16):
    metric.reset()
    for k in range(0, len(y), size):
        metric.update(tg.tensor(scores[k : k + size]), tg.tensor(y[k : k + size]))
    return metric.result()


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_metrics_of_several_classes_are_scikit_learns(seed):
    case = FROZEN[seed]
    scores, y = problem(int(seed), case["n"], case["classes"], case["missing"])
    for average in ("macro", "weighted", "micro"):
        found = [in_batches(kind(average), scores, y) for kind in (Precision, Recall, F1Score)]
        np.testing.assert_allclose(found, case[average], rtol=1e-12)
    assert in_batches(MeanIoU(), scores, y) == pytest.approx(case["mean_iou"], rel=1e-12)
    assert in_batches(TopKAccuracy(2), scores, y) == pytest.approx(case["top_2"], rel=1e-12)
    if "auc" in case:
        assert in_batches(AUC(), scores, y) == pytest.approx(case["auc"], rel=1e-12)
    one_hot = np.eye(case["classes"])[y]
    assert in_batches(F1Score("macro"), scores, one_hot) == pytest.approx(case["macro"][2], rel=1e-12)


@pytest.mark.parametrize("shape", [(80,), (80, 1), (80, 2)])
def test_metrics_of_two_classes_are_scikit_learns(shape):
    rng = np.random.default_rng(9)
    y = rng.integers(0, 2, 80)
    logits = (rng.standard_normal(80) + y - 0.5).round(1)
    scores = np.stack([np.zeros(80), logits], 1) if shape == (80, 2) else logits.reshape(shape)
    kinds = {"auc": AUC(), "accuracy": Accuracy(), "precision": Precision(), "recall": Recall(), "f1": F1Score()}
    if shape == (80, 2):
        kinds |= {"precision": Precision(1), "recall": Recall(1), "f1": F1Score(1)}
    for name, metric in kinds.items():
        assert in_batches(metric, scores, y) == pytest.approx(FROZEN["binary"][name], rel=1e-12), name


def test_a_segmentation_counts_its_positions():
    scores = np.zeros((1, 2, 2, 2))
    scores[0, 1] = [[1, 1], [-1, -1]]
    targets = np.array([[[1, 0], [0, -100]]])  # the last position is not judged
    assert Accuracy()(scores, targets) == pytest.approx(2 / 3)
    assert MeanIoU()(scores, targets) == pytest.approx((1 / 2 + 1 / 2) / 2)


def test_metrics_by_name_by_function_and_by_mistake():
    assert [m.name for m in make_metrics(["accuracy", "precision", "f1_score", "auc", "mae"])] == [
        "precision", "f1", "auc", "mae",
    ]  # fmt: skip
    assert [m.name for m in make_metrics(["accuracy"], binary=True)] == ["accuracy"]
    largest = Mean(lambda y, t: float(abs(y.numpy() - t.numpy()).max()), "largest")
    assert largest(tg.tensor([1.0, 5.0]), tg.tensor([1.0, 2.0])) == 3.0
    with pytest.raises(UsageError, match=r"unknown metric 'mean_io' \(did you mean 'mean_iou'\?\)"):
        make_metrics("mean_io")
    with pytest.raises(UsageError, match="two metrics have one name"):
        make_metrics([AUC(), "auc"])
    with pytest.raises(UsageError, match=r"'precision' expected class scores .* got outputs \(2, 3\) and targets"):
        Precision()(np.zeros((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="average expected"):
        Precision("mean")


def test_a_metrics_state_goes_on_where_it_stood():
    scores, y = problem(0, 60, 4, ())
    for metric, twin in ((AUC(), AUC()), (F1Score(), F1Score()), (TopKAccuracy(2), TopKAccuracy(2))):
        metric.update(tg.tensor(scores[:30]), tg.tensor(y[:30]))
        twin.load_state_dict(metric.state_dict())
        for m in (metric, twin):
            m.update(tg.tensor(scores[30:]), tg.tensor(y[30:]))
        assert metric.result() == twin.result()
