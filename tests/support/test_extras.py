"""The promises of tinygrad_cnn.extras and tinygrad_cnn.errors."""

import importlib.util
import sys

import pytest

from tinygrad_cnn import errors
from tinygrad_cnn.support import extras


def hide(monkeypatch, *modules):
    """Make `modules` look uninstalled, whatever this environment holds."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in modules else real(name))


def test_require_gives_the_module_asked_for():
    assert extras.require("json.decoder", extra="plots", purpose="x") is sys.modules["json.decoder"]


def test_a_missing_extra_is_named_with_its_purpose_and_the_command_that_installs_it(monkeypatch):
    hide(monkeypatch, "matplotlib")
    with pytest.raises(errors.MissingExtraError) as caught:
        extras.require("matplotlib.pyplot", extra="plots", purpose="drawing curves")
    expected = "drawing curves needs matplotlib, which is not installed: pip install 'tinygrad-cnn[plots]'"
    assert str(caught.value) == expected
    assert isinstance(caught.value, ImportError) and caught.value.name == "matplotlib.pyplot"


def test_an_installed_package_that_does_not_import_is_not_called_missing(monkeypatch, tmp_path):
    (tmp_path / "brokenpackage.py").write_text("raise ImportError('libfoo.so.1: cannot open')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        errors.MissingExtraError, match="installed but does not import .libfoo.so.1: cannot open"
    ):
        extras.require("brokenpackage", extra="viz", purpose="drawing graphs")


def test_requiring_for_an_extra_that_does_not_exist_is_a_programming_error():
    with pytest.raises(ValueError, match="got the extra 'plotz'; known: fast, plots"):
        extras.require("json", extra="plotz", purpose="x")


def test_available_tells_present_from_missing_and_what_each_gives(monkeypatch):
    hide(monkeypatch, "numba")
    found = {status.name: status for status in extras.available()}
    assert list(found) == [extra.name for extra in extras.EXTRAS]
    assert not found["fast"].present and "numba" in found["fast"].missing
    assert found["fast"].install == "pip install 'tinygrad-cnn[fast]'"
    assert all(status.gives for status in found.values())


def test_available_gives_versions_of_what_is_present(monkeypatch):
    present = extras.Extra("plots", {"pytest": "pytest"}, "testing")
    monkeypatch.setattr(extras, "EXTRAS", (present,))
    (status,) = extras.available()
    assert status.present and status.versions == {"pytest": pytest.__version__}


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "UserError"])
def test_every_user_error_is_also_the_builtin_error_a_caller_would_catch(name):
    error = getattr(errors, name)("what to do")
    builtin = {"UsageError": ValueError, "DataError": ValueError, "CheckpointError": RuntimeError}
    builtin |= {"OutputError": OSError, "MissingExtraError": ImportError}
    assert isinstance(error, errors.UserError) and isinstance(error, builtin[name])
    assert str(error) == "what to do"
