"""`torch.functional`: functions of `torch` under an older path."""
