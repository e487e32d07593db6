"""Random numbers: one default generator that `manual_seed` sets, and generators of one's own.

A generator is NumPy's PCG64 behind a lock, so threads may share one. Equal seeds give equal numbers on every
machine; they are not PyTorch's numbers.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import Array, DType, Operand, Params, Sizes, Tensor
from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.ops.common import sizes
from tinygrad_cnn.ops.creation import finish, model_of, shape_from
from tinygrad_cnn.ops.declare import public
from tinygrad_cnn.ops.device import Device, check_device
from tinygrad_cnn.ops.inplace import replace_by
from tinygrad_cnn.ops.layout import check_options
from tinygrad_cnn.ops.special import erfinv_array

ndarray = np.ndarray


class Generator:
    """A source of random numbers with a state of its own.

    `numpy` is the underlying np.random.Generator; hold `lock` while drawing from it directly.
    """

    _source: np.random.Generator

    def __init__(self, device: Device = "cpu") -> None:
        check_device(device)
        self.device = check_device(device)
        self.lock = threading.RLock()
        self.seed()

    def manual_seed(self, seed: int) -> Generator:
        """Start again from `seed`; returns itself."""
        self._seed = int(seed)
        with self.lock:
            self._source = np.random.Generator(np.random.PCG64(self._seed % 2**64))
        return self

    @property
    def numpy(self) -> np.random.Generator:
        """NumPy's generator, to draw from: `vmap` has a say in what it gives."""
        source = self._source
        for rule in getattr(_own, "rules", ()):
            rule(source)
        return source

    def seed(self) -> int:
        """Start from a seed of the operating system's; returns it."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    def initial_seed(self) -> int:
        """The seed it was last started from."""
        return self._seed

    def get_state(self) -> Tensor:
        """The state as a uint8 tensor, for `set_state`."""
        with self.lock:
            text = json.dumps({"seed": self._seed, "state": self._source.bit_generator.state})
        return wrap(np.frombuffer(text.encode(), dtype=np.uint8).copy())

    def set_state(self, new_state: Array) -> Generator:
        """Go on from a state that `get_state` gave. Raises ValueError for anything else."""
        try:
            found = json.loads(np.asarray(unwrap(new_state), dtype=np.uint8).tobytes())
            generator = np.random.Generator(np.random.PCG64())
            generator.bit_generator.state = found["state"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"set_state expected what get_state gave: {error}") from None
        with self.lock:
            self._seed, self._source = int(found["seed"]), generator
        return self

    def clone_state(self) -> Generator:
        """Another generator that will draw the same numbers."""
        return Generator().set_state(self.get_state())

    def __getstate__(self) -> bytes:
        return unwrap(self.get_state()).tobytes()

    def __setstate__(self, state: bytes) -> None:
        self.__init__()  # type: ignore[misc]
        self.set_state(np.frombuffer(state, np.uint8))

    def __repr__(self) -> str:
        return f"<Generator seed={self._seed}>"


_own = threading.local()


class drawing_from:
    """Inside, whatever this thread draws from the default generator comes from a fresh one, started from `seeds`.

    The data loader loads each batch so: what a batch's samples draw does not depend on who loads them, and when.
    """

    def __init__(self, *seeds: int) -> None:
        self.seeds = seeds
        self._numpy: np.random.Generator | None = None

    def __enter__(self) -> None:
        self._before = getattr(_own, "source", None)
        _own.source = self

    def __exit__(self, *_exc: object) -> None:
        _own.source = self._before

    @property
    def numpy(self) -> np.random.Generator:
        if self._numpy is None:  # most batches draw nothing
            self._numpy = np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.seeds)))
        return self._numpy

    @numpy.setter
    def numpy(self, value: np.random.Generator) -> None:
        self._numpy = value


class drawing_by:
    """Inside, whoever in this thread is about to draw from a generator calls `rule` with NumPy's generator first."""

    def __init__(self, rule: Callable[[np.random.Generator], None]) -> None:
        self.rule = rule

    def __enter__(self) -> None:
        self._before = getattr(_own, "rules", ())
        _own.rules = (*self._before, self.rule)

    def __exit__(self, *_exc: object) -> None:
        _own.rules = self._before


