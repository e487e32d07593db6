"""The command language of the terminal, of pipes and of editors' consoles: `Interpreter.execute(line)`.

`registry` is the table, `interpreter` reads lines, and each of the other files holds one family of commands, which
enter themselves into the table when they are imported here.
"""

from tinygrad_cnn.debug.commands import about, changing, looking, moving, stopping
from tinygrad_cnn.debug.commands.interpreter import Interpreter
from tinygrad_cnn.debug.commands.registry import COMMANDS, Reply

__all__ = ["COMMANDS", "Interpreter", "Reply", "about", "changing", "looking", "moving", "stopping"]
