"""What torchvision's data sets share: a root, transforms, and how they print."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.compat.torchvision.transforms.pil import pillow
from tinygrad_cnn.utils.data import Dataset

__all__ = ["Change", "ImagesInMemory", "StandardTransform", "VisionDataset"]

#: A transform of an image or of a label.
Change = Callable[[Any], Any]


class StandardTransform:
    """A transform for the image and one for the label, called with both."""

    def __init__(self, transform: Change | None = None, target_transform: Change | None = None) -> None:
        self.transform, self.target_transform = transform, target_transform

    def __call__(self, input: object, target: object) -> tuple[object, object]:
        return (
            input if self.transform is None else self.transform(input),
            target if self.target_transform is None else self.target_transform(target),
        )

    def __repr__(self) -> str:
        lines = [type(self).__name__]
        for head, change in (("Transform: ", self.transform), ("Target transform: ", self.target_transform)):
            if change is not None:
                lines += (head + repr(change)).replace("\n", "\n" + " " * len(head)).split("\n")
        return "\n".join(lines)


class VisionDataset(Dataset):
    """The base of sets of images: `root`, and either `transforms` (image and label) or one transform for each."""

    def __init__(
        self, root: str | os.PathLike[str] | None = None, transforms: Callable[..., Any] | None = None,
        transform: Change | None = None, target_transform: Change | None = None,
    ) -> None:  # fmt: skip
        if transforms is not None and (transform is not None or target_transform is not None):
            raise ValueError("a data set takes transforms, or transform and target_transform, and not both")
        self.root = os.path.expanduser(root) if isinstance(root, str) else root
        self.transform, self.target_transform = transform, target_transform
        if transform is not None or target_transform is not None:
            transforms = StandardTransform(transform, target_transform)
        self.transforms = transforms

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__")

    def extra_repr(self) -> str:
        """Lines for `repr` that a set adds."""
        return ""

    def __repr__(self) -> str:
        lines = [f"Number of datapoints: {len(self)}"]
        lines += [f"Root location: {self.root}"] if self.root is not None else []
        lines += self.extra_repr().splitlines()
        lines += [repr(self.transforms)] if self.transforms is not None else []
        return "\n    ".join([f"Dataset {type(self).__name__}", *lines])

    def _served(self, image: object, label: object) -> tuple[object, object]:
        return (image, label) if self.transforms is None else self.transforms(image, label)


class ImagesInMemory(VisionDataset):
    """Images that are one array, each served as a PIL image; `data` and `targets` may be changed by their user."""

    train: bool
    data: Any
    targets: Any
    classes: list[str]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """(image, label) of sample `index`, after the transforms."""
        return self._served(pillow().fromarray(np.asarray(self.data[index])), int(self.targets[index]))

    def __len__(self) -> int:
        return len(self.data)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class."""
        return {name: k for k, name in enumerate(self.classes)}

    def extra_repr(self) -> str:
        """Which part it is."""
        return f"Split: {'Train' if self.train else 'Test'}"
