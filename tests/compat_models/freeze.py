"""Ask PyTorch what the network files compute, in float64, and freeze its answers: part of `make oracle`."""

from __future__ import annotations

import json

import numpy as np

from tests.compat_models import zoo


def main() -> None:
    import torch

    torch.set_num_threads(1)
    answers: dict[str, np.ndarray] = {}
    for name in zoo.MODELS:
        net = None
        for training in (True, False):
            net, output, grads, buffers = zoo.run(name, torch, "float64", training)
            mode = "train" if training else "eval"
            answers[f"{name}/{mode}/output"] = output
            answers[f"{name}/{mode}/grads"] = zoo.projections(grads)
            answers[f"{name}/{mode}/buffers"] = zoo.projections(buffers)
        facts = {
            "shapes": {k: list(v.shape) for k, v in net.state_dict().items()},
            "parameters": sum(p.numel() for p in net.parameters()),
            "learned": [k for k, _ in net.named_parameters()],
            "buffers": [k for k, _ in net.named_buffers()],
            "modules": [k for k, _ in net.named_modules()],
            "repr": repr(net),
        }
        answers[f"{name}/facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez_compressed(zoo.FROZEN, **answers)
    print(
        f"{zoo.FROZEN.name}: {len(zoo.MODELS)} networks, {zoo.FROZEN.stat().st_size:,} bytes, PyTorch {torch.__version__}"
    )


if __name__ == "__main__":
    main()
