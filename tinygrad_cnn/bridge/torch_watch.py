"""Watching a program that uses PyTorch: what each node of its graph came from, and its backward passes.

While `watching`, a `TorchDispatchMode` notes for each node of the graph the operator, its value and the source line
(by reference, in the node's own `metadata`, so that it lives as long as the node), module hooks note the module, and a
`TorchFunctionMode` sees `backward()` before it runs. All of it belongs to one thread and ends with the block.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tinygrad_cnn.autograd.inspect import Scope, Site
from tinygrad_cnn.bridge.recognise import is_library_file
from tinygrad_cnn.bridge.torch_node import KEY, Kept, Record
from tinygrad_cnn.bridge.torch_pass import TorchPass, inside
from tinygrad_cnn.support.errors import UsageError

_DETACH = torch.ops.aten.detach.default
#: By filename: whether a frame of it belongs to PyTorch or to this package, and not to the program.
_HIDDEN: dict[str, bool] = {}


Call = Callable[..., Any]


class Observer:
    """What is told of a program that uses PyTorch. Override what you want to hear."""

    def on_torch_record(self, record: Record, value: torch.Tensor, name: str) -> None:
        """An operator that belongs to the graph gave `value`; it must not be changed."""

    def on_torch_pass(self, make: Callable[..., TorchPass]) -> bool:
        """`backward()` is about to run; `make` gives it as a pass (``silent=True``: one that changes nothing).

        True when the pass was taken over and is done.
        """
        return False


@contextlib.contextmanager
def watching(observer: Observer, *, stack: bool = True) -> Iterator[Watcher]:
    """Tell `observer` of this thread's work with PyTorch inside the block.

    With `stack`, nodes know all Python frames that made them, not only the innermost.
    """
    watcher = Watcher(observer, stack)
    with contextlib.ExitStack() as open_:
        open_.callback(_module_hooks(watcher))
        open_.enter_context(_functions(watcher))
        open_.enter_context(_Functions(watcher))
        open_.enter_context(_Operators(watcher))
        yield watcher


def called(module: torch.nn.Module, input: Any, input_size: Sequence[int] | None) -> tuple[list[Any], list[Any]]:
    """Call a module in evaluation mode, for a picture; the tensors with a graph in its result, and the module.

    Raises UsageError without an input, TypeError when the result has no graph.
    """
    if input is None and input_size is None:
        raise UsageError(
            f"viz.graph of a model needs something to call the {type(module).__name__} with: "
            "input=x or input_size=(1, …)"
        )
    if input is None:
        assert input_size is not None
        first = next(module.parameters(), torch.zeros(()))
        generator = torch.Generator().manual_seed(0)  # the program's own random numbers go on as if nothing was drawn
        input = torch.randn(tuple(input_size), generator=generator).to(first.device, first.dtype)
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        with watching(Observer()) as watcher, torch.enable_grad():
            result = module(*input) if isinstance(input, tuple) else module(input)
            watcher.flush()
    finally:
        for m, training in modes:
            m.training = training
    live = [t for t in _nested(result) if t.requires_grad]
    if not live:
        raise TypeError(f"viz.graph called the {type(module).__name__}, but its result does not require grad")
    return live, [module]


def _nested(value: object) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for v in value for t in _nested(v)] if isinstance(value, (list, tuple)) else []


class Watcher:
    """What `watching` knows of the program so far."""

    def __init__(self, observer: Observer, stack: bool) -> None:
        self.observer, self.stack = observer, stack
        self.scope: Scope | None = None
        self._paths: dict[int, str] = {}
        self._outer: list[tuple[Scope | None, dict[int, str]]] = []
        self._roots: weakref.WeakSet[torch.nn.Module] = weakref.WeakSet()
        self._pending: tuple[Sequence[object], Record] | None = None
        self._thread = threading.get_ident()
        self._noting = False

    @property
    def modules(self) -> list[torch.nn.Module]:
        """The outermost modules that were called, as far as they are still alive."""
        return list(self._roots)

    @property
    def here(self) -> bool:
        """Whether this is the watched thread."""
        return threading.get_ident() == self._thread

    # --- modules -------------------------------------------------------------------------------------

    def enter(self, module: torch.nn.Module) -> None:
        """A module is called."""
        parent = self.scope
        self._outer.append((parent, self._paths))
        if parent is None:
            self._roots.add(module)
            self._paths = {id(m): path for path, m in module.named_modules()}
            self.scope = Scope(None, "", type(module).__name__)
            return
        path, above = self._paths.get(id(module)), parent.path
        if path is None:
            name = type(module).__name__
        else:
            name = path[len(above) + 1 :] if above and path.startswith(above + ".") else path
        self.scope = Scope(parent, name or type(module).__name__, type(module).__name__)

    def leave(self) -> None:
        """The call is over."""
        if self._outer:
            self.scope, self._paths = self._outer.pop()

    # --- operators -----------------------------------------------------------------------------------

    def note(
        self, call: Call, args: Sequence[object], kwargs: dict[str, Any], outputs: Sequence[object], name: str
    ) -> None:  # fmt: skip
        """An operator has run, maybe with a node of the graph behind its outputs (which get it only now)."""
        if self._noting:  # one of those that noting itself runs
            return
        self._noting = True
        try:
            self._note(call, args, kwargs, outputs, name)
        finally:
            self._noting = False

    def _note(
        self, call: Call, args: Sequence[object], kwargs: dict[str, Any], outputs: Sequence[object], name: str
    ) -> None:  # fmt: skip
        self.flush()
        value = next((o for o in outputs if isinstance(o, torch.Tensor)), None)
        if value is None:
            return
        live: list[tuple[int, ...]] = []
        kept = _detached(args, live)
        for tensor in _tensors(args):  # of a node that no operator was seen to make
            if tensor.grad_fn is not None and KEY not in tensor.grad_fn.metadata:
                tensor.grad_fn.metadata[KEY] = Record(tensor.detach(), (), self.scope)
        record = Record(
            value.detach(), program_frames(1 if not self.stack else None), self.scope, call, kept,
            _detached(kwargs, live), live,
        )  # fmt: skip
        self._pending = outputs, record
        self.observer.on_torch_record(record, value, name)

    def flush(self) -> None:
        """Write the newest record into its node, which exists by now."""
        if self._pending is None:
            return
        (outputs, record), self._pending = self._pending, None
        for output in outputs:
            fn = output.grad_fn if isinstance(output, torch.Tensor) else None
            if fn is not None:
                fn.metadata.setdefault(KEY, record)
                return

    # --- passes --------------------------------------------------------------------------------------

    def backward(self, outputs: object, seeds: object, retain_graph: bool | None, create_graph: bool) -> bool:
        """`backward()` is about to run; whether the observer has taken it over."""
        self.flush()

        def make(silent: bool = False) -> TorchPass:
            work = TorchPass.of(
                outputs, seeds, create_graph=create_graph, retain_graph=retain_graph, silent=silent
            )
            work.watch_modules(self.modules)
            return work

        return self.observer.on_torch_pass(make)


def program_frames(limit: int | None = None) -> tuple[Site, ...]:
    """The frames outside PyTorch and this package, innermost first."""
    frame: Any = sys._getframe(1)
    found: list[Site] = []
    while frame is not None and (limit is None or len(found) < limit):
        filename = frame.f_code.co_filename
        if not is_hidden_file(filename):
            found.append(Site(frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(found)


def is_hidden_file(filename: str) -> bool:
    """Whether a source file is PyTorch's or this package's own."""
    known = _HIDDEN.get(filename)
    if known is None:
        known = filename.startswith(("<string>", "<frozen")) or is_library_file(filename)
        _HIDDEN[filename] = known
    return known


class _Operators(TorchDispatchMode):
    """Notes each operator that has an input whose gradient is wanted."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        self.watcher = watcher

    def __torch_dispatch__(
        self, func: Any, types: object, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:  # fmt: skip
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func is _DETACH or not torch.is_grad_enabled() or getattr(inside, "step", False):
            return out
        if _any_live(args, kwargs):
            outputs = out if isinstance(out, (tuple, list)) else (out,)
            self.watcher.note(func, args, kwargs, outputs, str(func))
        return out


class _Functions(TorchFunctionMode):
    """Sees `backward()` before it runs."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        self.watcher = watcher

    def __torch_function__(
        self, func: Any, types: object, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:  # fmt: skip
        kwargs = kwargs or {}
        doors: dict[Any, Callable[..., bool]] = {
            torch.Tensor.backward: self._taken, torch.autograd.backward: self._all_taken,
        }  # fmt: skip
        taken = doors.get(func)
        if taken is not None and not getattr(inside, "step", False) and taken(*args, **kwargs):
            return None
        return func(*args, **kwargs)

    def _taken(
        self, tensor: torch.Tensor, gradient: object = None, retain_graph: bool | None = None,
        create_graph: bool = False, inputs: object = None,
    ) -> bool:  # fmt: skip
        return inputs is None and self.watcher.backward(tensor, gradient, retain_graph, create_graph)

    def _all_taken(
        self, tensors: object, grad_tensors: object = None, retain_graph: bool | None = None,
        create_graph: bool = False, grad_variables: object = None, inputs: object = None,
    ) -> bool:  # fmt: skip
        return inputs is None and self.watcher.backward(tensors, grad_tensors, retain_graph, create_graph)


@contextlib.contextmanager
def _functions(watcher: Watcher) -> Iterator[None]:
    """Note the functions of the user's own (`torch.autograd.Function`), which PyTorch tells no mode of."""
    original = torch.autograd.Function.__dict__["apply"]

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        out = original.__func__(cls, *args, **kwargs)
        if watcher.here and torch.is_grad_enabled() and not getattr(inside, "step", False):
            outputs = out if isinstance(out, (tuple, list)) else (out,)
            if any(isinstance(o, torch.Tensor) and o.grad_fn is not None for o in outputs):
                watcher.note(
                    lambda *a, **k: original.__func__(cls, *a, **k), args, kwargs, outputs, cls.__name__
                )
                watcher.flush()
        return out

    torch.autograd.Function.apply = classmethod(apply)
    try:
        yield
    finally:
        torch.autograd.Function.apply = original


def _module_hooks(watcher: Watcher) -> Callable[[], None]:
    """Follow the calls of modules; gives what ends it."""
    module = torch.nn.modules.module

    def before(called: torch.nn.Module, _args: object) -> None:
        if watcher.here:
            watcher.enter(called)

    def after(_called: torch.nn.Module, _args: object, _out: object) -> None:
        if watcher.here:
            watcher.leave()

    handles = [
        module.register_module_forward_pre_hook(before),
        module.register_module_forward_hook(after, always_call=True),
    ]

    def end() -> None:
        for handle in handles:
            handle.remove()

    return end


def _any_live(args: Sequence[object], kwargs: dict[str, object]) -> bool:
    return any(tensor.requires_grad for tensor in _tensors((*args, *kwargs.values())))


def _tensors(args: Sequence[object]) -> Iterator[torch.Tensor]:
    """The tensors among an operator's arguments, of which lists of tensors are the only nesting."""
    for a in args:
        if isinstance(a, torch.Tensor):
            yield a
        elif isinstance(a, (list, tuple)):
            yield from (b for b in a if isinstance(b, torch.Tensor))


def _detached(value: object, live: list[tuple[int, ...]]) -> Any:
    """The arguments of a call without their graph; `live` is told which tensors want a gradient, and whose they are."""
    if isinstance(value, torch.Tensor):
        if value.requires_grad:
            fn = value.grad_fn
            live.append((-1, id(value)) if fn is None else (fn._sequence_nr(), value.output_nr))
        return Kept(value.detach(), value.requires_grad)
    if isinstance(value, (list, tuple)):
        made = [_detached(v, live) for v in value]
        return made if isinstance(value, list) else tuple(made)
    if isinstance(value, dict):
        return {k: _detached(v, live) for k, v in value.items()}
    return value

