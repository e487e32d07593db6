"""The command line: what each command gives, and one clear line for every mistake."""

import gzip
import json
import os
import shutil
import stat
import struct

import numpy as np
import pytest

from tinygrad_cnn import datasets
from tinygrad_cnn.cli import COMMANDS, runs
from tinygrad_cnn.training import Trainer

image = pytest.importorskip("PIL.Image", reason="the extra 'images' is not installed")


def complaint(result):
    """The one line on stderr of a command that ended with code 2 and printed nothing else there."""
    code, _out, err = result
    assert code == 2 and err.startswith("error: ") and err.count("\n") == 1, result
    return err


# --- help -----------------------------------------------------------------------------------------------


def test_help_lists_the_commands_and_each_has_its_own(cli):
    code, out, _ = cli("--help")
    assert code == 0 and all(name in out for name in COMMANDS)
    code, out, _ = cli("train", "--help")
    assert code == 0 and "--checkpoint-every" in out and "mnist1d-cnn" in out


def test_help_imports_no_command_and_nothing_heavy(process):
    code = (
        "import sys; from tinygrad_cnn.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'rich', 'numba', 'matplotlib', 'PIL', 'tinygrad_cnn.nn', 'tinygrad_cnn.cli.train'}\n"
        "print('loaded', sorted(heavy & set(sys.modules)))"
    )
    assert "loaded []" in process("-c", code, check=0).stdout


def test_the_version(cli):
    import tinygrad_cnn

    assert cli("--version")[1].strip() == f"tinygrad-cnn {tinygrad_cnn.__version__}"


# --- a run ----------------------------------------------------------------------------------------------


def test_the_run_folder_holds_what_was_promised(trained):
    names = {path.name for path in trained.iterdir()}
    assert names == {
        "config.json", "history.json", "best.npz", "last.npz", "result.json",
        "curves.png", "confusion.png", "graph.svg",
    }  # fmt: skip
    config = json.loads((trained / "config.json").read_text())
    assert config["model"] == "mlp" and config["epochs"] == 15 and config["threads"] == 1
    assert [r["epoch"] for r in json.loads((trained / "history.json").read_text())] == list(range(1, 16))
    with image.open(trained / "curves.png") as picture:
        assert picture.size[0] > 300
    assert (trained / "graph.svg").read_text().rstrip().endswith("</svg>")


def test_evaluate_gives_the_accuracy_that_train_gave(trained, cli):
    result = json.loads((trained / "result.json").read_text())
    code, out, err = cli("evaluate", trained)
    assert code == 0 and err == ""
    assert f"test accuracy {result['test_accuracy']:.2%}" in out and "recall" in out
    assert result["test_accuracy"] > 0.7 and np.sum(result["confusion"]) == 100


def test_training_twice_gives_equal_weights_and_output_without_control_characters(digits_folder, tmp_path, process):
    words = ["-m", "tinygrad_cnn", "train", "--model", "mlp", "--data", "mnist", "--data-dir", digits_folder,
             "--epochs", 1, "--threads", 1, "--out"]  # fmt: skip
    outputs = [process(*words, tmp_path / name, check=0).stdout for name in "ab"]
    assert (tmp_path / "a" / "best.npz").read_bytes() != b""
    import tinygrad_cnn as tg

    a, b = (tg.load(tmp_path / name / "last.npz")["model"] for name in "ab")
    assert all(np.array_equal(a[k].numpy(), b[k].numpy()) for k in a)
    assert "\x1b" not in outputs[0] and "\r" not in outputs[0] and len(outputs[0].splitlines()) < 30
    assert "epoch     loss accuracy" in outputs[0] and "1/1" in outputs[0]


def test_on_a_terminal_a_bar_shows_loss_accuracy_and_speed(digits_folder, tmp_path):
    pexpect = pytest.importorskip("pexpect", reason="pexpect is not installed (extra 'dev')")
    import sys

    child = pexpect.spawn(
        sys.executable,
        ["-m", "tinygrad_cnn", "train", "--model", "lenet5", "--data", "mnist", "--data-dir", str(digits_folder),
         "--epochs", "3", "--batch-size", "10", "--out", str(tmp_path / "run")],
        env={**os.environ, "TINYGRAD_CNN_KERNELS": "reference", "TERM": "xterm-256color", "COLUMNS": "110"},
        dimensions=(40, 110), encoding="utf-8", timeout=300,
    )  # fmt: skip
    child.expect(r"epoch 1/3")
    child.expect(r"loss \d\.\d+\s+acc")
    child.expect(r"images/s")
    child.expect(r"test accuracy")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_a_dumb_terminal_gets_rows_and_no_bar(digits_folder, tmp_path):
    pexpect = pytest.importorskip("pexpect", reason="pexpect is not installed (extra 'dev')")
    import sys

    child = pexpect.spawn(
        sys.executable,
        ["-m", "tinygrad_cnn", "train", "--model", "mlp", "--data", "mnist", "--data-dir", str(digits_folder),
         "--epochs", "1", "--out", str(tmp_path / "run")],
        env={**os.environ, "TINYGRAD_CNN_KERNELS": "reference", "TERM": "dumb"},
        dimensions=(40, 110), encoding="utf-8", timeout=300,
    )  # fmt: skip
    child.expect(pexpect.EOF)
    assert "\x1b[" not in child.before and "test accuracy" in child.before


