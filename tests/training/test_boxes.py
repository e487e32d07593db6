"""Average precision is COCO's, mean IoU is torchmetrics'."""

import json

import numpy as np
import pytest

from tests.training.freeze_boxes import ANSWERS, boxes, masks
from tinygrad_cnn.training import average_precision, box_iou, class_iou, confusion_matrix

answers = json.loads(ANSWERS.read_text())


@pytest.mark.parametrize("seed", answers["ap"])
@pytest.mark.parametrize("iou", ["0.5", "0.75"])
def test_average_precision_is_cocos(seed, iou):
    assert average_precision(*boxes(int(seed)), float(iou)) == pytest.approx(answers["ap"][seed][iou], abs=1e-9)


def test_mean_iou_is_torchmetrics():
    said, target = masks()
    assert np.nanmean(class_iou(confusion_matrix(target, said, 5))) == pytest.approx(answers["mean_iou"], abs=1e-6)
    assert np.isnan(class_iou(np.diag([3, 0, 2]))).tolist() == [False, True, False]


def test_box_iou_by_hand():
    found = box_iou([[0, 0, 2, 2], [0, 0, 0, 0]], [[1, 1, 3, 3], [0, 0, 2, 2], [5, 5, 6, 6]])
    np.testing.assert_allclose(found, [[1 / 7, 1, 0], [0, 0, 0]])


def test_perfect_none_and_nothing_to_find():
    true = [([[0, 0, 2, 2]], [1]), (np.zeros((0, 4)), [])]
    assert average_precision([([[0, 0, 2, 2]], [0.3], [1]), (np.zeros((0, 4)), [], [])], true) == 1
    assert average_precision([(np.zeros((0, 4)), [], [])] * 2, true) == 0
    assert np.isnan(average_precision([([[0, 0, 2, 2]], [0.3], [1])], [(np.zeros((0, 4)), [])]))
    with pytest.raises(ValueError, match="got 0 found and 2 true"):
        average_precision([], true)
