"""Known networks by name, ready to train: plain modules to read, copy and change.

    models.names()
    model = models.create("mnist-cnn", num_classes=10)

A name stands for a builder and the input it is made for; weights are fresh (`manual_seed` decides them).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinygrad_cnn.models.dense import FCN, UPSAMPLINGS, CenterNet, Detection, UNet
from tinygrad_cnn.models.imagenet import VGG, AlexNet, vgg11
from tinygrad_cnn.models.images import ImageCNN
from tinygrad_cnn.models.mnist import MLP, LeNet5, MnistCNN
from tinygrad_cnn.models.mnist1d import MNIST1DCNN, MNIST1DGRU, MNIST1DMLP, UDLCNN, MNIST1DLogistic, UDLDense
from tinygrad_cnn.models.resnet import BasicBlock, ResNet, resnet18, resnet18_cifar
from tinygrad_cnn.support.errors import UsageError

#: Its lines are shown as where nodes were made: they are written as users write theirs (see `autograd.provenance`).
__user_code__ = True

__all__ = [
    "FCN",
    "MLP",
    "MNIST1DCNN",
    "MNIST1DGRU",
    "MNIST1DMLP",
    "UDLCNN",
    "UPSAMPLINGS",
    "VGG",
    "AlexNet",
    "BasicBlock",
    "CenterNet",
    "Detection",
    "Entry",
    "ImageCNN",
    "LeNet5",
    "MNIST1DLogistic",
    "MnistCNN",
    "ResNet",
    "UDLDense",
    "UNet",
    "create",
    "entry",
    "names",
    "resnet18",
    "resnet18_cifar",
    "vgg11",
]


@dataclass(frozen=True)
class Entry:
    """One known network: how to build it, the shape of one input (C, H, W) or (C, L), what it is, and the learning
    rate of Adam that suits it."""

    build: Callable[..., Any]
    input_size: tuple[int, ...]
    about: str
    lr: float = 1e-3


_TABLE: dict[str, Entry] = {
    "mnist-cnn": Entry(MnistCNN, (1, 28, 28), "two 5×5 convolutions (32, 64) and a dense layer of 1024"),
    "image-cnn": Entry(ImageCNN, (3, 64, 64), "four 3×3 convolutions with batch norm, for images of any size"),
    "mlp": Entry(MLP, (1, 28, 28), "one hidden layer of 128, no convolution"),
    "lenet5": Entry(LeNet5, (1, 28, 28), "LeCun et al. 1998, with every map of S2 feeding every map of C3"),
    "unet": Entry(UNet, (1, 64, 64), "a class for every pixel: down to 1/8 and up again (Ronneberger et al. 2015)"),
    "fcn": Entry(FCN, (1, 64, 64), "a class for every pixel, fully convolutional (Long et al. 2015)"),
    "center-net": Entry(CenterNet, (1, 64, 64), "boxes without anchors, by their middles (Zhou et al. 2019)"),
    "alexnet": Entry(AlexNet, (3, 224, 224), "Krizhevsky 2014, the one-tower form"),
    "vgg11": Entry(vgg11, (3, 224, 224), "Simonyan & Zisserman 2015, configuration A"),
    "resnet18": Entry(resnet18, (3, 224, 224), "He et al. 2016"),
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
