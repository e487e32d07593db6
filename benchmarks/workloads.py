"""What is measured, in terms that belong to no contestant: layers as data, weights from a seed.

A layer is a tuple: ("conv", in, out, kernel, stride, padding, groups, bias), ("conv1d", …), ("linear", in,
out), ("batchnorm", channels), ("relu",), ("maxpool", kernel, stride), ("globalavg",), ("flatten",),
("residual", main layers, shortcut layers).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Layer = tuple[Any, ...]


@dataclass(frozen=True)
class Workload:
    """One thing to time.

    kind: "train" (zero gradients, forward, cross-entropy, backward, optimiser), "infer", "conv" (forward and
    both gradients of one convolution), "chain", "import" or "epoch"
    """

    name: str
    title: str
    kind: str
    layers: tuple[Layer, ...] = ()
    input: tuple[int, ...] = ()
    classes: int = 10
    optimizer: str = "sgd"
    settings: dict[str, float] = field(default_factory=dict)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """The batch: images (N, …) float32 and labels (N,) int64."""
        random = np.random.default_rng(1)
        x = random.standard_normal(self.input, dtype=np.float32)
        return x, random.integers(0, self.classes, self.input[0])

    def weights(self) -> list[np.ndarray]:
        """All parameters in the order of the layers, float32 (He's normal initialisation, biases 0.01)."""
        random = np.random.default_rng(0)
        arrays: list[np.ndarray] = []
        for layer in flat(self.layers):
            for shape in parameter_shapes(layer):
                if len(shape) == 1:
                    arrays.append(
                        np.full(
                            shape, 1.0 if layer[0] == "batchnorm" and len(arrays) % 2 else 0.01, np.float32
                        )
                    )
                else:
                    scale = np.sqrt(2 / np.prod(shape[1:])).astype(np.float32)
                    arrays.append(random.standard_normal(shape, dtype=np.float32) * scale)
        return arrays


def flat(layers: tuple[Layer, ...]) -> Iterator[Layer]:
    """The layers one by one, those inside residual blocks too (main path before shortcut)."""
    for layer in layers:
        if layer[0] == "residual":
            yield from flat(layer[1])
            yield from flat(layer[2])
        else:
            yield layer


def parameter_shapes(layer: Layer) -> list[tuple[int, ...]]:
    """Shapes of a layer's parameters: weight, then bias."""
    kind = layer[0]
    if kind in ("conv", "conv1d"):
        _, cin, cout, k, _, _, groups, bias = layer
        window = (k, k) if kind == "conv" else (k,)
        return [(cout, cin // groups, *window)] + ([(cout,)] if bias else [])
    if kind == "linear":
        return [(layer[2], layer[1]), (layer[2],)]
    if kind == "batchnorm":
        return [(layer[1],), (layer[1],)]
    return []


def conv(
    cin: int, cout: int, k: int, stride: int = 1, padding: int = 0, groups: int = 1, bias: bool = True
) -> Layer:
    return ("conv", cin, cout, k, stride, padding, groups, bias)


def _resnet18() -> tuple[Layer, ...]:
    """ResNet-18 in its 32×32 form: 3×3 stem, four stages of two blocks, 64 to 512 channels."""

    def block(cin: int, cout: int, stride: int) -> Layer:
        main = (
            conv(cin, cout, 3, stride, 1, bias=False), ("batchnorm", cout), ("relu",),
            conv(cout, cout, 3, 1, 1, bias=False), ("batchnorm", cout),
        )  # fmt: skip
        shortcut = (
            ()
            if stride == 1 and cin == cout
            else (conv(cin, cout, 1, stride, 0, bias=False), ("batchnorm", cout))
        )
        return ("residual", main, shortcut)

    layers: list[Layer] = [conv(3, 64, 3, 1, 1, bias=False), ("batchnorm", 64), ("relu",)]
    channels = 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for k in range(2):
            layers += [block(channels, width, stride if k == 0 else 1), ("relu",)]
            channels = width
    return (*layers, ("globalavg",), ("flatten",), ("linear", 512, 10))


MNIST_CNN = (
    conv(1, 32, 5), ("relu",), ("maxpool", 2, 2), conv(32, 64, 5), ("relu",), ("maxpool", 2, 2), ("flatten",),
    ("linear", 1024, 1024), ("relu",), ("linear", 1024, 10),
)  # fmt: skip
LENET5 = (
    conv(1, 6, 5, 1, 2), ("relu",), ("maxpool", 2, 2), conv(6, 16, 5), ("relu",), ("maxpool", 2, 2), ("flatten",),
    ("linear", 400, 120), ("relu",), ("linear", 120, 84), ("relu",), ("linear", 84, 10),
)  # fmt: skip
MNIST1D_CNN = (
    ("conv1d", 1, 25, 5, 2, 1, 1, True), ("relu",), ("conv1d", 25, 25, 3, 2, 1, 1, True), ("relu",),
    ("conv1d", 25, 25, 3, 2, 1, 1, True), ("relu",), ("flatten",), ("linear", 125, 10),
)  # fmt: skip
MLP = (("flatten",), ("linear", 784, 128), ("relu",), ("linear", 128, 10))
RESNET18 = _resnet18()
ALEXNET = (
    conv(3, 64, 11, 4, 2), ("relu",), ("maxpool", 3, 2), conv(64, 192, 5, 1, 2), ("relu",), ("maxpool", 3, 2),
    conv(192, 384, 3, 1, 1), ("relu",), conv(384, 256, 3, 1, 1), ("relu",), conv(256, 256, 3, 1, 1), ("relu",),
    ("maxpool", 3, 2), ("flatten",), ("linear", 9216, 4096), ("relu",), ("linear", 4096, 4096), ("relu",),
    ("linear", 4096, 1000),
)  # fmt: skip

_ADAM = {"lr": 1e-3}
_SGD = {"lr": 1e-2}
_MOMENTUM = {"lr": 1e-2, "momentum": 0.9}


def _single(name: str, title: str, layer: Layer, shape: tuple[int, ...]) -> Workload:
    return Workload(name, title, "conv", (layer,), shape)


ALL: dict[str, Workload] = {
    w.name: w
    for w in (
        Workload(
            "mnist-cnn-train",
            "MNIST CNN, batch 64, Adam: training step",
            "train",
            MNIST_CNN,
            (64, 1, 28, 28),
            10,
            "adam",
            _ADAM,
        ),
        Workload("mnist-cnn-infer", "MNIST CNN, batch 64: inference", "infer", MNIST_CNN, (64, 1, 28, 28)),
        Workload(
            "lenet5-train",
            "LeNet-5, batch 64, SGD: training step",
            "train",
            LENET5,
            (64, 1, 28, 28),
            10,
            "sgd",
            _SGD,
        ),
        Workload(
            "mnist1d-train",
            "MNIST-1D CNN, batch 100, Adam: training step",
            "train",
            MNIST1D_CNN,
            (100, 1, 40),
            10,
            "adam",
            {"lr": 1e-2},
        ),
        Workload(
            "mlp-train",
            "MLP 784-128-10, batch 64, SGD: training step",
            "train",
            MLP,
            (64, 1, 28, 28),
            10,
            "sgd",
            _SGD,
        ),
        Workload(
            "resnet18-train",
            "ResNet-18 (32×32), batch 32, momentum: training step",
            "train",
            RESNET18,
            (32, 3, 32, 32),
            10,
            "sgd",
            _MOMENTUM,
        ),
        Workload(
            "resnet18-infer", "ResNet-18 (32×32), batch 32: inference", "infer", RESNET18, (32, 3, 32, 32)
        ),
        Workload(
            "alexnet-train",
            "AlexNet (224×224), batch 8, momentum: training step",
            "train",
            ALEXNET,
            (8, 3, 224, 224),
            1000,
            "sgd",
            {"lr": 1e-3, "momentum": 0.9},
        ),
        _single(
            "conv3x3-64",
            "conv 3×3, 64→64 at 32², batch 32: forward and backward",
            conv(64, 64, 3, 1, 1),
            (32, 64, 32, 32),
        ),
        _single(
            "conv3x3-128",
            "conv 3×3, 128→128 at 16², batch 32: forward and backward",
            conv(128, 128, 3, 1, 1),
            (32, 128, 16, 16),
        ),
        _single(
            "conv3x3-256",
            "conv 3×3, 256→256 at 8², batch 32: forward and backward",
            conv(256, 256, 3, 1, 1),
            (32, 256, 8, 8),
        ),
        _single(
            "conv11x11",
            "conv 11×11 stride 4, 3→64 at 224², batch 8: forward and backward",
            conv(3, 64, 11, 4, 2),
            (8, 3, 224, 224),
        ),
        _single(
            "conv-depthwise",
            "conv 3×3 depthwise, 64 at 32², batch 32: forward and backward",
            conv(64, 64, 3, 1, 1, 64),
            (32, 64, 32, 32),
        ),
        _single(
            "conv1x1",
            "conv 1×1, 64→128 at 32², batch 32: forward and backward",
            conv(64, 128, 1),
            (32, 64, 32, 32),
        ),
        Workload("chain", "1,000 multiplications of 4 numbers: forward and backward", "chain"),
        Workload(
            "epoch",
            "one epoch of MNIST (60,000) with the data loader, MNIST CNN, batch 64, Adam",
            "epoch",
            MNIST_CNN,
            (64, 1, 28, 28),
            10,
            "adam",
            _ADAM,
        ),
        Workload("import", "import of the package, whole process", "import"),
    )
}
