"""`tg.viz.graph(loss)`: a graph ready to be looked at, and everything it can turn into.

A `Graph` holds the plain description only, no tensor and no node: it can be kept while training goes on.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_cnn import bridge
from tinygrad_cnn.analysis.watch import evaluating
from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.autograd.inspect import observing
from tinygrad_cnn.bridge.passes import Pass
from tinygrad_cnn.support.errors import UsageError
from tinygrad_cnn.viz.caller_names import CallerNames, of_caller
from tinygrad_cnn.viz.collect import CollectOptions, collect
from tinygrad_cnn.viz.description import DIRECTIONS, THEMES, Description
from tinygrad_cnn.viz.files import write_bytes, write_text
from tinygrad_cnn.viz.highlight import mark
from tinygrad_cnn.viz.passes import describe_foreign
from tinygrad_cnn.viz.text import text
from tinygrad_cnn.viz.trace import Trace

if TYPE_CHECKING:
    import graphviz

#: `print(graph)` ends behind so many nodes, and says so; `text()` gives all.
PRINTED = 500
FileName = str | os.PathLike[str]


def graph(
    loss_or_model: Any,
    *,
    input: Any = None,
    input_size: Sequence[int] | None = None,
    depth: int | None = None,
    values: bool = True,
    gradients: str | Mapping[int, Any] = "auto",
    direction: str = "TB",
    names: Mapping[str, Any] | Sequence[str] | None = None,
    forward_only: bool = False,
    highlight: Any = None,
    theme: str = "auto",
    title: str | None = None,
    grad_outputs: Any = None,
    legend: bool = True,
) -> Graph:
    """Look at the graph behind a loss, or at a model applied to an input.

    Drawing changes nothing: gradients come from a pass of its own that writes no `.grad`, frees nothing and
    calls no hook. It works before, during and after the backward pass; after it, where saved values were
    freed, only the gradients it left are shown, and the picture says so.

    Args:
        loss_or_model: a tensor with a graph behind it, several in a list, or a module, which is called in
            evaluation mode (for the graph of a training step give its loss). Of a module the whole forward pass is
            shown, also what wants no gradient. If the pass fails it is drawn up to the call that failed, with a
            warning. Tensors and modules of PyTorch are drawn too, and a pass that has not begun
            (`bridge.passes.Pass`), which is walked to its end
        input: for a module: what to call it with (a tensor, an array, or a tuple of them)
        input_size: for a module: shape of a random input instead, the batch included, e.g. ``(1, 1, 28, 28)``
        depth: this many levels of modules start open; None opens levels while all fits into about 60 boxes
        values: show values; those that nothing holds any more are computed again from what is known
        gradients: ``"auto"`` runs a pass if it can, ``"run"`` insists, ``"none"`` does without; or a mapping
            from a node's `seq` to its gradient, from a pass that is under way
        direction: of the forward pass: ``TB`` (top to bottom), ``LR``, ``BT`` or ``RL``
        names: names to show, as ``{"x": x, "w": w}``; the caller's own variables are known without
        forward_only: neither gradients nor local gradients
        highlight: marks tensors, or nodes that a selector matches (``relu``, ``features.*``,
            ``param:fc.weight``, ``shape:(*,16,*,*)``), and their paths to the loss
        theme: ``light``, ``dark`` or ``auto``, which follows the reader where the format can
        title: heading of the picture; by default what was given
        grad_outputs: upstream gradient of the output; ones by default
        legend: under SVG, PNG, PDF and DOT, what colours, lines and signs mean

    Returns:
        The graph, which can be written, shown and printed.

    Raises UsageError for an option that does not exist, TypeError for something that has no graph.
    """
    if direction not in DIRECTIONS:
        raise UsageError(f"direction expected one of {', '.join(DIRECTIONS)}, got {direction!r}")
    if theme not in THEMES:
        raise UsageError(f"theme expected one of {', '.join(THEMES)}, got {theme!r}")
    if isinstance(gradients, str) and gradients not in ("auto", "run", "none"):
        raise UsageError(
            f"gradients expected 'auto', 'run', 'none' or a mapping of seq to gradient, got {gradients!r}"
        )
    around = of_caller()
    foreign = isinstance(loss_or_model, Pass) or bridge.is_torch(loss_or_model) or bridge.is_torch_module(loss_or_model)
    options = CollectOptions(
        values=values, gradients="none" if forward_only else gradients, names={} if foreign else _named(names),
        depth=depth, seeds=None if grad_outputs is None else _listed(grad_outputs), around=around,
    )  # fmt: skip
    if foreign:
        description, own_title = describe_foreign(loss_or_model, input, input_size, grad_outputs, names, options)
    else:
        outputs, own_title, options.trace, failed = _outputs(loss_or_model, input, input_size, around)
        options.failed = failed
        description = collect(outputs, options)
        if failed is not None:
            description.notes.insert(0, f"The forward pass failed, and is drawn up to there: {failed.op.formula}")
    if forward_only:
        for edge in description.edges:
            edge.local = edge.sample = edge.numbers = None
        for node in description.nodes:
            node.local_formula = ""
    description.title = own_title if title is None else title
    description.direction, description.theme = direction, theme
    description.options = {"depth": depth, "values": values, "forward_only": forward_only, "legend": legend}
    if highlight is not None:
        mark(description, highlight)
    return Graph(description)


class Graph:
    """A described graph. `description` is the plain data; each method turns it into one form."""

    def __init__(self, description: Description) -> None:
        self.description = description

    @classmethod
    def load(cls, path: FileName) -> Graph:
        """A graph saved as ``.json`` before. Raises DataError when the file is none."""
        return cls(Description.load(path))

    def dot(self, path: FileName | None = None, *, opened: Collection[str] | None = None) -> graphviz.Digraph:
        """A `graphviz.Digraph`, a cluster per open module; `.source` is the DOT text. Written when given a path."""
        from tinygrad_cnn.viz.dot import dot

        digraph = dot(self.description, opened=opened)
        if path is not None:
            write_text(path, digraph.source)
        return digraph

    def svg(self, path: FileName | None = None) -> str:
        """The picture as SVG text, written when given a path. Needs Graphviz (`MissingExtraError` says how)."""
        from tinygrad_cnn.viz.svg import svg

        drawn = svg(self.description)
        if path is not None:
            write_text(path, drawn)
        return drawn

    def png(self, path: FileName | None = None, *, dpi: int = 144) -> bytes:
        """The picture as PNG bytes, written when given a path. Needs Graphviz."""
        return self._drawn("png", path, dpi=dpi)

    def pdf(self, path: FileName | None = None) -> bytes:
        """The picture as PDF bytes, written when given a path. Needs Graphviz."""
        return self._drawn("pdf", path)

    def text(self, path: FileName | None = None, *, max_nodes: int | None = None) -> str:
        """A tree for the terminal, from the loss to the inputs; what is shown twice is referred to."""
        drawn = text(self.description, max_nodes=max_nodes)
        if path is not None:
            write_text(path, drawn + "\n")
        return drawn

    def html(self, path: FileName | None = None) -> str:
        """One self-contained page: pan, zoom, open and close modules, play the backward pass."""
        from tinygrad_cnn.viz import page
        from tinygrad_cnn.viz.layout import layout

        drawn = page.render(self.description.to_dict(), layout(self.description))
        if path is not None:
            write_text(path, drawn)
        return drawn

    def to_dict(self) -> dict[str, Any]:
        """The description as plain data for JSON; see `viz.description` for its schema."""
        return self.description.to_dict()

    def json(self, path: FileName | None = None) -> str:
        """The description as JSON text, written when given a path; `Graph.load` reads it again."""
        drawn = self.description.to_json()
        if path is not None:
            write_text(path, drawn + "\n")
        return drawn

    def save(self, path: FileName) -> Path:
        """Write the form that the file's ending names: .dot .svg .png .pdf .html .txt .json."""
        ending = Path(path).suffix.lower()
        if ending not in _WRITERS:
            raise UsageError(
                f"a graph cannot be written as {ending or 'a file without ending'}: use {', '.join(_WRITERS)}"
            )
        getattr(self, _WRITERS[ending])(path)
        return Path(path)

    def _drawn(self, kind: str, path: FileName | None, **graph_attributes: Any) -> bytes:
        from tinygrad_cnn.viz.render import render

        digraph = self.dot()
        if graph_attributes:
            digraph.attr("graph", **{k: str(v) for k, v in graph_attributes.items()})
        data = render(digraph.source, kind)
        if path is not None:
            write_bytes(path, data)
        return data

    def __repr__(self) -> str:
        d = self.description
        what = f" of {d.title}" if d.title else ""
        counts = f"{len(d.nodes)} nodes, {len(d.edges)} edges, {len(d.modules)} modules"
        return f"<Graph{what}: {counts}, gradients: {d.gradients}>"

    def __str__(self) -> str:
        return self.text(max_nodes=PRINTED)

    # --- Jupyter ------------------------------------------------------------------------------

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        # One picture: a notebook that gets SVG and HTML both would show only one, and store both.
        from tinygrad_cnn.viz.render import available

        bundle: dict[str, Any] = {"text/plain": repr(self)}
        if available() is not None:
            bundle["image/svg+xml"] = self.svg()
        else:
            bundle["text/plain"] = self.text()
        return bundle

    def _repr_svg_(self) -> str | None:
        from tinygrad_cnn.viz.render import available

        return self.svg() if available() is not None else None

    def _repr_html_(self) -> str | None:
        from tinygrad_cnn.viz.render import available

        return self.interactive()._repr_html_() if available() is None else None

    def interactive(self, height: int = 640) -> Frame:
        """The page in a frame, for a notebook: pan, zoom, open modules, play the backward pass.

        A graph at a cell's end shows as a picture, which is small and survives in a saved notebook; this is
        the way to ask for the page (0.2 to 3 MB each).
        """
        return Frame(self.html(), height)


