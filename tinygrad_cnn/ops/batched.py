"""A function of one sample as a function of a batch: `func.vmap`, as a loop over the samples.

Written for what it says, not for speed: PyTorch's vectorises, this one calls the function once per sample and
stacks what it gives. Values and gradients are the same, also of what is mapped: ``vmap(grad(loss), (None, 0, 0))``
gives the gradients of every sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import numpy as np

from tinygrad_cnn.autograd.annotations import AnyFunction, Tensor
from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.autograd.tree import flatten
from tinygrad_cnn.ops.random import drawing_by


def vmap(
    func: AnyFunction, in_dims: int | tuple[int | None, ...] | list[int | None] | None = 0,
    out_dims: int | tuple[int, ...] | list[int] = 0, randomness: str = "error", *, chunk_size: int | None = None,
) -> AnyFunction:  # fmt: skip
    """`func` over the dimension `in_dims` of its arguments, its results stacked along `out_dims`.

    `in_dims` is a number for all arguments, or a tuple with a number per argument (None: the same for every
    sample); keyword arguments are mapped over dimension 0. An argument may be a nested structure of tensors.
    `randomness` says what random numbers the samples draw: "different" ones, the "same", or none, since drawing is an
    "error" unless one of the two was chosen. `chunk_size` changes nothing.

    Raises ValueError when nothing is mapped, sizes differ, or `randomness` is none of the three; RuntimeError when
    `func` draws random numbers and that is an error.
    """
    if randomness not in ("error", "different", "same"):
        raise ValueError(f"vmap expected randomness 'error', 'different' or 'same', got {randomness!r}")

    def mapped(*args: object, **kwargs: object) -> object:
        dims = tuple(in_dims) if isinstance(in_dims, (tuple, list)) else (in_dims,) * len(args)
        if len(dims) != len(args):
            raise ValueError(f"vmap expected an in_dims for each of {len(args)} arguments, got {in_dims}")
        given = [*zip(args, dims), *((value, 0) for value in kwargs.values())]
        sizes = {size for value, dim in given for size in _sizes(value, dim)}
        if len(sizes) != 1:
            found = f"got {sorted(sizes)}" if sizes else "none is mapped: every in_dims is None"
            raise ValueError(f"vmap expected mapped dimensions of one size, {found}")
        results = []
        same = _Same()
        rule = {"error": _refuse, "same": same.rewind, "different": None}[randomness]
        with nullcontext() if rule is None else drawing_by(rule):
            for k in range(sizes.pop()):
                same.begin()
                own = [_sample(value, dim, k) for value, dim in given]
                results.append(func(*own[: len(args)], **dict(zip(kwargs, own[len(args) :]))))
        return _stacked(results, out_dims)

    return mapped


def _refuse(_source: np.random.Generator) -> None:
    raise RuntimeError(
        "vmap: the function draws random numbers; say with randomness='different' or 'same' what each sample gets"
    )


class _Same:
    """Lets every sample find each generator as the first one found it."""

    def __init__(self) -> None:
        self.starts: list[tuple[np.random.Generator, Mapping[str, object]]] = []
        self.seen: list[np.random.Generator] = []

    def begin(self) -> None:
        """Another sample follows."""
        self.seen = []

    def rewind(self, source: np.random.Generator) -> None:
        """Before a sample draws from a generator for the first time: as it was for the first sample."""
        if any(source is one for one in self.seen):
            return
        self.seen.append(source)
        for one, state in self.starts:
            if one is source:
                source.bit_generator.state = state
                return
        self.starts.append((source, source.bit_generator.state))


def _sizes(value: object, dim: int | None) -> list[int]:
    return [] if dim is None else [leaf.array.shape[dim] for leaf in flatten(value)[0] if isinstance(leaf, Handle)]


def _sample(value: object, dim: int | None, k: int) -> object:
    if dim is None:
        return value
    leaves, rebuild = flatten(value)
    return rebuild([_at(leaf, dim, k) if isinstance(leaf, Handle) else leaf for leaf in leaves])


def _at(leaf: Tensor, dim: int, k: int) -> Tensor:
    return leaf[(slice(None),) * (dim % leaf.ndim) + (k,)]


def _stacked(results: list[object], out_dims: int | tuple[int, ...] | list[int]) -> object:
    split = [flatten(result) for result in results]
    count = len(split[0][0])
    dims = tuple(out_dims) if isinstance(out_dims, (tuple, list)) else (out_dims,) * count
    if len(dims) != count:
        raise ValueError(f"vmap expected an out_dims for each of {count} results, got {out_dims}")
    rows = zip(*(leaves for leaves, _ in split))
    return split[0][1]([np.stack(row, axis=dim) for row, dim in zip(rows, dims)])


__all__ = ["vmap"]
