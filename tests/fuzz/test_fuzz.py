"""A small part of `python -m tests.fuzz`, and that it would notice."""

from pathlib import Path

import pytest

pytest.importorskip("PIL.Image", reason="the extra 'images' is not installed")
pytest.importorskip("resource", reason="there are no resource limits on this system")

from tests.fuzz.__main__ import outcome
from tests.fuzz.readers import Reader, readers


@pytest.fixture(scope="module")
def all_readers(tmp_path_factory):
    return readers(tmp_path_factory.mktemp("samples"))


def test_every_reader_reads_its_sample(all_readers, tmp_path):
    for reader in all_readers:
        path = tmp_path / f"sample{reader.ending}"
        path.write_bytes(reader.sample)
        reader.read(path)
        if reader.inside is not None:
            text, put = reader.inside
            path.write_bytes(put(text))
            reader.read(path)


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_read_or_refused_in_one_line(all_readers, tmp_path):
    found = {r.name: {outcome(r, number, tmp_path) for number in range(60)} for r in all_readers}
    assert not {name: outcomes for name, outcomes in found.items() if not outcomes <= {"read", "refused"}}
    assert all("refused" in outcomes for outcomes in found.values())


def test_another_error_is_a_finding(tmp_path, capsys):
    def broken(path: Path) -> None:
        raise KeyError("anything")

    assert outcome(Reader("broken", "", b"content", broken), 0, tmp_path) == "findings"
    assert "finding: file 0: KeyError" in capsys.readouterr().out