class _Default(Generator):
    """The default generator: one for all threads, but for those inside `drawing_from`."""

    @property
    def _source(self) -> np.random.Generator:
        own = getattr(_own, "source", None)
        return self._shared if own is None else own.numpy

    @_source.setter
    def _source(self, value: np.random.Generator) -> None:
        own = getattr(_own, "source", None)
        if own is None:
            self._shared = value
        else:
            own.numpy = value


default_generator: Generator = _Default()


@public
def manual_seed(seed: int) -> Generator:
    """Seed the default generator, which everything random uses unless given another."""
    return default_generator.manual_seed(seed)


@public
def seed() -> int:
    """Seed the default generator from the operating system."""
    return default_generator.seed()


@public
def initial_seed() -> int:
    """The seed the default generator was last started from."""
    return default_generator.initial_seed()


@public
def get_rng_state() -> Tensor:
    """The default generator's state as a uint8 tensor."""
    return default_generator.get_state()


@public
def set_rng_state(new_state: Array) -> None:
    """Put the default generator into a state that `get_rng_state` gave."""
    default_generator.set_state(new_state)


class fork_rng:
    """Inside, draw as one likes; behind, the default generator goes on as if nothing was drawn."""

    def __init__(self, devices: object = None, enabled: bool = True) -> None:
        self.enabled = enabled

    def __enter__(self) -> None:
        self._state = get_rng_state() if self.enabled else None

    def __exit__(self, *_exc: object) -> None:
        if self._state is not None:
            set_rng_state(self._state)


# --- arrays: what other rooms draw -----------------------------------------------------------------


def _narrow(dtype: DType) -> type[np.floating]:
    """The dtype NumPy draws in: it knows float32 and float64."""
    return np.float32 if np.dtype(dtype).itemsize <= 4 else np.float64


def uniform_array(
    shape: Sizes, dtype: DType = None, low: float = 0.0, high: float = 1.0, generator: Generator | None = None
) -> ndarray:
    """Uniform numbers of [low, high) as an array."""
    dtype = np.dtype(dtype or modes.get_default_dtype())
    source = generator or default_generator
    with source.lock:
        u = source.numpy.random(shape, dtype=_narrow(dtype))
    if (low, high) != (0.0, 1.0):
        u = u * (high - low) + low
    return np.asarray(u, dtype=dtype)


