"""What is wrong with inputs and targets: scale, constants, order, and whether the ones belong to the others."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.debug.diagnosis_rules import (
    ENOUGH,
    INPUT_MEAN,
    INPUT_STD,
    NEAR,
    ONE_CLASS,
    RELATED,
    RELATION_SAMPLES,
    SAMPLES,
    TARGET_MEAN,
    TARGET_STD,
    Ailment,
)
from tinygrad_cnn.debug.training_snapshot import Batch

Batches: TypeAlias = list[Batch]
#: Of larger inputs only so many entries are compared.
_ENTRIES = 2048


def judge_inputs(batches: Batches, normalised_inside: bool) -> list[Ailment]:
    """Inputs that are not finite, or not normalised where the network does not begin with a normalisation."""
    found = []
    for k in range(len(batches[0]) - 1):
        parts = [np.asarray(unwrap(b[k])) for b in batches]
        if parts[0].dtype.kind not in "fu" or not parts[0].size:
            continue
        x = np.concatenate([p.astype(np.float64).ravel() for p in parts])
        if not np.isfinite(x).all():
            found.append(_not_finite(x, f"input {k}"))
        elif normalised_inside:
            continue
        elif abs(x.mean()) > INPUT_MEAN or not INPUT_STD[0] <= x.std() <= INPUT_STD[1]:
            said = f"mean {x.mean():.3g}, spread {x.std():.3g}, from {x.min():.3g} to {x.max():.3g}"
            found.append(Ailment("input_not_normalised", f"input {k}", said))
    return found


def judge_targets(batches: Batches) -> list[Ailment]:
    """Targets that are constant, of nearly one class, in order, or far from usual numbers."""
    parts = [np.asarray(unwrap(b[-1])) for b in batches]
    if any(p.dtype.kind not in "iuf" for p in parts):
        return []
    values = np.concatenate([p.ravel() for p in parts])
    each = parts[0].ndim == 1  # one class per sample; of pixels and words most may well be of one class
    if parts[0].dtype.kind == "f":
        finite = values[np.isfinite(values)].astype(np.float64)
        if finite.size < values.size:
            return [_not_finite(values, "targets")]
        if finite.size >= ENOUGH and finite.std() == 0:
            return [Ailment("constant_targets", "targets", f"all {finite.size} targets are {finite[0]:g}")]
        if finite.size and (finite.std() > TARGET_STD or abs(finite.mean()) > TARGET_MEAN):
            said = f"mean {finite.mean():.3g}, spread {finite.std():.3g}"
            return [Ailment("targets_not_normalised", "targets", said)]
        return []
    values = values[values >= 0]  # negative ones are ignored by the losses
    if values.size < ENOUGH:
        return []
    classes, counts = np.unique(values, return_counts=True)
    share = counts.max() / values.size
    if len(classes) == 1:
        return [Ailment("constant_targets", "targets", f"all {values.size} targets are class {classes[0]}")]
    if each and share >= ONE_CLASS:
        said = f"{100 * share:.0f} % of {values.size} targets are class {classes[counts.argmax()]}"
        return [Ailment("class_imbalance", "targets", said)]
    by_chance = float(np.sum((counts / values.size) ** 2))
    in_a_row = float(np.mean(values[1:] == values[:-1]))
    if each and values.size >= 2 * ENOUGH and in_a_row > 0.9 and by_chance < 0.7:
        said = f"{100 * in_a_row:.0f} % of the targets are the one before them ({100 * by_chance:.0f} % by chance)"
        return [Ailment("not_shuffled", "targets", said)]
    return []


def contradictions(batches: Batches) -> list[Ailment]:
    """Inputs that occur several times, with different targets."""
    samples = _samples(batches)
    if samples is None:
        return []
    x, y, _ = samples
    by_input: dict[bytes, set[bytes]] = {}
    seen: dict[bytes, int] = {}
    for row, target in zip(x, y, strict=True):
        if len(np.unique(row)) < 4:  # categories: the same ones may well have several targets
            continue
        by_input.setdefault(row.tobytes(), set()).add(target.tobytes())
        seen[row.tobytes()] = seen.get(row.tobytes(), 0) + 1
    several = [key for key, n in seen.items() if n > 1]
    torn = [key for key in several if len(by_input[key]) > 1]
    if len(several) < 8 or len(torn) < 0.2 * len(several):
        return []
    said = f"{len(torn)} of {len(several)} inputs that occur more than once have different targets"
    return [Ailment("contradictory_targets", "targets", said)]


def unrelated(batches: Batches) -> str | None:
    """Says how little inputs and targets have to do with each other, where that can be seen at all; else None.

    Two looks, and either one suffices for a relation: whether the three nearest neighbours of a sample agree with its
    target, and whether a linear fit to one half predicts the other. Each is compared with the same targets shuffled.
    Where the inputs have no near neighbours (noise of many dimensions) nothing can be said.
    """
    samples = _samples(batches)
    if samples is None:
        return None
    x, y, classes = samples
    x, first = np.unique(x, axis=0, return_index=True)
    y = y[first].astype(np.float64)
    n = len(x)
    if n < RELATION_SAMPLES or np.ptp(y) == 0:
        return None
    x = x.astype(np.float64)
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / max(float(spread.max()), 1e-12)
    squares = (x * x).sum(axis=1)
    distance = np.sqrt(np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0))
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1)[:, :3]
    near = float(distance.min(axis=1).mean() / distance[np.isfinite(distance)].mean())
    if near > NEAR and near > 0.85 * _nearness_of_noise(x):
        return None
    random = np.random.default_rng(0)
    table = (y[:, None] == np.unique(y)).astype(np.float64) if classes else (y[:, None] - y.mean()) / y.std()
    orders = [np.arange(n), *(random.permutation(n) for _ in range(60))]
    chance = _above_chance([float(np.mean(table[o][:, None] * table[o][nearest])) for o in orders])
    if chance <= RELATED:
        fit = [_held_out(x, table[o], random.permutation(n)) for o in orders[:31]]
        chance = max(chance, _above_chance(fit))
    if chance > RELATED:
        return None
    said = "similar inputs have similar targets no more often than with the targets shuffled"
    return f"{said} ({n} samples, {chance:.1f} standard deviations above chance)"


def _above_chance(scores: list[float]) -> float:
    """By how many standard deviations the first score is above the others."""
    first, others = scores[0], np.array(scores[1:])
    return float((first - others.mean()) / max(float(others.std()), 1e-12))


def _nearness_of_noise(x: np.ndarray) -> float:
    """The mean distance to the nearest neighbour by the mean distance, of the same columns shuffled each."""
    random = np.random.default_rng(1)
    noise = random.permuted(x, axis=0)
    squares = (noise * noise).sum(axis=1)
    distance = np.sqrt(np.maximum(squares[:, None] + squares - 2 * noise @ noise.T, 0))
    np.fill_diagonal(distance, np.inf)
    return float(distance.min(axis=1).mean() / distance[np.isfinite(distance)].mean())


def _held_out(x: np.ndarray, table: np.ndarray, order: np.ndarray) -> float:
    """How well ridge regression on one half of the samples predicts the other: mean product with the truth."""
    half = len(x) // 2
    learn, test = order[:half], order[half:]
    kernel = x[learn] @ x[learn].T
    ridge = 0.1 * np.trace(kernel) / half + 1e-9
    mean = table[learn].mean(axis=0)
    weights = np.linalg.solve(kernel + ridge * np.eye(half), table[learn] - mean)
    guess = x[test] @ x[learn].T @ weights
    return float(np.sum(guess * (table[test] - mean)) / (np.linalg.norm(guess) + 1e-12))


def _samples(batches: Batches) -> tuple[np.ndarray, np.ndarray, bool] | None:
    """Inputs as rows, one target for each, and whether those are classes; None where a batch is not like that."""
    xs, ys = [], []
    for batch in batches:
        x, y = np.asarray(unwrap(batch[0])), np.asarray(unwrap(batch[-1]))
        if (
            len(batch) != 2
            or x.dtype.kind not in "fu"
            or y.dtype.kind not in "iuf"
            or x.ndim < 2
            or not x.size
        ):
            return None
        if y.shape not in ((len(x),), (len(x), 1)):
            return None
        flat = x.reshape(len(x), -1)
        xs.append(flat[:, :: -(-flat.shape[1] // _ENTRIES)])
        ys.append(y.reshape(-1))
    if len({part.shape[1] for part in xs}) != 1:
        return None
    x, y = np.concatenate(xs)[:SAMPLES], np.concatenate(ys)[:SAMPLES]
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        return None
    return x, y, y.dtype.kind in "iu"


def _not_finite(x: np.ndarray, where: str) -> Ailment:
    return Ailment("not_finite_data", where, f"{int((~np.isfinite(x)).sum())} entries are nan or infinite")
