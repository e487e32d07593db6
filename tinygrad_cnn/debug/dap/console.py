"""Requests that take text: `evaluate`, `setExpression`, `completions`.

In the console (context "repl") the text is a command of the terminal debugger, by the same interpreter; in a
hover or a watch it is an expression and nothing else.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.debug.dap.component import STOPPED, Component, Host, request
from tinygrad_cnn.debug.dap.messages import Arguments, RequestError
from tinygrad_cnn.debug.dap.program import STAY
from tinygrad_cnn.debug.dap.server import Reply
from tinygrad_cnn.debug.dap.setting import Setting
from tinygrad_cnn.debug.dap.stack import Stack
from tinygrad_cnn.debug.dap.values import Item
from tinygrad_cnn.debug.dap.variables import Variables
from tinygrad_cnn.support.errors import UsageError

#: An array of more entries is copied in summary.
MAX_COPIED = 10_000
#: Longest text that is looked at.
MAX_TEXT = 100_000


class Console(Component):
    """Commands and expressions."""

    def __init__(self, host: Host, stack: Stack, variables: Variables, setting: Setting) -> None:
        super().__init__(host)
        self._stack, self._variables, self._setting = stack, variables, setting

    @request("evaluate", STOPPED)
    def evaluate(self, args: Arguments) -> Any:
        text = args.string("expression")
        if len(text) > MAX_TEXT:
            raise RequestError(f"evaluate: expected at most {MAX_TEXT:,} characters, got {len(text):,}")
        if args.string("context", None) == "repl":
            return self._command(text, args.integer("frameId", 0))
        item = Item(text, self._value(text, args.integer("frameId", 0)), text)
        shown = self._variables.describe(item)
        body = {"result": shown["value"], "variablesReference": shown["variablesReference"]}
        if args.string("context", None) == "clipboard":
            body["result"] = _in_full(item.value, shown["value"])
        for name in ("type", "namedVariables", "indexedVariables"):
            if name in shown:
                body[name] = shown[name]
        return body

    def _value(self, text: str, frame_id: int) -> Any:
        frame = self._stack.frame(frame_id) if frame_id else None
        if frame is not None and frame.living is not None:
            try:
                return eval(text, frame.living.f_globals, frame.living.f_locals)
            except NameError:
                pass  # perhaps a name of the node's
            except Exception as error:
                raise RequestError(f"{type(error).__name__}: {error}") from None
        try:
            return (frame.session if frame is not None else self.session).evaluate(text)
        except UsageError as error:
            raise RequestError(str(error)) from None
        except AttributeError:  # names of a node, asked for at the end of the pass
            raise RequestError("there is no node at the end of the pass; step back to one") from None

    def _command(self, text: str, frame_id: int) -> Reply:
        interpreter = self.program.interpreter
        assert interpreter is not None
        before = {bp.id for bp in self.program.breakpoints}
        with self._names_of(frame_id):
            reply = interpreter.execute(text)
        # Messages of log points that the interpreter did not show itself.
        body = {"result": reply.text.rstrip("\n"), "variablesReference": 0}

        def then() -> None:
            if reply.breakpoints:
                self._setting.console_changed(before)
            if reply.quit:
                self.host.quit()
            elif reply.resume:
                self.host.send("continued", {"threadId": 1, "allThreadsContinued": True})
                self.host.resume(STAY)
            elif reply.moved:
                self.host.moved()
            elif reply.edited:
                self.host.values_changed()

        if reply.pdb:
            body["result"] = (
                "pdb needs a terminal: run `tinygrad-cnn debug` there; the editor's console has none"
            )
        return Reply(body, then)

    @contextlib.contextmanager
    def _names_of(self, frame_id: int) -> Iterator[None]:
        """Inside the block, the program's names are those of the frame that the client has chosen, if it still runs."""
        living = self._stack.frame(frame_id).living if frame_id else None
        if living is None:
            yield
            return
        session = self.session
        before, session.user_scopes = session.user_scopes, [living.f_locals, living.f_globals]
        try:
            yield
        finally:
            session.user_scopes = before

    @request("setExpression", STOPPED)
    def set_expression(self, args: Arguments) -> Reply:
        target = args.string("expression")
        session = self.session
        try:
            what = _target(target, session.evaluate)
            session.edit(_gradient(what, session.evaluate(args.string("value"))), **what)
            value = session.evaluate(target)
        except UsageError as error:
            raise RequestError(str(error), show=True) from None
        shown = self._variables.describe(Item(target, value, target))
        body = {"value": shown["value"], "variablesReference": shown["variablesReference"]}
        return Reply(body, then=self.host.values_changed)

    @request("completions")
    def completions(self, args: Arguments) -> dict[str, Any]:
        text = args.string("text")
        first = 1 if self.host.client.columns_from_1 else 0
        column = max(args.integer("column") - first, 0)
        # Columns count UTF-16 units.
        text = text.encode("utf-16-le", "surrogatepass")[: 2 * column].decode("utf-16-le", "replace")
        line = text.rpartition("\n")[2]
        interpreter = self.program.interpreter
        if interpreter is None or not self.program.stopped:
            return {"targets": []}
        word = line.rpartition(" ")[2]
        start = column - len(word.encode("utf-16-le", "surrogatepass")) // 2
        found = self.program.call(lambda: interpreter.complete(line))
        return {
            "targets": [
                {"label": label, "text": label, "start": start + first, "length": column - start}
                for label in found[:200]
            ]
        }


def _in_full(value: Any, short: str) -> str:
    """A value as it is copied: an array with all its entries, up to `MAX_COPIED`, in Python's notation."""
    array = unwrap(value)
    if isinstance(array, np.ndarray):
        return np.array2string(array, separator=", ", threshold=MAX_COPIED, max_line_width=100)
    try:
        return repr(value)
    except Exception:  # the program's own __repr__
        return short


def _target(text: str, evaluate: Any) -> dict[str, Any]:
    """What `session.edit` needs for ``g[0, 2]``, ``downstream[1]``, ``value[3]``, ``inputs[0][1]``, ``x``."""
    try:
        tree: ast.expr = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError(
            f"cannot read {text!r} as something to change; e.g. g[0, 2], downstream[1], value"
        ) from None
    index: list[Any] = []
    while isinstance(tree, ast.Subscript):
        found = evaluate(f"np.s_[{ast.unparse(tree.slice)}]")
        index[:0] = list(found) if isinstance(found, tuple) else [found]
        tree = tree.value
    name = tree.id if isinstance(tree, ast.Name) else ""
    if name in ("g", "upstream", "grad"):
        return {"index": tuple(index) or None}
    if name == "downstream" and index and isinstance(index[0], int):
        return {"input": index[0], "index": tuple(index[1:]) or None}
    if name == "value":
        return {"value": True, "index": tuple(index) or None}
    inputs = {"x": 0, "a": 0, "b": 1, "c": 2}
    if name == "inputs" and index and isinstance(index[0], int):
        k, index = index[0], index[1:]
    elif name in inputs:
        k = inputs[name]
    else:
        raise UsageError(
            f"{text!r} cannot be changed: g, downstream[i], value and inputs[i] can, and their entries"
        )
    node = evaluate("node")
    if not 0 <= k < len(node.parents) or node.parents[k] is None:
        raise UsageError(f"input {k} of {node.op.name} is no node of this pass")
    return {"value": True, "node": node.parents[k], "index": tuple(index) or None}


def _gradient(what: dict[str, Any], new: Any) -> Any:
    """Puts `new` where it belongs: the gradient, or ``value=``."""
    if what.get("value"):
        what["value"] = new
        return None
    return new
