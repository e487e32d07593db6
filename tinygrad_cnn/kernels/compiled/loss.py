"""The compiled forms of `reference/loss.py`; a kernel that is not here keeps its reference."""
