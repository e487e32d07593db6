"""The imports are the architecture that `architecture.py` writes down."""

from tests.house import architecture


def test_no_file_imports_itself_by_a_detour():
    assert not architecture.circles(architecture.graph())


def test_rooms_import_only_what_the_table_allows():
    known = architecture.files()
    wrong = [
        f"{name}:{line} imports {target}"
        for name, path in known.items()
        for target, line in architecture.imports(name, path, known)
        if (here := architecture.room_of(name)) != (there := architecture.room_of(target))
        and there not in architecture.ROOMS[here][0]
    ]
    assert not wrong


def test_every_permission_is_used():
    used = {
        (architecture.room_of(name), architecture.room_of(target))
        for name, targets in architecture.graph().items()
        for target in targets
    }
    allowed = {(room, other) for room, (others, _) in architecture.ROOMS.items() for other in others}
    assert allowed <= used


def test_the_table_has_no_circle():
    assert not architecture.circles({room: set(allowed) for room, (allowed, _) in architecture.ROOMS.items()})


def test_contributing_shows_the_drawing():
    text = (architecture.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert architecture.with_drawing(text) == text, "run python -m tests.house.architecture"


def test_a_circle_is_found():
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"e2"}, "e2": {"e"}}
    assert sorted(architecture.circles(edges)) == [["a", "b", "c"], ["e", "e2"]]
