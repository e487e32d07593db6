"""`train --data FOLDER` and what follows it: pictures of the user's from training to prediction, by commands alone."""

import json
import shutil

import numpy as np
import pytest

image = pytest.importorskip("PIL.Image", reason="the extra 'images' is not installed")


def draw(folder, count=12):
    """Three classes that a network tells apart at once: a bar across, a bar down, a frame."""
    rng = np.random.default_rng(0)
    for name in ("across", "down", "frame"):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 60, (12, 12, 3))
            k = int(rng.integers(2, 8))
            if name == "across":
                pixels[k : k + 3] += 150
            elif name == "down":
                pixels[:, k : k + 3] += 150
            else:
                pixels[[0, -1]] += 150
                pixels[:, [0, -1]] = 200
            image.fromarray(np.uint8(pixels)).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("pictures") / "bars")


@pytest.fixture(scope="module")
def own(folder, tmp_path_factory, process):
    """A run on it."""
    run = tmp_path_factory.mktemp("run") / "own"
    process(
        "-m", "tinygrad_cnn", "train", "--data", folder, "--epochs", 10, "--flip", "--threads", 1, "--out", run, check=0
    )
    return run


def complaint(result):
    code, _out, err = result
    assert code == 2 and err.startswith("error: ") and err.count("\n") == 1, result
    return err


def test_the_configuration_says_what_the_pictures_are(own, folder):
    config = json.loads((own / "config.json").read_text())
    assert config["size"] == [12, 12] and config["channels"] == 3 and config["model"] == "image-cnn"
    assert config["classes"] == ["across", "down", "frame"] and config["data"] == "bars"
    assert config["data_dir"] == str(folder) and config["samples"] == [30, 6]
    assert len(config["mean"]) == len(config["std"]) == 3 and 0 < min(config["std"])


def test_evaluate_gives_the_accuracy_that_train_gave_and_finds_moved_pictures(own, folder, tmp_path, cli):
    result = json.loads((own / "result.json").read_text())
    assert result["test_accuracy"] > 0.8
    shutil.copytree(folder, tmp_path / "bars")
    for more in ([], ["--data-dir", tmp_path / "bars"]):
        code, out, err = cli("evaluate", own, *more)
        assert code == 0 and err == "" and f"test accuracy {result['test_accuracy']:.2%}" in out
        assert "have changed" not in out
    image.new("RGB", (12, 12)).save(tmp_path / "bars" / "down" / "new.png")
    assert "the pictures have changed since the training" in cli("evaluate", own, "--data-dir", tmp_path / "bars")[1]


def test_predict_answers_the_good_and_reports_the_bad(own, folder, tmp_path, cli):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    good = [folder / "down" / "0.png", folder / "across" / "1.png"]
    code, out, err = cli("predict", own, good[0], tmp_path / "bad.png", good[1])
    assert code == 1 and len([line for line in out.splitlines() if ".png" in line]) == 2
    assert err.count("\n") == 1 and "bad.png cannot be read as an image" in err
    code, out, _ = cli("predict", own, "--json", good[0], tmp_path / "bad.png")
    first, second = json.loads(out)
    assert code == 1 and first["image"] == str(good[0]) and "cannot be read" in second["error"]
    assert [set(one) for one in first["classes"]] == [{"class", "probability"}] * 3
    code, _, err = cli("predict", own, tmp_path / "bad.png", tmp_path / "none.png")
    assert code == 2 and err.count("\n") == 2


def test_predict_takes_folders_and_patterns(own, folder, tmp_path, cli):
    code, out, _ = cli("predict", own, folder / "down", folder / "frame" / "1*.png", "--json")
    names = [answer["image"] for answer in json.loads(out)]
    assert code == 0 and len(names) == 12 + 3 and all("classes" in answer for answer in json.loads(out))
    assert "holds no picture" in complaint(cli("predict", own, tmp_path))
    assert "no file is called" in complaint(cli("predict", own, tmp_path / "*.png"))


def test_a_grey_folder_with_a_test_part_and_a_network_of_its_size(folder, tmp_path, cli):
    for part, start in (("train", 0), ("test", 8)):
        for name in ("across", "down"):
            (tmp_path / "set" / part / name).mkdir(parents=True)
            for i in range(start, start + 4):
                image.open(folder / name / f"{i}.png").convert("L").save(tmp_path / "set" / part / name / f"{i}.png")
    code, _, err = cli("train", "--data", tmp_path / "set", "--model", "mlp", "--epochs", 1, "--out", tmp_path / "run")
    assert code == 0, err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["size"] == [28, 28] and config["channels"] == 1 and config["samples"] == [8, 8]
    assert cli("predict", tmp_path / "run", folder / "down" / "0.png")[0] == 0


def test_a_table_of_pictures(folder, tmp_path, cli):
    rows = [f"{name}/{i}.png,{name}" for name in ("across", "down") for i in range(6)]
    table = folder / "bars.csv"
    table.write_text("filename,class\n" + "\n".join(rows) + "\n")
    code, _, err = cli("train", "--data", table, "--size", "8", "--epochs", 1, "--out", tmp_path / "run")
    table.unlink()
    assert code == 0, err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["classes"] == ["across", "down"] and config["size"] == [8, 8] and config["data"] == "bars"


def test_training_is_continued_where_it_stood(folder, tmp_path, cli):
    words = ("--data", folder, "--size", "8", "--epochs", 1, "--schedule", "constant", "--threads", 1)
    assert cli("train", *words, "--out", tmp_path / "run")[0] == 0
    code, out, err = cli("train", "--resume", "--out", tmp_path / "run", "--epochs", 2)
    assert code == 0 and "continuing after epoch 1" in out, err
    again = cli("train", "--resume", "--out", tmp_path / "run", "--size", "9")
    assert "has --size [8, 8], not [9, 9]" in complaint(again)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "./nowhere"], "there is no folder"),
        (["--data", "table.csv"], "there is no table"),
        (["--data", "digits", "--size", "9"], "--size is for pictures in a folder"),
        (["--data", "mnist1d", "--flip"], "--flip mirrors images"),
        (["--size", "0x9"], "expected a side such as 64, or height and width"),
    ],
)
def test_a_mistake_is_one_clear_line(words, message, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in complaint(cli("train", *words))


def test_pictures_that_do_not_fit_are_named(folder, tmp_path, cli):
    bad = shutil.copytree(folder, tmp_path / "bad")
    (bad / "down" / "3.png").write_bytes(b"no picture")
    assert "1 pictures cannot be read: " in complaint(cli("train", "--data", bad, "--out", tmp_path / "run"))
    shutil.rmtree(bad / "down")
    shutil.rmtree(bad / "frame")
    assert "holds one class folder, 'across'" in complaint(cli("train", "--data", bad, "--out", tmp_path / "run"))
    assert not (tmp_path / "run").exists()
