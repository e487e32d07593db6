"""The name by which a program knows the package: `torch` where a script written for PyTorch is served."""

name = "tinygrad_cnn"
