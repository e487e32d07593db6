"""`torchvision.transforms`: torchvision's answers, and chance that follows its laws and its seed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import tinygrad_cnn as tg
from tests.compat.torchvision import cases
from tinygrad_cnn.compat.torchvision.transforms import functional as F
from tinygrad_cnn.compat.torchvision.transforms import transforms as T
from tinygrad_cnn.compat.torchvision.transforms import v2


@pytest.fixture(scope="module")
def frozen():
    with np.load(cases.FROZEN) as file:
        return dict(file)


@pytest.mark.parametrize(("call", "kind"), cases.cases())
def test_a_changed_image_is_torchvisions(call, kind, frozen):
    found, wanted = cases.answer(call, kind, F, tg), frozen[f"{call}/{kind}"]
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    if kind == "float":
        np.testing.assert_allclose(found, wanted, atol=2e-5)
    elif kind == "uint8":  # where the last digit decides between two whole numbers
        assert np.abs(found.astype(int) - wanted).max() <= 1 and (found != wanted).mean() < 0.01
    else:
        np.testing.assert_array_equal(found, wanted)


# --- between kinds of images -----------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "shape", "dtype"),
    [("L", (1, 3, 4), "float32"), ("1", (1, 3, 4), "float32"), ("RGB", (3, 3, 4), "float32"),
     ("RGBA", (4, 3, 4), "float32"), ("I", (1, 3, 4), "int32"), ("F", (1, 3, 4), "float32"),
     ("I;16", (1, 3, 4), "int16")],
)  # fmt: skip
def test_to_tensor_keeps_what_the_mode_holds(mode, shape, dtype):
    image = Image.new(mode, (4, 3), 1 if len(mode) == 1 or mode == "I;16" else (1, 2, 3, 4)[: len(mode)])
    tensor = F.to_tensor(image)
    assert (tuple(tensor.shape), tensor.numpy().dtype) == (shape, dtype)
    if mode == "1":
        assert (tensor == 1).all()


def test_images_survive_the_way_through_tensors():
    for kind in ("RGB", "L", "RGBA"):
        image = cases.image(kind, tg)
        for there in (F.to_tensor, F.pil_to_tensor):
            back = F.to_pil_image(there(image))
            assert back.mode == image.mode and back.tobytes() == image.tobytes()


def test_dtypes_change_with_their_values():
    x = tg.tensor([0, 128, 255], dtype=tg.uint8)
    assert F.convert_image_dtype(x, tg.float32).tolist() == pytest.approx([0, 128 / 255, 1])
    assert F.convert_image_dtype(F.convert_image_dtype(x, tg.float32), tg.uint8).tolist() == [0, 128, 255]
    assert F.convert_image_dtype(x, tg.int16).tolist() == [0, 128 * 128, 255 * 128]
    assert F.convert_image_dtype(F.convert_image_dtype(x, tg.int16), tg.uint8).tolist() == [0, 128, 255]
    with pytest.raises(RuntimeError, match="too few digits"):
        F.convert_image_dtype(tg.ones(1), tg.int32)


def test_gradients_flow_through_transforms_of_tensors():
    x = cases.image("float", tg).requires_grad_()
    T.Compose([T.RandomAffine(10, interpolation=T.InterpolationMode.BILINEAR), T.ColorJitter(0.2, 0.2, 0.2),
               T.GaussianBlur(3), T.Resize(8), T.Normalize([0.5], [0.2])])(x).sum().backward()  # fmt: skip
    assert x.grad.abs().sum() > 0 and np.isfinite(x.grad.numpy()).all()


def test_a_batch_is_changed_as_its_images_are():
    x = tg.stack([cases.image("float", tg), cases.image("float", tg).flip(-1)])
    for change in (lambda y: F.resize(y, [7, 9]), lambda y: F.rotate(y, 30.0), lambda y: F.adjust_hue(y, 0.2),
                   lambda y: F.gaussian_blur(y, 3), lambda y: F.adjust_contrast(y, 2.0)):  # fmt: skip
        np.testing.assert_allclose(change(x).numpy(), tg.stack([change(one) for one in x]).numpy(), atol=1e-6)


# --- chance -----------------------------------------------------------

RANDOM = [
    T.RandomCrop(8, padding=2), T.RandomResizedCrop(9), T.RandomHorizontalFlip(), T.RandomVerticalFlip(),
    T.RandomRotation(40), T.RandomAffine(30, (0.2, 0.2), (0.7, 1.3), (-5, 5, -9, 9)), T.RandomPerspective(),
    T.ColorJitter(0.4, 0.4, 0.4, 0.3), T.RandomGrayscale(0.5), T.GaussianBlur(5), T.RandomInvert(),
    T.RandomPosterize(2), T.RandomSolarize(90), T.RandomAdjustSharpness(3), T.RandomAutocontrast(),
    T.Compose([T.Resize(40), T.RandomEqualize()]),
    T.RandomApply([T.Grayscale(3)]), T.RandomChoice([T.CenterCrop(5), T.CenterCrop(6)]),
    T.RandomOrder([T.Pad(2), T.CenterCrop(9)]),
]  # fmt: skip


@pytest.mark.parametrize("transform", RANDOM, ids=lambda t: type(t).__name__)
def test_equal_seeds_give_equal_images_and_others_others(transform):
    image = cases.image("RGB", tg)

    def several(seed):
        tg.manual_seed(seed)
        return [np.asarray(transform(image)).tobytes() for _ in range(12)]

    assert several(1) == several(1)
    assert len(set(several(1))) > 1


def drawn(count, draw):
    tg.manual_seed(0)
    return np.array([draw() for _ in range(count)], float)


def uniform(values, low, high):
    """Whether the values look uniform between the ends: their range, mean and deviation."""
    width = high - low
    assert low <= values.min() <= low + 0.02 * width and high - 0.02 * width <= values.max() <= high
    assert values.mean() == pytest.approx((low + high) / 2, abs=0.03 * width)
    assert values.std() == pytest.approx(width / 12**0.5, rel=0.05)


def test_crops_lie_everywhere_alike():
    image = Image.new("L", (17, 13))
    places = drawn(2000, lambda: T.RandomCrop.get_params(image, (10, 12))[:2])
    for axis, most in enumerate((3, 5)):
        share = np.bincount(places[:, axis].astype(int)) / 2000
        np.testing.assert_allclose(share, 1 / (most + 1), atol=0.035)


def test_resized_crops_have_uniform_areas_and_uniform_logarithms_of_ratios():
    image = Image.new("L", (2000, 2000))
    windows = drawn(2000, lambda: T.RandomResizedCrop.get_params(image, (0.1, 0.6), (0.5, 2.0)))
    height, width = windows[:, 2], windows[:, 3]
    uniform(height * width / 4e6, 0.0999, 0.6005)
    uniform(np.log(width / height), np.log(0.499), np.log(2.003))
    assert (windows[:, :2] >= 0).all() and (windows[:, 0] + height <= 2000).all()


def test_a_resized_crop_that_never_fits_is_the_middle():
    assert T.RandomResizedCrop.get_params(Image.new("L", (100, 10)), (1, 1), (0.5, 2.0)) == (0, 40, 10, 20)
    assert T.RandomResizedCrop.get_params(Image.new("L", (10, 100)), (1, 1), (0.5, 2.0)) == (40, 0, 20, 10)


def test_angles_shifts_scales_and_shears_are_uniform():
    numbers = drawn(3000, lambda: T.RandomRotation.get_params([-20.0, 50.0]))
    uniform(numbers, -20, 50)
    tg.manual_seed(0)
    found = [
        T.RandomAffine.get_params([0, 90], (0.1, 0.2), (0.5, 2.0), [-3, 3, 5, 6], (1000, 2000))
        for _ in range(3000)
    ]
    for values, ends in (
        ([a for a, _, _, _ in found], (0, 90)), ([t[0] for _, t, _, _ in found], (-100, 100)),
        ([t[1] for _, t, _, _ in found], (-400, 400)), ([s for _, _, s, _ in found], (0.5, 2.0)),
        ([s[0] for *_, s in found], (-3, 3)), ([s[1] for *_, s in found], (5, 6)),
    ):  # fmt: skip
        uniform(np.array(values), *ends)


def test_colours_are_drawn_from_their_ranges_in_every_order():
    jitter = T.ColorJitter(0.4, (0.5, 0.9), 2, 0.1)
    assert (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue) == (
        (0.6, 1.4),
        (0.5, 0.9),
        (0, 3),
        (-0.1, 0.1),
    )
    tg.manual_seed(0)
    found = [
        T.ColorJitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
        for _ in range(3000)
    ]
    for k, ends in enumerate(((0.6, 1.4), (0.5, 0.9), (0, 3), (-0.1, 0.1)), 1):
        uniform(np.array([one[k] for one in found]), *ends)
    assert len({tuple(one[0]) for one in found}) == 24
    assert T.ColorJitter().brightness is None and T.ColorJitter(hue=0.2).contrast is None


def test_probabilities_are_kept():
    image = cases.image("RGB", tg)
    for transform in (T.RandomHorizontalFlip(0.3), T.RandomVerticalFlip(0.3), T.RandomGrayscale(0.3),
                      T.RandomPerspective(p=0.3), T.RandomApply([T.Grayscale(3)], 0.3)):  # fmt: skip
        tg.manual_seed(0)
        changed = sum(transform(image).tobytes() != image.tobytes() for _ in range(1000))
        assert changed == pytest.approx(300, abs=50), transform
    choice = T.RandomChoice([T.CenterCrop(3), T.CenterCrop(4)], p=[3, 1])
    sizes = drawn(1000, lambda: choice(image).size[0])
    assert (sizes == 3).mean() == pytest.approx(0.75, abs=0.04)


def test_erased_windows_follow_their_laws():
    large = tg.zeros(1, 2000, 2000)
    found = drawn(2000, lambda: T.RandomErasing.get_params(large, (0.02, 0.2), (0.5, 2.0), [0.0])[:4])
    uniform(found[:, 2] * found[:, 3] / 4e6, 0.0199, 0.2015)
    uniform(np.log(found[:, 2] / found[:, 3]), np.log(0.497), np.log(2.01))
    x = tg.zeros(3, 100, 100)
    tg.manual_seed(0)
    assert sum(bool(T.RandomErasing(0.3, value=1)(x).any()) for _ in range(200)) == pytest.approx(60, abs=20)
    noise = T.RandomErasing(1, (0.5, 0.5), (1, 1), "random")(x)
    inside = noise[noise != 0]
    assert inside.mean().item() == pytest.approx(0, abs=0.02) and inside.std().item() == pytest.approx(
        1, abs=0.02
    )
    assert not x.any()


def test_blurs_and_corners_stay_in_their_ranges():
    uniform(drawn(2000, lambda: T.GaussianBlur.get_params(0.1, 2.0)), 0.1, 2.0)
    found = drawn(3000, lambda: T.RandomPerspective.get_params(2001, 1001, 0.5)[1])
    uniform(found[:, 0, 0], 0, 500)
    uniform(found[:, 2, 1], 750, 1000)


# --- samples, printing, errors -----------------------------------------------------------


def test_all_images_of_a_sample_are_changed_alike():
    tg.manual_seed(3)
    image = cases.image("RGB", tg)
    transform = v2.Compose([v2.RandomResizedCrop(8), v2.RandomRotation(30), v2.RandomHorizontalFlip()])
    first, label, both = transform(image, 7, {"again": image, "name": "x"})
    assert label == 7 and both["name"] == "x"
    assert first.tobytes() == both["again"].tobytes()


def test_v2_has_its_own_names():
    x = v2.Compose([v2.ToImage(), v2.ToDtype(tg.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)])(
        cases.image("RGB", tg)
    )
    assert x.dtype == tg.float32 and -1 <= x.min() < 0 < x.max() <= 1
    assert v2.functional.to_image(cases.pixels("RGB")).dtype == tg.uint8
    assert v2.RGB()(cases.image("L", tg)).mode == "RGB"

    class Doubled(v2.Transform):
        def transform(self, inpt, params):
            return inpt * 2

    assert Doubled()(tg.ones(1, 2, 2)).sum() == 8


def test_they_print_as_in_torchvision():
    shown = {
        T.Resize(256): "Resize(size=256, interpolation=bilinear, max_size=None, antialias=True)",
        T.CenterCrop(224): "CenterCrop(size=(224, 224))",
        T.RandomCrop(32, padding=4): "RandomCrop(size=(32, 32), padding=4)",
        T.RandomHorizontalFlip(): "RandomHorizontalFlip(p=0.5)",
        T.RandomResizedCrop(224): "RandomResizedCrop(size=(224, 224), scale=(0.08, 1.0), ratio=(0.75, 1.3333), "
                                  "interpolation=bilinear, antialias=True)",
        T.ToTensor(): "ToTensor()", T.ToPILImage(): "ToPILImage()",
        T.Normalize((0.1307,), (0.3081,)): "Normalize(mean=(0.1307,), std=(0.3081,))",
        T.RandomRotation(10): "RandomRotation(degrees=[-10.0, 10.0], interpolation=nearest, expand=False, fill=0)",
        T.RandomErasing(): "RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False)",
        T.Compose([T.ToTensor()]): "Compose(\n    ToTensor()\n)",
        T.RandomApply([T.ToTensor()]): "RandomApply(\n    p=0.5\n    ToTensor()\n)",
    }  # fmt: skip
    assert {repr(transform): text for transform, text in shown.items() if repr(transform) != text} == {}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: F.to_tensor("x"), "expected a PIL image or an array, got str"),
        (lambda: F.to_tensor(np.zeros(3)), "got 1 dimensions"),
        (lambda: T.Normalize([0.5], [0.0])(tg.ones(1, 2, 2)), "deviations other than 0"),
        (lambda: T.Normalize([0.5], [0.5])(Image.new("L", (2, 2))), "convert it with ToTensor before"),
        (lambda: T.Normalize([0.5] * 2, [0.5])(tg.ones(3, 2, 2)), "expected 1 or 3 numbers"),
        (lambda: T.RandomCrop(8)(Image.new("L", (4, 4))), "does not fit into an image of 4 × 4"),
        (lambda: T.Resize((1, 2, 3)), "1 or 2 numbers of size"),
        (lambda: T.RandomHorizontalFlip(2), "from 0 to 1, got p=2"),
        (lambda: T.GaussianBlur(4), "odd and above 0"),
        (lambda: T.RandomErasing(1)(Image.new("L", (4, 4))), "put it behind ToTensor"),
        (lambda: T.ColorJitter(hue=0.7), "between -0.5 and 0.5"),
        (lambda: F.pad(Image.new("L", (4, 4)), 1, padding_mode="wrap"), "padding_mode expected constant"),
        (
            lambda: F.resize(tg.ones(1, 4, 4), 2, F.InterpolationMode.LANCZOS),
            "tensors are resized by nearest",
        ),
        (lambda: F.resize(3, 2), "expected a PIL image or a tensor"),
        (lambda: F.to_pil_image(tg.ones(5, 2, 2)), "at most 4 channels, got 5"),
        (lambda: T.RandomRotation(-3), "degrees expected a number from 0 up"),
    ],
)
def test_errors_say_what_was_expected(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()
