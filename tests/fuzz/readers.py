"""The readers of files, each with a file that it reads: what `tests.fuzz` damages and gives them."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tinygrad_cnn as tg
from tests.io.freeze import FILES
from tinygrad_cnn import nn, viz
from tinygrad_cnn.autograd.handle import unwrap
from tinygrad_cnn.cli.runs import CONFIG, Config
from tinygrad_cnn.compat.torchvision.datasets.cifar import read_batch
from tinygrad_cnn.datasets import ImageTable, read_handwriting
from tinygrad_cnn.datasets.idx import read_idx, write_idx
from tinygrad_cnn.debug import BackwardSession, Replay
from tinygrad_cnn.io import from_bytes, load_safetensors, save_safetensors, to_bytes
from tinygrad_cnn.io.pt import pt_to_bytes
from tinygrad_cnn.optim import Adam
from tinygrad_cnn.training import History, Trainer, load_model, load_run, save_model
from tinygrad_cnn.viz.description import Description


class Reader(NamedTuple):
    """A reader of files.

    Attributes
        name: what the files are called in the report
        ending: of the file's name
        sample: content that it reads
        read: reads the file at a path, and uses what it read
        inside: the JSON text in the content, with a function that puts another one there; None without one
    """

    name: str
    ending: str
    sample: bytes
    read: Callable[[Path], Any]
    inside: tuple[str, Callable[[str], bytes]] | None = None


def readers(folder: Path) -> list[Reader]:
    """All readers; `folder` is where samples are made."""
    return [
        *_arrays(folder), *_pictures(folder), *_graphs(folder), *_runs(folder),
    ]  # fmt: skip


def _arrays(folder: Path) -> list[Reader]:
    rng = np.random.default_rng(0)
    state = {"weight": rng.standard_normal((4, 3)).astype(np.float32), "bias": np.zeros(4), "n": np.arange(5)}
    tg.save(state, folder / "w.safetensors")
    safetensors = (folder / "w.safetensors").read_bytes()
    size = int.from_bytes(safetensors[:8], "little")

    def with_header(text: str) -> bytes:
        return len(text.encode()).to_bytes(8, "little") + text.encode() + safetensors[8 + size :]

    plain = io.BytesIO()
    np.savez_compressed(plain, **state)
    write_idx(folder / "x", rng.integers(0, 255, (3, 5, 4), dtype=np.uint8))
    idx = (folder / "x").read_bytes()
    return [
        Reader("safetensors", ".safetensors", safetensors, tg.load, (safetensors[8 : 8 + size].decode(), with_header)),
        Reader("npz", ".npz", plain.getvalue(), tg.load),
        Reader("PyTorch's", ".pt", pt_to_bytes({"state": state, "epoch": [1, "x"]}), tg.load),
        Reader("PyTorch's older", ".pt", (FILES / "state.legacy.pt").read_bytes(), tg.load),
        Reader("CIFAR", "", _batch(rng), lambda path: read_batch(path, "labels", 10)),
        Reader("IDX", "", idx, read_idx),
        Reader("IDX.gz", ".gz", gzip.compress(idx), read_idx),
    ]


def _batch(rng: np.random.Generator) -> bytes:
    import pickle

    pixels = rng.integers(0, 256, (2, 3072), dtype=np.uint8)
    return pickle.dumps({"data": pixels, "labels": [3, 7], "batch_label": "x", "filenames": ["a", "b"]}, protocol=2)


def _pictures(folder: Path) -> list[Reader]:
    from PIL import Image

    rng = np.random.default_rng(0)
    drawn = np.zeros((40, 30), np.uint8)
    drawn[8:32, 10:20] = rng.integers(100, 255, (24, 10))
    found = []
    Image.fromarray(drawn).save(folder / "a.png")
    table = b'filename,class\na.png,cat\n"a.png",dog\n'
    found.append(Reader("table", ".csv", table, lambda path: ImageTable(path, folder)[0]))
    for name, ending, mode in (
        ("PNG", ".png", "L"), ("PNG with a palette", ".png", "P"), ("PNG with alpha", ".png", "RGBA"),
        ("JPEG", ".jpg", "RGB"), ("GIF", ".gif", "P"), ("BMP", ".bmp", "RGB"), ("TIFF", ".tiff", "L"),
        ("WEBP", ".webp", "RGB"),
    ):  # fmt: skip
        content = io.BytesIO()
        Image.fromarray(drawn).convert(mode).save(content, name.split()[0])
        found.append(Reader(name, ending, content.getvalue(), lambda path: read_handwriting(path, "digits")))
    return found


def _graphs(folder: Path) -> list[Reader]:
    tg.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    loss = net(tg.randn(2, 1, 4, 4)).square().sum()
    graph = viz.graph(loss).json()

    def draw(path: Path) -> None:
        read = viz.Graph(Description.load(path))
        read.text()
        read.dot()
        read.html()

    BackwardSession(net(tg.randn(2, 1, 4, 4)).square().sum()).record(folder / "replay.json")
    replay = (folder / "replay.json").read_text()

    def walk(path: Path) -> None:
        read = Replay.load(path)
        while not read.at_end:
            read.state()
            read.step()
        read.back(3)

    return [
        Reader("graph", ".json", graph.encode(), draw, (graph, str.encode)),
        Reader("replay", ".json", replay.encode(), walk, (replay, str.encode)),
    ]


def _runs(folder: Path) -> list[Reader]:
    config = Config("mlp", "digits", None, 3, 64, "adam", 1e-3, "constant", 0.1, 0, None, "0.1.0")
    text = json.dumps(asdict(config))

    def load_config(path: Path) -> None:
        path.replace(path.parent / CONFIG)
        Config.load(path.parent)

    def made() -> Trainer:
        tg.manual_seed(0)
        model = nn.Linear(3, 2)
        return Trainer(model, Adam(model.parameters(), 1e-3))

    trainer = made()
    data = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32), np.arange(8) % 2
    trainer.fit(tg.utils.data.DataLoader(tg.utils.data.TensorDataset(*data), 4), 2)
    state = to_bytes(trainer.state_dict())
    tree, signed = _tree(state)
    trainer.history.save(folder / "history.json")
    history = (folder / "history.json").read_text()

    save_model(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Dropout(0.1)), folder / "model.safetensors")
    model = (folder / "model.safetensors").read_bytes()
    header = json.loads(model[8 : 8 + int.from_bytes(model[:8], "little")])

    def with_configuration(text: str) -> bytes:
        tensors = {name: unwrap(value) for name, value in load_safetensors(folder / "model.safetensors").items()}
        save_safetensors(tensors, folder / "other.safetensors", {"tinygrad_cnn.model": text})
        return (folder / "other.safetensors").read_bytes()

    def resume(path: Path) -> None:
        path.replace(path.parent / "last.npz")
        made().load_state_dict(load_run(path.parent))

    return [
        Reader("config.json", ".json", text.encode(), load_config, (text, str.encode)),
        Reader(
            "model", ".safetensors", model, load_model,
            (header["__metadata__"]["tinygrad_cnn.model"], with_configuration),
        ),
        Reader("history.json", ".json", history.encode(), History.load, (history, str.encode)),
        Reader("checkpoint", ".npz", state, resume, (tree, signed)),
        Reader("checkpoint in memory", ".npz", state, lambda path: from_bytes(path.read_bytes(), "it"), (tree, signed)),
    ]


def _tree(content: bytes) -> tuple[str, Callable[[str], bytes]]:
    """The JSON tree of a checkpoint, and a function that signs the checkpoint with another one."""
    import hashlib
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def signed(text: str) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, data in {**members, "__tree__.json": text.encode()}.items():
                archive.writestr(name, data)
            archive.comment = b"sha256:" + b"0" * 64
        unsigned = out.getvalue()[:-64]
        return unsigned + hashlib.sha256(unsigned).hexdigest().encode()

    return members["__tree__.json"].decode(), signed
