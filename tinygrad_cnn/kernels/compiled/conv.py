"""The compiled forms of `reference/conv.py`; a kernel that is not here keeps its reference."""
