"""ImageDataGenerator means what Keras's does, and draws the same whatever the number of workers."""

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.datasets.freeze_warp import ANSWERS, MODES, TRANSFORMS, image
from tinygrad_cnn.datasets import Digits, ImageDataGenerator
from tinygrad_cnn.errors import DataError

IMAGES = np.random.default_rng(1).random((12, 3, 8, 10)).astype(np.float32)


@pytest.fixture(scope="module")
def answers():
    with np.load(ANSWERS) as found:
        return dict(found)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_rotation_shift_shear_and_zoom_are_scipys_affine_transform(answers, name, mode):
    generator = ImageDataGenerator(fill_mode=mode, cval=0.25)
    result = generator.apply_transform(image(), TRANSFORMS[name])
    np.testing.assert_allclose(result, answers[f"{name}/{mode}"], atol=1e-12)


def test_whole_shifts_and_right_angles_move_pixels_without_blurring_them():
    square = np.arange(16.0).reshape(1, 4, 4)
    generator = ImageDataGenerator(fill_mode="constant", cval=-1)
    down = generator.apply_transform(square, {"tx": -1})
    np.testing.assert_array_equal(down[0, 1:], square[0, :-1])
    assert (down[0, 0] == -1).all()
    np.testing.assert_allclose(generator.apply_transform(square, {"theta": 90})[0], np.rot90(square[0], -1), atol=1e-12)


def test_flips_brightness_and_channel_shift():
    generator = ImageDataGenerator()
    x = IMAGES[0]
    np.testing.assert_array_equal(generator.apply_transform(x, {"flip_horizontal": True}), x[:, :, ::-1])
    np.testing.assert_array_equal(generator.apply_transform(x, {"flip_vertical": True}), x[:, ::-1])
    np.testing.assert_allclose(generator.apply_transform(x, {"brightness": 1.5}), np.clip(x * 1.5, 0, 1), rtol=1e-6)
    pixels = np.uint8(x * 255)
    np.testing.assert_allclose(
        generator.apply_transform(pixels, {"brightness": 3.0}), np.minimum(pixels * 3.0, 255), rtol=1e-6
    )
    moved = generator.apply_transform(x, {"channel_shift_intensity": 0.2})
    np.testing.assert_allclose(moved, np.clip(x + np.float32(0.2), x.min(), x.max()), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "key", "fits"),
    [
        ({"rotation_range": 30}, "theta", lambda v: -30 <= v <= 30),
        ({"height_shift_range": 0.5}, "tx", lambda v: -4 <= v <= 4),
        ({"width_shift_range": 0.5}, "ty", lambda v: -5 <= v <= 5),
        ({"width_shift_range": 3}, "ty", lambda v: v in (-2, -1, 0, 1, 2)),
        ({"width_shift_range": [1, 4]}, "ty", lambda v: abs(v) in (1, 4)),
        ({"shear_range": 10}, "shear", lambda v: -10 <= v <= 10),
        ({"zoom_range": 0.2}, "zx", lambda v: 0.8 <= v <= 1.2),
        ({"zoom_range": (0.5, 0.6)}, "zy", lambda v: 0.5 <= v <= 0.6),
        ({"brightness_range": (0.3, 0.4)}, "brightness", lambda v: 0.3 <= v <= 0.4),
        ({"channel_shift_range": 0.1}, "channel_shift_intensity", lambda v: -0.1 <= v <= 0.1),
        ({"horizontal_flip": True}, "flip_horizontal", lambda v: v in (True, False)),
    ],
)
def test_a_range_is_what_keras_says_it_is(options, key, fits):
    tg.manual_seed(0)
    generator = ImageDataGenerator(**options)
    drawn = [generator.get_random_transform((1, 8, 10))[key] for _ in range(60)]
    assert all(fits(value) for value in drawn) and len(set(drawn)) > 1


def test_fit_measures_what_centring_then_takes_away():
    generator = ImageDataGenerator(featurewise_center=True, featurewise_std_normalization=True, rescale=2.0)
    with pytest.raises(ValueError, match=r"call fit\(images\) first"):
        generator.standardize(IMAGES[0])
    generator.fit(IMAGES)
    (batch,) = list(generator.flow(IMAGES, batch_size=12, shuffle=False))
    values = batch.numpy()
    assert values.dtype == np.float32
    np.testing.assert_allclose(values.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(values.std((0, 2, 3)), 1, atol=1e-4)


def test_samplewise_centring_leaves_mean_0_and_deviation_1_in_each_image():
    generator = ImageDataGenerator(samplewise_center=True, samplewise_std_normalization=True)
    result = generator.standardize(IMAGES[0])
    assert abs(result.mean()) < 1e-5 and abs(result.std() - 1) < 1e-4


def generator_of_everything(**more):
    return ImageDataGenerator(
        rotation_range=20, width_shift_range=0.2, zoom_range=0.2, horizontal_flip=True, brightness_range=(0.5, 1.5),
        **more,
    )  # fmt: skip


def test_the_same_seed_gives_the_same_batches_whatever_the_number_of_workers():
    targets = np.arange(12)
    runs = []
    for workers in (0, 1, 3):
        loader = generator_of_everything().flow(IMAGES, targets, batch_size=5, seed=4, num_workers=workers)
        runs.append([(x.numpy(), y.numpy()) for _epoch in range(2) for x, y in loader])
    for other in runs[1:]:
        for (a, b), (c, d) in zip(runs[0], other, strict=True):
            np.testing.assert_array_equal(a, c)
            np.testing.assert_array_equal(b, d)
    first, second = runs[0][:3], runs[0][3:]
    assert not np.array_equal(first[0][0], second[0][0])


def test_validation_is_the_first_share_and_is_not_augmented():
    generator = generator_of_everything(validation_split=0.25)
    (held,) = list(generator.flow(IMAGES, batch_size=12, shuffle=False, subset="validation"))
    np.testing.assert_array_equal(held.numpy(), IMAGES[:3])
    assert len(generator.flow(IMAGES, subset="training").dataset) == 9
    with pytest.raises(ValueError, match="needs a validation_split above 0"):
        ImageDataGenerator().flow(IMAGES, subset="training")


def test_it_is_a_transform_of_a_data_set_and_the_augment_of_a_training():
    tg.manual_seed(0)
    generator = generator_of_everything()
    image, _label = Digits(train=False, transform=generator)[0]
    assert image.shape == (1, 28, 28) and image.dtype == np.float32
    batch = generator(tg.from_numpy(IMAGES))
    assert isinstance(batch, tg.Tensor) and batch.shape == IMAGES.shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fill_mode": "mirror"}, "fill_mode expected one of constant, nearest, reflect, wrap, got 'mirror'"),
        ({"zoom_range": 1.5}, "zoom_range expected a zoom above 0"),
        ({"brightness_range": 0.5}, "brightness_range expected two numbers"),
        ({"rotation_range": -1}, "rotation_range expected a number from 0 up, got -1"),
        ({"validation_split": 1}, "validation_split expected a share from 0 to below 1, got 1"),
    ],
)
def test_a_wrong_argument_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        ImageDataGenerator(**options)


