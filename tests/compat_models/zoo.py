"""Network files written for PyTorch, run on either engine: what they are, their weights, and what is compared.

Each file in `files/` imports torch as public model files do. `load` swaps these imports, and nothing else,
for tinygrad_cnn. Weights, inputs and the loss's random direction come from NumPy, seeded by name, so that a
frozen answer holds only outputs and one projection per gradient.
"""

from __future__ import annotations

import functools
import json
import re
import types
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FILES = Path(__file__).with_name("files")
FROZEN = Path(__file__).with_name("answers.npz")


class Model(NamedTuple):
    """A network: the file, how it is made from the file's names, and its input's shape."""

    file: str
    make: Callable[[Any], Any]
    shape: tuple[int, ...] = (2, 3, 32, 32)


MODELS = {
    "lenet": Model("lenet", lambda m: m.LeNet()),
    "vgg": Model("vgg", lambda m: m.VGG("tiny")),
    "alexnet": Model("alexnet", lambda m: m.alexnet(num_classes=7)),
    "resnet basic": Model("resnet", lambda m: m.ResNet18(width=8)),
    "resnet bottleneck": Model("resnet", lambda m: m.ResNet(m.Bottleneck, [1, 1, 1, 1], width=8)),
    "resnet padded shortcuts": Model("resnet", lambda m: m.ResNetSmall([1, 1, 1])),
    "preact resnet": Model("preact_resnet", lambda m: m.PreActResNet18()),
    "senet": Model("senet", lambda m: m.SENet()),
    "densenet": Model("densenet", lambda m: m.densenet_cifar()),
    "densenet named": Model("densenet", lambda m: m.DenseNetNamed()),
    "resnext": Model("resnext", lambda m: m.ResNeXt29_2x64d()),
    "mobilenet": Model("mobilenet", lambda m: m.MobileNet()),
    "mobilenet v2": Model("mobilenet", lambda m: m.MobileNetV2()),
    "mobilenet v3": Model("mobilenet", lambda m: m.MobileNetV3(), (4, 3, 16, 16)),
    "shufflenet": Model("shufflenet", lambda m: m.ShuffleNetG2()),
    "shufflenet v2": Model("shufflenet", lambda m: m.ShuffleNetV2()),
    "googlenet": Model("googlenet", lambda m: m.GoogLeNet()),
    "squeezenet": Model("googlenet", lambda m: m.SqueezeNet()),
    "efficientnet": Model("efficientnet", lambda m: m.EfficientNetSmall()),
    "dpn": Model("dpn", lambda m: m.DPNSmall()),
    "regnet": Model("dpn", lambda m: m.RegNetSmall()),
    "unet transposed": Model("unet", lambda m: m.UNet(bilinear=False), (2, 3, 22, 18)),
    "unet bilinear": Model("unet", lambda m: m.UNet(bilinear=True), (2, 3, 16, 16)),
    "decoder": Model("unet", lambda m: m.Decoder(), (2, 3, 32, 32)),
    "cbam": Model("attention", lambda m: m.CBAM(), (2, 3, 16, 16)),
    "convmixer": Model("attention", lambda m: m.ConvMixer(16, 2)),
    "vit": Model("attention", lambda m: m.TinyViT()),
    "memory": Model("memory", lambda m: m.memory_net(), (2, 3, 8, 8)),
    "wide resnet": Model("attention", lambda m: m.WideResNet()),
}


def load(file: str, package: str) -> types.ModuleType:
    """The file as a module whose `torch` is the given package (``"torch"`` or ``"tinygrad_cnn"``)."""
    source = (FILES / f"{file}.py").read_text(encoding="utf-8")
    if package != "torch":
        source = re.sub(r"^( *)import torch$", rf"\1import {package} as torch", source, flags=re.M)
        source = re.sub(r"^( *)(import|from) torch\b", rf"\1\2 {package}", source, flags=re.M)
    module = types.ModuleType(f"{file}_on_{package}")
    exec(compile(source, f"{file}.py", "exec"), module.__dict__)
    return module


@functools.cache
def frozen() -> dict[str, np.ndarray]:
    """PyTorch's answers."""
    with np.load(FROZEN) as file:
        return dict(file)


def facts(name: str) -> dict[str, Any]:
    """What PyTorch says of a network beside its numbers."""
    return json.loads(frozen()[f"{name}/facts"].tobytes())


def rng_of(*names: str) -> np.random.Generator:
    """A generator of its own for a name."""
    return np.random.default_rng(zlib.crc32("/".join(names).encode()))


def weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Sensible float64 values for a state_dict, from the keys and shapes alone."""
    made = {}
    for key, shape in shapes.items():
        rng, name = rng_of(key), key.rpartition(".")[2]
        if name == "num_batches_tracked":
            made[key] = np.zeros(shape, np.int64)
        elif name == "running_var":
            made[key] = rng.uniform(0.5, 1.5, shape)
        elif name in ("running_mean", "bias", "mean") or len(shape) < 2:
            made[key] = 0.1 * rng.standard_normal(shape) + (
                name == "weight" or len(shape) == 1 and name == "scale"
            )
        else:
            made[key] = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    return made


def image(name: str, seed: int) -> np.ndarray:
    """The network's input; see `freeze.steady_seed` for the seed."""
    return rng_of(name, f"input {seed}").standard_normal(MODELS[name].shape)


def direction(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The loss is the sum of outputs times this."""
    return direction_of(name, shape)


def direction_of(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A random direction of its own for a name."""
    return rng_of(name, "direction").standard_normal(shape)


def projections(values: dict[str, np.ndarray]) -> np.ndarray:
    """Per entry its size and its product with a random direction: (n, 2)."""
    rows = []
    for key, value in values.items():
        v = np.asarray(value, np.float64)
        rows.append(
            (float(np.linalg.norm(v)), float(np.vdot(v, rng_of(key, "projection").standard_normal(v.shape))))
        )
    return np.array(rows).reshape(-1, 2)


def run(
    name: str, engine: Any, dtype: str, training: bool, seed: int, noise: float = 0.0
) -> tuple[Any, np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(network, output, gradients by parameter, buffers afterwards) on `engine` (torch or tinygrad_cnn).

    `noise` is the relative size of random changes to the weights.
    """
    model = MODELS[name]
    net = model.make(load(model.file, engine.__name__))
    if dtype == "float64":
        net.double()
    values = weights({k: tuple(v.shape) for k, v in net.state_dict().items()})
    if noise:
        rng = np.random.default_rng()
        values = {
            k: v * (1 + noise * rng.standard_normal(v.shape)) if v.dtype.kind == "f" else v
            for k, v in values.items()
        }
    net.load_state_dict(
        {k: engine.tensor(v.astype(dtype) if v.dtype.kind == "f" else v) for k, v in values.items()}
    )
    net.train(training)
    x = engine.tensor(image(name, seed).astype(dtype))
    output = net(x)
    (output * engine.tensor(direction(name, tuple(output.shape)).astype(dtype))).sum().backward()
    grads = {k: p.grad.detach().numpy() for k, p in net.named_parameters() if p.grad is not None}
    buffers = {k: b.detach().numpy() for k, b in net.named_buffers()}
    return net, output.detach().numpy(), grads, buffers
