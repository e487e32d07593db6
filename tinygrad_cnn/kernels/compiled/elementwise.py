"""The compiled forms of `reference/elementwise.py`; a kernel that is not here keeps its reference."""
