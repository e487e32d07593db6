"""Segmenters answer for every pixel, the detector finds what it was shown, and each way to upsample is what it says."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.datasets import ScatteredDigits
from tinygrad_cnn.models import FCN, UPSAMPLINGS, CenterNet, UNet
from tinygrad_cnn.models.dense import _Upsample
from tinygrad_cnn.optim import Adam

F = tg.nn.functional


@pytest.mark.parametrize("build", [*[lambda u=u: UNet(upsampling=u) for u in UPSAMPLINGS], FCN, CenterNet])
def test_every_parameter_gets_a_gradient_and_sizes_are_kept(build):
    tg.manual_seed(0)
    model = build()
    scores = model(tg.rand(2, 1, 24, 32))
    assert scores.shape == ((2, 14, 6, 8) if isinstance(model, CenterNet) else (2, 11, 24, 32))
    scores.square().mean().backward()
    assert all(p.grad is not None and np.isfinite(p.grad.numpy()).all() for p in model.parameters())


def test_the_ways_to_upsample():
    x = tg.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    twice = np.kron(x.numpy()[0, 0], np.ones((2, 2)))
    np.testing.assert_array_equal(_Upsample(1, "nearest")(x, None).numpy()[0, 0], twice)
    level = tg.tensor([[[[0.0, 9, 0, 0], [0, 0, 0, 8], [7, 0, 0, 0], [0, 0, 6, 0]]]])
    pooled, places = F.max_pool2d(level, 2, return_indices=True)
    back = _Upsample(1, "unpool")(pooled, places).numpy()[0, 0]
    np.testing.assert_array_equal(back, level.numpy()[0, 0])
    between = _Upsample(1, "bilinear")(x, None).numpy()[0, 0]
    np.testing.assert_allclose(between[0], [1, 1.25, 1.75, 2])
    learned = _Upsample(1, "transposed")
    learned.learned.weight.data.array[:] = 1
    learned.learned.bias.data.array[:] = 0
    np.testing.assert_allclose(learned(x, None).detach().numpy()[0, 0], twice)


def test_an_unknown_upsampling_is_named():
    with pytest.raises(ValueError, match="one of nearest, unpool, bilinear, transposed, got 'cubic'"):
        UNet(upsampling="cubic")
    with pytest.raises(ValueError, match="'unpool' is UNet's"):
        FCN(upsampling="unpool")


def test_the_detector_reads_out_the_boxes_it_was_trained_to_give():
    _images, boxes = ScatteredDigits("detect", count=6).arrays()
    model = CenterNet()
    heat, edges, there = model._wanted(boxes, (16, 16))
    assert there.sum() == (boxes[..., 4] >= 0).sum()
    ideal = np.concatenate([np.where(heat == 1, 5.0, -5.0).astype(np.float32), edges], 1)
    for found, true in zip(model.detect(tg.from_numpy(ideal)), boxes):
        true = true[true[:, 4] >= 0]
        order, wanted = np.lexsort(found.boxes.T[:2]), np.lexsort(true.T[:2])
        np.testing.assert_allclose(found.boxes[order], true[wanted, :4], atol=1e-4)
        np.testing.assert_array_equal(found.labels[order], true[wanted, 4])


def test_the_detectors_loss_is_zhous_focal_loss_and_the_distances_error():
    model = CenterNet(num_classes=2)
    boxes = tg.tensor([[[0.0, 0, 8, 8, 1], [-1, -1, -1, -1, -1]]])
    outputs = tg.zeros(1, 6, 2, 2)
    heat, edges, _there = model._wanted(boxes.numpy(), (2, 2))
    p = 0.5
    positive = -((1 - p) ** 2) * np.log(p)
    negative = -((1 - heat) ** 4 * p**2 * np.log(1 - p))[heat < 1].sum()
    distance = np.abs(edges).sum()
    assert float(model.loss(outputs, boxes)) == pytest.approx(positive + negative + 0.5 * distance, rel=1e-5)


def test_the_detector_learns_two_canvases_by_heart():
    tg.manual_seed(0)
    data = ScatteredDigits("detect", count=2, size=32, most=2)
    images, boxes = (tg.from_numpy(part) for part in data.arrays())
    model = CenterNet(width=16)
    optimizer = Adam(model.parameters(), lr=1e-2)
    losses = []
    for _step in range(40):
        optimizer.zero_grad()
        loss = model.loss(model(images), boxes)
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0] / 10
