"""One table of optimisers and schedules, run by the tests here and by whoever asks PyTorch for its answers.

`python tests/optim/cases.py` (with PyTorch installed) writes reference.json beside.
"""

import json
from pathlib import Path

import numpy as np

REFERENCE = Path(__file__).with_name("reference.json")
STEPS = 12

OPTIMIZERS = {
    "sgd": ("SGD", dict(lr=0.1)),
    "sgd momentum": ("SGD", dict(lr=0.1, momentum=0.9)),
    "sgd dampening decay": ("SGD", dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.1)),
    "sgd nesterov maximize": ("SGD", dict(lr=0.1, momentum=0.9, nesterov=True, maximize=True)),
    "rmsprop": ("RMSprop", dict()),
    "rmsprop centered momentum": ("RMSprop", dict(centered=True, momentum=0.9, weight_decay=0.1)),
    "adagrad": ("Adagrad", dict(lr_decay=0.1, initial_accumulator_value=0.2, weight_decay=0.1)),
    "adam": ("Adam", dict()),
    "adam amsgrad maximize": ("Adam", dict(amsgrad=True, weight_decay=0.1, maximize=True)),
    "adamw": ("AdamW", dict()),
    "adamw amsgrad": ("AdamW", dict(amsgrad=True, lr=0.02)),
    "adadelta": ("Adadelta", dict(weight_decay=0.1)),
    "nadam": ("NAdam", dict(weight_decay=0.1)),
    "nadam decoupled": ("NAdam", dict(weight_decay=0.1, decoupled_weight_decay=True)),
    "radam": ("RAdam", dict(weight_decay=0.1)),
    "radam decoupled": ("RAdam", dict(weight_decay=0.1, decoupled_weight_decay=True, maximize=True)),
    "rprop": ("Rprop", dict()),
    "rprop settings": ("Rprop", dict(lr=0.05, etas=(0.4, 1.3), step_sizes=(0.01, 0.07), maximize=True)),
    "asgd": ("ASGD", dict(lr=0.1)),
    "asgd averaged": ("ASGD", dict(lr=0.1, t0=4, lambd=0.01, weight_decay=0.1)),
    "adamax": ("Adamax", dict(weight_decay=0.1)),
}

# Each makes a schedule from (the module of schedules, the optimiser).
SCHEDULES = {
    "StepLR": lambda s, o: s.StepLR(o, 3),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 5, 5, 9], gamma=0.5),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 5, eta_min=0.01),
    "WarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3),
    "WarmRestarts T_mult": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, T_mult=2, eta_min=0.001),
    "LambdaLR": lambda s, o: s.LambdaLR(o, [lambda t: 0.9**t, lambda t: 1 / (1 + t)]),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda t: 0.95),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.2, 0.8, 4),
    "ConstantLR": lambda s, o: s.ConstantLR(o),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 7, power=2.0),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=25),
    "OneCycleLR three phases": lambda s, o: s.OneCycleLR(
        o, [0.5, 0.6], epochs=5, steps_per_epoch=5, three_phase=True, anneal_strategy="linear"
    ),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.01, 0.1, step_size_up=3, step_size_down=4),
    "CyclicLR triangular2": lambda s, o: s.CyclicLR(o, 0.01, 0.1, step_size_up=3, mode="triangular2"),
    "CyclicLR exp_range": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, mode="exp_range", gamma=0.9),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=3), s.CosineAnnealingLR(o, 10), s.StepLR(o, 2)], [4, 14]
    ),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9)]),
    "ReduceLROnPlateau": lambda s, o: s.ReduceLROnPlateau(o, patience=2),
    "ReduceLROnPlateau abs": lambda s, o: s.ReduceLROnPlateau(
        o, patience=1, cooldown=2, threshold_mode="abs", factor=0.5
    ),
    "ReduceLROnPlateau max": lambda s, o: s.ReduceLROnPlateau(o, mode="max", patience=1, min_lr=0.01),
}
SCHEDULE_STEPS = 24


def start():
    """Two parameters, float64."""
    rng = np.random.default_rng(3)
    return [rng.standard_normal((3, 4)), rng.standard_normal(5)]


def gradients(step):
    """Their gradients at a step, as numbers that depend on nothing else."""
    rng = np.random.default_rng(100 + step)
    return [rng.standard_normal((3, 4)), rng.standard_normal(5)]


def metric(step):
    """What ReduceLROnPlateau is shown: falling, then still."""
    return 1 / (step + 1) if step < 4 else 0.3


def rates_of(optimizer, scheduler, steps=range(SCHEDULE_STEPS)):
    """Per step: the rate and the momentum of each group."""
    found = []
    for k in steps:
        optimizer.step()
        if "Plateau" in type(scheduler).__name__:
            scheduler.step(metric(k))
        else:
            scheduler.step()
        found.append([g[key] for g in optimizer.param_groups for key in ("lr", "momentum")])
    return found


def ask_pytorch():
    import torch

    answers = {"torch": torch.__version__, "optimizers": {}, "schedules": {}}
    for label, (name, options) in OPTIMIZERS.items():
        params = [torch.nn.Parameter(torch.tensor(a)) for a in start()]
        optimizer = getattr(torch.optim, name)(params, **options)
        for k in range(STEPS):
            for p, g in zip(params, gradients(k)):
                p.grad = torch.tensor(g)
            optimizer.step()
        answers["optimizers"][label] = {
            "params": [p.tolist() for p in params],
            "state": sorted(k for k, v in optimizer.state[params[0]].items() if v is not None),
        }
    for label, make in SCHEDULES.items():
        params = [torch.nn.Parameter(torch.tensor(a)) for a in start()]
        optimizer = torch.optim.SGD(
            [{"params": params[:1]}, {"params": params[1:], "lr": 0.03}], lr=0.1, momentum=0.9
        )
        scheduler = make(torch.optim.lr_scheduler, optimizer)
        first = [g[key] for g in optimizer.param_groups for key in ("lr", "momentum")]
        answers["schedules"][label] = [first, *rates_of(optimizer, scheduler)]
    return answers


def freeze():
    REFERENCE.write_text(json.dumps(ask_pytorch()) + "\n")


if __name__ == "__main__":
    freeze()
