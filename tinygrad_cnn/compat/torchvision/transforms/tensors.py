"""Changes to tensors (…, C, H, W), by this package's own operations: the half of `functional` for them.

Gradients flow through. Whole-numbered images are computed in float32 and rounded where that is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn.autograd.annotations import DType, Tensor
from tinygrad_cnn.compat.torchvision.transforms.geometry import rotated_size, sides
from tinygrad_cnn.compat.torchvision.transforms.interpolation import Fill, InterpolationMode
from tinygrad_cnn.nn import functional as F

__all__ = [
    "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue", "adjust_saturation", "adjust_sharpness",
    "affine", "autocontrast", "channels", "convert_dtype", "crop", "equalize", "gaussian_blur", "hflip", "invert",
    "largest", "pad", "perspective", "posterize", "resize", "rotate", "solarize", "to_grayscale", "vflip",
]  # fmt: skip


def channels(image: Tensor) -> int:
    """How many numbers stand for a pixel."""
    return int(image.shape[-3]) if image.ndim > 2 else 1


def largest(dtype: DType) -> int:
    """The value of white: 1 for floats."""
    return 1 if np.issubdtype(dtype, np.floating) else int(np.iinfo(dtype).max)


def convert_dtype(image: Tensor, dtype: DType) -> Tensor:
    """The same image in another dtype, its values scaled so that white stays white.

    Raises RuntimeError where a float has too few digits for the whole number.
    """
    source = image.dtype
    if source == dtype:
        return image
    floats = np.issubdtype(source, np.floating), np.issubdtype(dtype, np.floating)
    if floats == (True, True):
        return image.to(dtype)
    if floats == (True, False):
        if (source == np.float32 and dtype in (np.int32, np.int64)) or (
            source == np.float64 and dtype == np.int64
        ):
            raise RuntimeError(
                f"an image of {source} cannot become {dtype} safely: {source} has too few digits"
            )
        # As torchvision: slightly less than one step more, so that 1.0 becomes the largest value when cut.
        return (image * (largest(dtype) + 1.0 - 1e-3)).to(dtype)
    if floats == (False, True):
        return image.to(dtype) / largest(source)
    before, after = largest(source), largest(dtype)
    if before > after:
        return tg.div(image, (before + 1) // (after + 1), rounding_mode="floor").to(dtype)
    return image.to(dtype) * ((after + 1) // (before + 1))


def resize(image: Tensor, size: tuple[int, int], mode: InterpolationMode, antialias: bool) -> Tensor:
    """To (height, width), by nearest, nearest-exact, bilinear or bicubic interpolation."""
    if mode.value not in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        raise ValueError(
            f"tensors are resized by nearest, nearest-exact, bilinear or bicubic, got {mode.value}"
        )
    smooth = mode.value in ("bilinear", "bicubic")

    def scaled(x: Tensor) -> Tensor:
        options = dict(align_corners=False, antialias=antialias) if smooth else {}
        return F.interpolate(x, size=size, mode=mode.value, **options)

    if tuple(image.shape[-2:]) == tuple(size):
        return image
    top = largest(image.dtype) if mode is InterpolationMode.BICUBIC and image.dtype == np.uint8 else None
    return _in_float(image, scaled, clamp=top)


def crop(image: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """A window; what lies outside of the image is 0."""
    full_height, full_width = image.shape[-2:]
    bottom, right = top + height, left + width
    inside = image[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if min(left, top) < 0 or right > full_width or bottom > full_height:
        border = (
            max(min(right, 0) - left, 0), max(right - max(full_width, left), 0),
            max(min(bottom, 0) - top, 0), max(bottom - max(full_height, top), 0),
        )  # fmt: skip
        return _constant(inside, border, 0)
    return inside


def hflip(image: Tensor) -> Tensor:
    """Left to right."""
    return image.flip(-1)


def vflip(image: Tensor) -> Tensor:
    """Top to bottom."""
    return image.flip(-2)


def pad(image: Tensor, padding: int | Sequence[int], fill: Fill, padding_mode: str) -> Tensor:
    """More pixels on each side: of one colour, or by NumPy's modes edge, reflect and symmetric."""
    left, top, right, bottom = sides(padding)
    if padding_mode == "constant":
        border = (left, right, top, bottom)
        values = (
            [float(fill or 0)] if isinstance(fill, (int, float)) or fill is None else [float(f) for f in fill]
        )
        if len(values) == 1:
            return _constant(image, border, values[0])
        if len(values) != image.shape[-3]:
            raise ValueError(f"fill expected 1 or {image.shape[-3]} numbers, got {len(values)}")
        planes = [_constant(image[..., k : k + 1, :, :], border, value) for k, value in enumerate(values)]
        return tg.cat(planes, -3)
    height, width = image.shape[-2:]
    rows, columns = (
        _positions(height, top, bottom, padding_mode),
        _positions(width, left, right, padding_mode),
    )
    return image[..., rows[:, None], columns]


