"""Connectionist temporal classification: the loss of an unaligned sequence, written in the other ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.nn.functional.reduction import finish, reduction_of
from tinygrad_cnn.ops.elementwise import where
from tinygrad_cnn.ops.expect import wrong_shape
from tinygrad_cnn.ops.padding import pad
from tinygrad_cnn.ops.shape import stack
from tinygrad_cnn.tensors.tensor import Tensor

#: The logarithm of "cannot be": finite, so that differences of two of them are 0 and not NaN.
_NEVER = -1e30


def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Tensor, target_lengths: Tensor, blank: int = 0,
    reduction: str = "mean", zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """−log of the probability of `targets`, summed over all alignments (Graves et al. 2006).

    `log_probs` (T, N, C), or (T, C) without a batch, are logarithms of probabilities: `log_softmax` first.
    `targets` (N, S), or all in one row, hold classes other than `blank`; both lengths are integers per sample.
    The mean is over samples, each divided by its target's length. A target that does not fit into its input
    costs infinity, or 0 (and no gradient) with `zero_infinity`. Forward variables as in the paper's section 4.1,
    in logarithms; the gradient is the exact one with respect to `log_probs`. PyTorch's differs by exp(log_probs), which
    cancels below `log_softmax` and is wrong anywhere else.

    Raises ValueError for shapes and lengths that do not fit, IndexError for a class that does not exist.
    """
    reduction = reduction_of(reduction)
    single = log_probs.ndim == 2
    lp = log_probs.unsqueeze(1) if single else log_probs
    if lp.ndim != 3:
        raise wrong_shape("ctc_loss", f"log_probs (T, N, C) or (T, C), got {tuple(log_probs.shape)}")
    frames, n, classes = lp.shape
    lengths = _lengths("input_lengths", input_lengths, n, frames)
    sizes = _lengths("target_lengths", target_lengths, n, None)
    labels = _label_rows(unwrap(targets), sizes, n)
    inside = np.arange(labels.shape[1]) < sizes[:, None]
    if not 0 <= blank < classes:
        raise wrong_shape("ctc_loss", f"a blank from 0 to {classes - 1}, got {blank}")
    if ((labels < 0) | (labels >= classes))[inside].any():
        raise IndexError(f"ctc_loss expected classes from 0 to {classes - 1}, got {int(labels[inside].max())}")
    # Blanks between, before and behind the labels: the states a path goes through.
    states = np.full((n, 2 * labels.shape[1] + 1), blank)
    states[:, 1::2] = np.where(inside, labels, blank)
    skips = np.zeros(states.shape, bool)  # a blank may be left out between two different labels
    skips[:, 2:] = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
    samples = np.arange(n)
    emitted = lp[:, samples[:, None], states]  # (T, N, states)
    start = np.arange(states.shape[1]) < np.where(sizes[:, None] > 0, 2, 1)
    alpha = where(start, emitted[0], _NEVER)
    alphas = [alpha]
    for t in range(1, frames):
        before = pad(alpha, (1, 0), value=_NEVER)[:, :-1]
        skipped = where(skips, pad(alpha, (2, 0), value=_NEVER)[:, :-2], _NEVER)
        alpha = np.logaddexp(np.logaddexp(alpha, before), skipped) + emitted[t]
        alphas.append(alpha)
    last = stack(alphas, 0)[np.maximum(lengths, 1) - 1, samples]  # (N, states) at each sample's end
    on_blank = last[samples, 2 * sizes]
    on_label = where(sizes > 0, last[samples, np.maximum(2 * sizes - 1, 0)], _NEVER)
    loss = -np.logaddexp(on_blank, on_label)
    repeats = ((labels[:, 1:] == labels[:, :-1]) & inside[:, 1:]).sum(1)
    fits = lengths >= sizes + repeats
    loss = where(fits & (lengths > 0), loss, 0.0 if zero_infinity else np.inf)
    if reduction == "mean":
        return (loss / np.maximum(sizes, 1).astype(lp.dtype)).mean()
    return finish(loss, reduction)[0] if single and reduction == "none" else finish(loss, reduction)


def _lengths(name: str, given: Any, n: int, most: int | None) -> np.ndarray:
    found = np.atleast_1d(np.asarray([int(v) for v in np.ravel(unwrap(given))], np.int64))
    if found.shape != (n,) or (found < 0).any() or (most is not None and (found > most).any()):
        limit = "" if most is None else f" of at most {most}"
        raise wrong_shape("ctc_loss", f"{n} {name}{limit}, one per sample, got {found.tolist()}")
    return found


def _label_rows(targets: np.ndarray, sizes: np.ndarray, n: int) -> np.ndarray:
    """Targets as (N, longest), whatever their form."""
    if targets.dtype.kind not in "iu":
        raise wrong_shape("ctc_loss", f"targets as integers, got {targets.dtype}: convert them with .long()")
    longest = int(sizes.max(initial=0))
    if targets.ndim == 2 and targets.shape[0] == n and targets.shape[1] >= longest:
        return targets.astype(np.int64)
    if targets.ndim != 1 or len(targets) < sizes.sum():
        raise wrong_shape(
            "ctc_loss", f"targets ({n}, {longest} or more), or {int(sizes.sum())} in one row, got {targets.shape}"
        )
    rows = np.zeros((n, longest), np.int64)
    rows[np.arange(longest) < sizes[:, None]] = targets[: sizes.sum()]
    return rows
