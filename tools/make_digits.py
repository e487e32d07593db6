"""Make the digits that the package carries, from the folder of MNIST's four published IDX files.

    python tools/make_digits.py FOLDER

Of each class it takes every so-manieth image over the whole file, in the file's order: nothing is drawn at
random, and all writers have a part (MNIST's test file begins with the cleaner half of its writers). Writes
into tinygrad_cnn/datasets/digits_data/; the same input gives the same bytes.
"""

import sys
from pathlib import Path

import numpy as np

from tinygrad_cnn.datasets import MNIST
from tinygrad_cnn.datasets.idx import write_idx

OUT = Path(__file__).parent.parent / "tinygrad_cnn" / "datasets" / "digits_data"
PER_CLASS = {"train": 500, "t10k": 100}


def spread(targets: np.ndarray, per_class: int) -> np.ndarray:
    """Ascending positions of `per_class` samples of each class, evenly spread over that class."""
    chosen = []
    for label in np.unique(targets):
        positions = np.flatnonzero(targets == label)
        chosen.append(positions[np.arange(per_class) * len(positions) // per_class])
    return np.sort(np.concatenate(chosen))


def main(folder: str) -> None:
    total = 0
    for part, per_class in PER_CLASS.items():
        full = MNIST(folder, train=part == "train")
        keep = spread(full.targets, per_class)
        arrays = {"images-idx3": full.data[keep], "labels-idx1": full.targets[keep].astype(np.uint8)}
        for kind, array in arrays.items():
            path = OUT / f"{part}-{kind}-ubyte.gz"
            write_idx(path, array)
            total += path.stat().st_size
            print(f"{path.name}: {array.shape}, {path.stat().st_size:,} bytes")
    print(f"together {total:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/make_digits.py FOLDER (with MNIST's four IDX files)")
    main(sys.argv[1])
