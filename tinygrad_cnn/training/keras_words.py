"""Keras's words that `fit` and `compile` do not take, each with what to write here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["refuse"]

_WORDS = {
    "learning_rate": "lr=…",
    "train": "the data as the first argument, x",
    "data": "the data as the first argument, x",
    "clipnorm": "clip_norm=…",
    "clipvalue": "clip_value=…",
    "global_clipnorm": "clip_norm=… (it is the norm of all gradients together)",
    "gradient_accumulation_steps": "accumulate=…",
    "class_weights": "class_weight=…",
    "sample_weight": "class_weight={class: weight}, or a loss function of your own",
    "validation_steps": "validation data that end",
    "validation_batch_size": "a DataLoader as validation data",
    "validation_freq": "a callback that evaluates when you want it",
    "weighted_metrics": "metrics=…",
    "loss_weights": "a loss function of your own: lambda outputs, targets: …",
    "run_eagerly": "nothing: everything runs eagerly",
    "jit_compile": "nothing: the kernels are compiled already",
    "steps_per_execution": "nothing: each batch is a step",
    "workers": "a DataLoader with num_workers=…",
    "use_multiprocessing": "a DataLoader with num_workers=…",
    "max_queue_size": "a DataLoader with prefetch_factor=…",
}


def refuse(function: str, unknown: Mapping[str, Any]) -> None:
    """TypeError for the first of the words, with what stands for it here, if there are any."""
    for word in unknown:
        hint = f": write {_WORDS[word]}" if word in _WORDS else ""
        raise TypeError(f"{function}() got an unexpected keyword argument {word!r}{hint}")
