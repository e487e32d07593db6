"""Ask PyTorch what the network files compute, in float64, and freeze its answers: part of `make oracle`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tests.compat_models import zoo


def steady_seed(name: str, torch: Any) -> int:
    """The first input for which rounding decides nothing.

    Where an activation lies on ReLU's kink (or two compete for a maximum), float32 may fall on either side,
    and both gradients are right. Weights changed by millionths show whether that is so.
    """
    for seed in range(200):
        if all(_steady(name, torch, training, seed) for training in (True, False)):
            return seed
    raise RuntimeError(f"{name}: no input found whose gradients rounding does not change")


def _steady(name: str, torch: Any, training: bool, seed: int) -> bool:
    exact = zoo.run(name, torch, "float64", training, seed)[2]
    largest = max(np.linalg.norm(g) for g in exact.values())
    for _ in range(8):
        moved = zoo.run(name, torch, "float64", training, seed, noise=1e-6)[2]
        for key, g in exact.items():
            if np.linalg.norm(moved[key] - g) > 2e-4 * max(np.linalg.norm(g), 1e-2 * largest):
                return False
    return True


def main() -> None:
    import torch

    torch.set_num_threads(1)
    answers: dict[str, np.ndarray] = {}
    for name in zoo.MODELS:
        net, seed = None, steady_seed(name, torch)
        print(f"{name}: input {seed}", flush=True)
        for training in (True, False):
            net, output, grads, buffers = zoo.run(name, torch, "float64", training, seed)
            mode = "train" if training else "eval"
            answers[f"{name}/{mode}/output"] = output
            answers[f"{name}/{mode}/grads"] = zoo.projections(grads)
            answers[f"{name}/{mode}/buffers"] = zoo.projections(buffers)
        facts = {
            "seed": seed,
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
        f"{zoo.FROZEN.name}: {len(zoo.MODELS)} networks, {zoo.FROZEN.stat().st_size:,} bytes, "
        f"PyTorch {torch.__version__}"
    )


if __name__ == "__main__":
    main()