class Frame:
    """A page in a frame of its own, so that its styles and the notebook's do not meet."""

    def __init__(self, page: str, height: int) -> None:
        self.page, self.height = page, int(height)

    def _repr_html_(self) -> str:
        import html

        return (
            f'<iframe srcdoc="{html.escape(self.page, quote=True)}" sandbox="allow-scripts" title="computation graph" '
            f'style="width:100%;height:{self.height}px;border:1px solid #8884;border-radius:6px"></iframe>'
        )


_WRITERS = {
    ".svg": "svg", ".png": "png", ".pdf": "pdf", ".dot": "dot", ".gv": "dot", ".html": "html", ".htm": "html",
    ".txt": "text", ".json": "json",
}  # fmt: skip


def graph_endings() -> tuple[str, ...]:
    """The file endings that `Graph.save` knows."""
    return tuple(_WRITERS)


# --- what was given ---------------------------------------------------------------------------------


def _outputs(
    given: Any, input: Any, input_size: Sequence[int] | None, around: CallerNames
) -> tuple[list[Handle], str, Trace | None, Any]:
    """The tensors to draw, a title, and of a module what its forward pass did, and the node at which it failed."""
    if isinstance(given, Handle) or (isinstance(given, (list, tuple)) and given):
        tensors = _listed(given)
        for t in tensors:
            if not isinstance(t, Handle):
                raise TypeError(f"viz.graph expected tensors, got a {type(t).__name__} among them")
            if t.node is None:
                raise TypeError(
                    "viz.graph expected a tensor with a graph behind it; this one does not require grad. Make an input "
                    "with requires_grad=True, and compute outside no_grad() and without detach()"
                )
        if input is not None or input_size is not None:
            raise UsageError("viz.graph takes input= and input_size= only with a model, not with a tensor")
        return tensors, "", None, None
    if not callable(given):
        raise TypeError(f"viz.graph expected a tensor or a module, got {type(given).__name__}")
    tensors = _arguments(given, input, input_size)
    title = getattr(given, "__name__", type(given).__name__)
    around.add(type(given).__name__, given)
    around.add_inputs(tensors)
    trace = Trace()
    try:
        # In evaluation mode: nothing is drawn at random and no running statistics move.
        with evaluating(given), modes.enable_grad(), observing(trace):
            result = given(*tensors)
    except Exception as error:
        if not trace.ends():
            raise
        warnings.warn(f"the forward pass of {title} failed, and is drawn up to there: {error}", stacklevel=3)
        return [], title, trace, trace.fail(error)
    found = [t for t in _tensors_in(result) if t.node is not None or trace.producer(t.array) is not None]
    if not found:
        raise TypeError(f"viz.graph called the {type(given).__name__}, but its result holds no tensor that it computed")
    return found, title, trace, None