def test_mnist1d_trains_without_files_and_has_signals_not_images(tmp_path, cli):
    code, out, _ = cli("train", "--model", "mnist1d-logistic", "--epochs", 1, "--out", tmp_path / "run")
    assert code == 0 and "signals/s" in out and "mnist1d" in out
    assert "which are no images" in complaint(cli("predict", tmp_path / "run", "x.png"))


def test_a_missing_extra_costs_its_picture_and_nothing_else(digits_folder, tmp_path, cli, monkeypatch):
    from tinygrad_cnn.support import extras

    installed = extras._installed
    monkeypatch.setattr(extras, "_installed", lambda top: top != "matplotlib" and installed(top))
    code, out, _ = cli(
        "train", "--model", "mlp", "--data", "mnist", "--data-dir", digits_folder, "--epochs", 1, "--out", tmp_path
    )
    assert code == 0
    lines = [line for line in out.splitlines() if line.startswith("left out")]
    assert any("curves.png" in line and "pip install 'tinygrad-cnn[plots]'" in line for line in lines)
    assert not (tmp_path / "curves.png").exists() and (tmp_path / "graph.svg").exists()


# --- predict --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known(trained):
    """(the test digit the small perceptron is surest of, as uint8 28×28; what it is)."""
    from tinygrad_cnn.cli.data import load_trained
    from tinygrad_cnn.training import predict

    model, _config, _record = load_trained(trained)
    test = datasets.Digits(train=False)
    scores = predict(model, test).numpy()
    scores[scores.argmax(1) != test.targets] = 0
    best = int((scores.max(1) - np.sort(scores, 1)[:, -2]).argmax())
    return test.data[best], str(test.targets[best])


def pictures(digit, folder):
    """The digit as people save it: sizes, modes, paper colours, places."""
    big = np.kron(digit, np.ones((10, 10), np.uint8))
    photo = np.full((400, 520), 235, np.uint8)
    photo[60:340, 40:320] = np.minimum(photo[60:340, 40:320], 255 - big)
    clear = np.zeros((*big.shape, 4), np.uint8)
    clear[..., 3] = big
    modes = {
        "plain": image.fromarray(digit),
        "inverted": image.fromarray(255 - big),
        "off centre": image.fromarray(photo),
        "rgb": image.fromarray(255 - big).convert("RGB"),
        "transparent": image.fromarray(clear),
        "palette": image.fromarray(255 - big).convert("P"),
        "bilevel": image.fromarray(255 - big).convert("1"),
        "sixteen bits": image.fromarray((255 - big).astype(np.uint16) * 257),
        "small": image.fromarray(255 - digit).resize((14, 14), image.Resampling.BOX),
    }
    paths = []
    for name, picture in modes.items():
        paths.append(folder / f"{name}.png")
        picture.save(paths[-1])
    return paths


def test_a_picture_of_any_size_and_mode_is_recognised(trained, known, tmp_path, cli):
    digit, answer = known
    paths = pictures(digit, tmp_path)
    code, out, err = cli("predict", trained, *paths)
    assert code == 0 and err == ""
    rows = [line for line in out.splitlines() if ".png" in line]
    assert len(rows) == len(paths)
    wrong = [row for row in rows if row.split(".png")[1].split()[0] != answer]
    assert not wrong, out
    for row in rows:
        shares = [float(cell[:-1]) for cell in row.split(".png")[1].split() if cell.endswith("%")]
        assert len(shares) == 3 and shares == sorted(shares, reverse=True) and sum(shares) <= 100.01


def test_a_28_by_28_digit_is_taken_as_it_is(known, tmp_path):
    from tinygrad_cnn.datasets import read_handwriting

    image.fromarray(known[0]).save(tmp_path / "d.png")
    expected = known[0] / np.float32(known[0].max())
    np.testing.assert_allclose(read_handwriting(tmp_path / "d.png", "mnist")[0], expected, atol=1e-6)


