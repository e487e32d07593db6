"""Known networks by name, ready to train: plain modules to read, copy and change.

    models.names()
    model = models.create("mnist-cnn", num_classes=10)

A name stands for a builder and the input it is made for; weights are fresh (`manual_seed` decides them).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tinygrad_cnn.models.alexnet import AlexNet, alexnet
from tinygrad_cnn.models.dense import FCN, UPSAMPLINGS, CenterNet, Detection, UNet
from tinygrad_cnn.models.densenet import DenseNet, densenet121, densenet161, densenet169, densenet201
from tinygrad_cnn.models.efficientnet import EfficientNet, efficientnet_b0
from tinygrad_cnn.models.googlenet import GoogLeNet, GoogLeNetOutputs, googlenet
from tinygrad_cnn.models.images import ImageCNN
from tinygrad_cnn.models.mnist import MLP, LeNet1, LeNet4, LeNet5, MnistCNN
from tinygrad_cnn.models.mnist1d import MNIST1DCNN, MNIST1DGRU, MNIST1DMLP, UDLCNN, MNIST1DLogistic, UDLDense
from tinygrad_cnn.models.mobilenetv1 import MobileNetV1, mobilenet_v1
from tinygrad_cnn.models.mobilenetv2 import MobileNetV2, mobilenet_v2
from tinygrad_cnn.models.resnet import (
    BasicBlock,
    Bottleneck,
    ResNet,
    resnet18,
    resnet18_cifar,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext101_32x8d,
    resnext101_64x4d,
    wide_resnet50_2,
    wide_resnet101_2,
)
from tinygrad_cnn.models.segmentation import fcn_resnet50, fcn_resnet101
from tinygrad_cnn.models.squeezenet import SqueezeNet, squeezenet1_0, squeezenet1_1
from tinygrad_cnn.models.vgg import VGG, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn
from tinygrad_cnn.support.errors import UsageError

#: Its lines are shown as where nodes were made: they are written as users write theirs (see `autograd.provenance`).
__user_code__ = True

__all__ = [
    "AlexNet", "BasicBlock", "Bottleneck", "CenterNet", "DenseNet", "Detection", "EfficientNet", "Entry", "FCN",
    "GoogLeNet", "GoogLeNetOutputs", "ImageCNN", "LeNet1", "LeNet4", "LeNet5", "MLP", "MNIST1DCNN", "MNIST1DGRU",
    "MNIST1DLogistic", "MNIST1DMLP", "MnistCNN", "MobileNetV1", "MobileNetV2", "ResNet", "SqueezeNet", "UDLCNN",
    "UDLDense", "UNet", "UPSAMPLINGS", "VGG", "alexnet", "create", "densenet121", "densenet161", "densenet169",
    "densenet201", "efficientnet_b0", "entry", "fcn_resnet101", "fcn_resnet50", "googlenet", "mobilenet_v1",
    "mobilenet_v2", "names", "resnet101", "resnet152", "resnet18", "resnet18_cifar", "resnet34", "resnet50",
    "resnext101_32x8d", "resnext101_64x4d", "resnext50_32x4d", "squeezenet1_0", "squeezenet1_1", "vgg11", "vgg11_bn",
    "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "wide_resnet101_2", "wide_resnet50_2",
]  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One known network: how to build it, the shape of one input (C, H, W) or (C, L), what it is, and the learning
    rate of Adam that suits it."""

    build: Callable[..., Any]
    input_size: tuple[int, ...]
    about: str
    lr: float = 1e-3


_IMAGENET = (3, 224, 224)

