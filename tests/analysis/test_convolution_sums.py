"""A convolution written out equals the engine's, term by term."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import analysis
from tinygrad_cnn.errors import UsageError
from tinygrad_cnn.nn import functional as F

IMAGE = np.array([[1, 2, 3, 2, 1], [2, 4, 5, 4, 2], [3, 5, 8, 5, 3], [2, 4, 5, 4, 2], [1, 2, 3, 2, 1]])
SOBEL = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]])


def test_the_sobel_example_of_the_notes():
    c = analysis.convolution(IMAGE, SOBEL)
    assert c.output[0].tolist() == [[-13, -16, -13], [0, 0, 0], [13, 16, 13]]
    assert c.entry(0, 0) == "O[0, 0] = 1·1 + 2·2 + 3·1 + 2·0 + 4·0 + 5·0 + 3·(-1) + 5·(-2) + 8·(-1) = -13"
    flipped = analysis.convolution(IMAGE, SOBEL, flip=True)
    assert np.array_equal(flipped.output, -c.output)
    x, w = (tg.tensor(a[None, None] * 1.0) for a in (IMAGE, SOBEL))
    assert np.array_equal(flipped.output[0], F.convolve2d(x, w)[0, 0].numpy())


def test_how_often_each_input_is_used():
    x, w = np.zeros(5), np.ones(3)
    assert analysis.convolution(x, w, padding="valid").uses.tolist() == [1, 2, 3, 2, 1]
    assert analysis.convolution(x, w, padding="same").uses.tolist() == [2, 3, 3, 3, 2]
    assert analysis.convolution(x, w, padding="full").uses.tolist() == [3, 3, 3, 3, 3]
    assert analysis.convolution(np.zeros(6), w, stride=2).uses.tolist() == [1, 1, 2, 1, 1, 0]
    even = analysis.convolution(np.arange(4.0), np.ones(2), padding="same")
    assert even.output.tolist() == [[1, 3, 5, 3]]  # the zero of an even kernel is at the end, as in PyTorch
    assert analysis.convolution(np.arange(3.0), [1, 2, 3], padding="full", flip=True).output[0].tolist() == (
        np.convolve(np.arange(3.0), [1, 2, 3]).tolist()
    )


@pytest.mark.parametrize(
    ("size", "stride", "padding", "dilation"),
    [((5, 6), 1, 0, 1), ((5, 6), 2, 1, 1), ((7, 7), (2, 1), (1, 2), 2), ((9,), 3, 2, 1)],
)
@pytest.mark.parametrize("flip", [False, True])
def test_output_and_the_four_gradients_equal_autograds(size, stride, padding, dilation, flip):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, *size))
    w, b = rng.standard_normal((3, 2, *[3, 2][: len(size)])), rng.standard_normal(3)
    c = analysis.convolution(x, w, b, stride=stride, padding=padding, dilation=dilation, flip=flip)
    tx, tw, tb = (tg.tensor(a, requires_grad=True) for a in (x[None], w, b))
    used = tw.flip(tuple(range(2, w.ndim))) if flip else tw
    conv = F.conv1d if len(size) == 1 else F.conv2d
    y = conv(tx, used, tb, stride=stride, padding=padding, dilation=dilation)
    np.testing.assert_allclose(c.output, y[0].detach().numpy(), rtol=1e-10)
    g = rng.standard_normal(c.output.shape)
    y.backward(tg.tensor(g[None]))
    found = c.gradients(g)
    for name, leaf in (("bias", tb), ("filter", tw), ("input", tx)):
        np.testing.assert_allclose(found[name], leaf.grad.numpy().reshape(found[name].shape), rtol=1e-9, atol=1e-12)
    for of in found:  # each entry's sum, as it is written, ends in the entry
        at = tuple(n - 1 for n in found[of].shape)
        value = found[of][at] if not (flip and of == "filter") else found[of][(*at[:2], *[0] * len(size))]
        assert float(c.gradient_entry(of, g, *at).rpartition("= ")[2]) == pytest.approx(value, rel=1e-4, abs=1e-5)


def test_a_gradient_entry_as_the_notes_write_it():
    x, w = np.arange(1.0, 10).reshape(3, 3), np.array([[1.0, 2], [3, 4]])
    c = analysis.convolution(x, w)
    assert c.gradient_entry("filter", [[1, 2], [3, 4]], 0, 0) == "∂L/∂F[0, 0] = 1·1 + 2·2 + 3·4 + 4·5 = 37"
    assert c.gradient_entry("input", [[1, 2], [3, 4]], 1, 1) == "∂L/∂X[1, 1] = 1·4 + 2·3 + 3·2 + 4·1 = 20"
    assert c.gradient_entry("bias", [[1, 2], [3, 4]], 0) == "∂L/∂B[0] = 1 + 2 + 3 + 4 = 10"


def test_a_one_by_one_convolution_is_a_dense_layer_at_each_pixel():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, 4, 5)), rng.standard_normal((2, 3, 1, 1))
    dense = np.moveaxis(np.moveaxis(x, 0, -1) @ w[:, :, 0, 0].T, -1, 0)
    np.testing.assert_allclose(analysis.convolution(x, w).output, dense)


def test_formulas_with_their_numbers_and_the_notes_alexnet():
    first = analysis.convolution_formulas(224, 11, 3, 96, stride=4)
    assert first.output == (54, 54)  # not 224 / 4 = 56: the last window must fit
    assert analysis.convolution_formulas(224, 11, 3, 96, stride=4, padding=2).output == (55, 55)
    assert first.parameters == 11 * 11 * 3 * 96 + 96 and first.multiply_adds == 11 * 11 * 3 * 96 * 54 * 54
    assert str(first).splitlines()[0] == "output      ⌊(224 + 2·0 − 1·(11 − 1) − 1) / 4⌋ + 1 = 54"
    assert analysis.convolution_formulas(28, 5, 1, 32).parameters == 832
    assert analysis.convolution_formulas(12, 5, 32, 64).parameters == 51_264


def test_what_does_not_fit_is_explained():
    with pytest.raises(UsageError, match=r"got \(4, 4, 3\) and \(2, 3, 3, 3\); channels come first here"):
        analysis.convolution(np.zeros((4, 4, 3)), np.zeros((2, 3, 3, 3)))
    with pytest.raises(UsageError, match="'valid', 'same' or 'full', got 'half'"):
        analysis.convolution(IMAGE, SOBEL, padding="half")
    with pytest.raises(UsageError, match="the kernel .* is larger than the padded input"):
        analysis.convolution(SOBEL, IMAGE)
    with pytest.raises(UsageError, match=r"no entry \(5, 5\) of the output"):
        analysis.convolution(IMAGE, SOBEL).entry(5, 5)
    with pytest.raises(ValueError, match=r"channels come first here, .*: x.permute\(0, 3, 1, 2\)"):
        F.conv2d(tg.zeros(2, 28, 28, 3), tg.zeros(4, 3, 5, 5))
