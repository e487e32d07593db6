"""`tg.hub`, for model files that offer pretrained weights: those are pickles on the web, which are never read."""

from __future__ import annotations

from typing import Any, NoReturn

from tinygrad_cnn.support.errors import UsageError


def load_state_dict_from_url(url: str, *_args: Any, **_kwargs: Any) -> NoReturn:
    """Raises UsageError, saying how the weights can be brought over."""
    raise UsageError(
        f"{url} holds pickled weights, which may run code when read, so they are not downloaded. In PyTorch, save them "
        "with safetensors.torch.save_file(state_dict, 'weights.safetensors'); tg.load reads that file"
    )


def load(repo_or_dir: str, model: str, *_args: Any, **_kwargs: Any) -> NoReturn:
    """Raises UsageError: code from the web is not run."""
    raise UsageError(
        f"hub.load would run code from {repo_or_dir}: get its model file yourself, and replace torch by tinygrad_cnn "
        f"in its imports to make {model!r}"
    )


load_url = load_state_dict_from_url
