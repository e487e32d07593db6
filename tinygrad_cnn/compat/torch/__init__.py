"""What `torch` has and `tinygrad_cnn` has not: thin shims, at PyTorch's paths. All other names are the package's."""

#: A version of PyTorch, since scripts compare it: the one whose names and answers the package is tested against.
__version__ = "2.13.0+tinygrad.cnn"
