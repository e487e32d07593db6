"""Files: what was saved comes back, and a damaged file gives one clear error."""

import json
import math
import os
import struct
import warnings
import zipfile
from io import BytesIO

import numpy as np
import pytest

from tinygrad_cnn import io
from tinygrad_cnn.autograd.handle import Handle, wrap
from tinygrad_cnn.errors import CheckpointError, OutputError, UsageError
from tinygrad_cnn.io import atomic

TREE = {
    "model": {"0.weight": wrap(np.arange(6, dtype=np.float32).reshape(2, 3)), "n": wrap(np.array(3))},
    "state": {0: {"step": 4, "m": np.ones((2, 0), np.float16)}, 1: {}},
    "betas": (0.9, 0.999),
    "best": math.inf,
    "list": [None, True, "π", b"\x00\xff"],
    "big": 2**128,
}


def same(a, b):
    if isinstance(a, (Handle, np.ndarray)):
        x, y = (getattr(v, "array", v) for v in (a, b))
        return type(a) is type(b) and x.dtype == y.dtype and np.array_equal(x, y)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def test_a_tree_comes_back_as_it_was_saved(tmp_path):
    io.save(TREE, tmp_path / "run.npz")
    assert same(TREE, io.load(tmp_path / "run.npz"))


def test_a_dict_that_looks_like_our_marks_comes_back_as_a_dict(tmp_path):
    io.save({"x": {"__array__": "nothing"}}, tmp_path / "a.npz")
    assert io.load(tmp_path / "a.npz") == {"x": {"__array__": "nothing"}}


def test_numpy_opens_our_npz_and_we_open_numpys(tmp_path):
    io.save({"w": wrap(np.eye(2))}, tmp_path / "ours.npz")
    with np.load(tmp_path / "ours.npz") as opened:
        assert np.array_equal(opened["w"], np.eye(2))
    np.savez(tmp_path / "theirs.npz", w=np.eye(3))
    assert np.array_equal(io.load(tmp_path / "theirs.npz")["w"].array, np.eye(3))


def test_safetensors_come_back_and_fortran_order_and_booleans_survive(tmp_path):
    tensors = {
        "a": wrap(np.asfortranarray(np.arange(6.0).reshape(2, 3))),
        "b": wrap(np.array([True, False])),
        "scalar": wrap(np.array(2, np.int64)),
        "empty": wrap(np.zeros((0, 3), np.float32)),
    }
    io.save(tensors, tmp_path / "w.safetensors")
    assert same(tensors, io.load(tmp_path / "w.safetensors"))


def test_safetensors_are_those_of_the_safetensors_package(tmp_path):
    theirs = pytest.importorskip("safetensors.numpy", reason="the package safetensors is not installed (extra dev)")
    io.save({"a": wrap(np.arange(4, dtype=np.float32))}, tmp_path / "w.safetensors")
    assert np.array_equal(theirs.load_file(tmp_path / "w.safetensors")["a"], np.arange(4))
    theirs.save_file({"b": np.arange(5, dtype=np.int32)}, tmp_path / "v.safetensors")
    assert np.array_equal(io.load(tmp_path / "v.safetensors")["b"].array, np.arange(5))


def test_bfloat16_is_read_as_float32(tmp_path):
    half = (np.array([1.5, -2.0], np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    head = b'{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    (tmp_path / "b.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + half)
    assert io.load(tmp_path / "b.safetensors")["x"].array.tolist() == [1.5, -2.0]


@pytest.mark.parametrize("name", ["run.npz", "run.safetensors"])
def test_a_file_cut_at_any_length_gives_one_clear_error(tmp_path, name):
    path = tmp_path / name
    io.save({"w": wrap(np.arange(20.0))}, path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"truncated|damaged|empty"):
            io.load(path)


@pytest.mark.parametrize("name", ["run.npz", "run.safetensors"])
def test_a_byte_changed_anywhere_is_noticed(tmp_path, name):
    path = tmp_path / name
    tensors = {"w": wrap(np.arange(20.0))}
    io.save(tensors, path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        for change in (0x01, 0x80):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :])
            try:
                found = io.load(path)
            except (CheckpointError, UsageError):
                continue
            # In a safetensors header, a letter of a name or a space is not summed.
            assert name.endswith(".safetensors")
            assert np.array_equal(next(iter(found.values())).array, np.arange(20.0))


def test_pickles_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "torch.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n")
    (tmp_path / "old.pt").write_bytes(b"\x80\x02cos\nsystem\n")
    for name in ("torch.pt", "old.pt"):
        with pytest.raises(CheckpointError, match="asks for os.system.*Nothing of it was run"):
            io.load(tmp_path / name)
    np.savez(tmp_path / "objects.npz", x=np.array([{}], dtype=object))
    with pytest.raises(CheckpointError, match="cannot be read"):
        io.load(tmp_path / "objects.npz")


