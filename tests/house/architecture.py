"""The architecture: which room of the package may import which, with the reason.

`python -m tests.house.architecture` writes the drawing of this table into CONTRIBUTING.md. The tests beside
this file hold the imports to the table, and the drawing to it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "tinygrad_cnn"

#: PyTorch's public paths that are a file or a few short files, and the two that users import from: one room here.
PATHS = {
    "amp", "backends", "cuda", "distributed", "errors", "extras", "func", "hub", "jit", "linalg", "random", "special",
    "types",
}  # fmt: skip

#: Room: (the rooms it may import, why it exists and why it may). The package's root files `__init__` and `__main__`
#: are the room "root", which puts everything together.
ROOMS: dict[str, tuple[tuple[str, ...], str]] = {
    "support": ((), "errors, optional packages, sizes and switches, which every room may need"),
    "kernels": ((), "hot loops on plain arrays; they know neither graphs nor tensors"),
    "autograd": (("support",), "the graph, three kinds of primitive, the backward pass; it knows no op by name"),
    "ops": (
        ("support", "autograd", "kernels"), "the primitives, each forward beside its derivative, and functions of them",
    ),
    "tensors": (("support", "autograd", "ops"), "the Tensor people use: operators, and ops as methods"),
    "nn": (("kernels", "autograd", "ops", "tensors"), "layers and losses; it asks the kernels for their precision"),
    "optim": (
        ("kernels", "autograd", "ops", "nn"), "optimisers and schedules; averaged models (swa_utils) are modules",
    ),
    "distributions": (("autograd", "ops", "nn"), "probability distributions out of ops and random numbers"),
    "utils": (("autograd", "ops", "paths"), "data loading and checkpointed regions, at PyTorch's path"),
    "paths": (("support", "autograd", "ops", "nn"), "PyTorch's other public paths, short re-exports and switches"),
    "io": (
        ("support", "autograd", "ops"),
        "files of arrays: written whole or not at all, and read without running code, to the device there is",
    ),
    "datasets": (
        ("support", "utils"), "readers of data sets and pictures, which give arrays, and augmentation in data loaders",
    ),
    "models": (("support", "autograd", "ops", "nn", "utils"), "networks by name, written as a user would write them"),
    "training": (
        ("support", "kernels", "autograd", "ops", "nn", "optim", "utils", "io", "models"),
        "the training loop, callbacks and checkpoints; it says when kernels compile, and builds a saved model again",
    ),
    "analysis": (
        ("support", "autograd", "ops", "training"),
        "receptive field, cost, saturation, equivariance: questions to a model",
    ),
    "attacks": (
        ("autograd", "nn", "utils", "training", "analysis"), "adversarial examples: attacks on a model, and defences",
    ),
    "root": (("support", "autograd", "ops", "tensors", "paths"), "the table of public names, for compat and cli"),
    "compat": (
        ("support", "autograd", "ops", "nn", "io", "datasets", "models", "utils", "root", "paths"),
        "PyTorch scripts unchanged: a finder, and what only `torch` and `torchvision` have",
    ),
    "bridge": (
        ("support", "autograd", "ops", "compat"),
        "a backward pass of any engine as two protocols, and PyTorch's own in that form",
    ),
    "viz": (
        ("support", "kernels", "autograd", "nn", "io", "analysis", "bridge"),
        "the graph as plain data, then as text, picture or page; pictures of what layers do",
    ),
    "debug": (
        ("support", "autograd", "ops", "nn", "optim", "bridge", "viz"),
        "the stepper, its terminal, its editor protocol",
    ),
    "cli": (
        ("support", "kernels", "autograd", "ops", "nn", "optim", "utils", "io", "datasets", "models", "training",
         "analysis", "viz", "bridge", "debug", "root", "compat"),
        "the commands: an application of all the others, which nobody imports",
    ),
}  # fmt: skip

MARKERS = "<!-- the drawing of tests/house/architecture.py -->", "<!-- end of the drawing -->"


def files() -> dict[str, Path]:
    """The package's modules by dotted name."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[tuple[str, int]]:
    """The package's own modules that a file imports, with the line: at the top, in functions, for types only.

    ``from package import name`` counts as an import of the module `package.name` where there is one, and of
    `package` otherwise. Importing `package.module` also runs `package/__init__.py`; that is not counted, since
    it is how every import below a package works.
    """
    base = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in known:
                    yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            start = base[: len(base) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                if f"{module}.{alias.name}" in known:
                    yield f"{module}.{alias.name}", node.lineno
                elif module in known:
                    yield module, node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            argument = node.args[0] if node.args else None
            if called == "import_module" and isinstance(argument, ast.Constant) and argument.value in known:
                yield str(argument.value), node.lineno


def graph() -> dict[str, set[str]]:
    """Every file's imports, by dotted names."""
    known = files()
    return {name: {target for target, _ in imports(name, path, known)} - {name} for name, path in known.items()}


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one member (Tarjan's algorithm, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    on_stack: set[str] = set()
    stack: list[str] = []
    found = []
    for start in edges:
        if start in index:
            continue
        work = [(start, iter(sorted(edges[start])))]
        index[start] = low[start] = len(index)
        stack.append(start)
        on_stack.add(start)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(sorted(edges[target]))))
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = []
                    while not component or component[-1] != node:
                        component.append(stack.pop())
                        on_stack.discard(component[-1])
                    if len(component) > 1:
                        found.append(sorted(component))
    return found


def room_of(module: str) -> str:
    """The room of a module by its dotted name."""
    first = module.split(".")[1] if "." in module else "root"
    return "paths" if first in PATHS else "cli" if first == "__main__" else first


def drawing() -> str:
    """The table as a Mermaid graph: an arrow from each room to those it imports, without those that others imply."""

    def reached(room: str) -> set[str]:
        direct = ROOMS[room][0]
        return {*direct, *(further for one in direct for further in reached(one))}

    lines = ["```mermaid", "graph TD"]
    for room, (allowed, _) in reversed(ROOMS.items()):
        implied = {further for one in allowed for further in reached(one)}
        lines += [f"    {room} --> {target}" for target in allowed if target not in implied]
    lines.append("```")
    rows = [f"| `{room}` | {', '.join(f'`{one}`' for one in allowed) or 'nothing'} | {why} |"
            for room, (allowed, why) in ROOMS.items()]  # fmt: skip
    return "\n".join([*lines, "", "| room | may import | what it is |", "| --- | --- | --- |", *rows])


def with_drawing(text: str) -> str:
    """CONTRIBUTING.md with the drawing of today between its markers."""
    head, rest = text.split(MARKERS[0])
    tail = rest.split(MARKERS[1])[1]
    return f"{head}{MARKERS[0]}\n\n{drawing()}\n\n{MARKERS[1]}{tail}"


if __name__ == "__main__":
    for circle in circles(graph()):
        print(f"a circle of {len(circle)}:", *circle, sep="\n  ")
    contributing = ROOT / "CONTRIBUTING.md"
    contributing.write_text(with_drawing(contributing.read_text(encoding="utf-8")), encoding="utf-8")
