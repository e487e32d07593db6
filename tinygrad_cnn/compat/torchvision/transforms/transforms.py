"""The transforms as modules: each draws its numbers, then calls `functional`; data sets call them on every sample.

A transform takes an image, or a sample (tuples, lists and dicts of images and other values): all images of a sample
are changed alike, and what is no image is handed on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.autograd.annotations import DType, Tensor
from tinygrad_cnn.compat.torchvision.transforms import functional as F
from tinygrad_cnn.compat.torchvision.transforms.interpolation import Fill, InterpolationMode, Picture, as_mode
from tinygrad_cnn.compat.torchvision.transforms.pil import is_pil
from tinygrad_cnn.ops.random import default_generator

__all__ = [
    "CenterCrop", "ColorJitter", "Compose", "ConvertImageDtype", "FiveCrop", "GaussianBlur", "Grayscale",
    "InterpolationMode", "Lambda", "LinearTransformation", "Normalize", "PILToTensor", "Pad", "RandomAdjustSharpness",
    "RandomAffine", "RandomApply", "RandomAutocontrast", "RandomChoice", "RandomCrop", "RandomEqualize",
    "RandomErasing", "RandomGrayscale", "RandomHorizontalFlip", "RandomInvert", "RandomOrder", "RandomPerspective",
    "RandomPosterize", "RandomResizedCrop", "RandomRotation", "RandomSolarize", "RandomVerticalFlip", "Resize",
    "TenCrop", "ToPILImage", "ToTensor",
]  # fmt: skip

_NEAREST, _BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR
_Range = tuple[float, float]


class _Transform(nn.Module):
    """`drawn` gives the numbers for a call, from its first image; `changed` applies them to one image."""

    #: The attributes that `repr` shows.
    _shown: tuple[str, ...] = ()

    def drawn(self, image: Picture) -> object:
        """What is drawn at random for a call; None where nothing is."""
        return None

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The image after the transform."""
        raise NotImplementedError(f"{type(self).__name__} must say what it changes")

    def forward(self, *inputs: Picture) -> Picture:
        """The image, or the sample with its images, changed."""
        sample = inputs[0] if len(inputs) == 1 else inputs
        if not isinstance(sample, (tuple, list, dict)):
            return self.changed(sample, self.drawn(sample))
        first = next(_images(sample), None)
        if first is None:
            raise TypeError(
                f"{type(self).__name__} expected a sample with an image of PIL's or a tensor (C, H, W)"
            )
        drawn = self.drawn(first)
        return _mapped(sample, lambda image: self.changed(image, drawn))

    def extra_repr(self) -> str:
        """The options, as torchvision prints them."""
        return ", ".join(f"{name}={_text(getattr(self, name))}" for name in self._shown)


class _Maybe(_Transform):
    """A change that is made with probability `p`."""

    _shown: tuple[str, ...] = ("p",)

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not isinstance(p, (int, float)) or not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__} expected a probability from 0 to 1, got p={p}")
        self.p = p

    def drawn(self, image: Picture) -> object:
        """Whether to change."""
        return _random().random() < self.p

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The image, or what becomes of it."""
        return self.made(image) if drawn else image

    def made(self, image: Picture) -> Picture:
        """The changed image."""
        raise NotImplementedError(f"{type(self).__name__} must say what it makes")


# --- several in a row -----------------------------------------------------------


class Compose:
    """The transforms one after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, *inputs: Picture) -> Picture:
        sample = inputs[0] if len(inputs) == 1 else inputs
        for transform in self.transforms:
            sample = transform(sample)
        return sample

    def __repr__(self) -> str:
        return "".join(
            [f"{type(self).__name__}(", *(f"\n    {transform}" for transform in self.transforms), "\n)"]
        )


class _Random:
    """Transforms of which chance decides."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        if not isinstance(transforms, Sequence):
            raise TypeError(
                f"{type(self).__name__} expected a sequence of transforms, got {type(transforms).__name__}"
            )
        self.transforms = transforms

    def __repr__(self) -> str:
        return "".join(
            [f"{type(self).__name__}(", *(f"\n    {transform}" for transform in self.transforms), "\n)"]
        )


class RandomApply(nn.Module):
    """All of the transforms with probability `p`, else none."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        super().__init__()
        self.transforms = transforms
        self.p = p

    def forward(self, *inputs: Picture) -> Picture:
        """The image, or what becomes of it."""
        sample = inputs[0] if len(inputs) == 1 else inputs
        if self.p < _random().random():
            return sample
        for transform in self.transforms:
            sample = transform(sample)
        return sample

    def __repr__(self) -> str:
        return "".join(
            [f"{type(self).__name__}(\n    p={self.p}", *(f"\n    {one}" for one in self.transforms), "\n)"]
        )


