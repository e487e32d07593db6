"""The module tree of a graph: which node lies in which module, and what starts open.

Reads the scopes that nodes keep; gives `Module` records. A place with very many members is cut into groups
of consecutive ones, so that no renderer ever has to show thousands of boxes at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_cnn.autograd.graph import Scope
from tinygrad_cnn.viz.description import Module, Node

#: A place with more members than this is cut into groups…
MANY = 120
#: …of this many consecutive ones.
GROUP = 50
#: A picture starts with at most about this many boxes.
BOXES = 150


class Tree:
    """Collects modules by scope and tells each node's path.

    Two outermost modules of different classes or names in one graph (a generator and a critic) would both
    have the path "": from the second on they get their class's name as path.
    """

    def __init__(self) -> None:
        self.modules: dict[str, Module] = {}
        self._paths: dict[int, tuple[Scope, str]] = {}
        self._roots: dict[tuple[str, str, int], str] = {}

    def path(self, scope: Scope | None) -> str | None:
        """The path of the module of a scope; None outside modules."""
        if scope is None:
            return None
        known = self._paths.get(id(scope))
        if known is not None:
            return known[1]
        # Outermost first, so that parents are listed before their children.
        chain: list[Scope] = []
        step: Scope | None = scope
        while step is not None and id(step) not in self._paths:
            chain.append(step)
            step = step.parent
        for link in reversed(chain):
            self._paths[id(link)] = (link, self._enter(link))  # the scope is held, so its id stays its own
        return self._paths[id(scope)][1]

    def _enter(self, scope: Scope) -> str:
        if scope.parent is None:
            # Two networks of one class are two networks, where their scopes tell which module they stand for.
            owner = getattr(scope, "owner", None)
            key = (scope.name, scope.kind, id(owner()) if owner is not None else 0)
            path = self._roots.get(key)
            if path is None:
                path = self._roots[key] = "" if not self._roots else self._free(scope.name or scope.kind)
                self.modules[path] = Module(path, scope.name or scope.kind, scope.kind)
            return path
        above = self._paths[id(scope.parent)][1]
        path = f"{above}.{scope.name}" if above else scope.name
        if path not in self.modules:
            self.modules[path] = Module(path, scope.name, scope.kind, parent=above)
            self.modules[above].children.append(path)
        return path

    def _free(self, wanted: str) -> str:
        path, k = wanted, 2
        while path in self.modules:
            path, k = f"{wanted}#{k}", k + 1
        return path


def finish(tree: Tree, nodes: Sequence[Node], depth: int | None, boxes: int = BOXES) -> list[Module]:
    """Put the nodes into their modules, cut what is too full, count, and decide what starts open.

    Sets `node.module` to the group where there is one. `depth` opens that many levels; None opens level by
    level while the whole shows at most about `boxes` boxes.
    """
    modules = tree.modules
    place = {node.id: k for k, node in enumerate(nodes)}
    for node in nodes:
        if node.module is not None:
            modules[node.module].nodes.append(node.id)
    by_id = {node.id: node for node in nodes}
    for module in list(modules.values()):
        _cut(module, modules, by_id, place)
    outside = [node.id for node in nodes if node.module is None]
    roots = [m.path for m in modules.values() if m.parent is None]
    if len(outside) + len(roots) > MANY:
        # A made-up place around everything that is in no module; it never shows itself.
        around = Module("", "", "group", nodes=outside)
        _cut(around, modules, by_id, place, parent=None)
    ordered = _parents_first(modules)
    _count(ordered, by_id)
    _open(ordered, sum(node.module is None for node in nodes), depth, boxes)
    return ordered


def _cut(
    module: Module, modules: dict[str, Module], by_id: dict[str, Node], place: dict[str, int], parent: str | None = ""
) -> None:
    """Cut a full module's own nodes into groups, and those into groups again while there are too many."""
    if len(module.nodes) <= MANY:
        return
    above = module.path if parent is not None else None
    prefix = f"{module.path}." if module.path else ""
    ids = sorted(module.nodes, key=place.__getitem__)
    level: list[Module] = []
    for start in range(0, len(ids), GROUP):
        part = ids[start : start + GROUP]
        path = f"{prefix}[{place[part[0]] + 1}–{place[part[-1]] + 1}]"
        group = Module(path, f"nodes {place[part[0]] + 1}–{place[part[-1]] + 1}", "group", parent=above, nodes=part)
        for node_id in part:
            by_id[node_id].module = path
        level.append(group)
        modules[path] = group
    ends = [(place[g.nodes[0]] + 1, place[g.nodes[-1]] + 1) for g in level]
    while len(level) > MANY:
        wider: list[Module] = []
        wider_ends = []
        for start in range(0, len(level), GROUP):
            part_groups = level[start : start + GROUP]
            first, last = ends[start][0], ends[start + len(part_groups) - 1][1]
            path = f"{prefix}[{first}–{last}]*" if len(part_groups) == 1 else f"{prefix}[{first}–{last}]"
            group = Module(path, f"nodes {first}–{last}", "group", parent=above, children=[g.path for g in part_groups])
            for inner in part_groups:
                inner.parent = path
            wider.append(group)
            wider_ends.append((first, last))
            modules[path] = group
        level, ends = wider, wider_ends
    module.nodes = []
    module.children.extend(group.path for group in level)


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
    squares: dict[str, float | None] = {}
    for module in reversed(ordered):
        module.size += len(module.nodes)
        total = squares.get(module.path, None)
        for node_id in module.nodes:
            node = by_id[node_id]
            if node.parameter:
                count = 1
                for n in node.shape:
                    count *= n
                module.parameters += count
                norm = node.gradient.norm if node.gradient is not None else None
                if norm is not None:
                    total = (total or 0.0) + norm * norm
        module.gradient_norm = total**0.5 if total is not None else None
        if module.parent is not None:
            above = at[module.parent]
            above.size += module.size
            above.parameters += module.parameters
            if total is not None:
                squares[above.path] = (squares.get(above.path) or 0.0) + total


def _open(ordered: list[Module], outside: int, depth: int | None, boxes: int) -> None:
    levels: list[list[Module]] = []
    level_of: dict[str, int] = {}
    for module in ordered:
        level = 0 if module.parent is None else level_of[module.parent] + 1
        level_of[module.path] = level
        if level == len(levels):
            levels.append([])
        levels[level].append(module)
        module.open = False
    shown = outside + (len(levels[0]) if levels else 0)
    for k, level_modules in enumerate(levels):
        if depth is not None:
            for module in level_modules:
                # Made-up groups open only for who asks for everything by a depth that reaches them.
                module.open = k < depth
            continue
        more = shown + sum(len(m.nodes) + len(m.children) - 1 for m in level_modules)
        if more > boxes and not (k == 0 and len(level_modules) == 1 and more <= 2 * boxes):
            break
        for module in level_modules:
            module.open = True
        shown = more
