"""`python -m tests.bridge.sweep`: PyTorch's own backward pass of one model per family of torchvision and timm, stepped.

Each is run on a small input, its pass walked to the end with ten steps back and forth at random places, compared bit
by bit with `backward()`, and drawn. The table goes to standard output, for docs/pytorch.md. Needs PyTorch, torchvision
and timm; without timm only torchvision's.
"""

from __future__ import annotations

import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch

from tinygrad_cnn import viz
from tinygrad_cnn.bridge.torch_pass import TorchPass
from tinygrad_cnn.bridge.torch_watch import Observer, watching
from tinygrad_cnn.debug import BackwardSession

#: torchvision's models that want another input than 64 × 64.
SIZES = {"inception_v3": 96, "alexnet": 80, "googlenet": 64}
#: Ten random places to go back and forth at.
PLACES = 10


def models() -> Iterator[tuple[str, Callable[[], Any], tuple[int, ...]]]:
    """Name, constructor and input shape of one small model per family."""
    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    names = [
        "alexnet",
        "convnext_tiny",
        "densenet121",
        "efficientnet_b0",
        "efficientnet_v2_s",
        "googlenet",
        "inception_v3",
        "mnasnet0_5",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "regnet_x_400mf",
        "regnet_y_400mf",
        "resnet18",
        "resnet50",
        "resnext50_32x4d",
        "shufflenet_v2_x0_5",
        "squeezenet1_0",
        "vgg11",
        "vgg11_bn",
        "wide_resnet50_2",
    ]
    for name in names:
        build = getattr(torchvision.models, name)
        size = SIZES.get(name, 64)
        options: dict[str, Any] = {"weights": None}
        if name in ("googlenet", "inception_v3"):
            options |= {"aux_logits": False, "init_weights": False}
        yield f"torchvision {name}", lambda b=build, o=options: b(**o), (2, 3, size, size)
    vit = torchvision.models.VisionTransformer
    yield "torchvision vit", lambda: vit(32, 8, 2, 2, 32, 64), (2, 3, 32, 32)
    yield "torchvision swin_t", lambda: torchvision.models.swin_t(weights=None), (2, 3, 64, 64)
    yield "torchvision maxvit_t", lambda: torchvision.models.maxvit_t(weights=None), (2, 3, 224, 224)
    for name in ("fcn_resnet50", "deeplabv3_resnet50", "lraspp_mobilenet_v3_large"):
        build = getattr(torchvision.models.segmentation, name)
        yield f"torchvision {name}", lambda b=build: b(weights=None, weights_backbone=None), (2, 3, 64, 64)
    yield "torchvision r3d_18", lambda: torchvision.models.video.r3d_18(weights=None), (1, 3, 4, 32, 32)
    try:
        import timm
    except ImportError as error:
        print(f"timm is left out: {error}", file=sys.stderr)
        return
    for name in [
        "resnetv2_50",
        "seresnet18",
        "skresnet18",
        "resnest14d",
        "res2net50_26w_4s",
        "ecaresnet26t",
        "dla34",
        "dpn48b",
        "hrnet_w18_small",
        "xception41",
        "selecsls42",
        "vovnet39a",
        "cspresnet50",
        "darknet53",
        "gernet_s",
        "repvgg_a0",
        "nf_resnet26",
        "dm_nfnet_f0",
        "ghostnet_050",
        "mixnet_s",
        "tf_efficientnet_lite0",
        "mobilenetv3_small_050",
        "mobilenetv4_conv_small",
        "fbnetc_100",
        "lcnet_035",
        "tinynet_e",
        "convnext_atto",
        "convnextv2_atto",
        "convmixer_768_32",
        "mixer_s32_224",
        "gmlp_ti16_224",
        "resmlp_12_224",
        "poolformer_s12",
        "metaformer_s12",
        "edgenext_xx_small",
        "mobilevit_xxs",
        "mobilevitv2_050",
        "levit_128s",
        "efficientformer_l1",
        "fastvit_t8",
        "repvit_m1",
        "starnet_s1",
        "pvt_v2_b0",
        "twins_svt_small",
        "cait_xxs24_224",
        "deit_tiny_patch16_224",
        "beit_base_patch16_224",
        "vit_tiny_patch16_224",
        "xcit_nano_12_p16_224",
        "coat_tiny",
        "convit_tiny",
        "crossvit_tiny_240",
        "pit_ti_224",
        "tnt_s_patch16_224",
        "visformer_tiny",
        "volo_d1_224",
        "swin_tiny_patch4_window7_224",
        "focalnet_tiny_srf",
        "nest_tiny",
        "hgnet_tiny",
        "inception_next_tiny",
    ]:
        if timm.is_model(name):
            config = timm.get_pretrained_cfg(name)
            channels, height, width = config.input_size
            fixed = config.fixed_input_size or "vit" in name or "swin" in name or "mixer" in name
            size = (height, width) if fixed else (96, 96)
            yield f"timm {name}", lambda n=name: timm.create_model(n, num_classes=5), (2, channels, *size)


def loss_of(result: Any) -> torch.Tensor:
    """A scalar out of what a model gives."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        return sum((loss_of(r) for r in result), torch.zeros(()))
    return result.float().square().mean()


def walked(model: Any, shape: tuple[int, ...], seed: int) -> dict[str, Any]:
    """What the walk of one model gave."""
    model.train()
    x = torch.randn(shape)
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    torch.manual_seed(seed)
    loss_of(model(x)).backward()
    right = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    with torch.no_grad():
        for name, b in model.named_buffers():
            b.copy_(buffers[name])
    torch.manual_seed(seed)
    begin = time.perf_counter()
    with watching(Observer(), stack=False) as watcher:
        loss = loss_of(model(x))
        watcher.flush()
    forward = time.perf_counter() - begin
    work = TorchPass.of(loss)
    work.watch_modules(watcher.modules)
    session = BackwardSession.on(work)
    rng = random.Random(seed)
    for place in sorted(rng.sample(range(session.total), min(PLACES, session.total))):
        while session.position < place and session.node is not None:
            session.step()
        session.back()
        session.step()
    session.finish()
    wrong = [
        name for name, p in model.named_parameters()
        if (p.grad is None) != (right[name] is None) or (p.grad is not None and not torch.equal(p.grad, right[name]))
    ]  # fmt: skip
    graph = viz.graph(loss_of(model(x)))
    return {"nodes": session.total, "wrong": wrong, "drawn": len(graph.description.nodes), "forward": forward}


def main() -> int:
    warnings.simplefilter("ignore")
    print("| model | nodes of the pass | gradients | drawn |\n| --- | --- | --- | --- |")
    equal = tried = 0
    for name, build, shape in models():
        tried += 1
        torch.manual_seed(0)
        try:
            found = walked(build(), shape, 0)
        except Exception as error:
            print(f"| {name} | | {type(error).__name__}: {str(error).splitlines()[0][:90]} | |", flush=True)
            continue
        equal += not found["wrong"]
        verdict = (
            "bit-equal" if not found["wrong"] else f"differ in {len(found['wrong'])}: {found['wrong'][0]}"
        )
        print(f"| {name} | {found['nodes']} | {verdict} | {found['drawn']} boxes |", flush=True)
    print(f"\n{equal} of {tried} models: all gradients bit-equal to backward().")
    return 0 if equal == tried else 1


if __name__ == "__main__":
    raise SystemExit(main())
