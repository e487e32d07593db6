"""grid_sample, affine_grid and gumbel_softmax: values worked out by hand, gradients against differences."""

import numpy as np
import pytest

import tinygrad_cnn as tg
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn.autograd import gradcheck


def _image() -> tg.Tensor:
    return tg.arange(12, dtype=tg.float64).reshape(1, 1, 3, 4)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_the_identity_gives_the_image_itself(align_corners: bool, mode: str) -> None:
    theta = tg.tensor([[[1.0, 0, 0], [0, 1, 0]]], dtype=tg.float64)
    grid = F.affine_grid(theta, (1, 1, 3, 4), align_corners=align_corners)
    found = F.grid_sample(_image(), grid, mode, align_corners=align_corners)
    np.testing.assert_allclose(found.numpy(), _image().numpy(), atol=1e-12)


def test_half_a_pixel_to_the_right_is_the_mean_of_two() -> None:
    theta = tg.tensor([[[1.0, 0, 1 / 4], [0, 1, 0]]], dtype=tg.float64)
    grid = F.affine_grid(theta, (1, 1, 3, 4), align_corners=False)
    zeros = F.grid_sample(_image(), grid, align_corners=False)[0, 0, 0]
    border = F.grid_sample(_image(), grid, padding_mode="border", align_corners=False)[0, 0, 0]
    np.testing.assert_allclose(zeros.numpy(), [0.5, 1.5, 2.5, 1.5])
    np.testing.assert_allclose(border.numpy(), [0.5, 1.5, 2.5, 3])


def test_reflection_comes_back_from_the_edges() -> None:
    x = 2 * tg.tensor([-1.0, 0, 1, 2, 3, 4, 5, 6], dtype=tg.float64) / 3 - 1
    grid = tg.stack([x, 0 * x - 1], -1).reshape(1, 1, 8, 2)
    found = F.grid_sample(_image(), grid, padding_mode="reflection", align_corners=True)
    np.testing.assert_allclose(found[0, 0, 0].numpy(), [1, 0, 1, 2, 3, 2, 1, 0], atol=1e-12)


@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
def test_gradients_reach_image_and_positions(padding_mode: str) -> None:
    rng = np.random.default_rng(3)
    image = tg.tensor(rng.standard_normal((2, 2, 3, 4)), requires_grad=True)
    grid = tg.tensor(rng.uniform(-1.4, 1.4, (2, 3, 2, 2)), requires_grad=True)
    assert gradcheck(lambda x, g: F.grid_sample(x, g, "bilinear", padding_mode, False), (image, grid))


def test_volumes_are_sampled_too() -> None:
    volume = tg.randn(1, 2, 3, 4, 5, dtype=tg.float64)
    theta = tg.eye(3, 4, dtype=tg.float64)[None]
    grid = F.affine_grid(theta, volume.shape, align_corners=False)
    np.testing.assert_allclose(
        F.grid_sample(volume, grid, align_corners=False).numpy(), volume.numpy(), atol=1e-12
    )


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(ValueError, match=r"grid_sample expected input \(N, C, H, W\) with grid"):
        F.grid_sample(_image(), tg.zeros(1, 2, 2, 3))
    with pytest.raises(ValueError, match="mode bilinear or nearest"):
        F.grid_sample(_image(), tg.zeros(1, 2, 2, 2), "linear")
    with pytest.raises(ValueError, match=r"affine_grid expected theta \(N, 2, 3\)"):
        F.affine_grid(tg.zeros(1, 2, 2), (1, 1, 2, 2))


def test_gumbel_softmax_chooses_classes_as_often_as_softmax_says() -> None:
    tg.manual_seed(0)
    p = tg.tensor([0.1, 0.2, 0.7])
    hard = F.gumbel_softmax(p.log().expand(4000, 3), hard=True)
    assert set(hard.numpy().ravel().round(6)) == {0, 1}
    np.testing.assert_allclose(hard.mean(0).numpy(), p.numpy(), atol=0.03)
    logits = tg.zeros(2, 3, requires_grad=True)
    (F.gumbel_softmax(logits, tau=0.5, hard=True) * tg.tensor([1.0, 2, 3])).sum().backward()
    assert (logits.grad != 0).all() and abs(logits.grad.sum().item()) < 1e-6
