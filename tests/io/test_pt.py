"""PyTorch's files: what it wrote is read without running anything, what we write it opens as weights."""

from __future__ import annotations

import io as streams
import pickle
import sys
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tests.io.freeze import FILES, Hostile
from tinygrad_cnn.errors import CheckpointError
from tinygrad_cnn.io.pt import pt_to_bytes

FORMS = pytest.mark.parametrize("form", [".pt", ".legacy.pt"])


@FORMS
def test_tensors_and_containers_that_pytorch_wrote_are_read(form: str) -> None:
    found = tg.load(FILES / f"tree{form}")
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    wanted: dict[str, Any] = {
        "x": x, "transposed": x.T, "row": x[1], "every other": x[:, ::2], "again": x,
        "parameter": np.ones(2, np.float32), "grad": np.ones(1, np.float32), "expanded": np.full((3, 2), 7),
        "scalar": np.array(1.5), "empty": np.zeros((0, 3), np.float32), "bfloat16": np.array([1, -2.5], np.float32),
        **{f"torch.{kind}": np.array([0, 1], kind) for kind in
           ("int64", "int32", "int16", "int8", "uint8", "uint16", "bool", "float16")},
    }  # fmt: skip
    for key, array in wanted.items():
        mine = found.pop(key)
        assert mine.array.dtype == array.dtype and np.array_equal(mine.array, array), key
        assert mine.requires_grad is (key in ("parameter", "grad"))
    assert found == {
        "shape": (3, 4), "dtype": np.dtype("f2"), "device": "cpu",
        "plain": [None, True, 1, 2**70, -1.5, "ü", b"\x00\xff", (1, (2,)), {3}, {"deep": {0: []}}],
    }  # fmt: skip


@FORMS
def test_tensors_share_memory_with_their_strides_as_they_did(form: str) -> None:
    found = tg.load(FILES / f"tree{form}")
    assert found["transposed"].stride() == (1, 4) and found["every other"].stride() == (4, 2)
    found["x"].array[1, 2] = 100
    assert found["transposed"][2, 1] == found["row"][2] == found["every other"][1, 1] == 100
    assert found["again"] is found["x"]


@FORMS
def test_a_state_dict_loads_into_the_same_network(form: str) -> None:
    net = tg.nn.Sequential(tg.nn.Conv2d(1, 2, 3), tg.nn.BatchNorm2d(2))
    state = tg.load(FILES / f"state{form}")
    assert type(state) is OrderedDict and "_metadata" in vars(state)
    net.load_state_dict(state)
    assert np.array_equal(net[0].weight.detach().numpy(), state["0.weight"].array)


def test_what_is_saved_as_pt_comes_back(tmp_path: Path) -> None:
    base = tg.arange(6.0).reshape(2, 3)
    net = tg.nn.Linear(2, 1)
    tree = {
        "base": base, "view": base[:, 1:], "turned": base.T, "array": np.arange(3)[::-1], "net": net.state_dict(),
        "parameters": list(net.parameters()), "size": base.shape, "count": Counter("aab"), "frozen": frozenset([1]),
        "number": np.float32(0.5), "dtype": np.dtype("i4"), "words": ("ü", b"\xff", None, True, 2**80, -0.5), 7: [[]],
    }  # fmt: skip
    tg.save(tree, tmp_path / "a.pth")
    assert zipfile.ZipFile(tmp_path / "a.pth").namelist()[0] == "archive/data.pkl"
    found = tg.load(tmp_path / "a.pth")
    assert list(found) == list(tree)
    for key in ("base", "view", "turned", "array"):
        assert np.array_equal(np.asarray(found[key]), np.asarray(tree[key])), key
    assert np.shares_memory(found["base"].array, found["view"].array)
    assert all(p.requires_grad for p in found["parameters"])
    for key in ("size", "count", "frozen", "number", "dtype", "words", 7):
        assert found[key] == tree[key], key


def test_a_container_that_holds_itself_comes_back(tmp_path: Path) -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    tg.save({"loop": loop}, tmp_path / "a.pt")
    found = tg.load(tmp_path / "a.pt")["loop"]
    assert found[1] is found


