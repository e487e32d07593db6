"""Requests about values: `scopes`, `variables` (in pages), `setVariable`.

A `variablesReference` stands for something that can be opened, and holds until the program moves.
"""

from __future__ import annotations

from typing import Any

from tinygrad_cnn.debug.dap import scopes as scope_items
from tinygrad_cnn.debug.dap.component import STOPPED, Component, Host, request
from tinygrad_cnn.debug.dap.messages import Arguments, RequestError, ScopeBody, Variable
from tinygrad_cnn.debug.dap.server import Reply
from tinygrad_cnn.debug.dap.stack import Stack
from tinygrad_cnn.debug.dap.values import Contents, Group, Item, Listed, counts, open_up, text_of, type_of
from tinygrad_cnn.support.errors import UsageError

#: So many references may be open at one stop; an editor that opens more than that is not reading.
MAX_REFERENCES = 100_000


class Variables(Component):
    """What can be opened at this stop."""

    def __init__(self, host: Host, stack: Stack) -> None:
        super().__init__(host)
        self._stack = stack
        self._open: dict[int, Any] = {}
        self._next = 1

    def forget(self) -> None:
        """The program moved: every reference is void (and no number is used again)."""
        self._open.clear()

    @request("scopes", STOPPED)
    def scopes(self, args: Arguments) -> dict[str, Any]:
        frame = self._stack.frame(args.integer("frameId"))
        session = frame.session
        found: list[tuple[str, Any, bool]] = []
        if frame.kind == "node":
            found = list(scope_items.node_scopes(session))
        elif frame.kind == "module":
            found = [("Parameters", lambda: scope_items.leaves(session, frame.module), False)]
        elif frame.living is not None:
            living = frame.living
            found = [("Locals", lambda: _names(living.f_locals), False)]
            if living.f_locals is not living.f_globals:
                found.append(("Globals", lambda: _names(living.f_globals), True))
        out: list[ScopeBody] = []
        for name, items, expensive in found:
            scope: ScopeBody = {"name": name, "variablesReference": self.refer(items), "expensive": expensive}
            if name == "Locals":
                scope["presentationHint"] = "locals"
            out.append(scope)
        return {"scopes": out}

    @request("variables", STOPPED)
    def variables(self, args: Arguments) -> dict[str, Any]:
        contents = self._contents(args.integer("variablesReference"))
        which = args.string("filter", None)
        if which not in (None, "named", "indexed"):
            raise RequestError(f"variables: expected 'named' or 'indexed' as filter, got {which!r}")
        page = contents.page(which, args.count("start", 0), args.count("count", 0))
        return {"variables": [self.describe(item) for item in page]}

    @request("setVariable", STOPPED)
    def set_variable(self, args: Arguments) -> Reply:
        item = self._contents(args.integer("variablesReference")).find(args.string("name"))
        if item.assign is None:
            raise RequestError(f"{item.name} cannot be changed; gradients and saved values can", show=True)
        try:
            item.assign(self.session.evaluate(args.string("value")))
        except UsageError as error:
            raise RequestError(str(error), show=True) from None
        shown = self.describe(self._contents(args.integer("variablesReference")).find(item.name))
        body = {"value": shown["value"], "variablesReference": shown["variablesReference"]}
        if "type" in shown:
            body["type"] = shown["type"]
        return Reply(body, then=self.host.values_changed)

    def written(self, reference: int, name: str) -> str | None:
        """The parameter whose gradient a line shows, or None."""
        return self._contents(reference).find(name).written

    # --- references ------------------------------------------------------------------------------

    def refer(self, source: Any) -> int:
        """A number for an `Item`, or for a function that gives items."""
        if len(self._open) >= MAX_REFERENCES:
            raise RequestError("too many values are open at this stop; step on, or close some")
        number = self._next
        self._next += 1
        self._open[number] = source
        return number

    def _contents(self, reference: int) -> Contents:
        source = self._open.get(reference)
        if source is None:
            raise RequestError(f"the reference {reference} is void: the program has moved since")
        if not isinstance(source, Item):
            return Listed(source())
        if (
            source.assign is not None
            and source.expression is not None
            and not isinstance(source.value, Group)
        ):  # it may have been edited since
            source.value = self.session.evaluate(source.expression)
        found = open_up(source)
        return found if found is not None else Listed([])

    def describe(self, item: Item) -> Variable:
        """One line of the view."""
        named, indexed = counts(item)
        opens = bool(named or indexed) or isinstance(item.value, Group)
        out: Variable = {
            "name": item.name, "value": text_of(item), "variablesReference": self.refer(item) if opens else 0,
        }  # fmt: skip
        kind = type_of(item.value) if item.text is None else None
        if kind is not None and self.host.client.wants_types:
            out["type"] = kind
        if item.expression is not None:
            out["evaluateName"] = item.expression
        if indexed:
            out["indexedVariables"] = indexed
            if named:
                out["namedVariables"] = named
        if item.assign is None:
            out["presentationHint"] = {"attributes": ["readOnly"]}
        return out


def _names(namespace: dict[str, Any]) -> list[Item]:
    return [
        Item(name, value, name)
        for name, value in sorted(namespace.items())
        if not (name.startswith("__") and name.endswith("__"))
    ]
