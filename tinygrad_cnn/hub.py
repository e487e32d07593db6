"""`tg.hub`, for model files that offer pretrained weights: nothing is downloaded."""

from __future__ import annotations

from typing import Any, NoReturn

from tinygrad_cnn.support.errors import UsageError


def load_state_dict_from_url(url: str, *_args: Any, **_kwargs: Any) -> NoReturn:
    """Raises UsageError, saying how the weights can be brought over."""
    raise UsageError(
        f"{url} is not downloaded: this package fetches no weights. Get the file yourself; tg.load reads the weights "
        "in .pt, .pth and .safetensors files, without running code"
    )


def load(repo_or_dir: str, model: str, *_args: Any, **_kwargs: Any) -> NoReturn:
    """Raises UsageError: code from the web is not run."""
    raise UsageError(
        f"hub.load would run code from {repo_or_dir}: get its model file yourself, and replace torch by tinygrad_cnn "
        f"in its imports to make {model!r}"
    )


load_url = load_state_dict_from_url