def test_what_is_no_weight_is_not_saved_as_pt(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"got pathlib\."):
        tg.save({"path": tmp_path}, tmp_path / "a.pt")
    assert not list(tmp_path.iterdir())


def hostile(tmp_path: Path) -> dict[str, bytes]:
    """Files that want to run a command, under several covers."""
    deep = b"\x80\x02" + b"]" * 100_000 + b"cos\nsystem\n."
    nested = pt_to_bytes({"inner": (FILES / "hostile.pt").read_bytes()})
    container = streams.BytesIO()
    with zipfile.ZipFile(container, "w") as archive:
        archive.writestr("deep/er/data.pkl", pickle.dumps(Hostile()))
    return {
        "zip.pt": (FILES / "hostile.pt").read_bytes(),
        "legacy.pt": (FILES / "hostile.legacy.pt").read_bytes(),
        "renamed.npz": (FILES / "hostile.pt").read_bytes(),
        "renamed.safetensors": (FILES / "hostile.legacy.pt").read_bytes(),
        "plain.pkl": pickle.dumps(Hostile()),
        "plain2.pt": pickle.dumps(Hostile(), 2),
        "deep.pt": deep,
        "elsewhere.pt": container.getvalue(),
        "module.pt": (FILES / "module.pt").read_bytes(),
        "in a string.pt": nested,
    }


@pytest.mark.parametrize("protocol", [2, 4])
def test_arrays_and_numbers_of_numpy_are_read(protocol: int, tmp_path: Path) -> None:
    tree = {"array": np.arange(6.0).reshape(2, 3).T, "number": np.float32(0.5), "flags": np.array([True])}
    (tmp_path / "a.pt").write_bytes(with_pickle(pickle.dumps(tree, protocol)))
    found = tg.load(tmp_path / "a.pt")
    for key, value in tree.items():
        assert type(found[key]) is type(value) and found[key].dtype == value.dtype and np.array_equal(found[key], value)


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(with_pickle(pickle.dumps(np.array([{}, None], object), 2)))
    with pytest.raises(CheckpointError, match="array of 'O8'"):
        tg.load(tmp_path / "a.pt")


