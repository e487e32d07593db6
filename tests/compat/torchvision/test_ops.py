"""`torchvision.ops` and `torchvision.utils`: torchvision's answers, and naive loops where its own need a GPU."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import tinygrad_cnn as tg
from tests.compat.torchvision import freeze_ops
from tinygrad_cnn.compat.torchvision import ops, utils
from tinygrad_cnn.compat.torchvision.transforms.functional import pil_to_tensor


def test_boxes_losses_grids_and_drawings_are_torchvisions():
    with np.load(freeze_ops.FROZEN) as file:
        frozen = dict(file)
    found = freeze_ops.answers(tg, utils, ops)
    assert found.keys() == frozen.keys()
    for name, wanted in frozen.items():
        assert (found[name].shape, found[name].dtype) == (wanted.shape, wanted.dtype), name
        np.testing.assert_allclose(found[name], wanted, rtol=1e-5, atol=1e-6, err_msg=name)


# --- suppression ------------------------------------------------------------------


def naive_nms(boxes, scores, threshold):
    kept = []
    for k in np.argsort(-scores, kind="stable"):
        iou = (
            ops.box_iou(tg.from_numpy(boxes[[k]]), tg.from_numpy(boxes[kept])).numpy()
            if kept
            else np.zeros(1)
        )
        if (iou <= threshold).all():
            kept.append(int(k))
    return kept


@pytest.mark.parametrize("seed", range(6))
def test_suppression_keeps_what_a_naive_loop_keeps(seed):
    rng = np.random.default_rng(seed)
    boxes, scores = freeze_ops.boxes(tg, seed, 40), tg.from_numpy(rng.random(40).astype(np.float32).round(1))
    for threshold in (0.0, 0.3, 0.7):
        found = ops.nms(boxes, scores, threshold)
        assert found.dtype == tg.int64 and found.tolist() == naive_nms(
            boxes.numpy(), scores.numpy(), threshold
        )
    classes = tg.from_numpy(rng.integers(0, 3, 40))
    kept = ops.batched_nms(boxes, scores, classes, 0.3).tolist()
    alone = [k for c in range(3) for k in np.flatnonzero(classes.numpy() == c)[
        naive_nms(boxes.numpy()[classes.numpy() == c], scores.numpy()[classes.numpy() == c], 0.3)]]  # fmt: skip
    assert sorted(kept) == sorted(alone) and (np.diff(scores.numpy()[kept]) <= 0).all()


def test_suppression_of_nothing_and_of_points():
    assert ops.nms(tg.zeros(0, 4), tg.zeros(0), 0.5).tolist() == []
    assert ops.batched_nms(tg.zeros(0, 4), tg.zeros(0), tg.zeros(0, dtype=tg.int64), 0.5).shape == (0,)
    assert sorted(ops.nms(tg.zeros(3, 4), tg.ones(3), 0.5).tolist()) == [0, 1, 2]


# --- regions ----------------------------------------------------------------------------


def bilinear(plane, y, x):
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = max(y, 0.0), max(x, 0.0)
    y0, x0 = min(int(y), height - 1), min(int(x), width - 1)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    fy, fx = (y - y0 if y1 > y0 else 0.0), (x - x0 if x1 > x0 else 0.0)
    top = plane[y0, x0] * (1 - fx) + plane[y0, x1] * fx
    return top * (1 - fy) + (plane[y1, x0] * (1 - fx) + plane[y1, x1] * fx) * fy


def naive_roi_align(x, rows, size, scale, ratio, aligned):
    out = np.zeros((len(rows), x.shape[1], *size))
    for k, (image, *box) in enumerate(rows):
        x1, y1, x2, y2 = (value * scale - 0.5 * aligned for value in box)
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        step_y, step_x = height / size[0], width / size[1]
        count_y = ratio if ratio > 0 else int(np.ceil(step_y))
        count_x = ratio if ratio > 0 else int(np.ceil(step_x))
        for c in range(x.shape[1]):
            for i in range(size[0]):
                for j in range(size[1]):
                    found = [
                        bilinear(x[int(image), c], y1 + i * step_y + (a + 0.5) * step_y / count_y,
                                 x1 + j * step_x + (b + 0.5) * step_x / count_x)
                        for a in range(count_y) for b in range(count_x)
                    ]  # fmt: skip
                    out[k, c, i, j] = sum(found) / max(count_y * count_x, 1)
    return out


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [2, -1])
def test_roi_align_is_the_average_of_bilinear_samples(aligned, ratio):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, 2, 9, 11))
    rows = np.array(
        [[2, 1.3, 2.2, 15.7, 9.1], [0, -6.0, 0.0, 4.0, 25.0], [0, 3.0, 3.0, 3.5, 3.5], [2, 18, 16, 30, 19]]
    )
    found = ops.roi_align(tg.from_numpy(x), tg.from_numpy(rows), (3, 2), 0.5, ratio, aligned)
    np.testing.assert_allclose(
        found.numpy(), naive_roi_align(x, rows, (3, 2), 0.5, ratio, aligned), atol=1e-12
    )


def test_roi_align_passes_gradients_and_takes_lists():
    x = tg.randn(2, 2, 6, 6, dtype=tg.float64, requires_grad=True)
    lists = [tg.tensor([[0.5, 1.0, 4.0, 5.0]]), tg.tensor([[1.0, 0.0, 3.0, 3.0], [2.0, 2.0, 5.0, 5.5]])]
    layer = ops.RoIAlign((2, 2), 1.0, 2)
    assert tg.autograd.gradcheck(lambda x: layer(x, lists), (x,))
    rows = tg.cat([tg.tensor([[0.0], [1.0], [1.0]]), tg.cat(lists)], 1)
    assert (layer(x, lists) == layer(x, rows)).all()
    assert layer(x, tg.zeros(0, 5)).shape == (0, 2, 2, 2)


def test_overlaps_and_losses_pass_gradients():
    some, others = freeze_ops.boxes(tg).double().requires_grad_(), freeze_ops.boxes(tg, 1, 4).double()
    assert tg.autograd.gradcheck(lambda a: ops.generalized_box_iou(a, others), (some,))
    logits, targets = (
        tg.randn(6, dtype=tg.float64, requires_grad=True),
        tg.tensor([0.0, 1, 0, 1, 1, 0]).double(),
    )
    assert tg.autograd.gradcheck(lambda a: ops.sigmoid_focal_loss(a, targets), (logits,))


# --- parts of networks --------------------------------------------------------------------


def test_stochastic_depth_drops_rows_or_all_and_keeps_the_mean():
    tg.manual_seed(0)
    x = tg.ones(4000, 2)
    rows = ops.stochastic_depth(x, 0.25, "row")
    assert (rows[:, 0] == rows[:, 1]).all() and {round(v, 4) for v in np.unique(rows.numpy()).tolist()} == {
        0.0,
        1.3333,
    }
    assert rows.mean().item() == pytest.approx(1, abs=0.03)
    assert len(np.unique(ops.stochastic_depth(x, 0.5, "batch").numpy())) == 1
    assert ops.StochasticDepth(0.5, "row").eval()(x) is x
    with pytest.raises(ValueError, match="expected mode 'batch' or 'row'"):
        ops.stochastic_depth(x, 0.5, "all")


def test_frozen_normalisation_is_batch_normalisation_at_rest():
    tg.manual_seed(0)
    norm, frozen = tg.nn.BatchNorm2d(3), ops.FrozenBatchNorm2d(3)
    x = tg.randn(4, 3, 5, 5)
    norm(x * 3 + 1)
    frozen.load_state_dict(norm.state_dict())
    np.testing.assert_allclose(frozen(x).numpy(), norm.eval()(x).detach().numpy(), atol=1e-5)
    assert not list(frozen.parameters()) and repr(frozen) == "FrozenBatchNorm2d(3, eps=1e-05)"


def test_parts_are_built_as_their_arguments_say():
    part = ops.Conv2dNormActivation(3, 8, kernel_size=(3, 5), dilation=2, groups=1)
    assert part[0].padding == (2, 4) and part[0].bias is None and part[2].inplace and part.out_channels == 8
    plain = ops.Conv2dNormActivation(3, 8, norm_layer=None, activation_layer=None)
    assert len(plain) == 1 and plain[0].bias is not None and plain[0].padding == (1, 1)
    assert ops.Conv3dNormActivation(1, 2)(tg.randn(2, 1, 3, 4, 5)).shape == (2, 2, 3, 4, 5)
    assert [type(layer).__name__ for layer in ops.MLP(4, [5, 6], tg.nn.LayerNorm)] == [
        "Linear", "LayerNorm", "ReLU", "Dropout", "Linear", "Dropout",
    ]  # fmt: skip
    assert ops.SqueezeExcitation(4, 2)(tg.randn(2, 4, 3, 3)).shape == (2, 4, 3, 3)
    assert ops.Permute([0, 2, 1])(tg.zeros(1, 2, 3)).shape == (1, 3, 2)


# --- files -----------------------------------------------------------------------------------


def test_saved_images_are_read_back(tmp_path):
    x = tg.rand(3, 5, 6)
    utils.save_image(x, tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as image:
        assert np.abs(pil_to_tensor(image).numpy() - 255 * x.numpy()).max() <= 0.5 + 1e-4
    utils.save_image(tg.rand(5, 1, 4, 4), str(tmp_path / "many.png"), nrow=2, padding=1)
    with Image.open(tmp_path / "many.png") as image:
        assert image.size == (11, 16)


def test_labels_are_written_into_boxes():
    image, boxes = tg.zeros(3, 40, 60, dtype=tg.uint8), tg.tensor([[2.0, 2.0, 50.0, 30.0]])
    plain = utils.draw_bounding_boxes(image, boxes, colors="white")
    named = utils.draw_bounding_boxes(image, boxes, labels=["cat"], colors="white", label_colors="red")
    assert (plain != named).any() and (named[1] == plain[1])[30:].all()
    filled = utils.draw_bounding_boxes(image, boxes, labels=["cat"], colors="white", fill_labels=True)
    assert (filled != named).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ops.nms(tg.zeros(3, 5), tg.zeros(3), 0.5), r"expected boxes \(N, 4\), got \(3, 5\)"),
        (lambda: ops.nms(tg.zeros(3, 4), tg.zeros(2), 0.5), "a score for each of 3 boxes"),
        (lambda: ops.box_convert(tg.zeros(1, 4), "xyxy", "x"), "expected xyxy, xywh or cxcywh, got 'x'"),
        (
            lambda: ops.roi_align(tg.zeros(1, 1, 4, 4), tg.tensor([[3.0, 0, 0, 1, 1]]), 2),
            "outside of a batch of 1",
        ),
        (lambda: ops.roi_align(tg.zeros(1, 1, 4, 4), [], 2), "one for each image"),
        (lambda: utils.make_grid("x"), "expected a tensor or a list of tensors, got str"),
        (
            lambda: utils.draw_bounding_boxes(tg.zeros(2, 3, 4, 4), tg.zeros(1, 4)),
            "expected one image of 1 or 3",
        ),
        (lambda: utils.draw_bounding_boxes(tg.zeros(3, 4, 4), tg.tensor([[3.0, 0, 1, 1]])), "with x1 <= x2"),
        (lambda: utils.draw_segmentation_masks(tg.zeros(3, 4, 4), tg.zeros(4, 4)), "of bools, got"),
    ],
)
def test_errors_say_what_was_expected(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()
