"""Parts of `torch.utils` that are not in `tinygrad_cnn.utils`."""