def rotate(
    image: Tensor, matrix: Sequence[float], mode: InterpolationMode, expand: bool, fill: Fill
) -> Tensor:
    """By the inverse map `matrix` about the middle, with `expand` into a frame that holds all of it."""
    height, width = (int(n) for n in image.shape[-2:])
    frame = rotated_size(matrix, width, height) if expand else (width, height)
    return _sampled(image, _affine_places(matrix, (width, height), frame), mode, fill)


def affine(image: Tensor, matrix: Sequence[float], mode: InterpolationMode, fill: Fill) -> Tensor:
    """By the inverse map `matrix` about the middle (see `geometry.inverse_affine`)."""
    height, width = (int(n) for n in image.shape[-2:])
    return _sampled(image, _affine_places(matrix, (width, height), (width, height)), mode, fill)


def perspective(image: Tensor, coefficients: Sequence[float], mode: InterpolationMode, fill: Fill) -> Tensor:
    """By the eight numbers of `geometry.perspective_coefficients`."""
    height, width = (int(n) for n in image.shape[-2:])
    a, b, c, d, e, f, g, h = coefficients
    y, x = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    below = g * x + h * y + 1
    across, down = (a * x + b * y + c) / below, (d * x + e * y + f) / below
    places = np.stack([across / (0.5 * width) - 1, down / (0.5 * height) - 1], -1)
    return _sampled(image, places.astype(np.float32), mode, fill)


def to_grayscale(image: Tensor, num_output_channels: int = 1) -> Tensor:
    """0.2989 R + 0.587 G + 0.114 B, once or three times."""
    if channels(image) == 1:
        grey = image
    elif channels(image) == 3:
        red, green, blue = (image[..., k, :, :] for k in range(3))
        grey = (0.2989 * red + 0.587 * green + 0.114 * blue).to(image.dtype).unsqueeze(-3)
    else:
        raise TypeError(f"grey is made of 1 or 3 channels, got {channels(image)}")
    return grey if num_output_channels == 1 else grey.expand((*image.shape[:-3], 3, *image.shape[-2:]))


def adjust_brightness(image: Tensor, factor: float) -> Tensor:
    """0 is black, 1 the image."""
    return _blended(image, tg.zeros_like(image), factor)


def adjust_contrast(image: Tensor, factor: float) -> Tensor:
    """0 is the mean grey, 1 the image."""
    dtype = image.dtype if image.is_floating_point() else np.dtype(np.float32)
    grey = to_grayscale(image) if channels(image) == 3 else image
    return _blended(image, grey.to(dtype).mean((-3, -2, -1), keepdim=True), factor)


def adjust_saturation(image: Tensor, factor: float) -> Tensor:
    """0 is black and white, 1 the image."""
    return image if channels(image) == 1 else _blended(image, to_grayscale(image), factor)


def adjust_sharpness(image: Tensor, factor: float) -> Tensor:
    """0 is blurred, 1 the image, 2 sharper; the outermost pixels stay."""
    if min(image.shape[-2:]) <= 2:
        return image
    kernel = np.ones((3, 3), np.float32)
    kernel[1, 1] = 5.0
    blurred = _in_float(image, lambda x: _filtered(x, kernel / kernel.sum()))
    inner = _placed(image, blurred)
    return _blended(image, inner, factor)


def adjust_hue(image: Tensor, factor: float) -> Tensor:
    """The hue, a circle, moved by `factor` turns."""
    if channels(image) == 1:
        return image
    unit = convert_dtype(image, np.dtype(np.float32)) if not image.is_floating_point() else image
    hue, saturation, value = _hsv(unit)
    return convert_dtype(_rgb((hue + factor) % 1.0, saturation, value), image.dtype)


def adjust_gamma(image: Tensor, gamma: float, gain: float) -> Tensor:
    """gain x^gamma, of x in [0, 1]."""
    unit = convert_dtype(image, np.dtype(np.float32)) if not image.is_floating_point() else image
    return convert_dtype((gain * unit**gamma).clamp(0, 1), image.dtype)