def _arguments(model: Callable[..., Any], input: Any, input_size: Sequence[int] | None) -> list[Handle]:
    """What to call the model with."""
    if input is None and input_size is None:
        raise UsageError(
            f"viz.graph of a model needs something to call the {type(model).__name__} with: "
            "input=x or input_size=(1, …)"
        )
    if input is None:
        assert input_size is not None
        shape = tuple(int(n) for n in input_size)
        dtype = next(
            (p.array.dtype for p in getattr(model, "parameters", lambda: ())()), np.dtype(np.float32)
        )
        # A generator of our own: the user's random stream must go on as if nothing had been drawn.
        input = wrap(np.random.default_rng(0).standard_normal(shape).astype(dtype))
    arguments = input if isinstance(input, tuple) else (input,)
    return [x if isinstance(x, Handle) else wrap(np.asarray(x)) for x in arguments]


def _tensors_in(result: Any) -> list[Handle]:
    if isinstance(result, Handle):
        return [result]
    if isinstance(result, Mapping):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        return [t for part in result for t in _tensors_in(part)]
    return []


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _named(names: Mapping[str, Any] | Sequence[Any] | None) -> dict[str, Handle]:
    if names is None:
        return {}
    if isinstance(names, Mapping):
        pairs: list[tuple[Any, Any]] = list(names.items())
    else:
        pairs = [(t.name, t) for t in names if isinstance(t, Handle)]
    for name, tensor in pairs:
        if not isinstance(tensor, Handle) or not isinstance(name, str):
            raise TypeError(
                "names expected {'x': tensor, …} or a list of named tensors, got "
                + f"{name!r}: {type(tensor).__name__}"
            )
    return dict(pairs)
