"""`ImageDataGenerator`: random transforms of images with Keras's names and meanings, and loaders that apply them.

    generator = ImageDataGenerator(rotation_range=10, width_shift_range=0.1, rescale=1 / 255)
    train = generator.flow_from_directory("pictures", target_size=(64, 64), batch_size=32, num_workers=2)
    Trainer(model, optimizer).fit(train, epochs=5)

Read → convert → scale → augment happen in the loader's workers while the network trains. What differs from Keras:
channels
come first, `(C, H, W)`; a loader ends after an epoch; `fit` measures rescaled images, as they are centred afterwards;
images of ``subset="validation"`` are not augmented.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.datasets.image_files import ImageFiles, ImageFolder, ImageTable
from tinygrad_cnn.datasets.warp import FILL_MODES, affine_transform
from tinygrad_cnn.utils.data import DataLoader, default_convert
from tinygrad_cnn.utils.data.randomness import numpy_generator

__all__ = ["ImageDataGenerator"]

Array = npt.NDArray[Any]

_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
_CLASS_MODES = ("categorical", "binary", "sparse", "raw", "input", None)
#: Keras adds it to a standard deviation before it divides.
_EPSILON = 1e-6


class ImageDataGenerator:
    """Random transforms of images (C, H, W), then rescaling and centring.

    Args:
        featurewise_center: subtract the mean of each channel over a data set, which `fit` measures
        samplewise_center: subtract each image's own mean
        featurewise_std_normalization: divide by each channel's standard deviation over a data set
        samplewise_std_normalization: divide by each image's own standard deviation
        rotation_range: rotate by up to so many degrees either way
        width_shift_range: shift columns by up to this share of the width (below 1), by up to so many pixels (from
            1 up; a whole number gives whole pixels), or by one of a list, either way
        height_shift_range: the same for rows
        brightness_range: (lowest, highest) factor of the brightness; the result is clipped to the pixels' range, 0
            to 255 or, for images without a value above 1, 0 to 1
        shear_range: shear by up to so many degrees either way
        zoom_range: (lowest, highest) zoom, of rows and columns apart, where below 1 enlarges; a number z means (1
            - z, 1 + z)
        channel_shift_range: add up to this to each image's values, either way, clipped to the image's own range
        fill_mode: what comes in at the edges: "nearest", "constant" (`cval`), "reflect" or "wrap"
        cval: the value of "constant"
        horizontal_flip: mirror left to right every second time
        vertical_flip: mirror top to bottom every second time
        rescale: a factor for all values, applied behind the random transforms
        preprocessing_function: a function of each image behind the random transforms, before `rescale`
        validation_split: share of the images, of each class's first in a folder, that is ``subset="validation"``

    The generator is also a function of an image (C, H, W) or a batch (N, C, H, W), for a data set's ``transform=`` or a
    training's ``augment=``. Random numbers come from the default generator, which `manual_seed` seeds.

    Raises ValueError for an argument out of its range.
    """

    def __init__(
        self, featurewise_center: bool = False, samplewise_center: bool = False,
        featurewise_std_normalization: bool = False, samplewise_std_normalization: bool = False,
        *, rotation_range: float = 0.0, width_shift_range: float | Sequence[float] = 0.0,
        height_shift_range: float | Sequence[float] = 0.0, brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0, zoom_range: float | Sequence[float] = 0.0, channel_shift_range: float = 0.0,
        fill_mode: str = "nearest", cval: float = 0.0, horizontal_flip: bool = False, vertical_flip: bool = False,
        rescale: float | None = None, preprocessing_function: Callable[[Array], Array] | None = None,
        validation_split: float = 0.0,
    ) -> None:  # fmt: skip
        if fill_mode not in FILL_MODES:
            raise ValueError(f"fill_mode expected one of {', '.join(FILL_MODES)}, got {fill_mode!r}")
        if not 0 <= validation_split < 1:
            raise ValueError(f"validation_split expected a share from 0 to below 1, got {validation_split}")
        for name, amount in (
            ("rotation_range", rotation_range), ("shear_range", shear_range), ("channel_shift_range",
            channel_shift_range),
        ):  # fmt: skip
            if amount < 0:
                raise ValueError(f"{name} expected a number from 0 up, got {amount}")
        self.featurewise_center = featurewise_center
        self.samplewise_center = samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.rotation_range = rotation_range
        self.width_shift_range = width_shift_range
        self.height_shift_range = height_shift_range
        self.brightness_range = None if brightness_range is None else _pair("brightness_range", brightness_range)
        self.shear_range = shear_range
        self.zoom_range = _zoom(zoom_range)
        self.channel_shift_range = channel_shift_range
        self.fill_mode = fill_mode
        self.cval = cval
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        self.rescale = rescale
        self.preprocessing_function = preprocessing_function
        self.validation_split = validation_split
        self.mean: Array | None = None
        self.std: Array | None = None

    # --- loaders -----------------------------------------------------------------------------------

    def flow(
        self, x: Any, y: Any = None, batch_size: int = 32, shuffle: bool = True, seed: int | None = None,
        subset: str | None = None, *, num_workers: int = 0,
    ) -> DataLoader:  # fmt: skip
        """Batches of the images `x` (N, C, H, W), transformed, with their targets `y` where there are any.

        A `seed` decides the order and every transform; otherwise the default generator does. ValueError for images
        of another shape, another number of targets, and a `subset` without `validation_split`.
        """
        images = np.asarray(getattr(x, "array", x))
        if images.ndim != 4:
            raise ValueError(
                f"flow expected images of shape (N, C, H, W), got {images.shape}"
                + ("; the channels come first here" if images.ndim == 3 or images.shape[-1:] in ((1,), (3,)) else "")
            )
        targets = None if y is None else np.asarray(getattr(y, "array", y))
        if targets is not None and targets.shape[:1] != images.shape[:1]:
            raise ValueError(f"flow expected one target per image, got {images.shape} and {targets.shape}")
        held = int(len(images) * self.validation_split)
        chosen = self._chosen(subset, range(held), range(held, len(images)), len(images))
        samples = _Flow(self, lambda i: images[i], None if targets is None else lambda i: targets[i], chosen, subset)
        return _loader(samples, batch_size, shuffle, seed, num_workers)

    def flow_from_directory(
        self, directory: str | os.PathLike[str], target_size: tuple[int, int] = (256, 256), color_mode: str = "rgb",
        classes: Sequence[str] | None = None, class_mode: str | None = "categorical", batch_size: int = 32,
        shuffle: bool = True, seed: int | None = None, subset: str | None = None, *, num_workers: int = 0,
    ) -> DataLoader:  # fmt: skip
        """Batches of the pictures in a folder with a sub-folder per class; their values are 0 to 255 before `rescale`.

        Args:
            directory: see `datasets.ImageFolder`
            target_size: (height, width) that every picture is scaled to
            color_mode: "grayscale", "rgb" or "rgba"
            classes: the class folders to read, in this order; all by name unless given
            class_mode: what the targets are: "categorical" (one-hot, float32), "sparse" (int64), "binary" (0.0 or 1.0),
                "input" (the picture itself), None (batches are pictures alone)
            batch_size: pictures in a batch
            shuffle: a new random order each epoch
            seed: decides the order and every transform
            subset: "training" or "validation", the parts of `validation_split`
            num_workers: threads that read and transform ahead

        Returns:
            a DataLoader whose `dataset` has `classes` and `class_to_idx`

        Raises:
            DataError: for a folder without classes or pictures, and for an unreadable file, by its name
            ValueError: for another color_mode, class_mode or subset
        """
        if class_mode == "raw":
            raise ValueError("class_mode 'raw' takes numbers from a table, and a folder has classes: flow_from_table")
        files = ImageFolder(directory, size=target_size, channels=_channels(color_mode), classes=classes)
        return self._of_files(files, class_mode, batch_size, shuffle, seed, subset, num_workers)

    def flow_from_table(
        self, table: Any, directory: str | os.PathLike[str] | None = None, x_col: str = "filename",
        y_col: str | Sequence[str] = "class", target_size: tuple[int, int] = (256, 256), color_mode: str = "rgb",
        classes: Sequence[str] | None = None, class_mode: str | None = "categorical", batch_size: int = 32,
        shuffle: bool = True, seed: int | None = None, subset: str | None = None, *, num_workers: int = 0,
    ) -> DataLoader:  # fmt: skip
        """Batches of the pictures that a table names: a CSV file, or columns by name (a dict, a pandas DataFrame).

        `directory` is where relative file names start, `x_col` and `y_col` are the headings of the names and the
        labels; ``class_mode="raw"`` takes the numbers of one or several columns as targets. The rest as in
        `flow_from_directory`, the table's errors as in `datasets.ImageTable`.
        """
        headings = x_col if class_mode in ("input", None) else y_col
        files = ImageTable(
            table, directory, x_col, headings, numbers=class_mode == "raw", size=target_size,
            channels=_channels(color_mode), classes=None if class_mode in ("input", None) else classes,
        )  # fmt: skip
        return self._of_files(files, class_mode, batch_size, shuffle, seed, subset, num_workers)

    #: Keras's name.
    flow_from_dataframe = flow_from_table

    # --- one image ---------------------------------------------------------------------------------

    def __call__(self, images: Any) -> Any:
        """`images` (C, H, W) or (N, C, H, W) transformed at random and standardized; a tensor in, a tensor out."""
        array = np.asarray(getattr(images, "array", images))
        if array.ndim not in (3, 4):
            raise ValueError(f"expected an image (C, H, W) or a batch (N, C, H, W), got shape {array.shape}")
        batch = array if array.ndim == 4 else array[None]
        result = np.stack([self.standardize(self.random_transform(image)) for image in batch]).reshape(array.shape)
        return default_convert(result) if hasattr(images, "array") else result

    def get_random_transform(self, img_shape: Sequence[int], seed: int | None = None) -> dict[str, Any]:
        """One draw of what `apply_transform` does to an image of this shape (C, H, W), by Keras's names."""
        rng = np.random.default_rng(seed) if seed is not None else numpy_generator()
        height, width = img_shape[-2:]
        drawn: dict[str, Any] = {
            "theta": _either_way(rng, self.rotation_range),
            "tx": _shift(rng, self.height_shift_range, height),
            "ty": _shift(rng, self.width_shift_range, width),
            "shear": _either_way(rng, self.shear_range),
            "zx": 1.0, "zy": 1.0,
        }  # fmt: skip
        if self.zoom_range != (1.0, 1.0):
            drawn["zx"], drawn["zy"] = (float(z) for z in rng.uniform(*self.zoom_range, 2))
        drawn["flip_horizontal"] = self.horizontal_flip and bool(rng.random() < 0.5)
        drawn["flip_vertical"] = self.vertical_flip and bool(rng.random() < 0.5)
        drawn["channel_shift_intensity"] = _either_way(rng, self.channel_shift_range) or None
        drawn["brightness"] = None if self.brightness_range is None else float(rng.uniform(*self.brightness_range))
        return drawn

    def apply_transform(self, x: Array, transform_parameters: dict[str, Any]) -> Array:
        """The image `x` (C, H, W) moved as the parameters say; those that are missing change nothing.

        theta and shear are degrees, tx rows and ty columns, zx and zy the zoom of rows and columns. A positive
        shift takes each pixel from further down and right. float32 comes out, or float64 where it went in.
        """
        p = transform_parameters
        x = x.astype(np.result_type(x.dtype, np.float32), copy=False)
        matrix, offset = _matrix(p, x.shape[1], x.shape[2])
        if not (np.array_equal(matrix, np.eye(2)) and not offset.any()):
            x = affine_transform(x, matrix, offset, self.fill_mode, self.cval)
        if p.get("channel_shift_intensity") is not None:
            x = np.clip(x + x.dtype.type(p["channel_shift_intensity"]), x.min(), x.max())
        if p.get("flip_horizontal"):
            x = x[:, :, ::-1]
        if p.get("flip_vertical"):
            x = x[:, ::-1]
        if p.get("brightness") is not None:
            x = np.clip(x * x.dtype.type(p["brightness"]), 0, 1 if x.max() <= 1 else 255)
        return np.ascontiguousarray(x)

    def random_transform(self, x: Array, seed: int | None = None) -> Array:
        """`x` (C, H, W), moved at random."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def standardize(self, x: Array) -> Array:
        """The image `x` (C, H, W) preprocessed, rescaled and centred, in this order. ValueError before `fit` was called
        where a data set's mean or deviation is asked for."""
        x = self._rescaled(x)
        if self.samplewise_center:
            x = x - x.mean(dtype=x.dtype)
        if self.samplewise_std_normalization:
            x = x / (x.std(dtype=x.dtype) + x.dtype.type(_EPSILON))
        for wanted, value, name in (
            (self.featurewise_center, self.mean, "featurewise_center"),
            (self.featurewise_std_normalization, self.std, "featurewise_std_normalization"),
        ):
            if wanted and value is None:
                raise ValueError(f"{name} needs the statistics of a data set: call fit(images) first")
        if self.featurewise_center:
            x = x - self.mean
        if self.featurewise_std_normalization:
            x = x / (self.std + x.dtype.type(_EPSILON))
        return x

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Measure each channel's mean and standard deviation on images (N, C, H, W).

        Args:
            x: the images, with the values that `flow` or the files will have; they are rescaled before they are
                measured
            augment: measure transformed images
            rounds: how often each of them is transformed
            seed: decides these transforms

        Raises:
            ValueError: for another shape, and for no image
        """
        images = np.asarray(getattr(x, "array", x))
        if images.ndim != 4 or not len(images):
            raise ValueError(f"fit expected images of shape (N, C, H, W), at least one, got {images.shape}")
        rng = np.random.default_rng(seed)
        total = squares = np.zeros(images.shape[1])
        count = 0
        for _round in range(rounds if augment else 1):
            for image in images:
                moved = self.random_transform(image, int(rng.integers(2**63))) if augment else image
                values = self._rescaled(moved).astype(np.float64)
                total = total + values.sum((1, 2))
                squares = squares + (values * values).sum((1, 2))
                count += values[0].size
        mean = total / count
        self.mean = mean.astype(np.float32)[:, None, None]
        self.std = np.sqrt(np.maximum(squares / count - mean * mean, 0)).astype(np.float32)[:, None, None]

    # -------------------------------------------------------------------------------------------------

    def _rescaled(self, x: Array) -> Array:
        x = x.astype(np.result_type(x.dtype, np.float32), copy=False)
        if self.preprocessing_function is not None:
            x = self.preprocessing_function(x)
        return x if self.rescale is None else x * x.dtype.type(self.rescale)

    def _of_files(
        self, files: ImageFiles, class_mode: str | None, batch_size: int, shuffle: bool, seed: int | None,
        subset: str | None, num_workers: int,
    ) -> DataLoader:  # fmt: skip
        if class_mode not in _CLASS_MODES:
            raise ValueError(f"class_mode expected one of {', '.join(map(repr, _CLASS_MODES))}, got {class_mode!r}")
        if class_mode == "binary" and len(files.classes) != 2:
            raise ValueError(f"class_mode 'binary' is for two classes, got {len(files.classes)}")
        first, rest = [], []
        groups: dict[Any, list[int]] = {}
        for i, label in enumerate(files.targets):
            groups.setdefault(label if files.classes else None, []).append(i)
        for members in groups.values():
            held = int(len(members) * self.validation_split)
            first += members[:held]
            rest += members[held:]
        chosen = self._chosen(subset, sorted(first), sorted(rest), len(files))
        labels = None if class_mode is None else lambda i: _target(files.samples[i][1], class_mode, len(files.classes))
        samples = _Flow(
            self, files.pixels, labels, chosen, subset, own=class_mode == "input", name=lambda i: files.samples[i][0]
        )
        samples.files, samples.classes, samples.class_to_idx = files, files.classes, files.class_to_idx
        return _loader(samples, batch_size, shuffle, seed, num_workers)

    def _chosen(self, subset: str | None, held: Sequence[int], rest: Sequence[int], n: int) -> list[int]:
        if subset not in (None, "training", "validation"):
            raise ValueError(f"subset expected 'training', 'validation' or None, got {subset!r}")
        if subset is not None and not self.validation_split:
            raise ValueError(f"subset={subset!r} needs a validation_split above 0, given to ImageDataGenerator")
        chosen = list(range(n)) if subset is None else list(held if subset == "validation" else rest)
        if not chosen:
            raise ValueError(f"subset={subset!r} is empty: validation_split={self.validation_split} of {n} images")
        return chosen


class _Flow:
    """The transformed samples of a generator: what its loaders load."""

    files: Any = None
    classes: tuple[str, ...] = ()
    class_to_idx: dict[str, int]

    def __init__(
        self, generator: ImageDataGenerator, image: Callable[[int], Array], target: Callable[[int], Any] | None,
        chosen: list[int], subset: str | None, own: bool = False, name: Callable[[int], str] | None = None,
    ) -> None:  # fmt: skip
        self.generator = generator
        self.image, self.target, self.chosen, self.name = image, target, chosen, name
        self.random = subset != "validation"
        self.own = own  # the target is the transformed picture itself

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> Any:
        i = self.chosen[index]
        image = self.image(i)
        try:
            if self.random:
                image = self.generator.random_transform(image)
            image = self.generator.standardize(image)
        except Exception as error:
            if self.name is not None:
                error.add_note(f"the picture is {self.name(i)}")
            raise
        if self.own:
            return image, image
        return image if self.target is None else (image, self.target(i))


def _loader(samples: _Flow, batch_size: int, shuffle: bool, seed: int | None, num_workers: int) -> DataLoader:
    generator = None if seed is None else np.random.default_rng(seed)
    return DataLoader(samples, batch_size, shuffle=shuffle, generator=generator, num_workers=num_workers)


def _target(label: Any, class_mode: str, classes: int) -> Any:
    if class_mode == "categorical":
        return np.eye(1, classes, label, dtype=np.float32)[0]
    if class_mode == "binary":
        return np.float32(label)
    return label


def _channels(color_mode: str) -> int:
    if color_mode not in _CHANNELS:
        raise ValueError(f"color_mode expected one of {', '.join(_CHANNELS)}, got {color_mode!r}")
    return _CHANNELS[color_mode]


def _pair(name: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, Sequence) or len(value) != 2:
        raise ValueError(f"{name} expected two numbers, lowest and highest, got {value!r}")
    return float(value[0]), float(value[1])


def _zoom(value: Any) -> tuple[float, float]:
    low, high = (1 - value, 1 + value) if isinstance(value, (int, float)) else _pair("zoom_range", value)
    if not 0 < low <= high:
        raise ValueError(f"zoom_range expected a zoom above 0, from lowest to highest, got {value!r}")
    return float(low), float(high)


def _either_way(rng: np.random.Generator, most: float) -> float:
    return float(rng.uniform(-most, most)) if most else 0.0


def _shift(rng: np.random.Generator, most: Any, side: int) -> float:
    """Pixels, drawn as Keras does: a list is chosen from, whole numbers give whole pixels, below 1 is a share."""
    if isinstance(most, (Sequence, np.ndarray)):
        chosen = float(rng.choice(np.asarray(most, float)) * rng.choice([-1, 1]))
        return chosen * side if max(np.abs(np.asarray(most, float))) < 1 else chosen
    if not most:
        return 0.0
    if isinstance(most, (int, np.integer)):
        # Whole pixels strictly between -most and most; 1 itself would be no shift at all.
        return float(rng.integers(-most + 1, most)) if most > 1 else 0.0
    drawn = float(rng.uniform(-most, most))
    return drawn * side if most < 1 else drawn


def _matrix(p: dict[str, Any], height: int, width: int) -> tuple[Array, Array]:
    """Where a pixel of the result is taken from: rotation · shift · shear · zoom about the image's centre."""
    theta, shear = np.deg2rad(p.get("theta", 0.0)), np.deg2rad(p.get("shear", 0.0))
    rotation = np.array([[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]])
    shift = np.array([[1, 0, p.get("tx", 0.0)], [0, 1, p.get("ty", 0.0)], [0, 0, 1]])
    sheared = np.array([[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]])
    zoom = np.diag([p.get("zx", 1.0), p.get("zy", 1.0), 1.0])
    whole = rotation @ shift @ sheared @ zoom
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    matrix = whole[:2, :2]
    return matrix, whole[:2, 2] + centre - matrix @ centre
