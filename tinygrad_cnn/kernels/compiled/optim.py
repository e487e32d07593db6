"""The compiled forms of `reference/optim.py`; a kernel that is not here keeps its reference."""
