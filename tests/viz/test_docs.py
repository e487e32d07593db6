"""docs/pictures.md: its code runs, and prints what the page says."""

import contextlib
import io
import re
from pathlib import Path

import tinygrad_cnn as tg

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "pictures.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


def numberless(text):
    return re.sub(r"#\d+ *", "# ", text).split()


def test_each_program_runs_and_prints_what_stands_below_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = []
    for k, program in enumerate(blocks("python")):
        file = tmp_path / f"program{k}.py"
        file.write_text(program, encoding="utf-8")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(program, str(file), "exec"), {"__name__": "__main__"})
        printed.append(out.getvalue())
    assert numberless(printed[0]) == numberless(blocks("text")[0])
    assert (tmp_path / "compared.html").stat().st_size > 100_000


def test_each_picture_it_names_is_there():
    named = set(re.findall(r"`([a-z_]+)`", PAGE.split("## Training")[1].split("## Without")[0]))
    assert len(named) >= 13 and named <= set(dir(tg.viz))
