"""The Tensor that people use: the class, its methods, older type names, printing."""
