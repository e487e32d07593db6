"""Where a nan or an infinity comes from: the first forward op that made one, and the first backward rule.

    with tg.debug.anomaly():
        loss = loss_fn(model(x), y)
        loss.backward()          # raises AnomalyError: both source lines, and the operands that caused it

Forward, every recorded op's result is looked at; backward, every pass inside the block runs as a session,
so that at the culprit everything can still be asked.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_cnn import bridge
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.autograd.inspect import (
    BackwardPass,
    Node,
    Observer,
    leaf_names,
    observing,
    on_every_pass,
    value_of,
)
from tinygrad_cnn.bridge.passes import Pass
from tinygrad_cnn.debug.attach import caller_scopes
from tinygrad_cnn.debug.backward_session import BackwardSession
from tinygrad_cnn.debug.engine_pass import EnginePass
from tinygrad_cnn.debug.terminal import Terminal

ndarray = np.ndarray
#: So many forward ops are remembered.
_MAKERS = 256


@dataclass(frozen=True)
class Operand:
    """An entry that took part: ``x[0, 3] = 0``."""

    name: str
    index: tuple[int, ...]
    value: float

    def __str__(self) -> str:
        at = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        return f"{self.name}{at} = {self.value:g}"


@dataclass(frozen=True)
class Finding:
    """The first op of one direction whose result was not finite.

    `made` is False when an input held such a number already (forward: data or a parameter). `index` is the first
    bad entry of the result (backward: of the gradient of input `input`).
    """

    phase: str
    op: str
    module: str
    file: str | None
    line: int | None
    text: str
    shape: tuple[int, ...]
    index: tuple[int, ...]
    value: float
    operands: tuple[Operand, ...]
    made: bool
    input: int | None = None
    formula: str = ""
    #: Whether a constant brought it, as the minus infinity of a mask: meant, until it becomes a nan.
    meant: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file else "in the engine"
        under = f" in {self.module}" if self.module else ""
        at = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        what = (
            f"result{at}"
            if self.phase == "forward"
            else f"gradient of input {self.input}, entry {at or '()'},"
        )
        verb = "made" if self.made else "was handed" if self.phase == "forward" else "passed on"
        lines = [
            f"{self.phase}: {self.op}{under} {verb} {_word(self.value)}: its {what} is {self.value:g}",
            f"    {place}",
        ]
        if self.text:
            lines.append(f"        {self.text}")
        if self.meant:
            lines.append("    because a constant holds it, as a mask does")
        elif self.operands:
            lines.append(f"    because {', '.join(map(str, self.operands))}   ({self.formula})")
        return "\n".join(lines)


class AnomalyError(RuntimeError):
    """A gradient became nan or infinite. `anomaly` has what was found."""

    def __init__(self, anomaly: Anomaly) -> None:
        super().__init__(anomaly.report())
        self.anomaly = anomaly


class Anomaly:
    """What `anomaly()` has found so far: `forward` and `backward`, each a `Finding` or None."""

    def __init__(self) -> None:
        self.forward: Finding | None = None
        self.backward: Finding | None = None
        self.session: BackwardSession | None = None
        #: Backward passes that were looked at, and whether other threads had some, which were not.
        self.passes = 0
        self.elsewhere = False

    def report(self) -> str:
        """Both findings as text; says so when there are none."""
        found = [f for f in (self.forward, self.backward) if f is not None]
        if not found:
            others = "; other threads had backward passes, which were not looked at" if self.elsewhere else ""
            return f"no nan and no infinity was made{' in this thread' if others else ''}{others}"
        if len({(f.file, f.line) for f in found}) == 1 and len(found) == 2:
            return f"not finite, forward and backward at the same line:\n{found[0]}\n{found[1]}"
        return "\n".join(["not finite:", *map(str, found)])

    def __repr__(self) -> str:
        return f"<Anomaly: {self.report()}>"

    def __bool__(self) -> bool:
        return self.forward is not None or self.backward is not None


@contextlib.contextmanager
def anomaly(
    *, session: bool = False, callback: Callable[[BackwardSession, Anomaly], None] | None = None, error: bool = True,
    check_nan: bool = True, warn: bool = True,
) -> Iterator[Anomaly]:  # fmt: skip
    """Find the first forward op and the first backward rule, in this thread, that make a nan or an infinity.

    Parameters
        session: open the terminal debugger at the rule that made it
        callback: call this with the session standing there, instead
        error: raise AnomalyError at a backward finding (after the session or the callback)
        warn: warn at the end of the block about a forward finding that no gradient met
        check_nan: False looks at nothing (PyTorch's switch, which leaves only the better tracebacks)

    A forward finding alone is no error: an infinity may be meant (a mask), and does no harm while no gradient
    becomes infinite. Costs a look at every result, and the gradients' memory.
    """
    found = Anomaly()
    if not check_nan:
        yield found
        return

    looking = _Looking(found, session, callback, error)
    in_torch = bridge.watching_torch(looking) if bridge.torch_in_use() else contextlib.nullcontext()
    with observing(looking), on_every_pass(looking.on_any_pass), in_torch:
        yield found
    if found.forward is not None and found.backward is None and warn:
        warnings.warn(found.report(), RuntimeWarning, stacklevel=3)


class _Looking(Observer):
    """Looks at each result, and walks each pass."""

    def __init__(self, found: Anomaly, session: bool, callback: Any, error: bool) -> None:
        self.found, self.session, self.callback, self.error = found, session, callback, error
        self.bad: set[int] = set()  # nodes whose value is not finite
        self.worse: set[int] = set()  # nodes whose value has a nan
        self.makers: dict[int, Finding] = {}  # those of either whose inputs were not
        self.torch_makers: dict[int, Finding] = {}  # the same of PyTorch's, by the identity of their records
        self.torch_records: list[Any] = []  # which are kept alive, so that identities stay theirs
        self.thread = threading.get_ident()

    def on_any_pass(self, _work: BackwardPass) -> None:
        """A pass begins, maybe in another thread."""
        self.found.elsewhere = self.found.elsewhere or threading.get_ident() != self.thread

    def on_record(self, node: Node, output: ndarray) -> None:
        node.value = output
        if output.dtype.kind != "f" or np.isfinite(output).all():
            return
        nan = bool(np.isnan(output).any())
        kept = self.worse if nan else self.bad
        first = not any(p is not None and (p.seq in self.worse or p.seq in kept) for p in node.parents)
        self.bad.add(node.seq)
        if nan:
            self.worse.add(node.seq)
        if first and len(self.makers) < _MAKERS:
            made = self.makers[node.seq] = _forward_finding(node, output, np.isnan if nan else np.isinf)
            if self.found.forward is None or self.found.forward.meant:
                self.found.forward = made

    def on_torch_record(self, record: Any, value: Any, name: str) -> None:
        """An operator of PyTorch ran (see `bridge.torch_watch`)."""
        if not value.is_floating_point() or bool(value.isfinite().all()):
            return
        node = record.as_node(name)
        output = node.value
        wrong = np.isnan if np.isnan(output).any() else np.isinf
        if len(self.torch_records) < _MAKERS and not any(_has(wrong, saved) for saved in node.saved[1:]):
            made = self.torch_makers[id(record)] = _forward_finding(node, output, wrong)
            self.torch_records.append(record)
            if self.found.forward is None or self.found.forward.meant:
                self.found.forward = made

    def on_pass_begin(self, work: BackwardPass) -> bool:
        return self._walk(EnginePass(work), work.accumulate)

    def on_torch_pass(self, make: Callable[[], Pass]) -> bool:
        """A `backward()` of PyTorch is about to run."""
        return self._walk(make(), True)

    def _walk(self, work: Pass, accumulates: bool) -> bool:
        found = self.found
        found.passes += accumulates
        s = BackwardSession.on(work, scopes=caller_scopes())
        s.number = max(found.passes, 1)
        makers = self.makers | {
            node.seq: self.torch_makers[id(node.record)]
            for node in s.nodes if id(getattr(node, "record", None)) in self.torch_makers
        }  # fmt: skip
        if found.backward is None:
            found.backward = find_bad_rule(s)
            own = [node.seq for node in s.nodes if node.seq in makers]
            if found.backward is not None:
                if own:  # the one that this pass goes through, not one that was harmless elsewhere, or a mask
                    found.forward = makers[min(own, key=lambda seq: (makers[seq].meant, seq))]
                s.stop = s.stop._replace(kind="anomaly", text=str(found.backward).splitlines()[0])
                found.session = s
                _open(s, found, self.session, self.callback)
                if self.error:
                    raise AnomalyError(found)
            else:
                for seen in (self.bad, self.worse):
                    seen.difference_update([node.seq for node in s.nodes])
        if not s.closed:
            s.finish()
        return True


def _open(s: BackwardSession, found: Anomaly, session: bool, callback: Any) -> None:
    if callback is not None:
        callback(s, found)
    elif session:
        terminal = Terminal()
        terminal.show([found.report()])
        terminal.interact(s)


def find_bad_rule(session: BackwardSession) -> Finding | None:
    """Go on to the first node whose rule makes a nan or an infinity, and stand before it; None at the end."""
    while session.node is not None:
        node = session.node
        good = bool(np.isfinite(session.upstream).all())
        session.step()
        if session.last is not node:
            continue
        visit = session.last_visit
        assert visit is not None
        for i, d in enumerate(visit.downstream):
            if d is not None and d.dtype.kind == "f" and not np.isfinite(d).all():
                session.back()
                return _backward_finding(session, node, i, d, good)
    return None


def _forward_finding(node: Node, out: ndarray, wrong: Callable[[ndarray], ndarray]) -> Finding:
    """Of a result in which `wrong` (np.isnan, np.isinf) finds entries as no node before it had."""
    at = _first(wrong(out))
    operands: list[Operand] = []
    handed: list[Operand] = []  # by data and parameters, since no node before this one had such a number
    unseen = False
    for i, parent in enumerate(node.parents):
        value = _operand_value(node, i, parent)
        if value is None:
            unseen = unseen or parent is None
            continue
        name = node.op.input_name(i, len(node.parents))
        floats = value.dtype.kind == "f"
        if floats and wrong(value).any():
            bad = _first(wrong(value))
            leaf = None if parent is None else leaf_names([node]).get(parent.seq)
            handed.append(Operand(leaf or name, bad, float(value[bad])))
        elif node.op.has_factor:
            operands.append(_broadcast_entry(name, value, out.shape, at))
        elif floats and not np.isfinite(value).all():  # an infinity, of which it made a nan
            bad = _first_bad(value)
            operands.append(Operand(name, bad, float(value[bad])))
        elif value.size:
            largest = tuple(int(k) for k in np.unravel_index(int(np.abs(value).argmax()), value.shape))
            operands.append(Operand(f"largest entry {name}", largest, float(value[largest])))
    # A selection op cannot create an inf. If an unsaved constant was an input, assume that the inf came from it.
    meant = not handed and wrong is np.isinf and (unseen or getattr(node.op, "selection", False))
    made = not handed and not meant
    return replace(_finding("forward", node, out, at, handed or operands, made, None), meant=meant)


def _backward_finding(session: BackwardSession, node: Node, i: int, d: ndarray, good: bool) -> Finding:
    at = _first_bad(d)
    operands: list[Operand] = []
    upstream = session.upstream
    name = node.op.input_name(i, len(node.parents))
    values = session.input_values()
    if node.op.has_factor:
        # The entry of y through which it came: the first bad product among those that this input is used in.
        with np.errstate(all="ignore"):
            factor = node.local_gradient(i).factor
            product = upstream * factor
        used = np.zeros(d.shape)
        used[at] = 1
        where = (~np.isfinite(product)) & (np.broadcast_to(used, product.shape) != 0)
        k = _first(where) if where.any() else None
        if k is not None:
            operands.append(Operand("upstream ∂L/∂y", k, float(upstream[k])))
            operands.append(Operand(f"local ∂y/∂{name}", k, float(factor[k])))
            for j, value in enumerate(values):
                if value is not None:
                    operands.append(
                        _broadcast_entry(node.op.input_name(j, len(values)), value, upstream.shape, k)
                    )
    else:
        if not good:
            bad = _first_bad(upstream)
            operands.append(Operand("upstream ∂L/∂y", bad, float(upstream[bad])))
        for j, value in enumerate(values):
            if value is not None and value.dtype.kind == "f" and value.size:
                bad = (
                    _first_bad(value)
                    if not np.isfinite(value).all()
                    else tuple(int(a) for a in np.unravel_index(int(np.abs(value).argmax()), value.shape))
                )
                operands.append(Operand(node.op.input_name(j, len(values)), bad, float(value[bad])))
    return _finding("backward", node, d, at, operands, good, i)


def _finding(
    phase: str,
    node: Node,
    array: ndarray,
    at: tuple[int, ...],
    operands: list[Operand],
    made: bool,
    i: int | None,
) -> Finding:
    where = node.where
    formula = (
        node.op.formula
        if i is None
        else f"∂y/∂{node.op.input_name(i, len(node.parents))} = {node.op.local_text(i)}"
    )
    return Finding(
        phase, node.op.name, node.module, where.filename if where else None, where.lineno if where else None,
        where.text if where else "", tuple(array.shape), at, float(array[at]), tuple(operands), made, i, formula,
    )  # fmt: skip


def _operand_value(node: Node, i: int, parent: Node | None) -> ndarray | None:
    if parent is not None:
        value = value_of(parent)
        if value is not None:
            return value
    saved = node.saved[i + 1] if isinstance(node.saved, tuple) and i + 1 < len(node.saved) else None
    saved = unwrap(saved)
    if isinstance(saved, (int, float, np.generic, ndarray)):
        array = np.asarray(saved)
        return array if array.dtype.kind in "fiu" else None
    return None


def _broadcast_entry(name: str, value: ndarray, shape: tuple[int, ...], at: tuple[int, ...]) -> Operand:
    """The entry of an operand that an elementwise op used for entry `at` of its result."""
    try:
        used = float(np.broadcast_to(value, shape)[at])
    except ValueError:
        return Operand(name, (), float(value.ravel()[0]))
    lead = len(shape) - value.ndim
    index = tuple(0 if n == 1 else k for k, n in zip(at[lead:], value.shape, strict=True))
    return Operand(name, index, used)


def _first_bad(array: ndarray) -> tuple[int, ...]:
    return _first(~np.isfinite(array))


def _first(where: ndarray) -> tuple[int, ...]:
    return tuple(int(k) for k in np.unravel_index(int(where.ravel().argmax()), where.shape))


def _has(wrong: Callable[[ndarray], ndarray], value: Any) -> bool:
    return isinstance(value, ndarray) and value.dtype.kind == "f" and bool(wrong(value).any())


def _word(value: float) -> str:
    return "a nan" if value != value else "an infinity"
