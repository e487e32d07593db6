"""The plain engine stays readable in one evening."""

from pathlib import Path

import tinygrad_cnn.autograd

#: In the order in which docs/tour.md reads them.
PLAIN = (
    "versions", "state", "graph", "handle", "primitive", "elementwise", "broadcast", "multilinear", "general", "saved",
    "backward_pass", "backward",
)  # fmt: skip
MOST = 1200


def test_its_files_have_few_lines():
    folder = Path(tinygrad_cnn.autograd.__file__).parent
    lines = {name: len((folder / f"{name}.py").read_text(encoding="utf-8").splitlines()) for name in PLAIN}
    assert sum(lines.values()) <= MOST, lines
