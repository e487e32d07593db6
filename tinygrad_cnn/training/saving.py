"""A whole model in one file: its weights as safetensors, and in the header how to build it. Nothing is pickled.

What is written of a module is its class's name and the plain values its constructor was called with (`Module` keeps
them); of a `Sequential`, its children. Reading builds modules of `nn` and `models`, and of classes that the caller
hands over: a file never decides which code is imported.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_cnn import models, nn
from tinygrad_cnn.autograd.handle import Handle, unwrap
from tinygrad_cnn.io.safetensors import load_safetensors, read_metadata, save_safetensors
from tinygrad_cnn.ops.random import fork_rng
from tinygrad_cnn.support.errors import CheckpointError, UsageError, brief

__all__ = ["load_model", "save_model"]

_KEY = "tinygrad_cnn.model"
_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict")


def save_model(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write a model, architecture and weights, to one `.safetensors` file that `load_model` makes into a model again.

    A class of your own is built again with the arguments it was built with: these must be plain values (numbers, texts,
    tuples, lists, dicts) or modules, and `load_model` must be given the class.

    Args:
        model: the model
        path: where to, ending in .safetensors

    Raises:
        UsageError: for another ending, an argument that is no plain value, and a model that was changed after it was
            built, so that its class would not build it again; `tg.save(model.state_dict(), path)` saves weights alone
    """
    if Path(path).suffix != ".safetensors":
        raise UsageError(f"a model is saved as .safetensors (weights and how to build it), got {os.fspath(path)!r}")
    if not isinstance(model, nn.Module):
        raise UsageError(f"save_model expected a Module, got {type(model).__name__}")
    configuration = _encoded(model, type(model).__name__)
    with fork_rng():
        twin = _built(configuration, {type(m).__name__: type(m) for m in _own_classes(model)})
    if repr(twin) != repr(model) or _shapes(twin) != _shapes(model):
        raise UsageError(
            f"{type(model).__name__} was changed after it was built, and its class would build another model: build it "
            "as it is in __init__, or save the weights alone with tg.save(model.state_dict(), path)"
        )
    tensors = {name: np.ascontiguousarray(unwrap(value)) for name, value in model.state_dict().items()}
    save_safetensors(tensors, path, {_KEY: json.dumps(configuration)})


def load_model(path: str | os.PathLike[str], classes: Sequence[type] = ()) -> Any:
    """The model that `save_model` wrote, with its weights.

    Args:
        path: the file
        classes: the classes of your own that occur in it: ``load_model("net.safetensors", classes=[Net])``

    Returns:
        the model, in training mode

    Raises:
        UsageError: when a class is missing, or the file holds weights alone
        CheckpointError: when the file is damaged, or a class now builds another model
    """
    weights, text = load_safetensors(path), read_metadata(path).get(_KEY)
    if text is None:
        raise UsageError(
            f"{path} holds weights alone: build the model and call training.load_weights(model, path)"
        )
    size = sum(unwrap(value).nbytes for value in weights.values())
    try:
        with fork_rng(), nn.init.at_most(2 * size + (1 << 20)):
            model = _built(json.loads(text), {c.__name__: c for c in classes})
        model.load_state_dict(weights)
    except UsageError:
        raise
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, MemoryError) as error:
        raise CheckpointError(f"{path} does not fit the classes it is built of: {brief(error)}") from error
    return model


# --- configuration, as JSON values ------------------------------------------------------------------


def _encoded(value: Any, where: str) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (tuple, list)):
        return {"tuple" if isinstance(value, tuple) else "list": [_encoded(part, where) for part in value]}
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {"dict": {name: _encoded(part, where) for name, part in value.items()}}
    if isinstance(value, type) and issubclass(value, nn.Module):
        return {"type": _name_of(value)}
    if isinstance(value, nn.Module):
        return _encoded_module(value)
    if isinstance(value, np.dtype) or isinstance(value, type) and issubclass(value, np.generic):
        return {"dtype": np.dtype(value).name}
    kind = "a tensor" if isinstance(value, (Handle, np.ndarray)) else type(value).__name__
    raise UsageError(
        f"{where} was built with {kind} as an argument, which cannot be saved: make it from plain values in __init__, "
        "or save the weights alone with tg.save(model.state_dict(), path)"
    )


def _encoded_module(module: Any) -> dict[str, Any]:
    kind = type(module).__name__
    if _name_of(type(module)) in [f"nn.{name}" for name in _CONTAINERS]:
        children = {name: _encoded_module(child) for name, child in module.named_children()}
        return {"class": f"nn.{kind}", "children": children}
    args, kwargs = module.__dict__.get("_arguments", ((), {}))
    return {
        "class": _name_of(type(module)),
        "args": [_encoded(value, kind) for value in args],
        "kwargs": {name: _encoded(value, kind) for name, value in kwargs.items()},
    }


def _built(value: Any, own: dict[str, type]) -> Any:
    if not isinstance(value, dict):
        if isinstance(value, list):
            raise TypeError("its configuration holds a bare list")
        return value
    if "class" in value:
        kind = _class(value["class"], own)
        if "children" in value:
            children = [(name, _built(child, own)) for name, child in value["children"].items()]
            return kind([child for _, child in children]) if kind is nn.ModuleList else kind(OrderedDict(children))
        args = [_built(part, own) for part in value["args"]]
        return kind(*args, **{name: _built(part, own) for name, part in value["kwargs"].items()})
    (form, content), = value.items()  # fmt: skip
    if form in ("tuple", "list"):
        parts = [_built(part, own) for part in content]
        return tuple(parts) if form == "tuple" else parts
    if form == "dict":
        return {name: _built(part, own) for name, part in content.items()}
    if form == "type":
        return _class(content, own)
    if form == "dtype":
        return np.dtype(content)
    raise TypeError(f"its configuration holds an unknown form {form[:40]!r}")


def _name_of(kind: type) -> str:
    for room in (nn, models):
        if getattr(room, kind.__name__, None) is kind:
            return f"{room.__name__.rpartition('.')[2]}.{kind.__name__}"
    return kind.__name__


def _class(name: Any, own: dict[str, type]) -> Any:
    room, _, plain = str(name).rpartition(".")
    found = own.get(plain) if not room else getattr({"nn": nn, "models": models}.get(room), plain, None)
    if not isinstance(found, type) or not issubclass(found, nn.Module):
        if room:
            raise TypeError(f"there is no layer {str(name)[:60]!r}")
        raise UsageError(
            f"the model is of a class of your own, {plain!r}: load_model(path, classes=[{plain}]) with the class that "
            "you built it with"
        )
    return found


def _own_classes(model: nn.Module) -> list[nn.Module]:
    """All modules of the model and of its constructors' arguments whose classes are the user's."""
    found = []
    for module in model.modules():
        args, kwargs = module.__dict__.get("_arguments", ((), {}))
        inside = [value for value in [*args, *kwargs.values()] if isinstance(value, nn.Module)]
        found += [m for part in [module, *inside] for m in part.modules()]
    return found


def _shapes(model: nn.Module) -> dict[str, Any]:
    return {name: unwrap(value).shape for name, value in model.state_dict().items()}