def normal_array(
    shape: Sizes, dtype: DType = None, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> ndarray:
    """Normal numbers as an array."""
    dtype = np.dtype(dtype or modes.get_default_dtype())
    source = generator or default_generator
    with source.lock:
        z = source.numpy.standard_normal(shape, dtype=_narrow(dtype))
    if (mean, std) != (0.0, 1.0):
        z = z * std + mean
    return np.asarray(z, dtype=dtype)


def permutation_array(n: int, generator: Generator | None = None) -> ndarray:
    """0 to n - 1 in random order, int64."""
    source = generator or default_generator
    with source.lock:
        return source.numpy.permutation(n)


# --- tensors ---------------------------------------------------------------------------------------


@public
def rand(
    *size: Sizes, generator: Generator | None = None, dtype: DType = None, device: Device = None,
    requires_grad: bool = False, **options: object,
) -> Tensor:  # fmt: skip
    """Uniform numbers of [0, 1)."""
    return finish(uniform_array(shape_from("rand", size, options), dtype, generator=generator), device, requires_grad)


@public
def randn(
    *size: Sizes, generator: Generator | None = None, dtype: DType = None, device: Device = None,
    requires_grad: bool = False, **options: object,
) -> Tensor:  # fmt: skip
    """Standard normal numbers."""
    return finish(normal_array(shape_from("randn", size, options), dtype, generator=generator), device, requires_grad)


@public
def randint(
    low: int = 0, high: int | Sizes | None = None, size: Sizes | None = None, *, generator: Generator | None = None,
    dtype: DType = None, device: Device = None, requires_grad: bool = False, **options: object,
) -> Tensor:  # fmt: skip
    """Integers of [low, high), or of [0, high) as ``randint(high, size)`` or ``randint(high=…, size=…)``."""
    check_options("randint", options)
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if not isinstance(high, (int, np.integer)) or high <= low:
        raise ValueError(
            f"randint expected integers low < high and a size, got low={low}, high={high}, size={size}"
        )
    source = generator or default_generator
    with source.lock:
        array = source.numpy.integers(int(low), int(high), sizes((size,)))
    return finish(np.asarray(array, dtype=dtype or np.int64), device, requires_grad)


@public
def randperm(
    n: int, *, generator: Generator | None = None, dtype: DType = None, device: Device = None,
    requires_grad: bool = False, **options: object,
) -> Tensor:  # fmt: skip
    """0 to n - 1 in random order."""
    check_options("randperm", options)
    return finish(permutation_array(int(n), generator).astype(dtype or np.int64, copy=False), device, requires_grad)


@public
def rand_like(
    input: Array, *, generator: Generator | None = None, dtype: DType = None, device: Device = None,
    requires_grad: bool = False, **options: object,
) -> Tensor:  # fmt: skip
    """Uniform numbers of [0, 1) in the same shape and dtype."""
    return _in_place_of("rand_like", input, options, uniform_array, dtype, device, requires_grad, generator)


@public
def randn_like(
    input: Array, *, generator: Generator | None = None, dtype: DType = None, device: Device = None,
    requires_grad: bool = False, **options: object,
) -> Tensor:  # fmt: skip
    """Standard normal numbers in the same shape and dtype."""
    return _in_place_of("randn_like", input, options, normal_array, dtype, device, requires_grad, generator)


@public
def randint_like(
    input: Array, low: int, high: int | None = None, *, generator: Generator | None = None, dtype: DType = None,
    device: Device = None, requires_grad: bool = False, **options: object,
) -> Tensor:  # fmt: skip
    """Integers of [low, high), or of [0, low), in the same shape and dtype."""
    if high is None:
        low, high = 0, low
    drawn = lambda shape, dtype, generator: randint(low, high, shape, generator=generator, dtype=dtype).array
    return _in_place_of("randint_like", input, options, drawn, dtype, device, requires_grad, generator)


def _in_place_of(
    function: str, input: Array, options: Params, draw: Callable[..., ndarray], dtype: DType, device: Device,
    requires_grad: bool, generator: Generator | None,
) -> Tensor:  # fmt: skip
    """What `draw` gives in the shape, dtype and memory format of `input`."""
    model = model_of(function, input, options)
    drawn = np.empty_like(model, dtype=dtype)
    if function != "randint_like" and drawn.dtype.kind != "f":
        raise TypeError(f"{function} expected a floating dtype, got {drawn.dtype}: give dtype=")
    drawn[...] = draw(model.shape, drawn.dtype, generator=generator)
    return finish(drawn, device, requires_grad)


@public
def normal(
    mean: Operand = 0.0,
    std: Operand = 1.0,
    size: Sizes | None = None,
    *,
    generator: Generator | None = None,
    dtype: DType = None,
    device: Device = None,
    requires_grad: bool = False,
    **options: object,
) -> Tensor:
    """Normal numbers; mean and std are numbers (with `size`) or tensors that broadcast."""
    check_options("normal", options)
    m, s = unwrap(mean), unwrap(std)
    if np.any(np.less(s, 0)):
        raise ValueError(f"normal expected std >= 0, got {s}")
    shape = sizes((size,)) if size is not None else np.broadcast_shapes(np.shape(m), np.shape(s))
    if dtype is None:
        dtype = next((v.dtype for v in (m, s) if isinstance(v, ndarray) and v.dtype.kind == "f"), None)
    z = normal_array(shape, dtype, generator=generator)
    return finish(np.asarray(z * s + m, dtype=z.dtype), device, requires_grad)


@public(method=True)
def bernoulli(input: Array, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability each entry states (or `p` everywhere), else 0."""
    probabilities = unwrap(input)
    u = uniform_array(probabilities.shape, np.float64, generator=generator)
    chance = probabilities if p is None else p
    if np.any(np.less(chance, 0) | np.greater(chance, 1)):
        raise ValueError("bernoulli expected probabilities between 0 and 1")
    return wrap(np.asarray(u < chance).astype(probabilities.dtype))


@public(method=True)
def multinomial(
    input: Array, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Positions drawn with probabilities proportional to each row (1-d or 2-d); int64.

    Raises ValueError for negative or all-zero weights, and for more samples than non-zero weights without
    replacement.
    """
    weights = np.asarray(unwrap(input), dtype=np.float64)
    rows = np.atleast_2d(weights)
    if (
        weights.ndim not in (1, 2)
        or (rows < 0).any()
        or not np.isfinite(rows).all()
        or (rows.sum(1) <= 0).any()
    ):
        raise ValueError(
            f"multinomial expected 1-d or 2-d non-negative weights with a positive sum, got shape {weights.shape}"
        )
    if not replacement and ((rows > 0).sum(1) < num_samples).any():
        raise ValueError(
            f"multinomial cannot draw {num_samples} different positions: a row has fewer non-zero weights"
        )
    if replacement:
        u = uniform_array((len(rows), num_samples), np.float64, generator=generator)
        ends = np.cumsum(rows, axis=1)
        # Strictly below the row's end, and never on a weight of 0 (side="right" steps over it).
        drawn = np.stack([np.searchsorted(e, v * e[-1], side="right") for e, v in zip(ends, u)])
        drawn = np.minimum(drawn, rows.shape[1] - 1)
    else:
        # Exponential races: sorting E / w is sampling without replacement.
        race = -np.log1p(-uniform_array(rows.shape, np.float64, generator=generator))
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = np.argsort(np.where(rows > 0, race / rows, np.inf), axis=1, kind="stable")[
                :, :num_samples
            ]
    drawn = drawn.astype(np.int64)
    return wrap(drawn if weights.ndim == 2 else drawn[0])


# --- in place, as Tensor methods -------------------------------------------------------------------


@public(top_level=False, method=True)
def uniform_(self: Handle, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Filled with uniform numbers of [a, b)."""
    return replace_by(self, uniform_array(self.array.shape, self.array.dtype, a, b, generator), "uniform_")


@public(top_level=False, method=True)
def normal_(self: Handle, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Filled with normal numbers."""
    return replace_by(self, normal_array(self.array.shape, self.array.dtype, mean, std, generator), "normal_")


@public(top_level=False, method=True)
def bernoulli_(self: Handle, p: Operand = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Filled with 1 (probability p) and 0."""
    u = uniform_array(self.array.shape, np.float64, generator=generator)
    return replace_by(self, (u < unwrap(p)).astype(self.array.dtype), "bernoulli_")


@public(top_level=False, method=True)
def exponential_(self: Handle, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Filled with exponentially distributed numbers of rate `lambd`."""
    u = uniform_array(self.array.shape, np.float64, generator=generator)
    return replace_by(self, (-np.log1p(-u) / lambd).astype(self.array.dtype), "exponential_")


@public(top_level=False, method=True)
def random_(self: Handle, low: int = 0, high: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Filled with integers of [low, high), or of [0, low)."""
    if high is None:
        low, high = 0, low or _largest_integer(self.array.dtype)
    return replace_by(
        self,
        randint(low, high, self.array.shape, generator=generator).array.astype(self.array.dtype),
        "random_",
    )


def _largest_integer(dtype: np.dtype) -> int:
    """Up to where the dtype holds every integer."""
    return 2 ** (np.finfo(dtype).nmant + 1) if dtype.kind == "f" else int(np.iinfo(dtype).max)


def trunc_normal_array(
    shape: Sizes, dtype: DType, mean: float, std: float, a: float, b: float, generator: Generator | None = None
) -> ndarray:
    """Normal numbers that fall into [a, b], by inverting the distribution function."""
    low, high = (math.erf((edge - mean) / (std * math.sqrt(2))) for edge in (a, b))
    u = uniform_array(shape, np.float64, low, high, generator)
    return np.clip(erfinv_array(u) * (std * math.sqrt(2)) + mean, a, b).astype(dtype)
