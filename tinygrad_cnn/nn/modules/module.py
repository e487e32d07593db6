"""Module: the base class of every layer and network.

A module owns parameters (tensors that learn), buffers (tensors that do not, but belong to its state) and
child modules, each under the name of the attribute it was assigned to. Those names make up the dotted paths
(``features.0.weight``) of `named_parameters`, `state_dict`, and of the graph: while a module runs, every
node that is recorded knows the module's path through `autograd.scope.Scope`.

Saving and loading live in `state`, changes of dtype in `convert`, what hooks do in `hooks`; all are mixed in here.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.fast import deferred
from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.autograd.scope import Scope
from tinygrad_cnn.nn.modules.convert import ConvertMixin
from tinygrad_cnn.nn.modules.hooks import HookMixin
from tinygrad_cnn.nn.modules.state import StateMixin
from tinygrad_cnn.nn.parameter import Buffer, Parameter

Self = TypeVar("Self", bound="Module")
_MISSING: Any = object()
_new_tuple: Any = tuple.__new__
#: What stands here for the methods of a Keras model.
_KERAS = {
    "fit": "write training.fit(model, x, y, epochs=…), or training.Trainer(model).compile(…).fit(x, y, …)",
    "evaluate": "write training.evaluate(model, x, y)",
    "predict": "write training.predict(model, x, probabilities=True)",
    "save": "write training.save_model(model, 'model.safetensors'), or tg.save(model.state_dict(), path) for weights",
    "summary": "write print(analysis.summary(model, input_size))",
    "layers": "write list(model.children()), or dict(model.named_modules())",
    "get_weights": "write layer.weight and layer.bias, or [p.detach().numpy() for p in layer.parameters()]",
    "set_weights": "write layer.load_state_dict({'weight': …, 'bias': …})",
    "count_params": "write sum(p.numel() for p in model.parameters())",
}


class Module(HookMixin, StateMixin, ConvertMixin):
    """Base class of layers and networks.

    A subclass calls ``super().__init__()``, assigns parameters and child modules to attributes, and defines
    ``forward``. Calling the module runs `forward` and the hooks.

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 8, 3)
                self.fc = nn.Linear(8 * 26 * 26, 10)

            def forward(self, x):
                return self.fc(F.relu(self.conv(x)).flatten(1))
    """

    training: bool
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    dump_patches = False
    _version = 1

    def __new__(cls, *args: object, **kwargs: object) -> Module:
        self = super().__new__(cls)
        # What the class was called with builds the module again (`training.save_model`); lists of children do not.
        if "_of_children" not in cls.__dict__:
            object.__setattr__(self, "_arguments", (args, kwargs))
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or kwargs:
            given = f"{len(args)} positional" if args else f"the keyword {next(iter(kwargs))!r}"
            raise TypeError(f"{type(self).__name__}() takes no arguments beyond its own, got {given}")
        put = object.__setattr__
        put(self, "training", True)
        put(self, "_parameters", {})
        put(self, "_buffers", {})
        put(self, "_non_persistent_buffers_set", set())
        put(self, "_modules", {})
        put(self, "_hooks", None)
        put(self, "_scope", None)

    # --- calling -------------------------------------------------------------------------------

    def forward(self, *_args: Any, **_kwargs: Any) -> Any:
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        state = modes.state
        outer = state.scope
        last = self._scope
        # Each call has a scope of its own; where the caller is the one of last time, its name is known.
        if last is None or (last[0] is not outer and (outer is None or last[0] is None or outer[3] is not last[0][3])):
            scope = self._enter_scope(outer)
        else:
            scope = _new_tuple(Scope, (outer, last[1], last[2], last[3]))
        state.scope = scope
        try:
            result = self.forward(*args, **kwargs) if self._hooks is None else self._hooks.call(self, args, kwargs)
            if outer is None and type(result) is deferred.kind:
                deferred.settle(result)  # nothing deferred leaves the outermost module
            return result
        except (ValueError, RuntimeError, IndexError, TypeError) as error:
            _name_module(error, scope)
            raise
        finally:
            state.scope = outer

    def _enter_scope(self, outer: Scope | None) -> Scope:
        """The scope of this module under `outer`; kept, since the next call most likely has the same caller."""
        name = ""
        if outer is not None:
            # The path from the module that is running to this one: several names long when containers in
            # between are not called themselves (`self.blocks[0](x)`).
            owner = outer.owner() if outer.owner is not None else None
            inside = owner.named_modules() if owner is not None else ()
            name = next((path for path, module in inside if module is self), "") or type(self).__name__
        scope = Scope(outer, name, type(self).__name__, weakref.ref(self))
        object.__setattr__(self, "_scope", scope)
        return scope

    # --- attributes ----------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        parameters = own.get("_parameters")
        if isinstance(value, Parameter):
            if parameters is None:
                raise AttributeError(
                    "cannot assign parameters before Module.__init__() call: start with super().__init__()"
                )
            own.pop(name, None)
            own["_buffers"].pop(name, None)
            own["_modules"].pop(name, None)
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            if parameters is None:
                raise AttributeError(
                    "cannot assign module before Module.__init__() call: start with super().__init__()"
                )
            own.pop(name, None)
            parameters.pop(name, None)
            own["_buffers"].pop(name, None)
            own["_modules"][name] = value
            value._forget_scope()
        elif isinstance(value, Buffer):
            if parameters is None:
                raise AttributeError(
                    "cannot assign buffer before Module.__init__() call: start with super().__init__()"
                )
            own.pop(name, None)
            if name in own["_buffers"]:
                own["_buffers"][name] = value
            else:
                self.register_buffer(name, value, value.persistent)
        elif parameters is None:
            object.__setattr__(self, name, value)
        elif name in parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign {_kind(value)} as parameter {name!r}: it must be a Parameter or None "
                    "(nn.Parameter(tensor) makes one; del the attribute first to put something else there)"
                )
            parameters[name] = None
        elif name in own["_modules"]:
            if value is not None:
                raise TypeError(
                    f"cannot assign {_kind(value)} as child module {name!r}: it must be a Module or None"
                )
            own["_modules"][name] = None
        elif name in own["_buffers"]:
            if value is not None and not isinstance(value, Handle):
                raise TypeError(
                    f"cannot assign {_kind(value)} as buffer {name!r}: it must be a Tensor or None"
                )
            own["_buffers"][name] = value
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        # Reached only when the attribute is not an ordinary one.
        own = self.__dict__
        for table in ("_parameters", "_modules", "_buffers"):
            found = own.get(table)
            if found is not None and name in found:
                return found[name]
        hint = "" if "_parameters" in own else " (was super().__init__() called?)"
        if name in _KERAS:
            hint = f": {_KERAS[name]}"
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def __delattr__(self, name: str) -> None:
        for table in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__.get(table, ()):
                del self.__dict__[table][name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*dir(type(self)), *self.__dict__, *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[:1].isdigit())

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under `name` (None: the name exists, without a parameter)."""
        self._check_name(name, "parameter", self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"register_parameter expected a Parameter or None for {name!r}, got {_kind(param)}"
            )
        if param is not None and param.node is not None and param.node.parents:
            raise ValueError(
                f"cannot register {name!r}: a parameter must be a leaf, this one was computed by {param.node.op.name}"
            )
        self._parameters[name] = param
        if param is not None and param.name is None:
            param.name = name
            if param.node is not None:
                param.node.name = name

    def register_buffer(self, name: str, tensor: Handle | None, persistent: bool = True) -> None:
        """Add a tensor that is state but not learned; ``persistent=False`` keeps it out of `state_dict`."""
        self._check_name(name, "buffer", self._buffers)
        if tensor is not None and not isinstance(tensor, Handle):
            raise TypeError(f"register_buffer expected a Tensor or None for {name!r}, got {_kind(tensor)}")
        self._buffers[name] = tensor
        (self._non_persistent_buffers_set.discard if persistent else self._non_persistent_buffers_set.add)(
            name
        )

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module under `name`."""
        self._check_name(name, "module", self._modules)
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"add_module expected a Module or None for {name!r}, got {_kind(module)}")
        self._modules[name] = module
        if module is not None:
            module._forget_scope()

    register_module = add_module

    def _check_name(self, name: str, what: str, table: dict[str, Any]) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(
                f"cannot assign {what} before Module.__init__() call: start with super().__init__()"
            )
        if not isinstance(name, str):
            raise TypeError(f"a {what}'s name must be a string, got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'a {what}\'s name cannot contain ".", got {name!r}')
        if not name:
            raise KeyError(f'a {what}\'s name cannot be the empty string ""')
        if name not in table and hasattr(self, name):
            raise KeyError(f"attribute {name!r} already exists in {type(self).__name__}")

    def _forget_scope(self) -> None:
        for module in self.modules():
            object.__setattr__(module, "_scope", None)

    # --- going through what a module owns -------------------------------------------------------

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Every module of the network with its dotted path, this one (path "") first."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(
                    memo, f"{prefix}.{name}" if prefix else name, remove_duplicate
                )

    def modules(self) -> Iterator[Module]:
        """Every module of the network, this one first, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct child modules with their names."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct child modules."""
        for _, module in self.named_children():
            yield module

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Every parameter with its dotted path; one that is shared appears once, under its first path."""
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every parameter, each once: what an optimiser wants."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """Every buffer with its dotted path."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Any]:
        """Every buffer, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def _named_members(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        for path, module in modules:
            for name, value in module.__dict__[table].items():
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path ("" is this one). Raises AttributeError, naming the part that is missing."""
        module: Any = self
        for part in target.split(".") if target else ():
            if not hasattr(module, part):
                raise AttributeError(
                    f"{type(module).__name__} has no attribute `{part}` (looking for {target!r})"
                )
            module = getattr(module, part)
            if not isinstance(module, Module):
                raise AttributeError(f"`{part}` in {target!r} is not a Module but {_kind(module)}")
        return module

    def set_submodule(self, target: str, module: Module) -> None:
        """Put `module` at a dotted path."""
        path, _, name = target.rpartition(".")
        setattr(self.get_submodule(path), name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path."""
        return self._get_member(target, "_parameters", "parameter")

    def get_buffer(self, target: str) -> Any:
        """The buffer at a dotted path."""
        return self._get_member(target, "_buffers", "buffer")

    def _get_member(self, target: str, table: str, what: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if name not in module.__dict__[table]:
            raise AttributeError(f"{type(module).__name__} has no {what} `{name}` (looking for {target!r})")
        return module.__dict__[table][name]

    # --- changing all of it ---------------------------------------------------------------------

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every module, children first: ``net.apply(init_weights)``."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self: Self, mode: bool = True) -> Self:
        """Switch to training (dropout drops, batch normalisation uses the batch), or to evaluation."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: Self) -> Self:
        """Switch to evaluation."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Freeze (False) or thaw every parameter."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget every parameter's gradient, or set it to zero."""
        for param in self.parameters():
            if param.grad is None:
                continue
            param.grad = None if set_to_none else type(param.grad)(param.grad.array * 0)

    # --- text ----------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What `repr` shows between the brackets, for subclasses to define."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        child_lines = [f"({name}): {_indent(repr(module))}" for name, module in self._modules.items()]
        lines = extra_lines + child_lines
        if len(extra_lines) == 1 and not child_lines:
            return f"{self._get_name()}({extra_lines[0]})"
        if not lines:
            return f"{self._get_name()}()"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"

    # --- copying -------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scope": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({"_hooks": None, "_scope": None, **state})  # a state that PyTorch wrote has neither


def _indent(text: str) -> str:
    first, *rest = text.split("\n")
    return "\n".join([first, *("  " + line for line in rest)])


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"


def _name_module(error: Exception, scope: Scope) -> None:
    """Add to an error which module it came out of, once, for the innermost one."""
    if getattr(error, "_named_module", False):
        return
    error._named_module = True  # type: ignore[attr-defined]
    path = scope.path
    if "[module " in str(error):
        return
    error.add_note(f"(in module {path}, a {scope.kind})" if path else f"(in a {scope.kind})")


__all__ = ["Module", "OrderedDict"]
