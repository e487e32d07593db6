"""What the kernel tests share: both forms of the kernels, and the sums of the notes written as plain
loops."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
import pytest

from tinygrad_cnn import kernels

FORMS = ["reference", "compiled"] if find_spec("numba") else ["reference"]


@pytest.fixture(params=FORMS)
def form(request):
    """Every kernel by name, in one of the two forms."""
    return kernels._load(request.param, "asked for by a test")


@pytest.fixture
def interrupts():
    """A KeyboardInterrupt before each line of a file that a call runs, one after the other.

    ``for interrupt in interrupts(file): interrupt(call)`` calls `call` with an interrupt at the first line, then at
    the second, and so on; it ends when a call ran through without one.
    """
    return each_interrupt


def each_interrupt(file: str) -> Iterator[Callable[[Callable[[], Any]], None]]:
    count = 0
    passed = False

    def interrupt(call: Callable[[], Any]) -> None:
        nonlocal passed
        left = count

        def at_line(frame: Any, event: str, _argument: Any) -> Any:
            nonlocal left
            if event == "line":
                left -= 1
                if left == 0:
                    raise KeyboardInterrupt
            return at_line

        sys.settrace(lambda frame, _event, _argument: at_line if frame.f_code.co_filename == file else None)
        try:
            call()
            passed = True
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)

    while not passed:
        count += 1
        yield interrupt
    assert count > 5, f"{file} was hardly run"


@pytest.fixture
def loops():
    """The naive answers."""
    return Loops


class Loops:
    """Brute force in float64: one multiplication at a time, as the formula stands in the notes."""

    @staticmethod
    def taps(size, w_shape, out, stride, padding, dilation):
        """Every (window, kernel offset, input position) with the input position inside the plane."""
        k = w_shape[2:]
        for window in product(*map(range, out)):
            for offset in product(*map(range, k)):
                at = tuple(
                    i * s + u * dil - lo
                    for i, s, u, dil, (lo, _) in zip(window, stride, offset, dilation, padding)
                )
                if all(0 <= a < n for a, n in zip(at, size)):
                    yield window, offset, at

    @classmethod
    def correlate(cls, x, w, *, stride, padding, dilation, groups):
        shape = kernels.geometry.correlate_shape(
            x.shape, w.shape, stride=stride, padding=padding, dilation=dilation, groups=groups
        )
        y = np.zeros(shape)
        c, o = w.shape[1], w.shape[0] // groups
        for window, offset, at in cls.taps(x.shape[2:], w.shape, shape[2:], stride, padding, dilation):
            for g in range(groups):
                pixel = x[(slice(None), slice(g * c, g * c + c), *at)].astype(np.float64)
                y[(slice(None), slice(g * o, g * o + o), *window)] += (
                    pixel @ w[(slice(g * o, g * o + o), slice(None), *offset)].astype(np.float64).T
                )
        return y

    @classmethod
    def correlate_input(cls, g, w, *, shape, stride, padding, dilation, groups):
        dx = np.zeros(shape)
        c, o = w.shape[1], w.shape[0] // groups
        for window, offset, at in cls.taps(shape[2:], w.shape, g.shape[2:], stride, padding, dilation):
            for i in range(groups):
                up = g[(slice(None), slice(i * o, i * o + o), *window)].astype(np.float64)
                dx[(slice(None), slice(i * c, i * c + c), *at)] += up @ w[
                    (slice(i * o, i * o + o), slice(None), *offset)
                ].astype(np.float64)
        return dx

    @classmethod
    def correlate_weight(cls, g, x, *, shape, stride, padding, dilation, groups):
        dw = np.zeros(shape)
        c, o = shape[1], shape[0] // groups
        for window, offset, at in cls.taps(x.shape[2:], shape, g.shape[2:], stride, padding, dilation):
            for i in range(groups):
                up = g[(slice(None), slice(i * o, i * o + o), *window)].astype(np.float64)
                pixel = x[(slice(None), slice(i * c, i * c + c), *at)].astype(np.float64)
                dw[(slice(i * o, i * o + o), slice(None), *offset)] += up.T @ pixel
        return dw

    @staticmethod
    def windows(shape, kernel, stride, padding, dilation, ceil_mode):
        """(window, the positions it covers inside the plane, in reading order) for each window of a
        pooling."""
        out = kernels.geometry.pool_shape(
            shape, kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
        )[2:]
        for window in product(*map(range, out)):
            inside = []
            for offset in product(*map(range, kernel)):
                at = tuple(
                    i * s + u * dil - lo
                    for i, s, u, dil, (lo, _) in zip(window, stride, offset, dilation, padding)
                )
                if all(0 <= a < n for a, n in zip(at, shape[2:])):
                    inside.append(at)
            yield window, inside

    @classmethod
    def max_pool(cls, x, *, kernel, stride, padding, dilation, ceil_mode):
        out = kernels.geometry.pool_shape(
            x.shape, kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode
        )
        y, indices = np.zeros(out, x.dtype), np.zeros(out, np.int64)
        for window, inside in cls.windows(x.shape, kernel, stride, padding, dilation, ceil_mode):
            for n, c in product(range(x.shape[0]), range(x.shape[1])):
                if not inside:
                    y[(n, c, *window)], indices[(n, c, *window)] = -np.inf, -1
                    continue
                best = inside[0]
                for at in inside[1:]:
                    if x[(n, c, *at)] > x[(n, c, *best)]:
                        best = at
                y[(n, c, *window)] = x[(n, c, *best)]
                indices[(n, c, *window)] = np.ravel_multi_index(best, x.shape[2:])
        return y, indices
