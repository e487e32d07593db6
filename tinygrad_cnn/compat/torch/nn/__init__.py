"""Parts of `torch.nn` that are not in `tinygrad_cnn.nn`."""
