"""The length of a step along a direction of descent, so that it meets the strong Wolfe conditions.

Plain numbers and vectors; `LBFGS` says how the function is evaluated. Source: Nocedal & Wright, Numerical Optimization
(2006), algorithms 3.5 and 3.6, with PyTorch's constants and interpolation, so that the steps are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

_DECREASE, _CURVATURE = 1e-4, 0.9  # c₁ and c₂ of the conditions
_SHORTEST = 1e-9  # the largest change of a parameter below which the search ends


class Trial(NamedTuple):
    """The function at x + length · direction."""

    length: float
    loss: float
    gradient: Any
    slope: float  # gradient · direction


def strong_wolfe(
    evaluate: Callable[[float], Trial], start: Trial, length: float, reach: float, most: int
) -> tuple[Trial, int]:
    """A trial with loss ≤ start + c₁ · length · slope and |slope| ≤ c₂ · |slope at the start|, and how many were made.

    `start` is the trial of length 0, `length` the first that is tried, `reach` the direction's largest entry. Where
    none of `most` + 1 trials meets the conditions, it is the best end of the last interval.
    """

    def too_high(trial: Trial) -> bool:
        return trial.loss > start.loss + _DECREASE * trial.length * start.slope

    def flat(trial: Trial) -> bool:
        return abs(trial.slope) <= -_CURVATURE * start.slope

    # Lengthen the step until a minimum lies between the last two trials.
    before, trial, count = start, evaluate(length), 1
    while count <= most:
        if too_high(trial) or count > 2 and trial.loss >= before.loss:
            break
        if flat(trial):
            return trial, count
        if trial.slope >= 0:
            break
        further = trial.length + 0.01 * (trial.length - before.length), 10 * trial.length
        before, trial = trial, evaluate(_lowest(before, trial, further))
        count += 1
    else:
        before = start

    # Narrow the interval, of which `low` is the better end.
    ends = [before, trial]
    low = _better(ends)
    slow = False
    while count <= most:
        left, right = sorted((ends[0].length, ends[1].length))
        if (right - left) * reach < _SHORTEST:
            break
        length = _lowest(ends[0], ends[1], (left, right))
        margin = 0.1 * (right - left)
        if min(right - length, length - left) >= margin:
            slow = False
        elif slow or length >= right or length <= left:  # at an end, or close to one again: step away from it
            length = right - margin if right - length < length - left else left + margin
            slow = False
        else:
            slow = True
        trial = evaluate(length)
        count += 1
        if too_high(trial) or trial.loss >= ends[low].loss:
            ends[1 - low] = trial
            low = _better(ends)
        elif flat(trial):
            return trial, count
        else:
            if trial.slope * (ends[1 - low].length - ends[low].length) >= 0:
                ends[1 - low] = ends[low]
            ends[low] = trial
    return ends[low], count


def _better(ends: list[Trial]) -> int:
    return 0 if ends[0].loss <= ends[1].loss else 1


def _lowest(a: Trial, b: Trial, bounds: tuple[float, float]) -> float:
    """Where the cubic through two trials and their slopes is lowest within the bounds (their middle if nowhere)."""
    if a.length > b.length:
        a, b = b, a
    span = b.length - a.length
    bend = a.slope + b.slope - 3 * (b.loss - a.loss) / span
    square = bend * bend - a.slope * b.slope
    if not square >= 0:
        return (bounds[0] + bounds[1]) / 2
    root = math.sqrt(square)
    top, bottom = b.slope + root - bend, b.slope - a.slope + 2 * root
    if not bottom:  # a straight line
        return bounds[1] if top < 0 else bounds[0]
    return min(max(b.length - span * (top / bottom), bounds[0]), bounds[1])
