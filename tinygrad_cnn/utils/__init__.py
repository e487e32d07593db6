"""Utilities under PyTorch's paths: `utils.data` feeds a training, `utils.checkpoint` saves memory."""
