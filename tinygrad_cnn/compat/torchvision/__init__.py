"""What scripts import from `torchvision`: transforms, data sets, drawing, operations on boxes, networks.

Pillow changes the images, and tensors are changed by this package's own operations. The networks are those of
`tinygrad_cnn.models`. Submodules are imported when they are asked for.
"""

from __future__ import annotations

__all__ = ["get_image_backend", "set_image_backend"]

#: A version of torchvision, since scripts compare it: the one whose answers the tests hold.
__version__ = "0.28.0+tinygrad.cnn"


def get_image_backend() -> str:
    """What reads image files: "PIL", always."""
    return "PIL"


def set_image_backend(backend: str) -> None:
    """Accepts "PIL"; ValueError for another library."""
    if backend != "PIL":
        raise ValueError(f"set_image_backend expected 'PIL', the only one here, got {backend!r}")
