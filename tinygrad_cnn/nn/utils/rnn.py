"""Sequences of different lengths in one batch: padded to the longest, or packed without the padding.

A `PackedSequence` holds, time step by time step, the entries of the sequences that still go on; the recurrent
layers read and give back either form.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap, wrap
from tinygrad_cnn.ops.expect import ShapeError
from tinygrad_cnn.ops.padding import pad
from tinygrad_cnn.ops.shape import cat, stack, transpose
from tinygrad_cnn.tensors.tensor import Tensor


class PackedSequence(NamedTuple):
    """Sequences, longest first, without padding; made by `pack_padded_sequence`.

    Attributes:
        data: (sum of lengths, features): the first step of all sequences, then the second of those that have one, …
        batch_sizes: how many sequences have each step (int64, on the CPU)
        sorted_indices: which sequence of the batch stands at each place, or None if they came sorted
        unsorted_indices: the place of each sequence, or None
    """

    data: Any
    batch_sizes: Any
    sorted_indices: Any = None
    unsorted_indices: Any = None

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """In another dtype."""
        return self._replace(data=self.data.to(*args, **kwargs))

    @property
    def is_cuda(self) -> bool:
        return False


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Drop the padding of input (L, N, …), or (N, L, …) with `batch_first`, whose sequences have `lengths` (N,).

    Raises ValueError for lengths that do not fit, or that do not fall although `enforce_sorted`.
    """
    sizes = np.asarray([int(n) for n in unwrap(lengths)], np.int64)
    x = transpose(input, 0, 1) if batch_first else input
    if sizes.shape != (x.shape[1],) or (sizes < 1).any() or (sizes > x.shape[0]).any():
        raise ShapeError(
            f"pack_padded_sequence expected {x.shape[1]} lengths from 1 to {x.shape[0]}, one per sequence, "
            f"got {sizes.tolist()}: input {tuple(input.shape)}"
        )
    order = back = None
    if enforce_sorted:
        if (np.diff(sizes) > 0).any():
            raise ShapeError(
                f"pack_padded_sequence expected falling lengths, got {sizes.tolist()}: "
                "sort the batch, or say enforce_sorted=False"
            )
    else:
        places = np.argsort(-sizes, kind="stable")
        order, back = wrap(places), wrap(np.argsort(places))
        x, sizes = x[:, order], sizes[places]
    batch_sizes = (np.arange(int(sizes[0]))[:, None] < sizes).sum(1)
    data = cat([x[t, :n] for t, n in enumerate(batch_sizes.tolist())], 0)
    return PackedSequence(data, wrap(batch_sizes.astype(np.int64)), order, back)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Any]:
    """The sequences padded to one length again, and their lengths (N,), in the order they had before packing.

    Raises ValueError for a `total_length` below the longest sequence.
    """
    counts = unwrap(sequence.batch_sizes).tolist()
    length = len(counts) if total_length is None else total_length
    if length < len(counts):
        raise ShapeError(f"pad_packed_sequence expected total_length of at least {len(counts)}, got {total_length}")
    widths = [0, 0] * (len(sequence.data.shape) - 1)
    steps = [
        pad(step, [*widths, 0, counts[0] - n], value=padding_value)
        for step, n in zip(sequence.data.split(counts), counts)
    ]
    steps += [steps[0].detach() * 0 + padding_value] * (length - len(steps))
    x = stack(steps, 0)
    sizes = (np.asarray(counts)[:, None] > np.arange(counts[0])).sum(0)
    if sequence.unsorted_indices is not None:
        x, sizes = x[:, sequence.unsorted_indices], sizes[unwrap(sequence.unsorted_indices)]
    return transpose(x, 0, 1) if batch_first else x, wrap(sizes.astype(np.int64))


def pad_sequence(
    sequences: Sequence[Any], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Any:
    """Sequences (Lᵢ, …) of different lengths as one tensor (L, N, …), or (N, L, …) with `batch_first`."""
    if padding_side not in ("left", "right"):
        raise ValueError(f"pad_sequence expected padding_side 'left' or 'right', got {padding_side!r}")
    longest = max(len(s) for s in sequences)
    parts = []
    for s in sequences:
        gap = longest - len(s)
        ends = [gap, 0] if padding_side == "left" else [0, gap]
        parts.append(pad(s, [0, 0] * (len(s.shape) - 1) + ends, value=padding_value))
    return stack(parts, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """The inverse of `pad_sequence`: a list of sequences (Lᵢ, …)."""
    x = padded_sequences if batch_first else transpose(padded_sequences, 0, 1)
    return [x[k, : int(n)] for k, n in enumerate(unwrap(lengths))]


def pack_sequence(sequences: Sequence[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences (Lᵢ, …) of different lengths, packed."""
    return pack_padded_sequence(
        pad_sequence(sequences), [len(s) for s in sequences], enforce_sorted=enforce_sorted
    )


def unpack_sequence(packed_sequences: PackedSequence) -> list[Any]:
    """The sequences a `PackedSequence` holds, in their first order."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences))


def steps_of(packed: PackedSequence) -> list[Any]:
    """Per time step what the sequences that go on hold: (how many, features)."""
    return list(packed.data.split(unwrap(packed.batch_sizes).tolist()))


def permuted(states: Iterable[Any], order: Any) -> tuple[Tensor, ...]:
    """States (layers, N, features) with their sequences in another order (None: as they are)."""
    return tuple(states) if order is None else tuple(h[:, order] for h in states)


__all__ = [
    "PackedSequence", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence", "pad_sequence",
    "unpack_sequence", "unpad_sequence",
]  # fmt: skip
