"""A module's state as a flat dictionary from dotted names to tensors, and back: `state_dict`, `load_state_dict`.

Keys are PyTorch's. What is read here goes to `tinygrad_cnn.io`, which writes files.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_cnn.autograd import versions
from tinygrad_cnn.autograd.annotations import AnyFunction
from tinygrad_cnn.autograd.handle import Handle
from tinygrad_cnn.autograd.hooks import RemovableHandle, add_hook

_EXTRA_STATE = "_extra_state"


class _Keys(NamedTuple):
    missing_keys: list[str]
    unexpected_keys: list[str]


class _IncompatibleKeys(_Keys):
    """What `load_state_dict` did not find, and what it found without use."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()


class StateMixin:
    """Saving and loading of a module's parameters and buffers."""

    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    _version: int

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """An ordered dictionary of all parameters and persistent buffers.

        Its values share memory with the module (`clone` them to keep a snapshot) and carry no graph, unless
        `keep_vars` asks for the parameters themselves.
        """
        if args:  # PyTorch's old positional form
            given = [*args, *[destination, prefix, keep_vars][len(args) :]]
            destination, prefix, keep_vars = given
        if destination is None:
            destination = _StateDict()
        destination._metadata[prefix[:-1]] = {"version": self._version}
        for fn in self._state_hooks("_state_dict_pre_hooks"):
            fn(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for fn in self._state_hooks("_state_dict_hooks"):
            new = fn(self, destination, prefix, destination._metadata[prefix[:-1]])
            destination = destination if new is None else new
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Write this module's own entries (not its children's); subclasses may extend it."""
        for name, value in itertools.chain(self._parameters.items(), self._buffers.items()):
            if value is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = value if keep_vars else value.detach()
        if type(self).get_extra_state is not StateMixin.get_extra_state:
            destination[prefix + _EXTRA_STATE] = self.get_extra_state()

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy values into the module's parameters and buffers, in place.

        Values may be tensors or anything NumPy can read. With ``strict=False`` keys that are missing or
        unexpected are returned instead of refused; shapes must always agree. With `assign` the module takes
        over the given arrays (and their dtype) instead of copying.

        Raises RuntimeError that lists everything that does not fit, TypeError for something that is no mapping.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"load_state_dict expected a mapping from names to tensors, got {type(state_dict).__name__}"
            )
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        metadata = getattr(state_dict, "_metadata", None) or {}
        state = OrderedDict(state_dict)

        def load(module: Any, prefix: str) -> None:
            local_metadata = metadata.get(prefix[:-1], {})
            if assign:
                local_metadata = {**local_metadata, "assign_to_params_buffers": True}
            module._load_from_state_dict(state, prefix, local_metadata, True, missing, unexpected, errors)
            for name, child in module._modules.items():
                if child is not None:
                    load(child, f"{prefix}{name}.")
            keys = _IncompatibleKeys(missing, unexpected)
            for fn in module._state_hooks("_load_state_dict_post_hooks"):
                if fn(module, keys) is not None:
                    raise AssertionError(
                        "a load_state_dict post-hook should change the keys in place, and return nothing"
                    )

        load(self, "")
        if strict:
            if unexpected:
                errors.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
            if missing:
                errors.insert(0, f"Missing key(s) in state_dict: {_quoted(missing)}. ")
        if errors:
            listed = "\n\t".join(errors)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listed}")
        return _IncompatibleKeys(missing, unexpected)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: dict[str, Any], strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        """Read this module's own entries (not its children's); subclasses may extend it."""
        for fn in self._state_hooks("_load_state_dict_pre_hooks"):
            fn(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        persistent = {k: v for k, v in self._buffers.items() if k not in self._non_persistent_buffers_set}
        own = {
            k: v for k, v in itertools.chain(self._parameters.items(), persistent.items()) if v is not None
        }
        for name, value in own.items():
            key = prefix + name
            if key not in state_dict:
                missing_keys.append(key)
                continue
            problem = _copy_into(
                value, state_dict[key], key, bool(local_metadata.get("assign_to_params_buffers"))
            )
            if problem:
                error_msgs.append(problem)
        extra = prefix + _EXTRA_STATE
        if type(self).set_extra_state is not StateMixin.set_extra_state:
            if extra in state_dict:
                self.set_extra_state(state_dict[extra])
            else:
                missing_keys.append(extra)
        elif extra in state_dict:
            unexpected_keys.append(extra)
        for key in state_dict:
            if key.startswith(prefix) and key != extra:
                name, dot, _rest = key[len(prefix) :].partition(".")
                if name not in (self._modules if dot else own):
                    unexpected_keys.append(key)

    def get_extra_state(self) -> Any:
        """State beyond tensors, for subclasses to define together with `set_extra_state`."""
        raise RuntimeError(f"{type(self).__name__} defines no get_extra_state")

    def set_extra_state(self, state: Any) -> None:
        """Take over what `get_extra_state` gave."""
        raise RuntimeError(f"{type(self).__name__} defines no set_extra_state")

    # --- hooks around saving and loading --------------------------------------------------------

    def _state_hooks(self, kind: str) -> list[Callable[..., Any]]:
        found = self.__dict__.get(kind)
        return list(found.values()) if found else []

    def _add_state_hook(self, kind: str, hook: AnyFunction) -> RemovableHandle:
        return add_hook(self.__dict__.setdefault(kind, {}), hook)

    def register_state_dict_pre_hook(self, hook: AnyFunction) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before the state is read."""
        return self._add_state_hook("_state_dict_pre_hooks", hook)

    def register_state_dict_post_hook(self, hook: AnyFunction) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` when the module's entries are written."""
        return self._add_state_hook("_state_dict_hooks", hook)

    _register_state_dict_hook = register_state_dict_post_hook

    def register_load_state_dict_pre_hook(self, hook: AnyFunction) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors)`` first."""
        return self._add_state_hook("_load_state_dict_pre_hooks", hook)

    def _register_load_state_dict_pre_hook(
        self, hook: AnyFunction, with_module: bool = False
    ) -> RemovableHandle:
        return self.register_load_state_dict_pre_hook(
            hook if with_module else lambda _module, *rest: hook(*rest)
        )

    def register_load_state_dict_post_hook(self, hook: AnyFunction) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` when the module is loaded."""
        return self._add_state_hook("_load_state_dict_post_hooks", hook)


class _StateDict(OrderedDict[str, Any]):
    """An ordered dictionary that carries the modules' versions in `_metadata`, as PyTorch's files do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._metadata: dict[str, Any] = {}


def _copy_into(own: Any, given: Any, key: str, assign: bool) -> str | None:
    """Write a given value into a parameter or buffer; returns what is wrong, if anything."""
    try:
        array = given.array if isinstance(given, Handle) else np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(given).__name__
        return f"While copying the parameter named {key!r}: expected a tensor or array, got {kind} ({error})."
    if array.dtype.kind not in "biufc":
        return f"While copying the parameter named {key!r}: expected numbers, got {type(given).__name__}."
    if own.array.shape == () and array.shape == (1,):
        array = array.reshape(())  # a 0-d value that an old file keeps with one dimension
    if array.shape != own.array.shape:
        return (
            f"size mismatch for {key}: copying a param with shape {tuple(array.shape)} from checkpoint, "
            f"the shape in current model is {tuple(own.array.shape)}."
        )
    if assign:
        own.array = array
        if own.node is not None and own.node.dtype != array.dtype:
            own.requires_grad_(False).requires_grad_(True)
    else:
        np.copyto(own.array, array, casting="unsafe")
        versions.bump(own.array)
    return None


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)
