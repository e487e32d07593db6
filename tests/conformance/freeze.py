"""Freeze PyTorch's answers to the first small samples of every op both libraries have: `make oracle`."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import torch

from tests.conformance.compare import (
    ORDER,
    Call,
    Untranslatable,
    compare,
    public,
    reason_to_leave_out,
    samples,
    tensors,
    walk,
)  # fmt: skip
from tests.conformance.frozen import FILE, Store, upstream

PER_VARIANT = 2
NUMBERS = 200  # in the inputs of one call


class Unstorable(Exception):
    """The sample holds something that JSON does not."""


def stored(value: Any, store: Store) -> Any:
    """A value in JSON, its tensors in the store."""
    if isinstance(value, torch.Tensor):
        return {**store.add(value.detach().numpy()), "grad": value.requires_grad}
    if isinstance(value, tuple):
        return {"tuple": [stored(part, store) for part in value]}
    if isinstance(value, list):
        return [stored(part, store) for part in value]
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise Unstorable(type(value).__name__)


def frozen(op: Any, sample: Any, store: Store) -> dict[str, Any] | None:
    """One call with its results and gradients; None where both libraries do not agree on it now."""
    call = Call(sample)
    if sample.kwargs.get("dropout_p") or sum(t.numel() for t in call.theirs) > NUMBERS:
        return None
    order = ORDER.get(op.name)
    ours = public(op.name)
    assert ours is not None
    called = (lambda *a, **k: ours(*(a[i] for i in order), **k)) if order else ours
    if compare(Call(sample), op.op, called, "function", lambda result: result) != "":
        return None
    args, kwargs = call.for_theirs
    results = tensors(op.op(*args, **kwargs), torch.Tensor)
    floating = [r for r in results if isinstance(r, torch.Tensor) and r.requires_grad]
    leaves = [t for t in call.theirs if t.requires_grad]
    weights = [torch.from_numpy(w) for w in upstream([tuple(r.shape) for r in floating])]
    grads = torch.autograd.grad(floating, leaves, weights, allow_unused=True) if floating and leaves else ()
    arrays = [t for t in [*call.theirs, *results] if isinstance(t, torch.Tensor)]
    if any(t.dtype not in (torch.float64, torch.int64, torch.bool) for t in arrays):
        return None
    seen: list[int] = []
    walk((args, kwargs), lambda t: seen.append(id(t)))
    if len(set(seen)) != len(seen):  # one tensor in two places would come back as two
        return None
    return {
        "op": op.name,
        "args": stored([args[i] for i in order] + args[len(order) :] if order else args, store),
        "kwargs": {name: stored(value, store) for name, value in kwargs.items()},
        "results": stored(results, store),
        "grads": [None if g is None else stored(g, store) for g in grads],
    }


def main() -> int:
    from torch.testing._internal.common_methods_invocations import op_db

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    store, calls = Store(), []
    for op in op_db:
        lambdas = getattr(op.op, "__name__", "") == "<lambda>"
        if public(op.name) is None or reason_to_leave_out(op) or lambdas or op.name.endswith("_"):
            continue
        found = 0
        for sample in samples(op):
            mark = len(store.parts), store.size
            try:
                call = frozen(op, sample, store)
            except (Untranslatable, Unstorable, RuntimeError, TypeError, ValueError, NotImplementedError):
                call = None  # `make conformance` says what became of it
            if call is None:
                del store.parts[mark[0] :]
                store.size = mark[1]
                continue
            calls.append(call)
            found += 1
            if found == PER_VARIANT:
                break
    version = torch.__version__.split("+")[0]
    store.write(calls, version)
    print(f"{FILE.name}: {len(calls)} calls, {FILE.stat().st_size:,} bytes, PyTorch {version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
