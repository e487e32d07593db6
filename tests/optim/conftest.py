import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cases():
    """The table beside this file (tests are no package, so it is loaded by its place)."""
    spec = importlib.util.spec_from_file_location("optim_cases", Path(__file__).with_name("cases.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
