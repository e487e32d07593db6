"""The tour of the engine shows the code as it is, and its examples run."""

from tests.autograd.test_plain import PLAIN
from tests.house import tour


def test_the_code_is_that_of_the_files():
    text = tour.TOUR.read_text(encoding="utf-8")
    assert tour.written(text) == text, "run python -m tests.house.tour"
    assert len(tour.MARKED.findall(text)) >= 10


def test_the_examples_run():
    space: dict[str, object] = {}
    found = tour.examples(tour.TOUR.read_text(encoding="utf-8"))
    assert len(found) == 4
    for code in found:
        exec(code, space)


def test_it_visits_every_file_of_the_plain_engine():
    text = tour.TOUR.read_text(encoding="utf-8")
    assert [name for name in PLAIN if f"`{name}`" not in text] == []
