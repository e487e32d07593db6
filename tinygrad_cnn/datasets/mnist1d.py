"""MNIST-1D: 40-point signals that stand for the ten digits, generated, small enough to train on in seconds.

Greydanus & Kobak, "Scaling down deep learning with MNIST-1D", ICML 2024 (arXiv:2011.14439). With the default
options this gives their published frozen set to rounding (1e-9 and better). NumPy only; hands its arrays on
as an `ArrayDataset`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_cnn.datasets.base import ArrayDataset, Transform
from tinygrad_cnn.support.errors import DataError

__all__ = ["MNIST1D", "MNIST1DArrays", "make_mnist1d"]

Signals = npt.NDArray[np.float64]

# Twelve heights per digit; normalised in _templates.
_HEIGHTS = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
_POINTS = len(_HEIGHTS[0])


@dataclass(frozen=True)
class MNIST1DArrays:
    """`x` (n_train, length), `y` (n_train,), `x_test`, `y_test` likewise; signals float64, labels int64."""

    x: Signals
    y: npt.NDArray[np.int64]
    x_test: Signals
    y_test: npt.NDArray[np.int64]


class MNIST1D(ArrayDataset):
    """4,000 (train=True) or 1,000 signals of 40 points in 10 classes; an item is (float32 (1, 40), int).

    `shuffle_positions` permutes the 40 positions, the same way in every signal: what a convolution relies on
    is gone, what a fully connected network sees is the same. Further options are `make_mnist1d`'s. `data`
    stays float64. Equal options share one generation.
    """

    def __init__(
        self,
        train: bool = True,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        *,
        seed: int = 42,
        shuffle_positions: bool = False,
        **options: Any,
    ) -> None:
        self.train = train
        made = _made(seed=seed, shuffle_positions=shuffle_positions, **options)
        data, targets = (made.x, made.y) if train else (made.x_test, made.y_test)
        # The generated arrays are shared by every data set with these options, so each gets copies.
        super().__init__(data.copy(), targets.copy(), tuple("0123456789"), transform, target_transform)


def make_mnist1d(
    num_samples: int = 5000,
    train_fraction: float = 0.8,
    *,
    seed: int = 42,
    shuffle_positions: bool = False,
    padding: tuple[int, int] = (36, 60),
    scale: float = 0.4,
    max_translation: int = 48,
    correlated_noise: float = 0.25,
    white_noise: float = 0.02,
    shear: float = 0.75,
    length: int = 40,
) -> MNIST1DArrays:
    """Generate the set: `num_samples` (a multiple of 10) signals of `length` points, normalised as one array.

    Each signal is a digit's template of 12 points, followed by zeros (a number drawn from `padding`, both
    ends included), stretched to 12 + padding[1] points, scaled by up to ± scale/2, rotated by less than
    `max_translation` points; smooth noise of size `correlated_noise` fills its silence, `white_noise` lies
    over all of it, `shear` tilts it, and it is resampled to `length` points. The defaults, in NumPy's legacy
    random stream with seed 42, are the published set. Raises DataError for options that leave nothing to
    generate.
    """
    span = _POINTS + padding[1]
    _check(num_samples, train_fraction, padding, max_translation, length, span)
    rng = np.random.RandomState(seed)  # the published stream
    targets = np.repeat(np.arange(10), num_samples // 10)
    templates = _templates() + 1e-8  # no template point is exactly silent: silence is where the noise goes
    # One row per sample. The random numbers must be drawn sample by sample, in the published order; all
    # arithmetic that follows runs over the rows at once.
    signals = np.zeros((num_samples, span))
    smooth, white = np.empty_like(signals), np.empty_like(signals)
    tilt = np.empty((num_samples, 1))
    for row, digit in enumerate(targets):
        zeros = padding[0] + int(rng.random_sample() * (padding[1] - padding[0] + 1))
        stretched = _resample(np.concatenate([templates[digit], np.zeros(zeros)])[None], span)[0]
        stretched *= 1 + scale * (rng.random_sample() - 0.5)
        signals[row] = np.roll(stretched, rng.choice(max_translation))
        smooth[row] = rng.standard_normal(span)
        white[row] = rng.standard_normal(span)
        tilt[row] = rng.random_sample() - 0.5
    signals = np.where(signals == 0, _gaussian_blur(correlated_noise * smooth, sigma=2.0), signals)
    signals += white_noise * white
    signals -= shear * tilt * np.linspace(-0.5, 0.5, span)
    signals = _resample(signals, length)

    order = rng.permutation(num_samples)
    signals, targets = signals[order], targets[order]
    if shuffle_positions:
        signals = signals[:, rng.permutation(length)]
    signals = (signals - signals.mean()) / signals.std()
    cut = int(num_samples * train_fraction)
    return MNIST1DArrays(signals[:cut], targets[:cut], signals[cut:], targets[cut:])


@functools.lru_cache(maxsize=4)
def _made(**options: Any) -> MNIST1DArrays:
    return make_mnist1d(**options)


def _templates() -> Signals:
    """(10, 12): each digit's heights with mean 0 and deviation 1, then from 0 on, in sixths."""
    heights = np.array(_HEIGHTS, np.float64)
    heights = (heights - heights.mean(1, keepdims=True)) / heights.std(1, keepdims=True)
    return (heights - heights[:, :1]) / 6


def _resample(rows: Signals, length: int) -> Signals:
    """Linear interpolation of every row at `length` equally spaced points, both ends kept."""
    old, new = np.linspace(0, 1, rows.shape[1]), np.linspace(0, 1, length)
    left = np.clip(np.searchsorted(old, new) - 1, 0, rows.shape[1] - 2)
    slope = (rows[:, left + 1] - rows[:, left]) / (old[left + 1] - old[left])
    return slope * (new - old[left]) + rows[:, left]


def _gaussian_blur(rows: Signals, sigma: float) -> Signals:
    """Each row smoothed by a Gaussian cut at 4 σ; edges are mirrored: d c b a | a b c d | d c b a."""
    radius = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    width = rows.shape[1]
    padded = np.pad(rows, ((0, 0), (radius, radius)), mode="symmetric")
    return sum(w * padded[:, k : k + width] for k, w in enumerate(weights))


def _check(
    num_samples: int, fraction: float, padding: tuple[int, int], max_translation: int, length: int, span: int
) -> None:
    if num_samples < 10 or num_samples % 10:
        raise DataError(
            f"MNIST-1D has 10 classes of equal size: expected a multiple of 10 samples, got {num_samples}"
        )
    if not 0 < fraction <= 1:
        raise DataError(f"MNIST-1D expected 0 < train_fraction <= 1, got {fraction}")
    if not 0 <= padding[0] <= padding[1]:
        raise DataError(f"MNIST-1D expected padding (low, high) with 0 <= low <= high, got {padding}")
    if not 1 <= max_translation <= span:
        raise DataError(
            f"MNIST-1D expected max_translation from 1 to {span} (the signal's length), got {max_translation}"
        )
    if length < 2:
        raise DataError(f"MNIST-1D expected signals of at least 2 points, got length={length}")
