"""The words of the command language, one file per family; importing this fills `commands.COMMANDS`."""

from tinygrad_cnn.debug.words import about, changing, looking, moving, stopping

__all__ = ["about", "changing", "looking", "moving", "stopping"]
