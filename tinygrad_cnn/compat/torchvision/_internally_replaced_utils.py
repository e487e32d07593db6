"""`torchvision._internally_replaced_utils`, from which torchvision's own files take the download of weights."""

from tinygrad_cnn.hub import load_state_dict_from_url

__all__ = ["load_state_dict_from_url"]