class RandomOrder(_Random):
    """All of the transforms, in random order."""

    def __call__(self, *inputs: Picture) -> Picture:
        sample = inputs[0] if len(inputs) == 1 else inputs
        for k in _random().permutation(len(self.transforms)):
            sample = self.transforms[k](sample)
        return sample


class RandomChoice(_Random):
    """One of the transforms, drawn with the weights `p`, equal ones unless given."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        if p is not None and (not isinstance(p, Sequence) or len(p) != len(transforms)):
            raise ValueError(
                f"RandomChoice expected {len(transforms)} weights, one for each transform, got {p}"
            )
        self.p = p

    def __call__(self, *inputs: Picture) -> Picture:
        sample = inputs[0] if len(inputs) == 1 else inputs
        weights = None if self.p is None else np.asarray(self.p, float) / sum(self.p)
        return self.transforms[int(_random().choice(len(self.transforms), p=weights))](sample)

    def __repr__(self) -> str:
        return f"{super().__repr__()}(p={self.p})"


class Lambda:
    """Any function as a transform."""

    def __init__(self, lambd: Callable[..., Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Lambda expected a function, got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, img: Picture) -> Picture:
        return self.lambd(img)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


# --- kinds of images -----------------------------------------------------------


class ToTensor(_Transform):
    """A PIL image or an array (H, W, C) as a tensor (C, H, W); uint8 becomes float32 in [0, 1]."""

    def changed(self, image: Picture, drawn: Any) -> Tensor:
        """The tensor."""
        return F.to_tensor(image)


class PILToTensor(_Transform):
    """A PIL image as a tensor (C, H, W) of the same values."""

    def changed(self, image: Picture, drawn: Any) -> Tensor:
        """The tensor."""
        return F.pil_to_tensor(image)


class ToPILImage(_Transform):
    """A tensor (C, H, W) or an array (H, W, C) as a PIL image of mode `mode`, or the usual one for its channels."""

    def __init__(self, mode: str | None = None) -> None:
        super().__init__()
        self.mode = mode
        self._shown = () if mode is None else ("mode",)

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The PIL image."""
        return F.to_pil_image(image, self.mode)


class ConvertImageDtype(_Transform):
    """A tensor image in another dtype, its values scaled with it."""

    def __init__(self, dtype: DType) -> None:
        super().__init__()
        self.dtype = dtype

    def changed(self, image: Picture, drawn: Any) -> Tensor:
        """The tensor."""
        return F.convert_image_dtype(image, self.dtype)


class Normalize(_Transform):
    """(x − mean) / std of a tensor of floats, one number for each channel."""

    _shown = ("mean", "std")

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        self.mean, self.std, self.inplace = mean, std, inplace

    def changed(self, image: Picture, drawn: Any) -> Tensor:
        """The tensor."""
        return F.normalize(image, self.mean, self.std, self.inplace)


class LinearTransformation(_Transform):
    """(x − mean_vector) · transformation_matrix of the flattened tensor: whitening."""

    _shown = ("transformation_matrix", "mean_vector")

    def __init__(self, transformation_matrix: Tensor, mean_vector: Tensor) -> None:
        super().__init__()
        rows, columns = transformation_matrix.shape
        if rows != columns or mean_vector.shape[0] != rows:
            raise ValueError(
                "LinearTransformation expected a square matrix and a vector of as many numbers, got "
                f"{tuple(transformation_matrix.shape)} and {tuple(mean_vector.shape)}"
            )
        self.transformation_matrix, self.mean_vector = transformation_matrix, mean_vector

    def changed(self, image: Picture, drawn: Any) -> Tensor:
        """The tensor."""
        flat = image.reshape(-1, int(np.prod(image.shape[-3:]))) - self.mean_vector
        return (flat @ self.transformation_matrix).reshape(image.shape)


# --- sizes -----------------------------------------------------------