def test_a_missing_file_and_an_unsavable_value_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="there is no file"):
        io.load(tmp_path / "none.npz")
    with pytest.raises(TypeError, match=r"cannot save a/b: set"):
        io.save({"a": {"b": {1}}}, tmp_path / "x.npz")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "state.npz"
    io.save({"a": 1}, path)

    def pieces():
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"cannot write .*state.npz: No space left"):
        atomic.write_atomically(path, pieces())
    assert io.load(path) == {"a": 1}
    assert os.listdir(tmp_path) == ["state.npz"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write to the folder"):
        atomic.make_folder(tmp_path / "file" / "run")


def test_equal_states_give_equal_files(tmp_path):
    for name in ("a.npz", "b.npz"):
        io.save({"w": wrap(np.ones(3))}, tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


# --- files that somebody made ---------------------------------------------------------------------------


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape=(2,), dtype="F32", offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


EIGHT = bytes(8)
HOSTILE = {
    "a hole": safetensors({"a": entry(), "b": entry(offsets=(12, 20))}, bytes(20)),
    "a hole in front": safetensors({"a": entry(offsets=(4, 12))}, bytes(12)),
    "an overlap": safetensors({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12)),
    "surplus bytes": safetensors({"a": entry()}, bytes(9)),
    "missing bytes": safetensors({"a": entry()}, bytes(7)),
    "a name twice": safetensors(b'{"a":%s,"a":%s}' % ((json.dumps(entry()).encode(),) * 2), EIGHT),
    "a key twice": safetensors(b'{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', EIGHT),
    "a length that does not fit": safetensors({"a": entry(offsets=(0, 7))}, bytes(7)),
    "a list as dtype": safetensors({"a": entry(dtype=[])}, EIGHT),
    "an unknown dtype": safetensors({"a": entry(dtype="F8_E4M3")}, EIGHT),
    "a huge shape": safetensors({"a": entry([2**62, 2**62])}, EIGHT),
    "a nested shape": safetensors({"a": entry([[2]])}, EIGHT),
    "a negative shape": safetensors({"a": entry([-1, -2])}, EIGHT),
    "a boolean shape": safetensors({"a": entry([True, 2])}, EIGHT),
    "a fractional shape": safetensors({"a": entry([2.0])}, EIGHT),
    "65 dimensions": safetensors({"a": entry([1] * 64 + [2])}, EIGHT),
    "offsets behind the end": safetensors({"a": entry(offsets=(2**40, 2**40 + 8))}, EIGHT),
    "offsets the wrong way": safetensors({"a": entry([0], offsets=(8, 0))}, EIGHT),
    "an entry that is a list": safetensors({"a": [1, 2]}, EIGHT),
    "an entry with more": safetensors({"a": {**entry(), "more": 1}}, EIGHT),
    "a header that is a list": safetensors([1, 2], EIGHT),
    "a header that is nested deeply": safetensors(b"[" * 100_000, EIGHT),
    "a number of 5,000 digits": safetensors(b'{"a":' + b"9" * 5000 + b"}", EIGHT),
    "metadata that are no texts": safetensors({"__metadata__": {"a": 1}, "a": entry()}, EIGHT),
    "a header longer than the file": struct.pack("<Q", 2**63) + b"{}",
    "seven bytes": bytes(7),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_safetensors_file_that_is_not_what_it_says_is_refused(kind, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(HOSTILE[kind])
    with pytest.raises(CheckpointError, match=r"w\.safetensors") as refused:
        io.load(tmp_path / "w.safetensors")
    assert len(str(refused.value)) < 400


def test_a_header_that_was_changed_behind_the_checksum_is_noticed(tmp_path):
    path = tmp_path / "w.safetensors"
    io.save({"weight": wrap(np.ones((2, 3), np.float32)), "bias": wrap(np.zeros(3, np.float32))}, path)
    data = path.read_bytes()
    for before, after in ((b'"shape": [2, 3]', b'"shape": [3, 2]'), (b'"weight"', b'"weighs"')):
        assert before in data
        path.write_bytes(data.replace(before, after))
        with pytest.raises(CheckpointError, match="does not match its checksum"):
            io.load(path)


def npy(header):
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def npz(**members):
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return content.getvalue()


def twice():
    content = BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(content, "w") as archive:
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }\n"))
    return content.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (npz(a=npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000), }\n")), "does not fill"),
        (npz(a=npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n") + b"N."), "Python objects"),
        (npz(a=npy("__import__('os').system('true')\n")), "cannot be read"),
        (twice(), "two members of one name"),
    ],
    ids=["a claim", "objects", "code", "one name twice"],
)
def test_an_npz_file_that_is_not_what_it_says_is_refused(data, message):
    with pytest.raises(CheckpointError, match=message):
        io.load(BytesIO(data))


def test_a_compressed_bomb_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr("tinygrad_cnn.support.limits.FREE", 1 << 20)
    head = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (4194304,), }\n")
    data = npz(a=head + bytes(4 << 20))
    assert len(data) < 10_000
    with pytest.raises(CheckpointError, match="claim to unpack to 4,194,"):
        io.load(BytesIO(data))
