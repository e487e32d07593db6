"""Fully convolutional networks for segmentation (Long et al., CVPR 2015) on ResNets, with torchvision's keys."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from tinygrad_cnn import nn
from tinygrad_cnn.autograd.annotations import Tensor
from tinygrad_cnn.models.published import without_weights
from tinygrad_cnn.models.resnet import ResNet, resnet50, resnet101
from tinygrad_cnn.nn import functional as F

__all__ = ["FCN", "FCNHead", "fcn_resnet50", "fcn_resnet101"]


class FCNHead(nn.Sequential):
    """(N, C, H, W) → (N, classes, H, W): a 3×3 convolution to a quarter of the channels, and a 1×1 one."""

    def __init__(self, in_channels: int, channels: int) -> None:
        width = in_channels // 4
        super().__init__(
            nn.Conv2d(in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.1),
            nn.Conv2d(width, channels, 1),
        )  # fmt: skip


class FCN(nn.Module):
    """(N, 3, H, W) → {"out": (N, classes, H, W)}, scores for each pixel; with `aux_classifier`, "aux" as well.

    `backbone` gives a dict of feature maps, "out" and where needed "aux"; what the classifiers make of them is scaled
    to the image's size.
    """

    def __init__(
        self, backbone: nn.Module, classifier: nn.Module, aux_classifier: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.aux_classifier = aux_classifier

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.backbone(x)
        found = OrderedDict(out=self.classifier(features["out"]))
        if self.aux_classifier is not None:
            found["aux"] = self.aux_classifier(features["aux"])
        size = tuple(x.shape[-2:])
        for name, scores in found.items():
            found[name] = F.interpolate(scores, size=size, mode="bilinear", align_corners=False)
        return found


class _Features(nn.ModuleDict):
    """A ResNet without its classifier, which gives what its fourth stage, and with `aux` its third, computes."""

    def __init__(self, network: ResNet, aux: bool) -> None:
        parts = dict(network.named_children())
        del parts["avgpool"], parts["fc"]
        super().__init__(parts)
        self.aux = aux

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found = OrderedDict()
        for name, part in self.items():
            x = part(x)
            if name == "layer4" or name == "layer3" and self.aux:
                found["out" if name == "layer4" else "aux"] = x
        return found


def _fcn(
    name: str, backbone: Any, num_classes: int | None, aux_loss: bool | None, options: dict[str, Any]
) -> FCN:
    rest = without_weights(name, options)
    if rest:
        raise TypeError(f"{name} got options that it has not: {', '.join(rest)}")
    classes = 21 if num_classes is None else num_classes
    network = backbone(replace_stride_with_dilation=(False, True, True))
    aux = FCNHead(1024, classes) if aux_loss else None
    return FCN(_Features(network, bool(aux_loss)), FCNHead(2048, classes), aux)


def fcn_resnet50(num_classes: int | None = None, aux_loss: bool | None = None, **options: Any) -> FCN:
    """An FCN on ResNet-50, whose last two stages keep their size: 32,957,013 parameters for 21 classes."""
    return _fcn("fcn_resnet50", resnet50, num_classes, aux_loss, options)


def fcn_resnet101(num_classes: int | None = None, aux_loss: bool | None = None, **options: Any) -> FCN:
    """An FCN on ResNet-101, whose last two stages keep their size."""
    return _fcn("fcn_resnet101", resnet101, num_classes, aux_loss, options)