NAMES = [
    "zip.pt", "legacy.pt", "renamed.npz", "renamed.safetensors", "plain.pkl", "plain2.pt", "deep.pt",
    "elsewhere.pt", "module.pt",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_file_runs_nothing_and_is_refused_in_one_line_that_names_what_it_asks_for(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(hostile(tmp_path)[name])
    wanted = "Linear" if name == "module.pt" else "system"
    with pytest.raises(CheckpointError, match=rf"holds more than weights: it asks for \S*{wanted}") as caught:
        tg.load(name)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert not Path("ran.txt").exists()


def test_a_pickle_inside_of_a_value_stays_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.pt").write_bytes(hostile(tmp_path)["in a string.pt"])
    assert type(tg.load("a.pt")["inner"]) is bytes and not Path("ran.txt").exists()


def with_pickle(text: bytes, *members: tuple[str, bytes]) -> bytes:
    """A file of PyTorch's newer form with this pickle."""
    out = streams.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a/data.pkl", text)
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def a_tensor(entries: int, size: str, stride: str, offset: int = 0) -> bytes:
    """The pickle of one tensor; `size` and `stride` are in the pickle's text form, e.g. ``(I2\\nt``."""
    return (
        f"ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI{entries}\ntQI{offset}\n"
        f"{size}{stride}I00\nNtR."
    ).encode()  # fmt: skip


def claiming(content: bytes, size: int) -> bytes:
    """The ZIP with another unpacked size of its last member in its directory, as a bomb has."""
    at = content.rindex(b"PK\x01\x02") + 24
    return content[:at] + size.to_bytes(4, "little") + content[at + 4 :]


FOUR = ("a/data/0", bytes(16))
DAMAGED = {
    "bomb": claiming(with_pickle(a_tensor(4, "(I4\nt", "(I1\nt"), FOUR), 1 << 30),
    "more entries than bytes": with_pickle(a_tensor(1 << 40, "(I4\nt", "(I1\nt"), FOUR),
    "beyond the end": with_pickle(a_tensor(4, "(I4\nt", "(I2\nt"), FOUR),
    "before the start": with_pickle(a_tensor(4, "(I2\nt", "(I-1\nt", 3), FOUR),
    "negative offset": with_pickle(a_tensor(4, "(I2\nt", "(I1\nt", -1), FOUR),
    "endless by stride 0": with_pickle(a_tensor(4, "(I99999999999\nt", "(I0\nt"), FOUR),
    "sizes that are no numbers": with_pickle(a_tensor(4, "(S'x'\nt", "(I1\nt"), FOUR),
    "an absent storage": with_pickle(a_tensor(4, "(I4\nt", "(I1\nt")),
    "a large memo": with_pickle(b"Nr\xff\xff\xff\xff."),
    "no end": with_pickle(b"]"),
    "an empty stack": with_pickle(b"a."),
    "a mark as value": with_pickle(b"(."),
    "a long integer": with_pickle(b"I" + b"9" * 5000 + b"\n."),
    "two pickles": with_pickle(b"N.", ("b/data.pkl", b"N.")),
    "a call of a value": with_pickle(b"K\x01)R."),
    "a key that cannot be one": with_pickle(b"}]Ns."),
    "empty": b"PK\x03\x04",
    "half a magic number": b"\x80\x02\x8a\nl\xfc",
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_one_error(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(DAMAGED[kind])
    with pytest.raises(CheckpointError) as caught:
        tg.load(tmp_path / "a.pt")
    assert len(str(caught.value)) < 500


@FORMS
def test_every_truncation_is_an_error(form: str, tmp_path: Path) -> None:
    content = (FILES / f"state{form}").read_bytes()
    for length in range(0, len(content), 97):
        (tmp_path / "a.pt").write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            tg.load(tmp_path / "a.pt")


def test_a_compiled_program_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(with_pickle(b"N.", ("a/constants.pkl", b"N.")))
    with pytest.raises(CheckpointError, match="TorchScript program"):
        tg.load(tmp_path / "a.pt")


def test_files_of_the_other_byte_order_are_read(tmp_path: Path) -> None:
    order = b"big" if sys.byteorder == "little" else b"little"
    body = np.arange(4, dtype=np.float32).byteswap().tobytes()
    (tmp_path / "a.pt").write_bytes(
        with_pickle(a_tensor(4, "(I4\nt", "(I1\nt"), ("a/data/0", body), ("a/byteorder", order))
    )
    assert tg.load(tmp_path / "a.pt").tolist() == [0, 1, 2, 3]


@pytest.mark.live
def test_pytorch_opens_our_files_as_weights(tmp_path: Path) -> None:
    import torch

    net = tg.nn.Sequential(tg.nn.Conv2d(1, 2, 3), tg.nn.BatchNorm2d(2))
    optimizer = tg.optim.Adam(net.parameters())
    net(tg.randn(1, 1, 5, 5)).sum().backward()
    optimizer.step()
    base = tg.arange(6.0).reshape(2, 3)
    tree = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "p": list(net.parameters()), "epoch": 3,
            "views": [base, base.T, base], "text": ("ü", b"\xff"), "size": base.shape}  # fmt: skip
    tg.save(tree, tmp_path / "a.pt")
    found = torch.load(tmp_path / "a.pt", weights_only=True)
    theirs = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    theirs.load_state_dict(found["net"])
    for key, value in theirs.state_dict().items():
        assert np.array_equal(value.numpy(), np.asarray(tree["net"][key]))
    torch.optim.Adam(theirs.parameters()).load_state_dict(found["optimizer"])
    first, turned, again = found["views"]
    assert first is again and first.data_ptr() == turned.data_ptr() and turned.stride() == (1, 3)
    assert found["text"] == ("ü", b"\xff") and found["size"] == (2, 3) and found["epoch"] == 3
    assert all(isinstance(p, torch.nn.Parameter) and p.requires_grad for p in found["p"])
