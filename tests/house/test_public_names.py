"""No public name disappears. `public_names.txt` lists every name that users can have written since version 0.1."""

import importlib
from pathlib import Path

NAMES = (Path(__file__).parent / "public_names.txt").read_text(encoding="utf-8").split()


def find(dotted):
    """The object behind a dotted name: the longest importable module, then attributes."""
    parts = dotted.split(".")
    module = importlib.import_module(parts[0])
    for k, part in enumerate(parts[1:], 2):
        if not hasattr(module, part):
            importlib.import_module(".".join(parts[:k]))
        module = getattr(module, part)
    return module


def test_every_public_name_of_version_0_1_is_there():
    missing = []
    for name in NAMES:
        try:
            find(name)
        except (AttributeError, ImportError):
            missing.append(name)
    assert not missing
