"""How a tensor looks when printed: as PyTorch's, with the op that made it."""

from __future__ import annotations

from typing import Any

import numpy as np

_options: dict[str, Any] = {
    "precision": 4,
    "threshold": 1000,
    "edgeitems": 3,
    "linewidth": 80,
    "sci_mode": None,
}


def set_printoptions(
    precision: int | None = None, threshold: int | None = None, edgeitems: int | None = None,
    linewidth: int | None = None, profile: str | None = None, sci_mode: bool | None = None,
) -> None:  # fmt: skip
    """PyTorch's options for printing: digits, how many values before it is shortened, ends kept, line width."""
    if profile == "default":
        _options.update(precision=4, threshold=1000, edgeitems=3, linewidth=80)
    elif profile == "short":
        _options.update(precision=2, threshold=1000, edgeitems=2, linewidth=80)
    elif profile == "full":
        _options.update(precision=4, threshold=10**9, edgeitems=3, linewidth=80)
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _options.update({k: v for k, v in given.items() if v is not None})
    _options["sci_mode"] = sci_mode


def tensor_str(t: Any, head: str = "tensor(") -> str:
    """The text of a tensor: values, and dtype, grad_fn or requires_grad where they are not the usual."""
    from tinygrad_cnn.autograd import modes

    array = t.array
    suffixes = []
    if array.size == 0 and array.ndim != 1:
        suffixes.append(f"size={tuple(array.shape)}")
    usual = array.dtype in (np.bool_, np.int64) or array.dtype == modes.get_default_dtype()
    if not usual or (array.size == 0 and array.dtype != modes.get_default_dtype()):
        suffixes.append(f"dtype={array.dtype}")
    if t.node is not None:
        suffixes.append("requires_grad=True" if t.node.is_leaf else f"grad_fn=<{t.node.op.name}>")
    if t.name is not None:
        suffixes.append(f"name={t.name!r}")
    text = head + (values_str(array, len(head)) if array.size else "[]")
    if not suffixes:
        return text + ")"
    joined = ", ".join(suffixes)
    last = len(text.rsplit("\n", 1)[-1])
    gap = ", " if last + len(joined) + 3 <= _options["linewidth"] else ",\n" + " " * len(head)
    return f"{text}{gap}{joined})"


def values_str(array: np.ndarray, indent: int = 0) -> str:
    """The values alone, continued lines indented."""
    text = np.array2string(
        array, separator=", ", prefix=" " * indent, max_line_width=_options["linewidth"],
        threshold=_options["threshold"], edgeitems=_options["edgeitems"], formatter=_formatter(array),
    )  # fmt: skip
    return text.replace(", ...,", ",  ...,")


def _formatter(array: np.ndarray) -> Any:
    if array.dtype.kind != "f":
        if array.dtype.kind == "b":
            words = {True: " True" if not array.all() else "True", False: "False"}
            return {"bool": lambda v: words[bool(v)]}
        width = max(len(str(array.min())), len(str(array.max())))
        return {"int": lambda v: str(v).rjust(width if array.ndim else 0)}
    write = _number(array)
    edge, few = _options["edgeitems"], array.size <= _options["threshold"]
    shown = array
    if not few:
        for axis in range(array.ndim):
            if array.shape[axis] > 2 * edge:
                shown = np.concatenate(
                    [shown.take(range(edge), axis), shown.take(range(-edge, 0), axis)], axis
                )
    finite = shown[np.isfinite(shown)].ravel().tolist()  # as in PyTorch, nan and inf do not widen the columns
    width = max((len(write(v)) for v in finite), default=0) if array.ndim else 0
    return {"float": lambda v: write(float(v)).rjust(width)}


def _number(array: np.ndarray) -> Any:
    """One format for all values: whole numbers as `1.`, fixed digits, or powers of ten for wide ranges."""
    precision = _options["precision"]
    finite = np.abs(array[np.isfinite(array)].astype(np.float64))
    nonzero = finite[finite != 0]
    wide = nonzero.size > 0 and (
        nonzero.max() / nonzero.min() > 1000 or nonzero.max() > 1e8 or nonzero.min() < 1e-4
    )
    whole = bool(np.all(finite == np.floor(finite)))
    if whole:
        wide = nonzero.size > 0 and (nonzero.max() / nonzero.min() > 1000 or nonzero.max() > 1e8)
    scientific = wide if _options["sci_mode"] is None else _options["sci_mode"]

    def write(v: float) -> str:
        if v != v or v in (float("inf"), float("-inf")):
            return str(v)
        if scientific:
            return f"{v:.{precision}e}"
        return f"{v:.0f}." if whole else f"{v:.{precision}f}"

    return write
