"""`graph MODEL|SCRIPT|RUN`: the graph of a known network, of a script's backward pass, or of a trained network.

The ending of ``-o`` chooses the form; without it, a tree of text goes to the terminal.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tinygrad_cnn import bridge, models, viz
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.autograd.inspect import BackwardPass, Observer, keep_values, observing
from tinygrad_cnn.bridge.engines import ENGINES, engine_for
from tinygrad_cnn.bridge.passes import Pass
from tinygrad_cnn.cli.arguments import natural, positive_int, refuse
from tinygrad_cnn.support.errors import UsageError, UserError
from tinygrad_cnn.support.script import as_main, read_script
from tinygrad_cnn.viz.highlight import mark

_EPILOG = """\
WHAT is one of
  mnist-cnn, resnet18, …   a known network (`tinygrad-cnn summary --help` lists them), applied to random input
  train.py                 a script: the graph of its first backward() (--pass chooses another)
  runs/mnist-cnn-digits    a run folder: the trained network on two test samples
  graph.json               a graph saved before
-o FILE ends in .svg .png .pdf .dot .html .txt or .json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument(
        "what", metavar="WHAT", help="a known network, a script, a run folder or a saved graph"
    )
    parser.add_argument(
        "-o", "--out", metavar="FILE", help="where to write it (default: a tree of text, printed)"
    )
    parser.add_argument("--depth", type=natural, metavar="N", help="show N levels of modules open")
    parser.add_argument(
        "--direction",
        choices=("TB", "LR", "BT", "RL"),
        help="of the forward pass (default: TB)",
    )
    parser.add_argument("--theme", choices=("auto", "light", "dark"))
    parser.add_argument("--forward-only", action="store_true", help="no gradients")
    parser.add_argument(
        "--highlight", metavar="SELECTOR", help="mark what it matches, and the paths to the loss"
    )
    parser.add_argument("--title", metavar="TEXT")
    parser.add_argument(
        "--pass",
        dest="nth",
        type=positive_int,
        metavar="N",
        help="of a script: its Nth backward() (default: the first)",
    )
    parser.add_argument(
        "--engine", choices=ENGINES,
        help="of a script: auto (the default) is PyTorch for one that imports torch, where it is installed",
    )  # fmt: skip
    parser.add_argument(
        "--args", nargs=argparse.REMAINDER, default=[], help="of a script: its own arguments, up to the end"
    )


def run(args: argparse.Namespace) -> int:
    drawn = {"depth": args.depth, "direction": args.direction, "theme": args.theme}
    if args.out is not None and Path(args.out).suffix.lower() not in viz.graph_endings():
        raise UsageError(f"-o {args.out}: a graph is written as one of {', '.join(viz.graph_endings())}")
    if args.out is None or Path(args.out).suffix.lower() == ".txt":
        refuse(
            {f"--{name}": value for name, value in drawn.items()},
            "changes a picture, and a tree of text has no use for it (-o FILE writes a picture)",
        )
    options = {name: value for name, value in drawn.items() if value is not None}
    graph = _graph(args, {**options, "forward_only": args.forward_only, "highlight": args.highlight})
    if args.out is None:
        print(graph.text(max_nodes=2000))
    else:
        graph.save(args.out)
        d = graph.description
        print(f"{args.out}: {len(d.nodes):,} nodes, {len(d.edges):,} edges")
    return 0


def _graph(args: argparse.Namespace, options: dict[str, Any]) -> viz.Graph:
    what, path = args.what, Path(args.what)
    if path.suffix == ".py":
        options["title"] = args.title or path.name
        return _of_script(path, args.args, args.nth, args.engine or "auto", options)
    refuse(
        {"--pass": args.nth, "--args": args.args, "--engine": args.engine},
        f"applies to a script (a file *.py), and {what} is none",
    )
    if path.suffix == ".json" and path.is_file():
        return _of_file(path, args)
    if path.is_dir():
        return _of_run(path, {**options, "title": args.title})
    if what not in models.names() and path.suffix:
        raise UsageError(f"there is no file {what}")
    return _of_model(what, {**options, "title": args.title or what})


def _of_file(path: Path, args: argparse.Namespace) -> viz.Graph:
    """A saved graph: what it holds was decided when it was saved, how it is drawn may be chosen anew."""
    refuse(
        {"--depth": args.depth, "--forward-only": args.forward_only},
        f"decides what a graph holds, and {path} was saved before (give it when the graph is made)",
    )
    graph = viz.Graph.load(path)
    d = graph.description
    d.direction, d.theme, d.title = args.direction or d.direction, args.theme or d.theme, args.title or d.title
    if args.highlight is not None:
        mark(d, args.highlight)
    return graph