_TABLE: dict[str, Entry] = {
    "mnist-cnn": Entry(MnistCNN, (1, 28, 28), "two 5×5 convolutions (32, 64) and a dense layer of 1024"),
    "image-cnn": Entry(ImageCNN, (3, 64, 64), "four 3×3 convolutions with batch norm, for images of any size"),
    "mlp": Entry(MLP, (1, 28, 28), "one hidden layer of 128, no convolution"),
    "lenet5": Entry(LeNet5, (1, 28, 28), "LeCun et al. 1998, with every map of S2 feeding every map of C3"),
    "unet": Entry(UNet, (1, 64, 64), "a class for every pixel: down to 1/8 and up again (Ronneberger et al. 2015)"),
    "fcn": Entry(FCN, (1, 64, 64), "a class for every pixel, fully convolutional (Long et al. 2015)"),
    "center-net": Entry(CenterNet, (1, 64, 64), "boxes without anchors, by their middles (Zhou et al. 2019)"),
    "lenet1": Entry(LeNet1, (1, 28, 28), "LeCun et al. 1990, with every map of S2 feeding every map of C3"),
    "lenet4": Entry(LeNet4, (1, 28, 28), "LeCun et al. 1995, with every map of S2 feeding every map of C3"),
    "alexnet": Entry(AlexNet, _IMAGENET, "Krizhevsky 2014, the one-tower form"),
    "vgg11": Entry(vgg11, _IMAGENET, "Simonyan & Zisserman 2015, configuration A"),
    "vgg13": Entry(vgg13, _IMAGENET, "configuration B"),
    "vgg16": Entry(vgg16, _IMAGENET, "configuration D"),
    "vgg19": Entry(vgg19, _IMAGENET, "configuration E"),
    "vgg11-bn": Entry(vgg11_bn, _IMAGENET, "configuration A with batch normalisation"),
    "vgg13-bn": Entry(vgg13_bn, _IMAGENET, "configuration B with batch normalisation"),
    "vgg16-bn": Entry(vgg16_bn, _IMAGENET, "configuration D with batch normalisation"),
    "vgg19-bn": Entry(vgg19_bn, _IMAGENET, "configuration E with batch normalisation"),
    "googlenet": Entry(partial(googlenet, aux_logits=False), _IMAGENET, "Szegedy et al. 2015, one classifier"),
    "squeezenet1-0": Entry(squeezenet1_0, _IMAGENET, "Iandola et al. 2016"),
    "squeezenet1-1": Entry(squeezenet1_1, _IMAGENET, "Iandola et al. 2016, the later one"),
    "densenet121": Entry(densenet121, _IMAGENET, "Huang et al. 2017"),
    "mobilenet-v1": Entry(mobilenet_v1, _IMAGENET, "Howard et al. 2017"),
    "mobilenet-v2": Entry(mobilenet_v2, _IMAGENET, "Sandler et al. 2018"),
    "efficientnet-b0": Entry(efficientnet_b0, _IMAGENET, "Tan & Le 2019"),
    "resnet18": Entry(resnet18, _IMAGENET, "He et al. 2016"),
    "resnet34": Entry(resnet34, _IMAGENET, "He et al. 2016"),
    "resnet50": Entry(resnet50, _IMAGENET, "He et al. 2016, the stride in the 3×3 convolution"),
    "resnet101": Entry(resnet101, _IMAGENET, "He et al. 2016"),
    "resnet152": Entry(resnet152, _IMAGENET, "He et al. 2016"),
    "resnext50-32x4d": Entry(resnext50_32x4d, _IMAGENET, "Xie et al. 2017"),
    "resnext101-32x8d": Entry(resnext101_32x8d, _IMAGENET, "Xie et al. 2017"),
    "resnext101-64x4d": Entry(resnext101_64x4d, _IMAGENET, "Xie et al. 2017"),
    "wide-resnet50-2": Entry(wide_resnet50_2, _IMAGENET, "Zagoruyko & Komodakis 2016"),
    "wide-resnet101-2": Entry(wide_resnet101_2, _IMAGENET, "Zagoruyko & Komodakis 2016"),
    "resnet18-cifar": Entry(resnet18_cifar, (3, 32, 32), "ResNet-18 with a 3×3 stem for small images"),
    "mnist1d-cnn": Entry(
        MNIST1DCNN, (1, 40), "three strided convolutions of 25 channels (Greydanus & Kobak 2024)", 1e-2
    ),
    "mnist1d-mlp": Entry(MNIST1DMLP, (1, 40), "two hidden layers of 100, the second residual", 1e-2),
    "mnist1d-gru": Entry(MNIST1DGRU, (1, 40), "a GRU of 6 units in each direction (Greydanus & Kobak 2024)", 1e-2),
    "mnist1d-logistic": Entry(MNIST1DLogistic, (1, 40), "one linear layer", 1e-2),
    "udl-cnn": Entry(UDLCNN, (1, 40), "Prince, Understanding Deep Learning, figure 10.7", 1e-2),
    "udl-dense": Entry(UDLDense, (1, 40), "the dense network with the same layers and units, figure 10.8", 1e-2),
}


def names() -> list[str]:
    """The names that `create` knows."""
    return list(_TABLE)


def entry(name: str) -> Entry:
    """What is known of the network `name`; UsageError, with the known names, for any other."""
    if name not in _TABLE:
        near = difflib.get_close_matches(name, _TABLE, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UsageError(f"unknown model {name!r}{hint}; known: {', '.join(_TABLE)}")
    return _TABLE[name]


def create(name: str, **options: Any) -> Any:
    """A new network of that name, with fresh weights; `options` are its constructor's (num_classes, …)."""
    return entry(name).build(**options)
