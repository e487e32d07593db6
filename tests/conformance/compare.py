"""Run one of PyTorch's OpInfo samples on both libraries, and say whether values and gradients agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from types import FunctionType
from typing import Any

import numpy as np
import torch

import tinygrad_cnn as tg

SAMPLES = 60  # per variant of an op
SEED = 20
EQUAL, DIFFERENT, ERROR = "equal", "different", "error"

# Whole ops whose answer is not determined by their arguments, or that both libraries do not share.
LEFT_OUT = {
    "random numbers": (
        "bernoulli", "multinomial", "normal", "rand_like", "randint", "randint_like", "randn", "randn_like",
        "nn.functional.alpha_dropout", "nn.functional.dropout", "nn.functional.dropout2d",
        "nn.functional.dropout3d", "nn.functional.feature_alpha_dropout", "nn.functional.rrelu",
    ),
    "memory that is not set": ("empty", "empty_like", "resize_"),
}  # fmt: skip


# OpInfo calls these with the differentiated tensor first; the public functions take their arguments in this order.
ORDER = {
    "einsum": (1, 0), "nn.functional.embedding": (1, 0), "nn.functional.embedding_bag": (1, 0),
    "polygamma": (1, 0), "special.polygamma": (1, 0), "where": (1, 0, 2),
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of one sample in one form (function, method or in place)."""

    variant: str
    form: str
    number: int
    kind: str
    detail: str = ""

    @property
    def name(self) -> str:
        return f"{self.variant}:{self.form}:{self.number}"


def public(name: str) -> Callable[..., Any] | None:
    """This package's function under PyTorch's public name, or None."""
    found = reduce(lambda at, part: getattr(at, part, None), name.split("."), tg)
    return found if callable(found) else None


def forms(op: Any) -> Iterator[tuple[str, Callable[..., Any], Callable[..., Any]]]:
    """Function, method and in-place form of an op, where both libraries have them: form, theirs, ours."""
    ours = public(op.name)
    if ours is not None:
        yield "function", op.op, called_like(op, ours)
    for form, theirs in (("method", op.method_variant), ("in place", op.inplace_variant)):
        method = getattr(tg.Tensor, getattr(theirs, "__name__", ""), None)
        if theirs is not None and method is not None:
            yield form, theirs, method


def called_like(op: Any, ours: Callable[..., Any]) -> Callable[..., Any]:
    """Ours, called as OpInfo calls theirs: with the arguments in another order, or inside of a lambda."""
    code = getattr(op.op, "__code__", None)
    if code is not None and code.co_name == "<lambda>" and code.co_names[:1] == ("torch",):
        return FunctionType(code, {"torch": tg}, closure=op.op.__closure__)
    order = ORDER.get(op.name)
    return (lambda *a, **k: ours(*(a[i] for i in order), **k)) if order else ours


def reason_to_leave_out(op: Any) -> str | None:
    """Why no sample of this op can be compared, or None."""
    for reason, names in LEFT_OUT.items():
        if op.name in names:
            return reason
    return None if op.supports_dtype(torch.float64, "cpu") else "no float64 in PyTorch"


def samples(op: Any) -> Iterator[Any]:
    """PyTorch's samples in float64, the same ones in each run."""
    torch.manual_seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002  PyTorch's generators read NumPy's global state
    yield from islice(
        op.sample_inputs("cpu", torch.float64, requires_grad=op.supports_autograd), SAMPLES
    )


def walk(value: Any, change: Callable[[torch.Tensor], Any], other: Callable[[Any], Any] = lambda v: v) -> Any:
    """The same nesting of lists, tuples and dicts with every tensor changed."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        parts = [walk(v, change, other) for v in value]
        return parts if isinstance(value, list) else tuple(parts)
    if isinstance(value, dict):
        return {k: walk(v, change, other) for k, v in value.items()}
    return other(value)


def translate(value: Any) -> Any:
    """An argument that is no tensor, in this package's types."""
    if isinstance(value, torch.dtype):
        name = str(value).removeprefix("torch.")
        if not hasattr(tg, name):
            raise Untranslatable(f"dtype {name}")
        return getattr(tg, name)
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, torch.device):
        return tg.device(value.type)
    if isinstance(value, complex):
        raise Untranslatable("complex number")
    if callable(value):
        raise Untranslatable("argument that calls PyTorch")
    return value


class Untranslatable(Exception):
    """The sample holds something that this package does not have; the message is the reason."""


class Call:
    """One call's arguments, twice: PyTorch's leaves and this package's, pairwise, with the same numbers."""

    def __init__(self, sample: Any) -> None:
        self.theirs: list[torch.Tensor] = []
        self.ours: list[tg.Tensor] = []
        pairs: dict[int, int] = {}

        def pair(t: torch.Tensor) -> int:
            if t.is_complex() or t.layout is not torch.strided:
                raise Untranslatable("complex tensor" if t.is_complex() else "sparse tensor")
            if id(t) not in pairs:
                pairs[id(t)] = len(self.theirs)
                leaf = t.detach().clone(memory_format=torch.preserve_format).requires_grad_(t.requires_grad)
                self.theirs.append(leaf)
                array = leaf.detach().numpy().copy()
                self.ours.append(tg.tensor(array, dtype=translate(t.dtype), requires_grad=t.requires_grad))
            return pairs[id(t)]

        raw = ([sample.input, *sample.args], sample.kwargs)
        self.for_theirs = walk(raw, lambda t: self.theirs[pair(t)])
        self.for_ours = walk(raw, lambda t: self.ours[pair(t)], translate)

    def run(self, function: Callable[..., Any], arguments: Any, in_place: bool) -> Any:
        args, kwargs = arguments
        if in_place:  # a leaf that wants a gradient cannot be changed
            args = [args[0].clone(), *args[1:]]
        return function(*args, **kwargs)


