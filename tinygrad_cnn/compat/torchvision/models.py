"""`torchvision.models`: the networks of `tinygrad_cnn.models` that torchvision has, and names for its weights.

No weights are downloaded: a builder that is asked for them says how to load them from a file.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from typing import Any

import tinygrad_cnn as tg
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.compat.torchvision.transforms import functional as F
from tinygrad_cnn.compat.torchvision.transforms.interpolation import InterpolationMode, Picture
from tinygrad_cnn.models import (
    VGG,
    AlexNet,
    DenseNet,
    EfficientNet,
    GoogLeNet,
    GoogLeNetOutputs,
    MobileNetV2,
    ResNet,
    SqueezeNet,
    alexnet,
    densenet121,
    densenet161,
    densenet169,
    densenet201,
    efficientnet_b0,
    googlenet,
    mobilenet_v2,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext101_32x8d,
    resnext101_64x4d,
    segmentation,
    squeezenet1_0,
    squeezenet1_1,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
    wide_resnet50_2,
    wide_resnet101_2,
)
from tinygrad_cnn.nn import Module
from tinygrad_cnn.support.errors import UsageError

_BUILDERS: dict[str, Callable[..., Module]] = {
    build.__name__: build for build in (
        alexnet, densenet121, densenet161, densenet169, densenet201, efficientnet_b0, googlenet, mobilenet_v2,
        resnet18, resnet34, resnet50, resnet101, resnet152, resnext50_32x4d, resnext101_32x8d, resnext101_64x4d,
        squeezenet1_0, squeezenet1_1, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn,
        wide_resnet50_2, wide_resnet101_2,
    )
}  # fmt: skip
_SEGMENTING: dict[str, Callable[..., Module]] = {
    "fcn_resnet50": segmentation.fcn_resnet50,
    "fcn_resnet101": segmentation.fcn_resnet101,
}

__all__ = [
    *_BUILDERS, "VGG", "AlexNet", "DenseNet", "EfficientNet", "GoogLeNet", "GoogLeNetOutputs", "MobileNetV2", "ResNet",
    "SqueezeNet", "get_model", "get_model_builder", "list_models",
]  # fmt: skip


def get_model(name: str, **config: Any) -> Module:
    """The network of that name; `config` are its builder's options. Raises ValueError for an unknown name."""
    return get_model_builder(name)(**config)


def get_model_builder(name: str) -> Callable[..., Module]:
    """The function that builds the network of that name. Raises ValueError for an unknown one."""
    known = {**_BUILDERS, **_SEGMENTING}
    if name.lower() not in known:
        raise ValueError(f"unknown model {name!r}; known: {', '.join(known)}")
    return known[name.lower()]


def list_models() -> list[str]:
    """The names that `get_model` knows."""
    return sorted({**_BUILDERS, **_SEGMENTING})


class _Weights(enum.Enum):
    """The base of the names of published weights; `transforms()` is what prepares images for them."""

    def transforms(self, **options: Any) -> _Preparation:
        """The preparation of images that all but a few of the published weights were evaluated with."""
        return _Preparation(**{"crop_size": 224, **options})

    def get_state_dict(self, *_args: Any, **_options: Any) -> Any:
        """Raises UsageError: nothing is downloaded."""
        raise UsageError(
            f"{self} would be downloaded, and this package downloads no weights: get the .pth file yourself and load "
            "it with torch.load('FILE.pth')"
        )

    @classmethod
    def verify(cls, weights: Any) -> Any:
        """The weights as given."""
        return weights

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    __repr__ = __str__


class _Preparation(Module):
    """An image, PIL's or a tensor, scaled, its middle cut out, in float32 and normalised as ImageNet's are."""

    def __init__(
        self, *, crop_size: int, resize_size: int = 256, mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR, antialias: bool | None = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.crop_size, self.resize_size = [crop_size], [resize_size]
        self.mean, self.std = list(mean), list(std)
        self.interpolation, self.antialias = interpolation, antialias

    def forward(self, img: Picture) -> Tensor:
        """(3, crop_size, crop_size)."""
        img = F.resize(img, self.resize_size, self.interpolation, antialias=self.antialias)
        img = F.center_crop(img, self.crop_size)
        if not isinstance(img, tg.Tensor):
            img = F.pil_to_tensor(img)
        return F.normalize(F.convert_image_dtype(img, tg.float32), self.mean, self.std)


@functools.cache
def _weights_named(name: str) -> Any:
    kinds = ("IMAGENET1K_V1", "IMAGENET1K_V2", "IMAGENET1K_FEATURES", "COCO_WITH_VOC_LABELS_V1")
    make: Callable[..., Any] = _Weights  # a call of an Enum with names makes another one
    return make(name, {**{kind: kind for kind in kinds}, "DEFAULT": kinds[0]}, module=__name__)


def __getattr__(name: str) -> Any:
    builder, ending, rest = name.lower().partition("_weights")
    known = {key.replace("_", "") for key in (*_BUILDERS, *_SEGMENTING)}
    if ending and not rest and name.endswith("_Weights") and builder.replace("_", "") in known:
        return _weights_named(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
