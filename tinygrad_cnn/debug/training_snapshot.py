"""A snapshot of a training: everything that decides how it goes on, copied, and put back later.

Parameters and buffers, their gradients, the optimiser's state, the random generators, and each module's
training switch. `recorder` keeps several, `diagnose` one.
"""

from __future__ import annotations

import copy
import random as python_random
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tinygrad_cnn.autograd.handle import Handle, unwrap, wrap
from tinygrad_cnn.nn import Module
from tinygrad_cnn.ops import random
from tinygrad_cnn.optim import Optimizer

#: A batch of a loader: inputs, and the target last.
Batch: TypeAlias = tuple[Any, ...]
#: Computes a loss, a scalar tensor.
LossFn: TypeAlias = Callable[..., Any]


class TrainingSnapshot:
    """A copy of a model's, an optimiser's and the random generators' state. `nbytes` is what it takes."""

    def __init__(self, model: Module, optimizer: Optimizer | None = None, *, gradients: bool = True) -> None:
        self.model = {name: copied(value) for name, value in model.state_dict().items()}
        self.buffers = {name: copied(b) for name, b in model.named_buffers()}
        self.gradients = (
            [None if p.grad is None else copied(p.grad) for p in model.parameters()] if gradients else None
        )
        self.training = [module.training for module in model.modules()]
        self.optimizer = None if optimizer is None else copied(optimizer.state_dict())
        self.random = RandomState()

    @property
    def nbytes(self) -> int:
        """Bytes of all the arrays it holds."""
        return size_of([self.model, self.buffers, self.gradients, self.optimizer])

    def restore(self, model: Module, optimizer: Optimizer | None = None) -> None:
        """Put everything back, in place."""
        model.load_state_dict(self.model, strict=False)
        for name, buffer in model.named_buffers():
            if name in self.buffers and name not in self.model:
                buffer.array[...] = self.buffers[name].array
        for module, training in zip(model.modules(), self.training, strict=True):
            module.training = training
        if self.gradients is not None:
            for p, g in zip(model.parameters(), self.gradients, strict=True):
                p.grad = None if g is None else copied(g)
        else:
            for p in model.parameters():
                p.grad = None
        if optimizer is not None and self.optimizer is not None:
            optimizer.load_state_dict(copied(self.optimizer))
        self.random.restore()


class RandomState:
    """The state of the random generators: the engine's, NumPy's, Python's.

    Arrays that are equal to those of `before` are shared with it, since many programs draw from one generator only.
    `nbytes` is what it takes itself.
    """

    def __init__(self, before: RandomState | None = None) -> None:
        self.engine = random.get_rng_state()
        self.numpy: Any = np.random.get_state()  # noqa: NPY002 - a script's own draws must repeat as well
        version, words, gauss = python_random.getstate()
        self.python: Any = (version, np.array(words, np.uint32), gauss)  # a tuple of 625 takes ten times that
        self.nbytes = size_of([self.engine, self.numpy, self.python])
        for name in ("numpy", "python"):
            old, new = getattr(before, name, None), getattr(self, name)
            if old is not None and np.array_equal(old[1], new[1]):
                setattr(self, name, (new[0], old[1], *new[2:]))
                self.nbytes -= old[1].nbytes

    def restore(self) -> None:
        """Put the generators back."""
        random.set_rng_state(self.engine)
        np.random.set_state(self.numpy)  # noqa: NPY002
        version, words, gauss = self.python
        python_random.setstate((version, tuple(words.tolist()), gauss))


def copied(value: Any) -> Any:
    """Tensors and arrays copied, containers rebuilt, anything else as `copy.deepcopy` has it."""
    if isinstance(value, Handle):
        return wrap(value.array.copy("K"))
    if isinstance(value, np.ndarray):
        return value.copy("K")
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copied(v) for v in value)
    return copy.deepcopy(value)


def size_of(value: Any) -> int:
    value = unwrap(value)
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return sum(map(size_of, value.values()))
    return sum(map(size_of, value)) if isinstance(value, (list, tuple)) else 0
