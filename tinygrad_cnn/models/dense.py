"""Networks that answer for every pixel or every place: segmenters with several ways to upsample, and a detector."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_cnn import nn
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.autograd.handle import wrap
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.ops.shape import cat

__all__ = ["UPSAMPLINGS", "FCN", "CenterNet", "Detection", "UNet"]

#: Duplication of pixels, back to where max-pooling took its values from, between pixels, and learned.
UPSAMPLINGS = ("nearest", "unpool", "bilinear", "transposed")


class UNet(nn.Module):
    """(N, C, H, W) → class scores (N, num_classes, H, W) (Ronneberger, Fischer, Brox 2015), H and W multiples of 4.

    Two poolings go down to 1/4, where four convolutions see the whole of a digit; on the way up each level is
    joined with what the same level had on the way down. `upsampling` is one of UPSAMPLINGS.
    113,887 parameters with 11 classes ("transposed" has 4,716 more). ValueError for another upsampling.
    """

    def __init__(
        self, num_classes: int = 11, in_channels: int = 1, widths: tuple[int, int, int] = (12, 32, 48),
        upsampling: str = "bilinear",
    ) -> None:  # fmt: skip
        super().__init__()
        fine, middle, coarse = widths
        self.upsampling = upsampling
        self.down = nn.ModuleList([_double(in_channels, fine), _double(fine, middle)])
        self.bottom = nn.Sequential(_double(middle, coarse), _double(coarse, coarse))
        # What is unpooled has the channels of the level that was pooled, as the recorded places have.
        self.squeeze = nn.ModuleList([nn.Conv2d(coarse, middle, 1), nn.Conv2d(middle, fine, 1)])
        self.rise = nn.ModuleList([_Upsample(width, upsampling) for width in (middle, fine)])
        self.up = nn.ModuleList([_single(2 * width, width) for width in (middle, fine)])
        self.head = nn.Conv2d(fine, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        passed: list[tuple[Tensor, Tensor | None]] = []
        for block in self.down:
            level = block(x)
            if self.upsampling == "unpool":
                x, places = F.max_pool2d(level, 2, return_indices=True)
            else:
                x, places = F.max_pool2d(level, 2), None
            passed.append((level, places))
        x = self.bottom(x)
        for squeeze, rise, block in zip(self.squeeze, self.rise, self.up):
            level, places = passed.pop()
            x = block(cat([level, rise(squeeze(x), places)], 1))
        return self.head(x)


class FCN(nn.Module):
    """(N, C, H, W) → class scores (N, num_classes, H, W): a fully convolutional network (Long, Shelhamer, Darrell
    2015).

    A classifier of five convolutions scores every place at 1/4 of the size; these scores are upsampled and added
    to those that
    the finer levels give, as in FCN-8s. H and W are multiples of 4. 89,745 parameters with 11 classes and bilinear
    upsampling.
    """

    def __init__(self, num_classes: int = 11, in_channels: int = 1, upsampling: str = "bilinear") -> None:
        super().__init__()
        if upsampling == "unpool":
            raise ValueError("FCN upsamples scores, which were never pooled: 'unpool' is UNet's")
        self.fine = _double(in_channels, 8)
        self.middle = _double(8, 32)
        self.coarse = nn.Sequential(_double(32, 48), _double(48, 48))
        self.score = nn.ModuleList([nn.Conv2d(width, num_classes, 1) for width in (8, 32, 48)])
        self.rise = nn.ModuleList([_Upsample(num_classes, upsampling) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x)
        middle = self.middle(F.max_pool2d(fine, 2))
        coarse = self.coarse(F.max_pool2d(middle, 2))
        scores = self.score[1](middle) + self.rise[0](self.score[2](coarse), None)
        return self.score[0](fine) + self.rise[1](scores, None)


class Detection(NamedTuple):
    """What was found on one image, the surest first: boxes (n, 4) as (left, top, right, bottom) in pixels, scores and
    classes (n,)."""

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


class CenterNet(nn.Module):
    """(N, C, H, W) → (N, num_classes + 4, H / 4, W / 4): an anchor-free detector (Zhou, Wang, Krähenbühl 2019).

    At each place of a grid of stride 4: a logit per class, high where the middle of such an object lies, and the
    distances of
    the box's left, top, right and bottom edge from the place's middle, in strides (as Tian et al. 2019, FCOS).
    `loss` trains it on boxes (N, most, 5), `detect` reads boxes out. 108,158 parameters with 10 classes.
    """

    stride = 4

    def __init__(self, num_classes: int = 10, in_channels: int = 1, width: int = 48) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.features = nn.Sequential(
            _single(in_channels, 16), nn.MaxPool2d(2), _single(16, 32), nn.MaxPool2d(2),
            *[_single(32 if k == 0 else width, width) for k in range(5)],
        )  # fmt: skip
        self.head = nn.Conv2d(width, num_classes + 4, 3, padding=1)
        # At the start every place says "nothing here" (Lin et al. 2017), so that the many empty ones do not drown
        # the few.
        self.head.bias.array[:num_classes] = -np.log(99)
        self.head.bias.array[num_classes:] = 2

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def loss(self, outputs: Tensor, boxes: Tensor) -> Tensor:
        """Zhou et al.'s focal loss of the logits and the absolute error of the distances, per object.

        `boxes` are (N, most, 5) as `datasets.ScatteredDigits` gives them.
        """
        heat, edges, there = (wrap(part) for part in self._wanted(boxes.array, outputs.shape[2:]))
        count = max(1.0, float(there.array.sum()))
        logits = outputs[:, : self.num_classes]
        share = logits.sigmoid()
        at_centre = wrap((heat.array == 1).astype(np.float32))
        focal = -(at_centre * (1 - share) ** 2 * F.logsigmoid(logits)).sum()
        focal = focal - ((1 - at_centre) * (1 - heat) ** 4 * share**2 * F.logsigmoid(-logits)).sum()
        distance = ((outputs[:, self.num_classes :] - edges).abs() * there).sum()
        return (focal + 0.5 * distance) / count

    def detect(self, outputs: Tensor, threshold: float = 0.1, most: int = 20) -> list[Detection]:
        """The boxes in the outputs, one `Detection` per image: the places whose logit is the largest among their eight
        neighbours' and stands for a probability above `threshold`."""
        found = np.asarray(outputs.array, np.float32)
        logits, edges = found[:, : self.num_classes], found[:, self.num_classes :]
        share = 1 / (1 + np.exp(-logits))
        padded = np.pad(logits, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
        peak = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3)).max((4, 5))
        result = []
        for n in range(len(found)):
            c, i, j = np.nonzero((logits[n] == peak[n]) & (share[n] > threshold))
            order = np.argsort(-share[n, c, i, j], kind="stable")[:most]
            c, i, j = c[order], i[order], j[order]
            x, y = (j + 0.5) * self.stride, (i + 0.5) * self.stride
            left, top, right, bottom = edges[n][:, i, j] * self.stride
            boxes = np.stack([x - left, y - top, x + right, y + bottom], 1).astype(np.float32)
            result.append(Detection(boxes, share[n, c, i, j], c.astype(np.int64)))
        return result

    def _wanted(self, boxes: npt.NDArray[np.float32], grid: tuple[int, ...]) -> tuple[npt.NDArray[np.float32], ...]:
        """What the outputs should be: heat maps (N, classes, h, w) with a 1 at each middle that falls off as a
        Gaussian, distances (N, 4, h, w), and where there are any (N, 1, h, w)."""
        n, (height, width) = len(boxes), grid
        heat = np.zeros((n, self.num_classes, height, width), np.float32)
        edges, there = np.zeros((n, 4, height, width), np.float32), np.zeros((n, 1, height, width), np.float32)
        rows, columns = np.mgrid[:height, :width]
        for b, k in zip(*np.nonzero(boxes[..., 4] >= 0)):
            left, top, right, bottom, label = boxes[b, k] / (self.stride, self.stride, self.stride, self.stride, 1)
            i = min(int((top + bottom) / 2), height - 1)
            j = min(int((left + right) / 2), width - 1)
            spread = 2 * max(right - left, bottom - top, 1.0) ** 2 / 36  # a sixth of the longer side is one deviation
            bump = np.exp(-((rows - i) ** 2 + (columns - j) ** 2) / spread)
            np.maximum(heat[b, int(label)], bump, out=heat[b, int(label)])
            edges[b, :, i, j] = j + 0.5 - left, i + 0.5 - top, right - j - 0.5, bottom - i - 0.5
            there[b, 0, i, j] = 1
        return heat, edges, there


class _Upsample(nn.Module):
    """Twice the height and width, in one of four ways; `places` are those that a max-pooling of the result took."""

    def __init__(self, channels: int, how: str) -> None:
        super().__init__()
        if how not in UPSAMPLINGS:
            raise ValueError(f"upsampling expected one of {', '.join(UPSAMPLINGS)}, got {how!r}")
        self.how = how
        if how == "transposed":
            self.learned = nn.ConvTranspose2d(channels, channels, 2, stride=2)

    def forward(self, x: Tensor, places: Tensor | None) -> Tensor:
        if self.how == "transposed":
            return self.learned(x)
        if self.how == "unpool":
            return F.max_unpool2d(x, places, 2)
        if self.how == "nearest":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _single(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*_single(inputs, outputs), *_single(outputs, outputs))
