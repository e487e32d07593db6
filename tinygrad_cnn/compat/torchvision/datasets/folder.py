"""Pictures in folders of classes, as PIL images or what a loader makes of them, by `tinygrad_cnn.datasets`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from tinygrad_cnn import datasets
from tinygrad_cnn.compat.torchvision.datasets.vision import Change, VisionDataset
from tinygrad_cnn.compat.torchvision.transforms.pil import pillow

__all__ = ["DatasetFolder", "ImageFolder", "default_loader", "pil_loader"]

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def pil_loader(path: str | os.PathLike[str]) -> Any:
    """The picture in a file as a PIL image of mode RGB."""
    with open(path, "rb") as file:
        return pillow().open(file).convert("RGB")


default_loader = pil_loader


class DatasetFolder(VisionDataset):
    """Files in a folder with a sub-folder per class, each served as what `loader` makes of it, with its label.

    Which files: those with one of the endings `extensions`, or of which `is_valid_file` says so by their path.
    `classes`, `class_to_idx`, `samples` and `targets` are lists and dicts as in torchvision. Raises DataError for a
    folder without classes, and, unless `allow_empty`, for a class without files.
    """

    def __init__(
        self, root: str | os.PathLike[str], loader: Callable[[str], Any], extensions: tuple[str, ...] | None = None,
        transform: Change | None = None, target_transform: Change | None = None,
        is_valid_file: Callable[[str], bool] | None = None, allow_empty: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(root, transform=transform, target_transform=target_transform)
        if (extensions is None) == (is_valid_file is None):
            raise ValueError("DatasetFolder expected extensions or is_valid_file, and not both")
        if extensions is not None:
            endings = tuple(ending.lower() for ending in extensions)
            fits: Callable[[str], bool] = lambda path: path.lower().endswith(endings)
        else:
            assert is_valid_file is not None
            fits = is_valid_file
        found = datasets.ImageFolder(
            str(self.root), loader=loader, is_valid_file=fits, allow_empty=allow_empty
        )
        self.loader, self.extensions = loader, extensions
        self.classes, self.class_to_idx = list(found.classes), found.class_to_idx
        self.samples, self.targets = found.samples, found.targets

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """(what the loader gives, label) of sample `index`, after the transforms."""
        path, label = self.samples[index]
        return self._served(self.loader(path), label)

    def __len__(self) -> int:
        return len(self.samples)


class ImageFolder(DatasetFolder):
    """Pictures in a folder with a sub-folder per class, ``root/cat/1.png``, served as PIL images of mode RGB."""

    def __init__(
        self, root: str | os.PathLike[str], transform: Change | None = None, target_transform: Change | None = None,
        loader: Callable[[str], Any] = default_loader, is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:  # fmt: skip
        endings = IMG_EXTENSIONS if is_valid_file is None else None
        super().__init__(root, loader, endings, transform, target_transform, is_valid_file, allow_empty)
        self.imgs = self.samples
