"""Parts of `torch.nn.modules` that are not in `tinygrad_cnn.nn.modules`."""
