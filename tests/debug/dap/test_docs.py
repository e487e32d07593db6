"""The session that docs/editors.md shows is what happens, answer by answer."""

import re
from pathlib import Path

from tests.debug.dap.conftest import PROGRAMS

DOCS = Path(__file__).parents[3] / "docs" / "editors.md"


class Narrator:
    """Does what the page tells, and writes down what an editor would show."""

    def __init__(self, client):
        self.client = client
        self.lines = []

    def say(self, key, text):
        # Nodes are numbered through the whole process, so their numbers depend on what ran before.
        self.lines.append(re.sub(r"#\d+", "", f"{key:<18} {text}").rstrip())

    def stop(self, key, stopped):
        body, frame = stopped
        self.say(key, f"stopped: {body['reason']}")
        self.say("", self.client.ask("threads")["threads"][0]["name"])
        self.say("", f"{frame['name']}   {frame['source']['name']}:{frame['line']}")
        return frame

    def scope(self, frame, name):
        for variable in self.client.variables(self.client.scopes(frame)[name]).values():
            self.say(name, f"{variable['name']} = {variable['value']}")
            name = ""


def tell(client):
    """The session of the page."""
    it = Narrator(client)
    program = PROGRAMS / "tiny.py"
    client.launch(program, configure=[("setFunctionBreakpoints", {"breakpoints": [{"name": "relu"}]})])
    frame = it.stop("Run, with relu", client.stopped())
    for name in ("Upstream", "Local", "Downstream", "Saved"):
        it.scope(frame, name)
    it.stop("Step over", client.go("next"))
    frame = it.stop("Step back", client.go("stepBack"))
    reference = client.scopes(frame)["Upstream"]
    answer = client.ask("setVariable", variablesReference=reference, name="∂L/∂y", value="g * 10")
    it.say("Set ∂L/∂y = g * 10", answer["value"])
    it.scope(frame, "Downstream")
    it.say("Watch norm(x)", client.evaluate("norm(x)"))
    for k, line in enumerate(client.evaluate("explain 0,1", context="repl").splitlines()):
        it.say("" if k else "> explain 0,1", line)
    client.evaluate("cl", context="repl")
    client.ask("continue", threadId=1)
    it.say("Continue", f"exit code {client.event('exited')['exitCode']}")
    return it.lines


def test_the_page_shows_what_happens(client):
    shown = re.search(r"<!-- session -->\n```text\n(.*?)\n```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    assert shown[1].splitlines() == tell(client)


def test_the_page_shows_the_program_that_is_run():
    assert f"```python\n{(PROGRAMS / 'tiny.py').read_text(encoding='utf-8')}```" in DOCS.read_text(
        encoding="utf-8"
    )


def test_every_request_that_is_answered_is_in_the_pages_table(client):
    table = DOCS.read_text(encoding="utf-8")
    missing = [name for name in [*client.adapter._requests, "cancel"] if f"`{name}`" not in table]
    assert not missing