class Resize(_Transform):
    """Scaled to `size`: (height, width), or one number for the shorter side, with the longer at most `max_size`."""

    _shown = ("size", "interpolation", "max_size", "antialias")

    def __init__(
        self, size: int | Sequence[int] | None, interpolation: InterpolationMode | int = _BILINEAR,
        max_size: int | None = None, antialias: bool | None = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if size is not None and not isinstance(size, (int, Sequence)):
            raise TypeError(f"Resize expected size as a number or (height, width), got {type(size).__name__}")
        if isinstance(size, Sequence) and len(size) not in (1, 2):
            raise ValueError(f"Resize expected 1 or 2 numbers of size, got {len(size)}")
        self.size, self.max_size = size, max_size
        self.interpolation, self.antialias = as_mode(interpolation), antialias

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The scaled image."""
        return F.resize(image, self.size, self.interpolation, self.max_size, self.antialias)


class CenterCrop(_Transform):
    """The middle of the image, with zeros around where it is smaller."""

    _shown = ("size",)

    def __init__(self, size: int | Sequence[int]) -> None:
        super().__init__()
        self.size = F._pair(size)

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The middle."""
        return F.center_crop(image, self.size)


class Pad(_Transform):
    """More pixels around: `padding` is one number, (left and right, top and bottom), or all four."""

    _shown = ("padding", "fill", "padding_mode")

    def __init__(self, padding: int | Sequence[int], fill: Fill = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ValueError(
                f"Pad expected padding_mode constant, edge, reflect or symmetric, got {padding_mode!r}"
            )
        if isinstance(padding, Sequence) and len(padding) not in (1, 2, 4):
            raise ValueError(f"Pad expected 1, 2 or 4 numbers of padding, got {len(padding)}")
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The larger image."""
        return F.pad(image, self.padding, self.fill, self.padding_mode)


class RandomCrop(_Transform):
    """A window of `size` at a random place, after padding."""

    _shown = ("size", "padding")

    def __init__(
        self, size: int | Sequence[int], padding: int | Sequence[int] | None = None, pad_if_needed: bool = False,
        fill: Fill = 0, padding_mode: str = "constant",
    ) -> None:  # fmt: skip
        super().__init__()
        self.size = F._pair(size)
        self.padding, self.pad_if_needed = padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode

    @staticmethod
    def get_params(img: Picture, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """(top, left, height, width) of a window at a random place."""
        _, height, width = F.get_dimensions(img)
        th, tw = output_size
        if height < th or width < tw:
            raise ValueError(f"a window of {th} × {tw} does not fit into an image of {height} × {width}")
        return int(_random().integers(height - th + 1)), int(_random().integers(width - tw + 1)), th, tw

    def drawn(self, image: Picture) -> object:
        """The window, in the padded image."""
        return self.get_params(self._padded(image), self.size)

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The window."""
        return F.crop(self._padded(image), *drawn)

    def _padded(self, image: Picture) -> Picture:
        if self.padding is not None:
            image = F.pad(image, self.padding, self.fill, self.padding_mode)
        _, height, width = F.get_dimensions(image)
        if self.pad_if_needed and width < self.size[1]:
            image = F.pad(image, [self.size[1] - width, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and height < self.size[0]:
            image = F.pad(image, [0, self.size[0] - height], self.fill, self.padding_mode)
        return image


class RandomResizedCrop(_Transform):
    """A random part of the image, `scale` of its area with sides in `ratio` (width to height), scaled to `size`."""

    _shown = ("size", "scale", "ratio", "interpolation", "antialias")

    def __init__(
        self, size: int | Sequence[int], scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0), interpolation: InterpolationMode | int = _BILINEAR,
        antialias: bool | None = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.size = F._pair(size)
        for name, values in (("scale", scale), ("ratio", ratio)):
            if not isinstance(values, Sequence) or len(values) != 2:
                raise TypeError(f"RandomResizedCrop expected {name} as (least, most), got {values!r}")
        self.scale, self.ratio = scale, ratio
        self.interpolation, self.antialias = as_mode(interpolation), antialias

    @staticmethod
    def get_params(img: Picture, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        """(top, left, height, width) of a window: the area is uniform in `scale`, the logarithm of the sides' ratio
        uniform; after ten that do not fit, the largest in the middle whose sides do."""
        _, height, width = F.get_dimensions(img)
        for _ in range(10):
            area = height * width * _random().uniform(scale[0], scale[1])
            sides = math.exp(_random().uniform(math.log(ratio[0]), math.log(ratio[1])))
            w, h = round(math.sqrt(area * sides)), round(math.sqrt(area / sides))
            if 0 < w <= width and 0 < h <= height:
                return int(_random().integers(height - h + 1)), int(_random().integers(width - w + 1)), h, w
        w, h = width, height
        if width / height < min(ratio):
            h = round(w / min(ratio))
        elif width / height > max(ratio):
            w = round(h * max(ratio))
        return (height - h) // 2, (width - w) // 2, h, w

    def drawn(self, image: Picture) -> object:
        """The window."""
        return self.get_params(image, self.scale, self.ratio)

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The window, scaled."""
        top, left, height, width = drawn
        return F.resized_crop(image, top, left, height, width, self.size, self.interpolation, self.antialias)

    def extra_repr(self) -> str:
        """As torchvision prints it: four digits."""
        scale, ratio = (tuple(round(value, 4) for value in values) for values in (self.scale, self.ratio))
        return (
            f"size={self.size}, scale={scale}, ratio={ratio}, interpolation={self.interpolation.value}, "
            f"antialias={self.antialias}"
        )


class FiveCrop(_Transform):
    """The four corners and the middle, as a tuple."""

    _shown = ("size",)

    def __init__(self, size: int | Sequence[int]) -> None:
        super().__init__()
        self.size = F._pair(size)

    def changed(self, image: Picture, drawn: Any) -> tuple[Picture, ...]:
        """Five images."""
        return F.five_crop(image, self.size)


class TenCrop(_Transform):
    """`FiveCrop` of the image and of its mirror image, as a tuple."""

    _shown = ("size", "vertical_flip")

    def __init__(self, size: int | Sequence[int], vertical_flip: bool = False) -> None:
        super().__init__()
        self.size, self.vertical_flip = F._pair(size), vertical_flip

    def changed(self, image: Picture, drawn: Any) -> tuple[Picture, ...]:
        """Ten images."""
        return F.ten_crop(image, self.size, self.vertical_flip)


# --- turning and warping -----------------------------------------------------------


class RandomHorizontalFlip(_Maybe):
    """Left to right with probability `p`."""

    def made(self, image: Picture) -> Picture:
        """The mirror image."""
        return F.hflip(image)


class RandomVerticalFlip(_Maybe):
    """Top to bottom with probability `p`."""

    def made(self, image: Picture) -> Picture:
        """The mirror image."""
        return F.vflip(image)


class RandomRotation(_Transform):
    """Turned by an angle that is uniform in `degrees`, (least, most) or one number for both sides of 0."""

    def __init__(
        self, degrees: float | Sequence[float], interpolation: InterpolationMode | int = _NEAREST, expand: bool = False,
        center: Sequence[int] | None = None, fill: Fill = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.degrees = _around(degrees, "degrees")
        self.interpolation, self.expand = as_mode(interpolation), expand
        self.center, self.fill = center, fill
        self._shown = (
            "degrees",
            "interpolation",
            "expand",
            *(["center"] if center is not None else []),
            "fill",
        )

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """The angle."""
        return float(_random().uniform(degrees[0], degrees[1]))

    def drawn(self, image: Picture) -> object:
        """The angle."""
        return self.get_params(self.degrees)

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The turned image."""
        return F.rotate(image, drawn, self.interpolation, self.expand, self.center, self.fill)


class RandomAffine(_Transform):
    """Turned, shifted, scaled and sheared at random.

    degrees     (least, most) of the angle, or one number for both sides of 0
    translate   largest shifts as parts of width and height;  scale: (least, most)
    shear       degrees along x, (least, most) or one number, or four numbers for x and y
    """

    def __init__(
        self, degrees: float | Sequence[float], translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None, shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode | int = _NEAREST, fill: Fill = 0, center: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.degrees = _around(degrees, "degrees")
        if translate is not None and (len(translate) != 2 or not all(0 <= value <= 1 for value in translate)):
            raise ValueError(f"RandomAffine expected translate as 2 numbers from 0 to 1, got {translate}")
        if scale is not None and (len(scale) != 2 or min(scale) <= 0):
            raise ValueError(f"RandomAffine expected scale as (least, most) above 0, got {scale}")
        self.translate, self.scale = translate, scale
        self.shear = None if shear is None else _around(shear, "shear", (2, 4))
        self.interpolation, self.fill, self.center = as_mode(interpolation), fill, center
        names = [name for name in ("translate", "scale", "shear") if getattr(self, name) is not None]
        names += ["interpolation"] if self.interpolation is not _NEAREST else []
        self._shown = ("degrees", *names, *(["fill"] if fill != 0 else []), *(["center"] if center else []))

    @staticmethod
    def get_params(
        degrees: Sequence[float], translate: Sequence[float] | None, scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None, img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:  # fmt: skip
        """(angle, (x, y) shift, scale, (x, y) shear), each uniform; `img_size` is (width, height)."""
        rng = _random()
        angle = float(rng.uniform(degrees[0], degrees[1]))
        largest = (
            [0.0, 0.0] if translate is None else [part * side for part, side in zip(translate, img_size)]
        )
        x, y = (round(rng.uniform(-most, most)) for most in largest)
        scale = 1.0 if scale_ranges is None else float(rng.uniform(scale_ranges[0], scale_ranges[1]))
        across = 0.0 if shears is None else float(rng.uniform(shears[0], shears[1]))
        down = float(rng.uniform(shears[2], shears[3])) if shears is not None and len(shears) == 4 else 0.0
        return angle, (x, y), scale, (across, down)

    def drawn(self, image: Picture) -> object:
        """The numbers of the map."""
        return self.get_params(self.degrees, self.translate, self.scale, self.shear, F.get_image_size(image))

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The moved image."""
        angle, translate, scale, shear = drawn
        return F.affine(image, angle, translate, scale, shear, self.interpolation, self.fill, self.center)


class RandomPerspective(_Transform):
    """Seen from elsewhere with probability `p`: each corner moves inwards by up to half of `distortion_scale`."""

    _shown = ("p",)

    def __init__(
        self, distortion_scale: float = 0.5, p: float = 0.5, interpolation: InterpolationMode | int = _BILINEAR,
        fill: Fill = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.distortion_scale, self.p = distortion_scale, p
        self.interpolation, self.fill = as_mode(interpolation), fill

    @staticmethod
    def get_params(
        width: int, height: int, distortion_scale: float
    ) -> tuple[list[list[int]], list[list[int]]]:
        """The corners (x, y) before and after."""
        rng = _random()
        across, down = int(distortion_scale * (width // 2)), int(distortion_scale * (height // 2))
        start = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
        end = []
        for x, y in start:
            dx, dy = int(rng.integers(across + 1)), int(rng.integers(down + 1))
            end.append([x + dx if x == 0 else x - dx, y + dy if y == 0 else y - dy])
        return start, end

    def drawn(self, image: Picture) -> object:
        """The corners, or None."""
        if _random().random() >= self.p:
            return None
        _, height, width = F.get_dimensions(image)
        return self.get_params(width, height, self.distortion_scale)

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The image, or what is seen of it."""
        if drawn is None:
            return image
        start, end = drawn
        return F.perspective(image, start, end, self.interpolation, self.fill)


# --- colours -----------------------------------------------------------


class Grayscale(_Transform):
    """In shades of grey, of one channel or of three equal ones."""

    _shown = ("num_output_channels",)

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The grey image."""
        return F.rgb_to_grayscale(image, self.num_output_channels)


class RandomGrayscale(_Maybe):
    """In shades of grey with probability `p`, with as many channels as before."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def made(self, image: Picture) -> Picture:
        """The grey image."""
        return F.rgb_to_grayscale(image, F.get_image_num_channels(image))


class ColorJitter(_Transform):
    """Brightness, contrast, saturation and hue changed by random factors, in random order.

    A number b stands for factors uniform in [max(0, 1 − b), 1 + b] (for hue, shifts in [−b, b], b at most 0.5); two
    numbers are the ends themselves.
    """

    _shown = ("brightness", "contrast", "saturation", "hue")

    def __init__(
        self, brightness: float | Sequence[float] = 0, contrast: float | Sequence[float] = 0,
        saturation: float | Sequence[float] = 0, hue: float | Sequence[float] = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.brightness = _factors(brightness, "brightness")
        self.contrast = _factors(contrast, "contrast")
        self.saturation = _factors(saturation, "saturation")
        self.hue = _factors(hue, "hue", 0.0, (-0.5, 0.5))

    @staticmethod
    def get_params(
        brightness: _Range | None, contrast: _Range | None, saturation: _Range | None, hue: _Range | None
    ) -> tuple[Any, ...]:
        """The order of the four, and a factor for each, None where its range is."""
        rng = _random()
        order = rng.permutation(4)
        ranges = (brightness, contrast, saturation, hue)
        return (order, *(None if ends is None else float(rng.uniform(*ends)) for ends in ranges))

    def drawn(self, image: Picture) -> object:
        """The order and the factors."""
        return self.get_params(self.brightness, self.contrast, self.saturation, self.hue)

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The image in other colours."""
        order, *factors = drawn
        steps = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for k in order:
            if factors[k] is not None:
                image = steps[k](image, factors[k])
        return image


class GaussianBlur(_Transform):
    """The average under a Gaussian of `kernel_size`, whose deviation is uniform in `sigma`."""

    _shown = ("kernel_size", "sigma")

    def __init__(self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size = F._pair(kernel_size)
        if any(size <= 0 or size % 2 == 0 for size in self.kernel_size):
            raise ValueError(f"GaussianBlur expected kernel_size odd and above 0, got {kernel_size}")
        self.sigma = (sigma, sigma) if isinstance(sigma, (int, float)) else tuple(sigma)
        if not 0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"GaussianBlur expected sigma as (least, most) above 0, got {sigma}")

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """The deviation."""
        return float(_random().uniform(sigma_min, sigma_max))

    def drawn(self, image: Picture) -> object:
        """The deviation."""
        return self.get_params(*self.sigma)

    def changed(self, image: Picture, drawn: Any) -> Picture:
        """The blurred image."""
        return F.gaussian_blur(image, list(self.kernel_size), [drawn, drawn])


class RandomInvert(_Maybe):
    """White minus the image with probability `p`."""

    def made(self, image: Picture) -> Picture:
        """The negative."""
        return F.invert(image)


class RandomPosterize(_Maybe):
    """The first `bits` of each pixel with probability `p`."""

    _shown = ("bits", "p")

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p)
        self.bits = bits

    def made(self, image: Picture) -> Picture:
        """The image in fewer colours."""
        return F.posterize(image, self.bits)


class RandomSolarize(_Maybe):
    """Pixels from the threshold up inverted, with probability `p`."""

    _shown = ("threshold", "p")

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.threshold = threshold

    def made(self, image: Picture) -> Picture:
        """The solarised image."""
        return F.solarize(image, self.threshold)


class RandomAdjustSharpness(_Maybe):
    """Sharper or blurred by a factor, with probability `p`."""

    _shown = ("sharpness_factor", "p")

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def made(self, image: Picture) -> Picture:
        """The sharper image."""
        return F.adjust_sharpness(image, self.sharpness_factor)


class RandomAutocontrast(_Maybe):
    """Each channel stretched over all values, with probability `p`."""

    def made(self, image: Picture) -> Picture:
        """The stretched image."""
        return F.autocontrast(image)


class RandomEqualize(_Maybe):
    """Each channel's histogram made flat, with probability `p`."""

    def made(self, image: Picture) -> Picture:
        """The equalised image."""
        return F.equalize(image)


class RandomErasing(_Transform):
    """A random window of a tensor image erased with probability `p` (Zhong et al. 2020).

    `scale` is the window's part of the area, `ratio` its height to its width, `value` a number, one for each channel,
    or "random" for noise.
    """

    _shown = ("p", "scale", "ratio", "value", "inplace")

    def __init__(
        self, p: float = 0.5, scale: Sequence[float] = (0.02, 0.33), ratio: Sequence[float] = (0.3, 3.3),
        value: float | str | Sequence[float] = 0, inplace: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if isinstance(value, str) and value != "random":
            raise ValueError(f"RandomErasing expected value as numbers or 'random', got {value!r}")
        if not scale[0] >= 0 or not scale[1] <= 1:
            raise ValueError(f"RandomErasing expected scale from 0 to 1, got {scale}")
        if not 0 <= p <= 1:
            raise ValueError(f"RandomErasing expected a probability from 0 to 1, got p={p}")
        self.p, self.scale, self.ratio, self.value, self.inplace = p, scale, ratio, value, inplace

    @staticmethod
    def get_params(
        img: Tensor, scale: Sequence[float], ratio: Sequence[float], value: list[float] | None = None
    ) -> tuple[int, int, int, int, Any]:
        """(top, left, height, width, what stands there): as RandomResizedCrop draws it, and smaller than the image;
        after ten that do not fit, the image itself. `value` None is noise."""
        count, height, width = (int(n) for n in img.shape[-3:])
        rng = _random()
        for _ in range(10):
            area = height * width * rng.uniform(scale[0], scale[1])
            sides = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
            h, w = round(math.sqrt(area * sides)), round(math.sqrt(area / sides))
            if h < height and w < width:
                if value is None:
                    stands = tg.from_numpy(rng.standard_normal((count, h, w)).astype(np.float32))
                else:
                    stands = tg.tensor(value).reshape(-1, 1, 1)
                return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w, stands
        return 0, 0, height, width, img

    def drawn(self, image: Picture) -> object:
        """The window, or None."""
        if _random().random() >= self.p:
            return None
        if not isinstance(image, tg.Tensor):
            raise TypeError(
                f"RandomErasing expected a tensor, got {type(image).__name__}; put it behind ToTensor"
            )
        value = [float(self.value)] if isinstance(self.value, (int, float)) else self.value
        if not isinstance(value, str) and len(value) not in (1, int(image.shape[-3])):
            raise ValueError(
                f"RandomErasing expected 1 or {image.shape[-3]} numbers of value, got {len(value)}"
            )
        numbers = None if isinstance(value, str) else [float(one) for one in value]
        return self.get_params(image, self.scale, self.ratio, numbers)

    def changed(self, image: Picture, drawn: Any) -> Tensor:
        """The image, or what is left of it."""
        if drawn is None:
            return image
        top, left, height, width, stands = drawn
        return F.erase(image, top, left, height, width, stands, self.inplace)


# --- what they share -----------------------------------------------------------


def _random() -> np.random.Generator:
    return default_generator.numpy


def _images(sample: Picture) -> Any:
    """The images in a sample, in order: PIL's and arrays, and tensors of three dimensions or more."""
    if isinstance(sample, dict):
        sample = list(sample.values())
    if isinstance(sample, (tuple, list)):
        for part in sample:
            yield from _images(part)
    elif is_pil(sample) or isinstance(sample, (tg.Tensor, np.ndarray)) and sample.ndim >= 3:
        yield sample


def _mapped(sample: Picture, change: Callable[[Picture], Picture]) -> Picture:
    if isinstance(sample, dict):
        return {key: _mapped(part, change) for key, part in sample.items()}
    if isinstance(sample, (tuple, list)):
        parts = [_mapped(part, change) for part in sample]
        return type(sample)(*parts) if hasattr(sample, "_fields") else type(sample)(parts)
    return change(sample) if next(_images(sample), None) is not None else sample


def _text(value: object) -> str:
    return value.value if isinstance(value, InterpolationMode) else str(value)


def _around(values: float | Sequence[float], name: str, counts: tuple[int, ...] = (2,)) -> list[float]:
    if isinstance(values, (int, float)):
        if values < 0:
            raise ValueError(f"{name} expected a number from 0 up, or (least, most), got {values}")
        return [-float(values), float(values)]
    if len(values) not in counts:
        raise ValueError(f"{name} expected {' or '.join(map(str, counts))} numbers, got {len(values)}")
    return [float(value) for value in values]


def _factors(
    value: float | Sequence[float], name: str, center: float = 1.0, bounds: _Range = (0.0, math.inf)
) -> _Range | None:
    """(least, most), None where that is `center` alone."""
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"ColorJitter expected {name} as a number from 0 up, got {value}")
        ends = (max(center - float(value), 0.0) if center else -float(value), center + float(value))
    elif len(value) == 2:
        ends = (float(value[0]), float(value[1]))
    else:
        raise TypeError(f"ColorJitter expected {name} as one number or (least, most), got {value}")
    if not bounds[0] <= ends[0] <= ends[1] <= bounds[1]:
        raise ValueError(f"ColorJitter expected {name} between {bounds[0]} and {bounds[1]}, got {ends}")
    return None if ends[0] == ends[1] == center else ends
