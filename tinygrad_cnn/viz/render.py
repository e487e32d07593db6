"""From DOT text to SVG, PNG, PDF, and to positions: with Graphviz as a Python package or as a program.

The `pygraphviz` package carries Graphviz itself; a ``dot`` on the PATH is as good. Without either, one
error says what to install, and what works all the same.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import warnings

from tinygrad_cnn.support.errors import MissingExtraError, OutputError


def available() -> str | None:
    """What would render: ``pygraphviz``, ``dot``, or None."""
    if importlib.util.find_spec("pygraphviz") is not None:
        return "pygraphviz"
    return "dot" if shutil.which("dot") else None


def render(source: str, kind: str) -> bytes:
    """Lay out DOT `source` and draw it as `kind` (``svg``, ``png``, ``pdf``, ``json``…).

    Raises MissingExtraError without any Graphviz, OutputError when Graphviz refuses.
    """
    problem = None
    if importlib.util.find_spec("pygraphviz") is not None:
        try:
            return _by_package(source, kind)
        except ImportError as error:  # installed, but its library does not load
            problem = str(error)
    if shutil.which("dot"):
        return _by_program(source, kind)
    why = (
        f"pygraphviz is installed but does not import ({problem})"
        if problem
        else "neither pygraphviz nor a `dot` program was found"
    )
    raise MissingExtraError(
        f"a graph as {kind.upper()} needs Graphviz, and {why}: pip install 'tinygrad-cnn[viz]' "
        "(it brings Graphviz itself). "
        "Without it, .dot() gives the DOT text, .text() a tree for the terminal and .html() an interactive page.",
        name="pygraphviz",
    )


def _by_package(source: str, kind: str) -> bytes:
    import pygraphviz

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        graph = pygraphviz.AGraph(string=source)
        try:
            data = graph.draw(format=kind, prog="dot")
        finally:
            graph.close()
    if not data:
        raise OutputError(
            f"Graphviz drew nothing as {kind}: {'; '.join(str(w.message) for w in said) or 'no reason given'}"
        )
    return bytes(data)


def _by_program(source: str, kind: str) -> bytes:
    done = subprocess.run(
        ["dot", f"-T{kind}"], input=source.encode("utf-8"), capture_output=True, check=False
    )
    if done.returncode != 0 or not done.stdout:
        raise OutputError(f"`dot -T{kind}` failed: {done.stderr.decode('utf-8', 'replace').strip()[:400]}")
    return done.stdout
