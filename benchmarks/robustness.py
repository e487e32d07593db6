"""`python -m benchmarks.robustness`: the notes' CNN on MNIST's digits under attack, and how adversarial training helps.

Trains it twice, as usual and on PGD's examples, and measures both under FGSM and PGD for every ε up to 0.3. Prints
a table
and writes pictures. The packaged 5,000 digits are enough; ``--data-dir`` names a folder with MNIST's four files.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import tinygrad_cnn as tg
from tinygrad_cnn import attacks, datasets, models, optim, viz
from tinygrad_cnn.training import RandomShift, Trainer, as_loader, evaluate, predict
from tinygrad_cnn.utils.data import DataLoader, TensorDataset

EPS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)


def train(data: Any, epochs: int, defended: bool) -> Any:
    """mnist-cnn as `tinygrad-cnn train` trains it, with shifts of a pixel; `defended`, with PGD's examples of ε =
    0.3 in the place of all images instead."""
    tg.manual_seed(0)
    model = models.create("mnist-cnn")
    loader = DataLoader(TensorDataset(*data), 50, shuffle=True)
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    steps = epochs * len(loader)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps + 1, cycle_momentum=False)
    attack = lambda m, x, y: attacks.pgd(m, x, y, 0.3, steps=7, step_size=0.1)
    augment = attacks.AdversarialTraining(model, attack) if defended else RandomShift(1)
    Trainer(model, optimizer, augment=augment, scheduler=schedule, schedule_per="batch").fit(loader, epochs, verbose=0)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder of MNIST's IDX files (default: the packaged digits)")
    parser.add_argument("--epochs", type=int, default=8, help="of each training (default: 8)")
    parser.add_argument("--out", type=Path, default=Path("runs/robustness"), help="folder of the pictures")
    args = parser.parse_args()
    train_set, test_set = datasets.load("mnist" if args.data_dir else "digits", args.data_dir)
    args.out.mkdir(parents=True, exist_ok=True)
    curves = {}
    for name, defended in (("plain", False), ("adversarial training", True)):
        start = time.perf_counter()
        model = train(train_set.arrays(), args.epochs, defended)
        seconds = time.perf_counter() - start
        test = test_set.arrays()
        clean = evaluate(model, test).accuracy
        print(f"{name}: trained in {seconds:.0f} s, {clean:.2%} of {len(test_set):,} clean digits")
        for attack, options in ((attacks.fgsm, {}), (attacks.pgd, {"steps": 20})):
            curve = attacks.robustness(model, test, attack, EPS, **options)
            curves[f"{name}, {attack.__name__.upper()}"] = curve
            row = "  ".join(f"{eps:.2f}: {share:6.2%}" for eps, share in zip(curve.eps, curve.accuracy))
            print(f"  {attack.__name__.upper():5s} {row}")
        x, y = next(iter(as_loader(test, 12)))
        moved = attacks.fgsm(model, x, y, 0.25)
        said = [predict(model, images).argmax(1).tolist() for images in (x, moved)]
        path, title = args.out / f"{name.split()[0]}.png", f"{name}: FGSM, ε = 0.25"
        viz.adversarial(x, moved, path, before=said[0], after=said[1], title=title)
    viz.robustness(curves, args.out / "robustness.png", chance=0.1, title="mnist-cnn under attack")
    print(f"pictures in {args.out}")


if __name__ == "__main__":
    main()