def test_pictures_that_are_none(trained, tmp_path, cli):
    assert "there is no image" in complaint(cli("predict", trained, tmp_path / "none.png"))
    (tmp_path / "text.png").write_text("not a picture")
    assert "text.png cannot be read as an image" in complaint(cli("predict", trained, tmp_path / "text.png"))
    image.new("L", (40, 40), 200).save(tmp_path / "blank.png")
    assert "blank.png is blank" in complaint(cli("predict", trained, tmp_path / "blank.png"))
    whole = tmp_path / "whole.png"
    image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8)).save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:2000])
    assert "cut.png cannot be read as an image" in complaint(cli("predict", trained, tmp_path / "cut.png"))


# --- summary and doctor ---------------------------------------------------------------------------------


def test_summary_of_the_notes_network(cli):
    code, out, _ = cli("summary", "mnist-cnn")
    assert code == 0
    for text in ("832", "51,264", "1,049,600", "10,250", "1,111,946", "4,796,416", "4.24 MiB", "1 × 32 × 24 × 24"):
        assert text in out


def test_summary_with_another_input(cli):
    assert "1 × 64 × 64 × 64" in cli("summary", "resnet18-cifar", "--input", "3,64,64")[1]
    assert "cannot take inputs of shape (1, 8, 8)" in complaint(cli("summary", "mnist-cnn", "--input", "1,8,8"))
    assert "expected whole numbers such as 3,64,64" in complaint(cli("summary", "mlp", "--input", "wide"))


