"""What SciPy's affine_transform makes of an image: `python -m tests.datasets.freeze_warp` writes warp_answers.npz."""

from pathlib import Path

import numpy as np

ANSWERS = Path(__file__).with_name("warp_answers.npz")
#: Our fill mode: SciPy's.
MODES = {"constant": "constant", "nearest": "nearest", "reflect": "reflect", "wrap": "grid-wrap"}
#: Keras's parameters.
TRANSFORMS = {
    "rotation": {"theta": 33.0},
    "shift": {"tx": 2.5, "ty": -3.25},
    "shear": {"shear": 20.0},
    "zoom": {"zx": 0.6, "zy": 1.7},
    "all": {"theta": -71.0, "tx": -4.0, "ty": 1.5, "shear": -12.0, "zx": 1.3, "zy": 0.8},
}


def image():
    return np.random.default_rng(0).random((2, 9, 12))


def keras_matrix(theta=0.0, tx=0.0, ty=0.0, shear=0.0, zx=1.0, zy=1.0):
    """The matrix as the documentation of Keras describes it: rotation, shift, shear and zoom about the centre."""
    a, b = np.deg2rad(theta), np.deg2rad(shear)
    whole = np.eye(3)
    for step in (
        [[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]],
        [[1, 0, tx], [0, 1, ty], [0, 0, 1]],
        [[1, -np.sin(b), 0], [0, np.cos(b), 0], [0, 0, 1]],
        [[zx, 0, 0], [0, zy, 0], [0, 0, 1]],
    ):
        whole = whole @ np.array(step)
    _, h, w = image().shape
    to, back = np.eye(3), np.eye(3)
    to[:2, 2] = (h - 1) / 2, (w - 1) / 2
    back[:2, 2] = -to[:2, 2]
    return to @ whole @ back


if __name__ == "__main__":
    from scipy import ndimage

    found = {}
    for name, parameters in TRANSFORMS.items():
        m = keras_matrix(**parameters)
        for mode, theirs in MODES.items():
            channels = [
                ndimage.affine_transform(channel, m[:2, :2], m[:2, 2], order=1, mode=theirs, cval=0.25)
                for channel in image()
            ]
            found[f"{name}/{mode}"] = np.stack(channels)
    np.savez_compressed(ANSWERS, **found)