def tensors(result: Any, kind: type) -> list[Any]:
    """The tensors of a result, in order; a plain number or bool stays as it is."""
    if isinstance(result, (list, tuple)):
        return [t for part in result for t in tensors(part, kind)]
    return [result]


def differs(what: str, theirs: Any, ours: Any) -> str:
    """Why two results are not equal: shape, dtype or the greatest difference; "" where they are."""
    if not isinstance(theirs, torch.Tensor):
        return "" if theirs == ours else f"{what}: {theirs!r} in PyTorch, {ours!r} here"
    if not isinstance(ours, tg.Tensor):
        return f"{what}: a tensor in PyTorch, {type(ours).__name__} here"
    right, found = theirs.detach().numpy(force=True), ours.detach().numpy()
    if right.shape != found.shape:
        return f"{what}: shape {right.shape} in PyTorch, {found.shape} here"
    if right.dtype != found.dtype:
        return f"{what}: dtype {right.dtype} in PyTorch, {found.dtype} here"
    tolerance = 1e-7 if right.dtype == np.float64 else 1e-4
    if np.allclose(found, right, rtol=tolerance, atol=tolerance, equal_nan=True):
        return ""
    at = tuple(int(i[0]) for i in np.nonzero(~np.isclose(found, right, tolerance, tolerance, True)))
    return f"{what}: {right[at]!s} in PyTorch, {found[at]!s} here, at {at}"


def pull_back(outputs: list[Any], leaves: list[Any], weights: list[np.ndarray], grad: Any, make: Any) -> list[Any]:
    """The gradient of every leaf for given upstream gradients."""
    live = [(o, make(w)) for o, w in zip(outputs, weights) if getattr(o, "requires_grad", False)]
    return list(grad([o for o, _ in live], leaves, [w for _, w in live], allow_unused=True))


def compare(call: Call, theirs: Callable[..., Any], ours: Callable[..., Any], form: str, output: Any) -> str | None:
    """"" where both agree, else the difference; None where PyTorch itself refuses. Errors here are raised."""
    in_place = form == "in place" or getattr(ours, "__name__", "").endswith("_")
    try:
        right = tensors(output(call.run(theirs, call.for_theirs, in_place)), torch.Tensor)
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError):
        return None
    found = tensors(output(call.run(ours, call.for_ours, in_place)), tg.Tensor)
    if len(right) != len(found):
        return f"{len(right)} results in PyTorch, {len(found)} here"
    for i, (r, f) in enumerate(zip(right, found)):
        if problem := differs(f"value {i}", r, f):
            return problem
    rng = np.random.default_rng(SEED)
    weights = [rng.standard_normal(r.shape) if isinstance(r, torch.Tensor) else np.zeros(0) for r in right]
    weights = [
        w.astype(f.detach().numpy().dtype) if isinstance(f, tg.Tensor) else w for w, f in zip(weights, found)
    ]
    wants = [i for i, t in enumerate(call.theirs) if t.requires_grad]
    if not wants or not any(isinstance(r, torch.Tensor) and r.requires_grad for r in right):
        return ""
    try:
        right_grads = pull_back(right, [call.theirs[i] for i in wants], weights, torch.autograd.grad, torch.from_numpy)
    except NotImplementedError:
        return None
    if not any(isinstance(f, tg.Tensor) and f.requires_grad for f in found):
        alive = [g for g in right_grads if g is not None and bool((g != 0).any())]
        return "no result keeps the graph" if alive else ""
    grads = pull_back(found, [call.ours[i] for i in wants], weights, tg.autograd.grad, tg.tensor)
    for i, r, g in zip(wants, right_grads, grads):
        if r is None and g is None:
            continue
        # None and zeros mean the same: the result does not depend on the input.
        r = torch.zeros_like(call.theirs[i]) if r is None else r
        g = tg.zeros_like(call.ours[i]) if g is None else g
        if problem := differs(f"gradient of tensor {i}", r, g):
            return problem
    return ""


def outcomes(op: Any, left_out: Callable[[str], None]) -> Iterator[Outcome]:
    """Every sample of an op in every form. `left_out` is told the reason for each sample that cannot be compared."""
    variant = f"{op.name}.{op.variant_test_name}".rstrip(".")
    for form, theirs, ours in forms(op):
        for number, sample in enumerate(samples(op)):
            try:
                if sample.kwargs.get("dropout_p"):
                    raise Untranslatable("random numbers")
                call = Call(sample)
            except Untranslatable as reason:
                left_out(str(reason))
                continue
            try:
                problem = compare(call, theirs, ours, form, sample.output_process_fn_grad)
            except Exception as error:  # whatever is raised here is the finding
                text = " ".join(f"{type(error).__name__}: {error}".split())[:160]
                yield Outcome(variant, form, number, ERROR, text)
                continue
            if problem is None:
                left_out(f"PyTorch refuses the {form} form")
            else:
                yield Outcome(variant, form, number, DIFFERENT if problem else EQUAL, problem)
