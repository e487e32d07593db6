"""The 60,000 training digits for the epoch workload."""

from __future__ import annotations

import os

import numpy as np


def mnist() -> tuple[np.ndarray, np.ndarray]:
    """Images (60000, 1, 28, 28) in [0, 1] and labels: MNIST from the folder named by BENCH_DATA_DIR, else the
    packaged 5,000 digits twelve times over, which costs the same."""
    from tinygrad_cnn import datasets

    folder = os.environ.get("BENCH_DATA_DIR")
    images, labels = (datasets.MNIST(folder) if folder else datasets.Digits()).arrays()
    times = 60_000 // len(images)
    return np.concatenate([images] * times), np.concatenate([labels] * times).astype(np.int64)
