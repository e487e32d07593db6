"""Ask torchvision for the keys, counts and numbers of its networks, and freeze the answers.

    python -m tests.models.freeze      where torchvision is installed

Of every network: the names and shapes of its state, as one hash each, and the number of its parameters. Of the small
ones as well: outputs and gradients in float64 on weights that the keys determine.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.compat_models.zoo import direction_of, projections, rng_of, weights

FROZEN = Path(__file__).with_name("torchvision_answers.json")

#: The builders that torchvision has as well, with the options they are called with.
BUILDERS: dict[str, dict[str, Any]] = {
    "alexnet": {}, "vgg11": {}, "vgg11_bn": {}, "vgg13": {}, "vgg13_bn": {}, "vgg16": {}, "vgg16_bn": {}, "vgg19": {},
    "vgg19_bn": {}, "resnet18": {}, "resnet34": {}, "resnet50": {}, "resnet101": {}, "resnet152": {},
    "resnext50_32x4d": {}, "resnext101_32x8d": {}, "resnext101_64x4d": {}, "wide_resnet50_2": {},
    "wide_resnet101_2": {}, "densenet121": {}, "densenet161": {}, "densenet169": {}, "densenet201": {},
    "mobilenet_v2": {}, "squeezenet1_0": {}, "squeezenet1_1": {}, "googlenet": {}, "efficientnet_b0": {},
    "fcn_resnet50": {"weights_backbone": None}, "fcn_resnet101": {"weights_backbone": None, "aux_loss": True},
}  # fmt: skip


def computed(models: Any) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Networks small enough to compute with in a test, each with the shape of its input."""
    return {
        "alexnet features": (lambda: models.alexnet().features, (1, 3, 63, 63)),
        "resnet basic": (
            lambda: models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=7), (2, 3, 40, 40)),
        "resnet grouped and dilated": (
            lambda: models.ResNet(models.resnet.Bottleneck, [1, 2, 1, 1], num_classes=7, groups=4, width_per_group=8,
                                  replace_stride_with_dilation=[False, True, True]), (2, 3, 40, 40)),
        "densenet": (lambda: models.DenseNet(8, (2, 2, 2), 12, num_classes=7), (2, 3, 40, 40)),
        "mobilenet v2": (lambda: models.mobilenet_v2(num_classes=7, width_mult=0.35, dropout=0.0), (2, 3, 64, 64)),
        "squeezenet 1.0": (lambda: models.squeezenet1_0(num_classes=7, dropout=0.0), (1, 3, 65, 65)),
        "squeezenet 1.1": (lambda: models.squeezenet1_1(num_classes=7, dropout=0.0), (1, 3, 65, 65)),
        "googlenet": (
            lambda: models.googlenet(num_classes=7, transform_input=True, init_weights=False, dropout=0.0,
                                     dropout_aux=0.0), (2, 3, 64, 64)),
        "efficientnet": (
            lambda: models.efficientnet_b0(num_classes=7, dropout=0.0, stochastic_depth_prob=0.0), (2, 3, 64, 64)),
        "vgg features": (lambda: models.vgg11_bn().features[:15], (1, 3, 16, 16)),
    }  # fmt: skip


def state(network: Any) -> dict[str, Any]:
    """What must be equal of a network's state: a hash of names and shapes in their order, and counts."""
    named = [[key, list(value.shape)] for key, value in network.state_dict().items()]
    return {
        "hash": hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16],
        "keys": len(named),
        "parameters": sum(p.numel() for p in network.parameters()),
    }


def answer(name: str, models: Any, engine: Any, training: bool) -> dict[str, list[Any]]:
    """The outputs, and two numbers of each gradient, in float64."""
    make, shape = computed(models)[name]
    network = make().double()
    values = weights({key: tuple(value.shape) for key, value in network.state_dict().items()})
    network.load_state_dict({key: engine.tensor(value) for key, value in values.items()})
    network.train(training)
    outputs = network(engine.tensor(rng_of(name, "input").standard_normal(shape)))
    several = list(outputs) if isinstance(outputs, tuple) else [outputs]
    total = sum((one * engine.tensor(direction_of(name, tuple(one.shape)))).sum() for one in several)
    total.backward()
    gradients = {key: p.grad.detach().numpy() for key, p in network.named_parameters() if p.grad is not None}
    return {
        "outputs": [value for one in several for value in one.detach().numpy().ravel().tolist()],
        "gradients": projections(gradients).tolist(),
    }


def main() -> None:
    import torch

    torch.set_num_threads(1)
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision import models

    found: dict[str, Any] = {"states": {}, "numbers": {}}
    with torch.device("meta"):  # nothing is allocated or drawn
        for name, options in BUILDERS.items():
            build = getattr(models, name, None) or getattr(models.segmentation, name)
            found["states"][name] = state(build(**options))
    for name in computed(models):
        for mode in ("train", "eval"):
            found["numbers"][f"{name}/{mode}"] = answer(name, models, torch, mode == "train")
    FROZEN.write_text(json.dumps(found) + "\n", encoding="utf-8")
    print(f"{FROZEN.name}: {len(found['states'])} networks, {FROZEN.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
