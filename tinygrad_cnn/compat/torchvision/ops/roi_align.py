"""What a feature map holds inside of boxes, at a fixed size (He et al. 2017, Mask R-CNN, section 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.autograd.annotations import Tensor

__all__ = ["RoIAlign", "roi_align"]


def roi_align(
    input: Tensor, boxes: Tensor | list[Tensor], output_size: int | Sequence[int], spatial_scale: float = 1.0,
    sampling_ratio: int = -1, aligned: bool = False,
) -> Tensor:  # fmt: skip
    """Bilinear samples of input (N, C, H, W) in boxes, averaged in each of `output_size` cells: (K, C, h, w).

    A sample is a product of weights along y and along x, so the average over a cell is one too, and the result is
    A X Bᵀ for each box, A (h, H) and B (w, W). Gradients reach the input.

    Args:
        input: the feature map
        boxes: (K, 5), each the position in the batch, x₁, y₁, x₂, y₂; or a list of (Kᵢ, 4), one for each image
        output_size: (h, w), or one number for both
        spatial_scale: what takes the boxes' coordinates to those of the input
        sampling_ratio: samples along a cell's side; as many as it covers pixels where not above 0
        aligned: shift the boxes by half a pixel, so that a pixel's coordinate is its centre

    Returns:
        (K, C, h, w)

    Raises:
        ValueError: for other shapes, and positions that the batch has not
    """
    height, width = (
        (output_size, output_size) if isinstance(output_size, int) else (int(n) for n in output_size)
    )
    rows = _rows(boxes, int(input.shape[0]))
    if input.ndim != 4:
        raise ValueError(f"roi_align expected an input (N, C, H, W), got {tuple(input.shape)}")
    count, channels = len(rows), int(input.shape[1])
    if not count:
        return input.new_zeros((0, channels, height, width))
    full_height, full_width = (int(n) for n in input.shape[-2:])
    along_y, along_x = np.zeros((count, height, full_height)), np.zeros((count, width, full_width))
    shift = 0.5 if aligned else 0.0
    for k, (_, x1, y1, x2, y2) in enumerate(rows):
        for table, low, high in ((along_y[k], y1, y2), (along_x[k], x1, x2)):
            start, end = low * spatial_scale - shift, high * spatial_scale - shift
            length = end - start if aligned else max(end - start, 1.0)
            _fill(table, start, length, sampling_ratio)
    parts, order = [], []
    for image in np.unique(rows[:, 0]):
        members = np.flatnonzero(rows[:, 0] == image)
        order.append(members)
        left = tg.from_numpy(along_y[members].reshape(-1, full_height).astype(input.dtype))
        right = tg.from_numpy(along_x[members].transpose(0, 2, 1).astype(input.dtype))
        # (C, K h, W), then for each box times Bᵀ.
        found = (left @ input[int(image)]).reshape(channels, len(members), height, full_width)
        parts.append(found.permute(1, 0, 2, 3) @ right[:, None])
    joined = tg.cat(parts, 0) if len(parts) > 1 else parts[0]
    return joined[tg.from_numpy(np.argsort(np.concatenate(order), kind="stable"))]


class RoIAlign(nn.Module):
    """`roi_align` as a module."""

    def __init__(
        self,
        output_size: int | Sequence[int],
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale
        self.sampling_ratio, self.aligned = sampling_ratio, aligned

    def forward(self, input: Tensor, rois: Tensor | list[Tensor]) -> Tensor:
        """(N, C, H, W) and boxes → (K, C, h, w)."""
        return roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)

    def extra_repr(self) -> str:
        """The options."""
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned}"
        )


def _rows(boxes: Tensor | list[Tensor], images: int) -> np.ndarray:
    """(K, 5) in float64: the image's position, then the box."""
    if isinstance(boxes, (list, tuple)):
        if len(boxes) != images or any(one.ndim != 2 or one.shape[1] != 4 for one in boxes):
            raise ValueError(f"roi_align expected {images} tensors (K, 4) of boxes, one for each image")
        arrays = [one.detach().numpy().astype(np.float64) for one in boxes]
        rows = np.concatenate([np.insert(array, 0, k, axis=1) for k, array in enumerate(arrays)])
    else:
        if boxes.ndim != 2 or boxes.shape[1] != 5:
            raise ValueError(
                f"roi_align expected boxes (K, 5), the image's position first, got {tuple(boxes.shape)}"
            )
        rows = boxes.detach().numpy().astype(np.float64)
    if len(rows) and not (rows[:, 0].min() >= 0 and rows[:, 0].max() < images):
        raise ValueError(f"roi_align: a box names an image outside of a batch of {images}")
    return rows


def _fill(table: np.ndarray, start: float, length: float, sampling_ratio: int) -> None:
    """Weights (cells, pixels) of the samples along one side of a box, averaged for each cell."""
    cells, pixels = table.shape
    step = length / cells
    samples = sampling_ratio if sampling_ratio > 0 else max(math.ceil(step), 1)
    for cell in range(cells):
        at = start + cell * step + (np.arange(samples) + 0.5) * step / samples
        at = np.clip(at[(at >= -1.0) & (at <= pixels)], 0, pixels - 1)
        low = at.astype(int)
        share = at - low
        np.add.at(table[cell], low, (1 - share) / samples)
        np.add.at(table[cell], np.minimum(low + 1, pixels - 1), share / samples)
