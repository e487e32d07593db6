"""What a script is told about the PyTorch that it runs on."""

#: The version whose names and answers the package is tested against.
VERSION = "2.13.0+tinygrad.cnn"
