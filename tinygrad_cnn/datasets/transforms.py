"""Changes to a single input on its way out of a data set: NumPy arrays in, NumPy arrays out, channels first.

Names are torchvision's. Those that draw random numbers use the default generator, which `manual_seed` seeds and the
data loader keeps apart for each batch, so that two runs with the same seed see the same images whatever the number of
workers; or the generator they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.utils.data.randomness import numpy_generator

__all__ = ["Compose", "Lambda", "Normalize", "RandomCrop", "RandomHorizontalFlip", "ToTensor"]

Array = npt.NDArray[Any]


class Compose:
    """Apply `transforms` one after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, value: Any) -> Any:
        for transform in self.transforms:
            value = transform(value)
        return value

    def __repr__(self) -> str:
        return f"Compose({self.transforms!r})"


class Lambda:
    """Apply any function; exists for torchvision's sake, since a plain function does as well."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __call__(self, value: Any) -> Any:
        return self.function(value)

    def __repr__(self) -> str:
        return f"Lambda({getattr(self.function, '__name__', self.function)})"


class ToTensor:
    """A uint8 picture (H, W), (H, W, C) or a PIL image becomes float32 (C, H, W) in [0, 1].

    The data sets of this package already serve that, so a float array passes unchanged. The result stays a
    NumPy array: the data loader makes Tensors of whole batches.
    """

    def __call__(self, picture: Any) -> npt.NDArray[np.float32]:
        array = np.asarray(picture)
        if np.issubdtype(array.dtype, np.floating):
            return array.astype(np.float32, copy=False)
        if array.dtype != np.uint8 or array.ndim not in (2, 3):
            raise TypeError(
                f"ToTensor expected a uint8 picture (H, W) or (H, W, C), or floats, got {array.dtype} of "
                f"shape {array.shape}"
            )
        if array.ndim == 2:
            array = array[:, :, None]
        return np.divide(array.transpose(2, 0, 1), 255, dtype=np.float32, order="C")

    def __repr__(self) -> str:
        return "ToTensor()"


class Normalize:
    """(x - mean) / std for inputs (C, ...). `mean` and `std` hold one number, or one per channel."""

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean = np.atleast_1d(np.asarray(mean, np.float32))
        self.std = np.atleast_1d(np.asarray(std, np.float32))
        if not np.all(self.std > 0):
            raise ValueError(f"Normalize expected every std above 0, got {self.std.tolist()}")

    def __call__(self, value: Array) -> Array:
        channels = value.shape[0]
        for name, given in (("mean", self.mean), ("std", self.std)):
            if given.size not in (1, channels):
                raise ValueError(
                    f"Normalize expected 1 or {channels} values of {name} for an input of shape "
                    f"{value.shape}, got {given.size}"
                )
        per_channel = (-1,) + (1,) * (value.ndim - 1)
        return (value - self.mean.reshape(per_channel)) / self.std.reshape(per_channel)

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean.tolist()}, std={self.std.tolist()})"


class RandomHorizontalFlip:
    """Mirror left to right with probability `p`."""

    def __init__(self, p: float = 0.5, *, generator: Any = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"RandomHorizontalFlip expected a probability from 0 to 1, got {p}")
        self.p = p
        self.generator = generator

    def __call__(self, image: Array) -> Array:
        # A copy in the flipped case too: negative strides would follow the image into the batch.
        return np.ascontiguousarray(image[..., ::-1]) if numpy_generator(self.generator).random() < self.p else image

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.p})"


class RandomCrop:
    """Cut a window of `size` (one number, or height and width) at a random place of (C, H, W).

    `padding` zeros are put on every side first, as is usual for CIFAR: RandomCrop(32, padding=4, ...).
    """

    def __init__(
        self, size: int | tuple[int, int], padding: int = 0, *, generator: Any = None
    ) -> None:
        self.size = (size, size) if isinstance(size, int) else size
        if min(self.size) < 1 or padding < 0:
            raise ValueError(
                f"RandomCrop expected size >= 1 and padding >= 0, got size={size}, padding={padding}"
            )
        self.padding = padding
        self.generator = generator

    def __call__(self, image: Array) -> Array:
        (height, width), pad = self.size, self.padding
        room = image.shape[-2] + 2 * pad - height, image.shape[-1] + 2 * pad - width
        if min(room) < 0:
            raise ValueError(
                f"RandomCrop of {height}×{width} does not fit into an image of shape {image.shape} with "
                f"padding {pad}"
            )
        if pad:
            image = np.pad(image, [(0, 0)] * (image.ndim - 2) + [(pad, pad), (pad, pad)])
        rng = numpy_generator(self.generator)
        top, left = (int(rng.integers(n + 1)) for n in room)
        return np.ascontiguousarray(image[..., top : top + height, left : left + width])

    def __repr__(self) -> str:
        return f"RandomCrop({self.size}, padding={self.padding})"
