"""What foolbox makes of a small network's images: `python -m tests.attacks.freeze` writes answers.npz.

Needs PyTorch and foolbox (extra `oracle`).
"""

from pathlib import Path

import numpy as np

ANSWERS = Path(__file__).with_name("answers.npz")
EPS = {"fgsm": 0.1, "pgd": 0.1, "pgd2": 0.8}


def inputs():
    """Weights of a convolution and a dense layer, images of 8×8 and their labels."""
    rng = np.random.default_rng(0)
    weights = {
        "0.weight": rng.standard_normal((4, 1, 3, 3)) / 3, "0.bias": rng.standard_normal(4) / 10,
        "3.weight": rng.standard_normal((3, 144)) / 12, "3.bias": np.zeros(3),
    }  # fmt: skip
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    return weights, rng.random((6, 1, 8, 8)).astype(np.float32), np.array([0, 1, 2, 0, 1, 2])


if __name__ == "__main__":
    import foolbox
    import torch
    from torch import nn

    weights, x, y = inputs()
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(144, 3)).eval()
    net.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    attacks = {
        "fgsm": foolbox.attacks.LinfFastGradientAttack(random_start=False),
        "pgd": foolbox.attacks.LinfProjectedGradientDescentAttack(rel_stepsize=1 / 30, steps=40, random_start=False),
        "pgd2": foolbox.attacks.L2ProjectedGradientDescentAttack(rel_stepsize=1 / 40, steps=40, random_start=False),
    }
    found = {}
    for name, attack in attacks.items():
        _raw, clipped, _success = attack(model, torch.from_numpy(x), torch.from_numpy(y), epsilons=EPS[name])
        found[name] = clipped.numpy()
    np.savez_compressed(ANSWERS, **found)
