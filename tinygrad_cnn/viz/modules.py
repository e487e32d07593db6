"""The module tree of a graph: which node lies in which module, and what starts open.

Reads the scopes that nodes keep, one for each call of a module; gives a `Module` record for each call. A place with
very many members is cut into groups of consecutive ones, so that no renderer ever has to show thousands of boxes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tinygrad_cnn.autograd.scope import Scope
from tinygrad_cnn.viz.description import Module, Node

#: A place with more members than this is cut into groups…
MANY = 120
#: …of this many consecutive ones.
GROUP = 50
#: A picture starts with at most about this many boxes: more do not fit on paper or into a head.
BOXES = 60

_CALL = re.compile(r" \(call \d+\)$")


class Tree:
    """Collects modules while the nodes are read in the order of computation.

    The outermost module's path is "", those inside have the paths of `named_modules()`. A second outermost
    module (a critic beside a generator) has its class as path; a second call of a module ends in ``(call 2)``.
    """

    def __init__(self) -> None:
        self.modules: dict[str, Module] = {}
        self._paths: dict[int, str] = {}  # by the identity of the call's scope
        self._kept: list[Scope] = []  # so that no identity is used twice

    def enter(self, scope: Scope | None) -> str | None:
        """The path of the module that the next node was made under; None outside modules."""
        new: list[Scope] = []
        step = scope
        while step is not None and id(step) not in self._paths:
            new.append(step)
            step = step.parent
        path = self._paths[id(step)] if step is not None else None
        for link in reversed(new):
            path = self._paths[id(link)] = self._new(link, path)
            self._kept.append(link)
        return path

    def common(self, a: str | None, b: str | None) -> str | None:
        """The innermost module around both; None for none."""
        around: set[str | None] = set()
        while a is not None:
            around.add(a)
            a = self.modules[a].parent
        while b is not None and b not in around:
            b = self.modules[b].parent
        return b

    def _new(self, scope: Scope, above: str | None) -> str:
        name = scope.name or scope.kind
        if above is None:
            path = self._free(scope.name or ("" if "" not in self.modules else scope.kind))
        else:
            path = self._free(f"{above}.{name}" if above else name)
        call = _CALL.search(path)
        self.modules[path] = Module(path, name + (call.group() if call else ""), scope.kind, parent=above)
        if above is not None:
            self.modules[above].children.append(path)
        return path

    def _free(self, wanted: str) -> str:
        if wanted not in self.modules:
            return wanted
        path, k = f"{wanted} (call 2)", 2
        while path in self.modules:
            k += 1
            path = f"{wanted} (call {k})"
        return path


def finish(
    tree: Tree, nodes: Sequence[Node], depth: int | None, boxes: int, used: Mapping[str, set[int]],
    variable: Callable[[str, frozenset[int]], str | None],
) -> list[Module]:  # fmt: skip
    """Put the nodes into their modules, name and count those, cut what is too full, and decide what starts open.

    Sets `node.module` to the group where there is one. `depth` opens that many levels; None opens level by
    level while the whole shows at most about `boxes` boxes. `used` gives the parameters that each module's own
    nodes use, `variable` the name of the outermost module of a class with such parameters. Gives parents
    before their children.
    """
    modules = tree.modules
    _name_outermost(modules, used, variable)
    modules = tree.modules = _several(modules, nodes)
    by_id = {node.id: node for node in nodes}
    place = {node.id: k for k, node in enumerate(nodes)}
    outside = Module("", "", "group")
    for node in nodes:
        (modules[node.module] if node.module is not None else outside).nodes.append(node.id)
    first = _first_places(modules, place)
    outside.children = [m.path for m in modules.values() if m.parent is None]
    for module in list(modules.values()):
        _cut(module, module.path, modules, by_id, place, first)
    _cut(outside, None, modules, by_id, place, first)
    ordered = _parents_first(modules)
    _count(ordered, by_id)
    _open(ordered, sum(node.module is None for node in nodes), depth, boxes)
    return ordered


def _name_outermost(
    modules: dict[str, Module], used: Mapping[str, set[int]],
    variable: Callable[[str, frozenset[int]], str | None],
) -> None:  # fmt: skip
    """Two networks of one class are two, one called twice is one: their parameters tell which."""
    inside: dict[str, set[int]] = {path: set(used.get(path, ())) for path in modules}
    for module in reversed(_parents_first(modules)):
        if module.parent is not None:
            inside[module.parent] |= inside[module.path]
    found: list[_Outermost] = []
    for module in modules.values():
        if module.parent is not None:
            continue
        own = inside[module.path]
        same = next((one for one in found if one.cls == module.cls and one.own & own), None)
        if same is not None:
            same.calls += 1
            module.name = f"{same.name} (call {same.calls})"
            continue
        name = variable(module.cls, frozenset(own))
        if name is None:
            alike = sum(one.cls == module.cls and bool(one.own) for one in found)
            name = f"{module.cls} #{alike + 1}" if alike and own else module.cls
        module.name = name
        found.append(_Outermost(module.cls, own, name))


def _several(modules: dict[str, Module], nodes: Sequence[Node]) -> dict[str, Module]:
    """Where there are several networks, none of them is "the" outermost: each has its name as path."""
    if sum(module.parent is None for module in modules.values()) < 2:
        return modules
    paths: dict[str, str] = {}
    for module in _parents_first(modules):
        own = module.path[len(module.parent) + 1 :] if module.parent else module.path
        wanted = module.name if module.parent is None else f"{paths[module.parent]}.{own}"
        path, k = wanted, 2
        while path in paths.values():
            path, k = f"{wanted} #{k}", k + 1
        paths[module.path] = path
    for module in modules.values():
        module.path = paths[module.path]
        module.parent = None if module.parent is None else paths[module.parent]
        module.children = [paths[child] for child in module.children]
    for node in nodes:
        if node.module is not None:
            node.module = paths[node.module]
    return {module.path: module for module in modules.values()}


@dataclass
class _Outermost:
    """A network that was called, and how often so far."""

    cls: str
    own: set[int]
    name: str
    calls: int = 1


def _first_places(modules: dict[str, Module], place: dict[str, int]) -> dict[str, int]:
    """Where in the order of computation each module begins."""
    first: dict[str, int] = {}
    for module in reversed(_parents_first(modules)):
        begins = [place[node_id] for node_id in module.nodes] + [first[path] for path in module.children]
        first[module.path] = min(begins, default=0)
    return first


def _cut(
    module: Module, parent: str | None, modules: dict[str, Module], by_id: dict[str, Node], place: dict[str, int],
    first: dict[str, int],
) -> None:  # fmt: skip
    """Cut a full place into groups of consecutive members, and those into groups again while there are too many."""
    members = sorted([(place[i], i, "") for i in module.nodes] + [(first[p], "", p) for p in module.children])
    if len(members) <= MANY:
        return
    prefix = f"{parent}." if parent else ""
    level: list[tuple[int, str, str]] = members
    while len(level) > MANY:
        wider = []
        for k in range(0, len(level), GROUP):
            part = level[k : k + GROUP]
            begin = part[0][0]
            following = level[k + GROUP][0] if k + GROUP < len(level) else len(place)
            span = f"{begin + 1}–{following}"
            path = f"{prefix}[{span}]"
            while path in modules:
                path += "*"
            group = Module(path, f"nodes {span}", "group", parent=parent)
            modules[path] = group
            for _begin, node_id, inner in part:
                if inner:
                    group.children.append(inner)
                    modules[inner].parent = path
                else:
                    group.nodes.append(node_id)
                    by_id[node_id].module = path
            wider.append((begin, "", path))
        level = wider
    module.nodes = []
    module.children = [path for _begin, _node, path in level]


def _parents_first(modules: dict[str, Module]) -> list[Module]:
    ordered = []
    stack = [m for m in reversed(list(modules.values())) if m.parent is None]
    while stack:
        module = stack.pop()
        ordered.append(module)
        stack.extend(modules[path] for path in reversed(module.children))
    return ordered


def _count(ordered: list[Module], by_id: dict[str, Node]) -> None:
    """Sizes, parameter counts and gradient norms, from the inside out."""
    at = {m.path: m for m in ordered}
    squares: dict[str, float] = {}
    for module in reversed(ordered):
        module.size += len(module.nodes)
        for node_id in module.nodes:
            node = by_id[node_id]
            if node.parameter:
                count = 1
                for n in node.shape:
                    count *= n
                module.parameters += count
                if node.gradient is not None and node.gradient.norm is not None:
                    squares[module.path] = squares.get(module.path, 0.0) + node.gradient.norm**2
        total = squares.get(module.path)
        module.gradient_norm = float(f"{total**0.5:.7g}") if total is not None else None
        if module.parent is not None:
            above = at[module.parent]
            above.size += module.size
            above.parameters += module.parameters
            if total is not None:
                squares[above.path] = squares.get(above.path, 0.0) + total


def _open(ordered: list[Module], outside: int, depth: int | None, boxes: int) -> None:
    levels: list[list[Module]] = []
    level_of: dict[str, int] = {}
    for module in ordered:
        level = 0 if module.parent is None else level_of[module.parent] + 1
        level_of[module.path] = level
        if level == len(levels):
            levels.append([])
        levels[level].append(module)
        module.open = depth is not None and level < depth
    if depth is not None:
        return
    shown = outside + (len(levels[0]) if levels else 0)
    for k, members in enumerate(levels):
        more = shown + sum(len(m.nodes) + len(m.children) - 1 for m in members)
        # A network as one box would tell nobody anything: its outermost module opens somewhat beyond the limit.
        if more > boxes and not (k == 0 and len(members) == 1 and more <= 2 * MANY):
            break
        for module in members:
            module.open = True
        shown = more
    # A closed box around one thing hides it and saves nothing.
    is_open: dict[str | None, bool] = {None: True}
    for module in ordered:
        if is_open[module.parent] and len(module.nodes) + len(module.children) == 1:
            module.open = True
        is_open[module.path] = module.open