def test_channels_last_is_recognised():
    with pytest.raises(ValueError, match=r"got \(8, 8, 3\); the channels come first here"):
        ImageDataGenerator().flow(np.zeros((8, 8, 3)))


# --- from files -----------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    picture = pytest.importorskip("PIL.Image", reason="the extra 'images' is not installed")
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(4):
            picture.fromarray(rng.integers(0, 256, (9, 7, 3), np.uint8)).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_pixels_of_files_are_0_to_255_until_they_are_rescaled(folder):
    options = dict(target_size=(9, 7), shuffle=False, batch_size=8)
    (x, y), = list(ImageDataGenerator().flow_from_directory(folder, **options))
    (scaled, _), = list(ImageDataGenerator(rescale=1 / 255).flow_from_directory(folder, **options))
    assert x.shape == (8, 3, 9, 7) and 200 < float(x.max()) <= 255
    np.testing.assert_allclose(scaled.numpy(), x.numpy() / 255, rtol=1e-6)
    np.testing.assert_array_equal(y.numpy(), np.eye(2)[[0] * 4 + [1] * 4])


@pytest.mark.parametrize(
    ("mode", "dtype", "first"),
    [("sparse", np.int64, 0), ("binary", np.float32, 0.0), ("categorical", np.float32, [1, 0])],
)
def test_class_modes(folder, mode, dtype, first):
    loader = ImageDataGenerator().flow_from_directory(folder, (4, 4), "grayscale", class_mode=mode, shuffle=False)
    x, y = next(iter(loader))
    assert x.shape == (8, 1, 4, 4) and y.numpy().dtype == dtype
    np.testing.assert_array_equal(y.numpy()[0], first)
    assert loader.dataset.class_to_idx == {"cat": 0, "dog": 1}


def test_an_autoencoder_gets_the_transformed_picture_twice(folder):
    loader = generator_of_everything().flow_from_directory(folder, (4, 4), class_mode="input", seed=0)
    x, y = next(iter(loader))
    np.testing.assert_array_equal(x.numpy(), y.numpy())
    alone = next(iter(ImageDataGenerator().flow_from_directory(folder, (4, 4), class_mode=None)))
    assert alone.shape == (8, 3, 4, 4)


def test_a_table_names_files_and_numbers(folder):
    table = folder / "table.csv"
    table.write_text("filename;class;x;y\ncat/0.png;cat;1.5;2\ndog/1.png;dog;-1;0\n")
    generator = ImageDataGenerator()
    x, y = next(iter(generator.flow_from_table(table, target_size=(9, 7), class_mode="sparse", shuffle=False)))
    assert x.shape == (2, 3, 9, 7) and y.tolist() == [0, 1]
    _, y = next(iter(generator.flow_from_table(table, y_col=["x", "y"], class_mode="raw", shuffle=False)))
    assert y.tolist() == [[1.5, 2.0], [-1.0, 0.0]]
    columns = {"filename": ["dog/2.png"], "class": ["dog"]}
    loader = ImageDataGenerator().flow_from_dataframe(columns, folder, target_size=(3, 3), classes=["cat", "dog"])
    assert next(iter(loader))[1].tolist() == [[0.0, 1.0]]


def test_a_worker_reports_the_unreadable_file_by_name(folder):
    (folder / "dog" / "2.png").write_bytes(b"no picture")
    for workers in (0, 2):
        with pytest.raises(DataError, match=r"2\.png cannot be read as an image"):
            list(ImageDataGenerator().flow_from_directory(folder, (4, 4), num_workers=workers))


def test_an_error_in_a_transform_says_which_picture_it_was(folder):
    def fails(_x):
        raise ZeroDivisionError("by a transform")

    loader = ImageDataGenerator(preprocessing_function=fails).flow_from_directory(folder, (4, 4), num_workers=1)
    with pytest.raises(ZeroDivisionError) as caught:
        list(loader)
    assert any(note.startswith("the picture is ") and ".png" in note for note in caught.value.__notes__)
