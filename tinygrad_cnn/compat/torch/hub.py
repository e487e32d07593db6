"""`torch.hub`'s helpers beside those of `tinygrad_cnn.hub`. Nothing is downloaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

from tinygrad_cnn.hub import load, load_state_dict_from_url
from tinygrad_cnn.support.errors import UsageError

__all__ = ["download_url_to_file", "get_dir", "load", "load_state_dict_from_url", "set_dir"]

_dir: str | None = None


def get_dir() -> str:
    """The directory where PyTorch keeps downloads: of `set_dir`, `TORCH_HOME`, or in the user's cache."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    return _dir if _dir is not None else str((Path(home) / "hub").expanduser())


def set_dir(d: str | os.PathLike[str]) -> None:
    """Choose the directory of `get_dir`."""
    global _dir
    _dir = os.path.expanduser(d)


def download_url_to_file(url: str, dst: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
    """Raises UsageError: nothing is downloaded."""
    raise UsageError(
        f"hub.download_url_to_file: {url} is not downloaded here; get the file yourself, as {dst}"
    )