def test_doctor_names_versions_blas_threads_and_extras(cli, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    code, out, _ = cli("doctor")
    assert code == 0
    for text in (np.__version__, "BLAS kernels", "kernel threads", "OPENBLAS_CORETYPE  Haswell", "plots"):
        assert text in out
    assert "OPENBLAS_CORETYPE=Haswell makes BLAS use that processor's kernels" in out
    monkeypatch.delenv("OPENBLAS_CORETYPE")
    assert "not set" in cli("doctor")[1]


# --- mistakes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: command"),
        (["fly"], "invalid choice: 'fly'"),
        (["train", "--model", "mnistcnn"], "unknown model 'mnistcnn' (did you mean 'mnist-cnn'?); known: mnist-cnn"),
        (["train", "--data", "cifar"], "unknown data set 'cifar'; known: digits, mnist"),
        (["train", "--optimizer", "adamm"], "unknown optimizer 'adamm'"),
        (["train", "--schedule", "zigzag"], "unknown schedule 'zigzag'; known: constant"),
        (["train", "--epochs", "0"], "argument --epochs: expected a whole number of at least 1, got 0"),
        (["train", "--epochs", "2.5"], "expected a whole number, got '2.5'"),
        (["train", "--batch-size", "-1"], "at least 1, got -1"),
        (["train", "--lr", "fast"], "argument --lr: expected a number, got 'fast'"),
        (["train", "--lr", "nan"], "expected a number above 0, got nan"),
        (["train", "--validation", "1"], "expected a number from 0 to below 1, got 1"),
        (["train", "--seed", "-3"], "at least 0, got -3"),
        (["train", "--data", "mnist"], "name their folder with --data-dir"),
        (["train", "--data", "mnist", "--data-dir", "/nowhere/at/all"], "there is no such folder"),
        (["train", "--resume", "--overwrite"], "give one of them"),
        (["train", "--resume", "--out", "/nowhere/run"], "there is no run folder /nowhere/run"),
        (["train", "--model", "mlp", "--data", "mnist1d"], "the model 'mlp' takes inputs of shape (1, 28, 28)"),
        (["train", "--model", "resnet18", "--data", "digits"], "the data set 'digits' has (1, 28, 28)"),
        (["train", "--overwrite"], "--overwrite replaces the run in --out, and without --out a run gets a new folder"),
        (["debug", "--replay", "r.json", "--anomaly"], "--anomaly applies to a script that runs, not to --replay"),
        (["debug", "--replay", "r.json", "-b", "relu"], "--break applies to a script that runs, not to --replay"),
        (["debug", "--replay", "r.json", "--forward", "relu"], "--forward applies to a script that runs"),
        (["debug", "--replay", "r.json", "-m"], "--module applies to a script that runs"),
        (["dap", "--to", "x"], "--to names where --install EDITOR writes to: leave it out"),
        (["dap", "--port", "0", "--to", "x"], "--to names where --install EDITOR writes to"),
        (["summary", "nothing"], "unknown model 'nothing'"),
        (["evaluate", "/nowhere/run"], "there is no run folder /nowhere/run"),
        (["predict", "run"], "the following arguments are required: IMAGE"),
    ],
)
def test_a_mistake_is_one_clear_line(words, message, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in complaint(cli(*words))
    assert not list(tmp_path.iterdir())


def copy_of(folder, to):
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_damaged_run_folders_are_one_clear_line(trained, tmp_path, cli):
    run = copy_of(trained, tmp_path / "run")
    whole = (run / "best.npz").read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", whole[:5000] + b"\x00" * 100 + whole[5100:]):
        (run / "best.npz").write_bytes(damaged)
        assert "best.npz" in complaint(cli("evaluate", run))
    (run / "best.npz").write_bytes((run / "last.npz").read_bytes())
    (run / "last.npz").write_bytes(whole[:-1])
    assert "last.npz" in complaint(cli("train", "--resume", "--out", run))
    (run / "config.json").write_text("{")
    assert "config.json is damaged" in complaint(cli("evaluate", run))
    os.unlink(run / "config.json")
    assert "is no run folder" in complaint(cli("evaluate", run))


def test_damaged_idx_files_are_one_clear_line(digits_folder, tmp_path, cli):
    data = copy_of(digits_folder, tmp_path / "idx")
    name = data / "train-images-idx3-ubyte"
    whole = name.read_bytes()
    train = ("train", "--model", "mlp", "--data", "mnist", "--data-dir", data, "--out", tmp_path / "run")
    for damaged in (whole[:1000], whole + b"x", b"\x00\x00\x09" + whole[3:], b""):
        name.write_bytes(damaged)
        assert "train-images-idx3-ubyte" in complaint(cli(*train))
    name.unlink()
    (data / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(whole)[:500])
    assert "truncated" in complaint(cli(*train))
    (data / "train-images-idx3-ubyte.gz").unlink()
    name.write_bytes(whole)
    labels = data / "train-labels-idx1-ubyte"
    labels.write_bytes(struct.pack(">HBBI", 0, 8, 1, 400) + bytes([12] * 400))
    assert "expected labels from 0 to 9, got 12" in complaint(cli(*train))
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no POSIX permissions")
def test_a_folder_that_cannot_be_written_to_is_one_clear_line(digits_folder, tmp_path, cli):
    train = ("train", "--model", "mlp", "--data", "mnist", "--data-dir", digits_folder, "--epochs", 1, "--out")
    (tmp_path / "file").write_text("")
    assert "cannot write to the folder" in complaint(cli(*train, tmp_path / "file" / "run"))
    if os.geteuid() != 0:  # root may write anywhere
        (tmp_path / "locked").mkdir()
        (tmp_path / "locked").chmod(stat.S_IRUSR | stat.S_IXUSR)
        assert "Permission denied" in complaint(cli(*train, tmp_path / "locked" / "run"))


def accuracy_of(run):
    return json.loads((run / "result.json").read_text())["test_accuracy"]


def test_no_run_is_overwritten_unasked(trained, digits_folder, tmp_path, cli):
    run = copy_of(trained, tmp_path / "run")
    (run / "notes.txt").write_text("mine")
    train = ("train", "--model", "mlp", "--data", "mnist", "--data-dir", digits_folder, "--epochs", 1, "--out", run)
    before = accuracy_of(run)
    assert "holds a finished run: name another --out, or add --overwrite" in complaint(cli(*train))
    assert accuracy_of(run) == before
    assert cli(*train, "--overwrite")[0] == 0
    assert json.loads((run / "config.json").read_text())["replaces"] is None
    assert len(json.loads((run / "history.json").read_text())) == 1
    assert (run / "notes.txt").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"] and not (run / ".lock").exists()
    assert cli("evaluate", run)[0] == 0
    (run / "result.json").unlink()
    assert "add --resume to continue it, --overwrite to start anew" in complaint(cli(*train))
    assert cli(*train, "--overwrite")[0] == 0


def test_a_run_takes_no_place_but_that_of_its_neighbour(trained, tmp_path, cli):
    run = copy_of(trained, tmp_path / "run")
    (tmp_path / "mine").mkdir()
    config = json.loads((run / "config.json").read_text())
    for elsewhere in (str(tmp_path / "mine"), "mine", "", "\0"):
        (run / "config.json").write_text(json.dumps({**config, "replaces": elsewhere}))
        assert "which is not the folder beside it" in complaint(cli("train", "--resume", "--out", run))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "run"]