def gaussian_blur(image: Tensor, kernel_size: Sequence[int], sigma: Sequence[float]) -> Tensor:
    """The average under a Gaussian of these sizes and deviations, (x, y) each; edges reflected."""
    dtype = image.dtype if image.is_floating_point() else np.dtype(np.float32)
    along_x, along_y = (_gaussian(size, deviation, dtype) for size, deviation in zip(kernel_size, sigma))
    left, top = (size // 2 for size in kernel_size)
    kernel = along_y[:, None] * along_x[None, :]
    return _in_float(image, lambda x: _filtered(F.pad(x, (left, left, top, top), mode="reflect"), kernel))


def invert(image: Tensor) -> Tensor:
    """White minus x."""
    return largest(image.dtype) - image


def posterize(image: Tensor, bits: int) -> Tensor:
    """The first bits of each pixel of a uint8 image."""
    if image.dtype != np.uint8:
        raise TypeError(f"posterize expected an image of uint8, got {image.dtype}")
    return image & np.uint8((0xFF << (8 - bits)) & 0xFF)


def solarize(image: Tensor, threshold: float) -> Tensor:
    """Pixels from the threshold up inverted."""
    if threshold > largest(image.dtype):
        raise TypeError(f"solarize expected a threshold up to {largest(image.dtype)}, got {threshold}")
    return tg.where(image >= threshold, invert(image), image)


def autocontrast(image: Tensor) -> Tensor:
    """Each channel stretched over all values."""
    top = largest(image.dtype)
    x = image if image.is_floating_point() else image.to(tg.float32)
    low, high = x.amin((-2, -1), keepdim=True), x.amax((-2, -1), keepdim=True)
    flat = high == low
    scale = tg.where(flat, 1.0, top / tg.where(flat, 1.0, high - low)).to(x.dtype)
    return ((x - tg.where(flat, 0.0, low)) * scale).clamp(0, top).to(image.dtype)


def equalize(image: Tensor) -> Tensor:
    """Each channel's histogram made flat; uint8 only."""
    if image.dtype != np.uint8:
        raise TypeError(f"equalize expected an image of uint8, got {image.dtype}")
    pixels = image.detach().numpy()
    planes = pixels.reshape(-1, *pixels.shape[-2:])
    return tg.from_numpy(np.stack([_equalized(plane) for plane in planes]).reshape(pixels.shape))


# --- what the above share -----------------------------------------------------------


def _in_float(image: Tensor, change: Callable[[Tensor], Tensor], clamp: int | None = None) -> Tensor:
    """`change` of the image as float (N, C, H, W), back in its own shape and, rounded, in its dtype."""
    floating = image.is_floating_point()
    lead = tuple(image.shape[:-3])
    x = image.reshape((-1, *image.shape[-3:])) if image.ndim != 4 else image
    changed = change(x if floating else x.to(tg.float32))
    if clamp is not None:
        changed = changed.clamp(0, clamp)
    if not floating:
        changed = changed.round().to(image.dtype)
    if image.ndim == 4:
        return changed
    return changed.reshape((*lead, *changed.shape[-3:]) if image.ndim > 2 else changed.shape[-2:])


def _constant(image: Tensor, border: tuple[int, int, int, int], value: float) -> Tensor:
    """F.pad, which keeps whole numbers whole."""
    return F.pad(image, border, mode="constant", value=value)


def _positions(length: int, before: int, after: int, mode: str) -> np.ndarray:
    """Which of `length` pixels stand in a padded line."""
    if mode not in ("edge", "reflect", "symmetric"):
        raise ValueError(f"padding_mode expected constant, edge, reflect or symmetric, got {mode!r}")
    inner = np.arange(length)[max(-before, 0) : length + min(after, 0)]
    return np.pad(inner, (max(before, 0), max(after, 0)), mode=mode)  # type: ignore[call-overload]


def _affine_places(matrix: Sequence[float], size: tuple[int, int], frame: tuple[int, int]) -> np.ndarray:
    """Where the pixels of the frame (width, height) lie in the image: (H, W, 2) between −1 and 1."""
    (width, height), (frame_width, frame_height) = size, frame
    x = np.linspace(-frame_width * 0.5 + 0.5, frame_width * 0.5 - 0.5, frame_width, dtype=np.float32)
    y = np.linspace(-frame_height * 0.5 + 0.5, frame_height * 0.5 - 0.5, frame_height, dtype=np.float32)
    points = np.stack([*np.meshgrid(x, y), np.ones((frame_height, frame_width), np.float32)], -1)
    half = np.array([0.5 * width, 0.5 * height], np.float32)
    return points @ (np.array(matrix, np.float32).reshape(2, 3).T / half)


def _sampled(image: Tensor, places: np.ndarray, mode: InterpolationMode, fill: Fill) -> Tensor:
    """The image looked up at the places; outside of it, `fill`, into which bilinear edges run over."""
    if mode.value not in ("nearest", "bilinear"):
        raise ValueError(f"tensors are turned and warped by nearest or bilinear, got {mode.value}")

    def looked_up(x: Tensor) -> Tensor:
        grid = tg.from_numpy(np.broadcast_to(places, (x.shape[0], *places.shape)).astype(x.dtype))
        found = F.grid_sample(x, grid, mode=mode.value, padding_mode="zeros", align_corners=False)
        if fill is None:
            return found
        inside = F.grid_sample(tg.ones_like(x[:1, :1]), grid[:1], mode=mode.value, align_corners=False)
        values = [float(fill)] if isinstance(fill, (int, float)) else [float(value) for value in fill]
        colour = tg.tensor(values, dtype=x.dtype).reshape((1, -1, 1, 1))
        if mode is InterpolationMode.NEAREST:
            return tg.where(inside < 0.5, colour, found)
        return found * inside + (1.0 - inside) * colour

    return _in_float(image, looked_up)


def _blended(image: Tensor, other: Tensor, share: float) -> Tensor:
    one, two = (x if x.is_floating_point() else x.to(tg.float32) for x in (image, other))
    mixed = float(share) * one + (1.0 - float(share)) * two
    return mixed.clamp(0, largest(image.dtype)).to(image.dtype)


def _filtered(x: Tensor, kernel: np.ndarray) -> Tensor:
    """Each channel of (N, C, H, W) correlated with the kernel, without padding."""
    count = int(x.shape[-3])
    weight = tg.from_numpy(np.broadcast_to(kernel.astype(x.dtype), (count, 1, *kernel.shape)).copy())
    return F.conv2d(x, weight, groups=count)


def _placed(image: Tensor, inner: Tensor) -> Tensor:
    """The image with `inner` in the place of all but its outermost pixels."""
    middle = tg.cat([image[..., 1:-1, :1], inner, image[..., 1:-1, -1:]], -1)
    return tg.cat([image[..., :1, :], middle, image[..., -1:, :]], -2)


def _gaussian(size: int, deviation: float, dtype: DType) -> np.ndarray:
    half = (size - 1) * 0.5
    at = np.linspace(-half, half, size, dtype=dtype)
    density = np.exp(-0.5 * (at / np.asarray(deviation, dtype)) ** 2)
    return density / density.sum()


def _hsv(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in turns, saturation and value of an RGB image in [0, 1] (the hexagonal cone of Smith, 1978)."""
    red, green, blue = (image[..., k, :, :] for k in range(3))
    high, low = image.amax(-3), image.amin(-3)
    grey = high == low
    spread = high - low
    saturation = spread / tg.where(grey, 1.0, high)
    divisor = tg.where(grey, 1.0, spread)
    to_red, to_green, to_blue = ((high - colour) / divisor for colour in (red, green, blue))
    is_red, is_green = high == red, high == green
    turned = tg.where(
        is_red, to_blue - to_green, tg.where(is_green, 2.0 + to_red - to_blue, 4.0 + to_green - to_red)
    )
    return (turned / 6.0 + 1.0) % 1.0, saturation, high


def _rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    sector = (hue * 6.0).floor()
    rest = hue * 6.0 - sector
    low = (value * (1.0 - saturation)).clamp(0, 1)
    falling = (value * (1.0 - saturation * rest)).clamp(0, 1)
    rising = (value * (1.0 - saturation * (1.0 - rest))).clamp(0, 1)
    which = sector.to(tg.int64) % 6
    order = (
        (value, falling, low, low, rising, value),
        (rising, value, value, falling, low, low),
        (low, low, rising, value, value, falling),
    )
    planes = []
    for choices in order:
        plane = choices[0]
        for k in range(1, 6):
            plane = tg.where(which == k, choices[k], plane)
        planes.append(plane)
    return tg.stack(planes, -3)


def _equalized(plane: np.ndarray) -> np.ndarray:
    counts = np.bincount(plane.ravel(), minlength=256)
    step = (counts.sum() - counts[counts > 0][-1]) // 255
    if step == 0:
        return plane
    table = (np.cumsum(counts) + step // 2) // step
    return np.clip(np.concatenate([[0], table[:-1]]), 0, 255).astype(np.uint8)[plane]
