"""The compiled forms of `reference/pool.py`; a kernel that is not here keeps its reference."""
