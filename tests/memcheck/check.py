"""One call of a kernel in both forms: what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.memcheck.cases import Call
from tests.memcheck.guard import Guard

Array = np.ndarray[Any, Any]
# Rounding that two ways to add up the same terms may differ by, relative to their size. A number from elsewhere in
# memory differs by more, or is not a number.
ERRORS = {2: 2e-2, 4: 2e-4, 8: 1e-9}


class Checker:
    def __init__(self, guard: Guard, fast: Any, plain: Any) -> None:
        self.guard, self.fast, self.plain = guard, fast, plain
        self.findings = 0

    def problems(self, call: Call, at_end: bool) -> Iterator[str]:
        damaged = self.guard.damaged
        before = [bytes_of(a) for a in arrays_in(call)]
        with self.guard(at_end):
            got = outcome(self.fast, call)
        if [bytes_of(a) for a in arrays_in(call)] != before:
            yield "an input was changed"
        expected = outcome(self.plain, call)
        yield from differences(got, expected, call.terms)
        del got
        if self.guard.damaged != damaged:
            yield "the memory around an array was written to"


def outcome(form: Any, call: Call) -> Any:
    """The arrays that the kernel gives, or the type of what it raises."""
    arguments, options = list(call.arguments), dict(call.options)
    results = []
    for i in call.changed:
        arguments[i] = [copy_of(a) for a in arguments[i]]
        results += arguments[i]
    for name in ("amsgrad_state", "buffers", "grad_avg"):
        if name in options:
            options[name] = [copy_of(a) for a in options[name]]
            results += options[name]
    try:
        with np.errstate(all="ignore"):
            made = getattr(form, call.kernel)(*arguments, **options)
    except Exception as error:
        return type(error)
    if call.changed:
        return results
    return list(made) if isinstance(made, tuple) else [made]


def copy_of(a: Array) -> Array:
    """A writable copy at the same strides, as far as an array of its own can have them."""
    return a.copy("K")


def arrays_in(call: Call) -> list[Array]:
    found = []
    for value in (*call.arguments, *call.options.values()):
        found += [a for a in (value if isinstance(value, list) else [value]) if isinstance(a, np.ndarray)]
    return found


def bytes_of(a: Array) -> bytes:
    """All of the memory that a looks at, gaps included."""
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a.tobytes("A")


def differences(got: Any, expected: Any, terms: float) -> Iterator[str]:
    if isinstance(got, type) or isinstance(expected, type):
        if got is not expected:
            # A bounds check that fails ends a task as memory that cannot be had does: as MemoryError.
            yield f"compiled {summary(got)}, reference {summary(expected)}"
        elif not issubclass(got, (ValueError, IndexError)):
            yield f"both raise {got.__name__}"
        return
    for i, (a, b) in enumerate(zip(got, expected, strict=True)):
        if a.shape != b.shape or a.dtype != b.dtype:
            yield f"result {i} is {a.dtype} {a.shape}, reference {b.dtype} {b.shape}"
        elif a.dtype.kind in "iu":
            if not np.array_equal(a, b):
                yield f"result {i} differs in {np.count_nonzero(a != b)} of {a.size} integers"
        elif a.size:
            with np.errstate(all="ignore"):
                x, y = a.astype(np.float64), b.astype(np.float64)
                finite = np.isfinite(y)
                scale = max(terms, float(np.abs(y[finite]).max())) if finite.any() else terms
                right = np.where(finite, np.abs(x - y) <= ERRORS[a.dtype.itemsize] * scale, same_special(x, y))
            if not right.all():
                at = tuple(int(k) for k in np.argwhere(~right)[0])
                more = np.count_nonzero(~right) - 1
                yield f"result {i} differs at {at}: {a[at]!r}, reference {b[at]!r} (and {more} more)"


def same_special(x: Array, y: Array) -> Array:
    """Infinities and nan where the reference has some. Sums of several may be either."""
    return np.asarray(~np.isfinite(x) if np.isnan(y).any() else (x == y))


def summary(value: Any) -> str:
    return f"raises {value.__name__}" if isinstance(value, type) else "returns"


def described(call: Call) -> str:
    """The call in one line: shapes, dtypes and strides of its arrays, and its options."""
    texts = [*map(_text, call.arguments), *(f"{name}={_text(value)}" for name, value in call.options.items())]
    return f"{call.kernel}({', '.join(texts)})"


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype.str}{list(value.shape)}/{list(value.strides)}"
    if isinstance(value, list):
        return f"[{'; '.join(map(_text, value))}]"
    return repr(value)
