"""The old name of `tinygrad_cnn.hub`'s download function, for older model files."""

from tinygrad_cnn.hub import load_state_dict_from_url as load_url

__all__ = ["load_url"]