def _of_model(name: str, options: dict[str, Any]) -> viz.Graph:
    """A known network with fresh weights on one random input, with the loss of its first class."""
    import tinygrad_cnn as tg

    entry = models.entry(name)
    tg.manual_seed(0)
    model = entry.build().eval()
    x = tg.randn(1, *entry.input_size)
    scores = model(x)
    target = tg.zeros(1, *scores.shape[2:], dtype=tg.long)  # of a network for pixels, the first class everywhere
    return viz.graph(tg.nn.functional.cross_entropy(scores, target), names={"input": x}, **options)


def _of_run(folder: Path, options: dict[str, Any]) -> viz.Graph:
    from tinygrad_cnn.cli.data import load_parts, load_trained
    from tinygrad_cnn.cli.tasks import loss_of
    from tinygrad_cnn.training.loading import as_dataset
    from tinygrad_cnn.utils.data import DataLoader

    model, config, _record = load_trained(folder)
    x, target = next(iter(DataLoader(as_dataset(load_parts(config).test), 2)))
    options["title"] = options["title"] or f"{config.model} trained on {config.data}"
    return viz.graph(loss_of(config.task, model)(model(x), target), names={"input": x}, **options)


# --- scripts ------------------------------------------------------------------------------------------


class _Seen(BaseException):
    """Thrown through the script once its graph is known: nobody waits for the rest of a training."""


class _Nth(Observer):
    """Draws the graph of the `nth` backward pass, and ends the script there."""

    def __init__(self, nth: int, options: dict[str, Any]) -> None:
        self.nth, self.options, self.passes = nth, options, 0
        self.found: viz.Graph | None = None

    def on_pass_begin(self, work: BackwardPass) -> None:
        self.passes += 1
        if self.passes < self.nth:
            return
        seeds = {node: work.grads[node.seq] for node in work.order if node.seq in work.grads}
        tensors = [wrap(node.value if node.value is not None else seed, node) for node, seed in seeds.items()]
        self.found = viz.graph(tensors, grad_outputs=list(seeds.values()), **self.options)
        raise _Seen

    def on_torch_pass(self, make: Callable[..., Pass]) -> bool:
        """A `backward()` of PyTorch is about to run (see `bridge.torch_watch`)."""
        self.passes += 1
        if self.passes < self.nth:
            return False
        self.found = viz.graph(make(silent=True), **self.options)
        raise _Seen

    def on_torch_record(self, record: Any, value: Any, name: str) -> None:
        """An operator of PyTorch ran: nothing to do."""


def _of_script(
    path: Path, own: list[str], chosen: int | None, wanted: str, options: dict[str, Any]
) -> viz.Graph:
    if not path.is_file():
        raise UsageError(f"there is no script {path}")
    nth = chosen or 1
    drawing = _Nth(nth, options)
    names: dict[str, Any] = {}
    _, code = read_script(path)
    with engine_for(wanted, path) as engine, as_main(path, own) as main:
        watched = bridge.watching_torch(drawing, stack=False) if engine == "torch" else nullcontext()
        try:
            with keep_values(), observing(drawing), watched:
                exec(code, main.__dict__)
            names = dict(main.__dict__)
        except _Seen:
            assert drawing.found is not None
            return drawing.found
        except SystemExit as leaving:
            if leaving.code not in (None, 0):
                raise UsageError(
                    f"{path} ended with exit status {leaving.code} before backward() {nth}"
                ) from None
        except UserError:
            raise
        except Exception as error:
            raise UsageError(
                f"{path} failed before its backward() {nth}: {type(error).__name__}: {error}"
            ) from error
    live = {
        name: t
        for name, t in names.items()
        if (isinstance(t, Handle) and t.node is not None and t.node.parents)
        or (bridge.is_torch(t) and not isinstance(t, (list, tuple)) and t.grad_fn is not None)
    }
    if drawing.passes or not live:
        raise UsageError(
            f"{path} ended after {drawing.passes} backward pass(es), without number {nth}"
            if drawing.passes
            else f"{path} has no backward(), and leaves no tensor with a graph"
        )
    refuse({"--pass": chosen}, f"chooses a backward pass, and {path} has none")
    # No backward pass at all: a script that only computes something leaves it in a variable.
    name = next(
        (n for n in ("loss", "z", "y", "out", "output") if n in live),
        list(live)[-1],
    )
    return viz.graph(live[name], **options)
