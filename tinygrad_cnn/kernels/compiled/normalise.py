"""The compiled forms of `reference/normalise.py`; a kernel that is not here keeps its reference."""
