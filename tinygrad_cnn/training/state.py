"""The parts of a training's saved state that are checked when it is read, and where random generators stand."""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.support.errors import CheckpointError, brief
from tinygrad_cnn.utils.data.randomness import numpy_generator

__all__ = ["MISFIT", "checked", "counts", "generators_of", "numbers", "put_generators", "states_of"]

#: What a state of wrong types or sizes may raise wherever it is used.
MISFIT = (TypeError, ValueError, ArithmeticError, LookupError, RuntimeError, AttributeError)


def checked(name: str, value: Any, kind: Any, inner: Any = None) -> Any:
    """`value` if it is of that kind, and so is all in it; TypeError names the part of the state that is not."""
    if not isinstance(value, kind) or inner is not None and not all(isinstance(v, inner) for v in value):
        raise TypeError(f"its {name} is a {type(value).__name__} of something else")
    return value


def counts(name: str, values: list[Any]) -> list[int]:
    """`values` if they are integers from 0 up; TypeError otherwise."""
    if not all(type(v) is int and v >= 0 for v in values):
        raise TypeError(f"its {name} holds something other than counts")
    return values


def numbers(name: str, values: list[Any]) -> list[float]:
    """`values` if they are numbers; TypeError otherwise."""
    if not all(type(v) in (int, float) for v in values):
        raise TypeError(f"its {name} holds something other than numbers")
    return values


def generators_of(loader: Any) -> list[Any]:
    """Everything that draws: None for the global generator (dropout does), and the loader's own."""
    found: list[Any] = [None]
    sampler = getattr(loader, "sampler", None)
    batch_sampler = getattr(loader, "batch_sampler", None)
    for owner in (loader, sampler, batch_sampler, getattr(batch_sampler, "sampler", None)):
        own = getattr(owner, "generator", None)
        if own is not None and all(own is not other for other in found):
            found.append(own)
    return found


def states_of(generators: list[Any]) -> list[Any]:
    """Where each generator stands, in plain values."""
    return [numpy_generator(owner).bit_generator.state for owner in generators]


def put_generators(generators: list[Any], states: list[Any]) -> None:
    """Let each generator stand where `states_of` saw it; CheckpointError when they do not fit."""
    if len(states) != len(generators):
        raise CheckpointError(
            f"the checkpoint holds {len(states)} random generators, this data loader uses "
            f"{len(generators)}: continue with the loader it was made with"
        )
    for owner, state in zip(generators, states):
        try:
            numpy_generator(owner).bit_generator.state = state
        except MISFIT as error:
            raise CheckpointError(f"the checkpoint holds no state of a random generator: {brief(error)}") from error