def test_an_overwriting_run_that_fails_leaves_the_former_one(trained, digits_folder, tmp_path, cli, monkeypatch):
    run = copy_of(trained, tmp_path / "run")
    before = {p.name: p.read_bytes() for p in run.iterdir()}
    train = ("train", "--model", "mlp", "--data", "mnist", "--data-dir", digits_folder, "--epochs", 2, "--out", run)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_finish_epoch", lambda self, _validation: setattr(self, "interrupted", True))
        patch.setattr(Trainer, "_tell", lambda self, event: None)
        code, out = cli(*train, "--overwrite")[:2]
    assert {p.name: p.read_bytes() for p in run.iterdir()} == before
    assert (tmp_path / "run.new" / "config.json").exists()
    assert cli(*train, "--overwrite")[0] == 0  # what was left of the first try is no obstacle
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]
    assert len(json.loads((run / "history.json").read_text())) == 2


def test_a_second_training_in_one_folder_is_told_so(digits_folder, tmp_path, cli):
    train = ("train", "--model", "mlp", "--data", "mnist", "--data-dir", digits_folder, "--epochs", 1, "--out")
    run = tmp_path / "run"
    run.mkdir()
    with runs.locked(run):
        assert f"another training is writing to {run}" in complaint(cli(*train, run))
    assert not (run / ".lock").exists()
    (run / ".lock").touch()  # as a killed process leaves it: nobody holds it
    assert cli(*train, run)[0] == 0
    assert not (run / ".lock").exists()


def test_a_run_on_changed_data_is_not_continued(digits_folder, tmp_path, cli):
    data = copy_of(digits_folder, tmp_path / "idx")
    train = ("train", "--model", "mlp", "--data", "mnist", "--schedule", "constant", "--epochs", 1)
    run = tmp_path / "run"
    assert cli(*train, "--data-dir", data, "--out", run)[0] == 0
    config = json.loads((run / "config.json").read_text())
    assert len(config["samples"]) == 2 and len(config["data_hash"]) == 32
    path = next(p for p in data.iterdir() if "train-images" in p.name)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    said = complaint(cli("train", "--resume", "--epochs", 2, "--out", run))
    assert "the data set 'mnist' has changed since the run" in said and "the same numbers of samples" in said
    # The same data in another place are the same data.
    assert cli("train", "--resume", "--epochs", 2, "--data-dir", digits_folder, "--out", run)[0] == 0


def test_a_folder_for_data_that_reads_no_files_is_refused(tmp_path, cli):
    for data in ("digits", "mnist1d"):
        said = complaint(cli("train", "--data", data, "--data-dir", tmp_path, "--epochs", 1, "--out", tmp_path / "run"))
        assert f"the data set '{data}' reads no files" in said
        assert not (tmp_path / "run").exists()


def test_a_run_folder_that_is_removed_is_an_error_at_the_next_write(digits_folder, tmp_path, cli, monkeypatch):
    run = tmp_path / "run"
    train = ("train", "--model", "mlp", "--data", "mnist", "--data-dir", digits_folder, "--epochs", 2, "--out", run)
    tell_as_before = Trainer._tell
    for event in ("on_epoch_end", "on_train_end"):

        def tell(self, told, event=event):
            tell_as_before(self, told)
            if told == event:
                shutil.rmtree(run, ignore_errors=True)

        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "_tell", tell)
            assert str(run) in complaint(cli(*train))
        assert not run.exists()


def test_resume_keeps_to_the_runs_settings(trained, tmp_path, cli):
    run = copy_of(trained, tmp_path / "run")
    resume = ("train", "--resume", "--out", run)
    assert "has --lr 0.002, not 0.5: leave the option out" in complaint(cli(*resume, "--lr", 0.5))
    assert "its onecycle schedule is made for them" in complaint(cli(*resume, "--epochs", 9))
    assert cli(*resume, "--model", "mlp", "--epochs", 15)[0] == 0


def test_without_a_schedule_a_run_may_be_given_more_epochs(digits_folder, tmp_path, cli):
    train = ("train", "--model", "mlp", "--data", "mnist", "--data-dir", digits_folder, "--schedule", "constant",
             "--epochs", 1, "--out", tmp_path / "run")  # fmt: skip
    assert cli(*train)[0] == 0
    assert cli("train", "--resume", "--epochs", 2, "--out", tmp_path / "run")[0] == 0
    assert len(json.loads((tmp_path / "run" / "history.json").read_text())) == 2


def test_new_runs_get_folders_of_their_own_and_resume_finds_the_newest(digits_folder, tmp_path, cli, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train = ("train", "--model", "mlp", "--data", "mnist", "--data-dir", digits_folder, "--epochs", 1)
    for _ in range(2):
        assert cli(*train)[0] == 0
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["mlp-mnist", "mlp-mnist-2"]
    assert "runs/mlp-mnist-2" in cli("train", "--resume")[1]
