"""The promises of tinygrad_cnn.datasets.idx: every element type survives, and damage is named."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_cnn.datasets.idx import read_idx, write_idx
from tinygrad_cnn.errors import DataError

TYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]


@pytest.mark.parametrize("ending", ["", ".gz"])
@given(
    array=st.sampled_from(TYPES).flatmap(lambda t: hnp.arrays(t, hnp.array_shapes(min_dims=0, min_side=0)))
)
@settings(max_examples=40)
def test_what_is_written_is_read_back(tmp_path_factory, ending, array):
    path = tmp_path_factory.mktemp("idx") / f"file{ending}"
    write_idx(path, array)
    back = read_idx(path)
    assert back.dtype == array.dtype and back.dtype.isnative and back.flags.writeable
    np.testing.assert_array_equal(back, array, strict=True)


def test_the_layout_is_the_published_one(tmp_path):
    write_idx(tmp_path / "f", np.array([[1, -2]], ">i2"))
    assert (tmp_path / "f").read_bytes() == bytes.fromhex("00 00 0b 02 00000001 00000002 0001 fffe")


def test_gzip_is_recognised_by_content_whatever_the_name(tmp_path):
    write_idx(tmp_path / "f.gz", np.arange(5, dtype=np.int32))
    (tmp_path / "f.gz").rename(tmp_path / "f")
    assert read_idx(tmp_path / "f").tolist() == [0, 1, 2, 3, 4]


def test_the_same_array_gives_the_same_bytes_under_any_name(tmp_path):
    for name in ("a.gz", "b.gz"):
        write_idx(tmp_path / name, np.arange(100, dtype=np.uint8))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


@pytest.mark.parametrize("array", [np.zeros(2, np.int64), np.zeros(2, bool), np.array(["x"])])
def test_a_type_that_idx_lacks_is_refused(tmp_path, array):
    with pytest.raises(
        DataError, match=r"f: IDX holds uint8, int8, .* got \S+; convert the array with astype"
    ):
        write_idx(tmp_path / "f", array)
    assert not (tmp_path / "f").exists()


GOOD = struct.pack(">BBBBII", 0, 0, 8, 2, 3, 4) + bytes(12)
DAMAGE = {
    "empty": (b"", "not an IDX file: .* got nothing"),
    "text": (b"<html>", "not an IDX file: expected it to begin with 00 00, .* got 3c 68 74 6d"),
    "unknown type": (b"\0\0\x0a\1" + bytes(8), "not an IDX file: .* got 00 00 0a 01"),
    "half a header": (GOOD[:9], "truncated in its header: expected 8 bytes of sizes, got 5"),
    "short": (
        GOOD[:-1],
        r"promises shape \(3, 4\), 12 bytes of data, but the file holds only 11; it is truncated",
    ),
    "long": (
        GOOD + b"x",
        r"promises shape \(3, 4\), 12 bytes of data, but the file holds more; it is not what",
    ),
    "a lie of 2**64": (GOOD[:4] + b"\xff" * 8 + bytes(12), "but the file holds only 12; it is truncated"),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("zipped", [False, True])
def test_damage_is_named_with_the_file(tmp_path, kind, zipped):
    content, message = DAMAGE[kind]
    path = tmp_path / "train-images"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(DataError, match=f"train-images: .*{message}"):
        read_idx(path)


def test_a_truncated_gzip_says_truncated(tmp_path):
    write_idx(tmp_path / "whole.gz", np.arange(1000, dtype=np.int32))
    whole = (tmp_path / "whole.gz").read_bytes()
    (tmp_path / "f.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="f.gz: the compressed data end too early; the file is truncated"):
        read_idx(tmp_path / "f.gz")


@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
@settings(max_examples=100)
def test_no_flipped_byte_in_a_gzip_changes_the_content_unnoticed(tmp_path_factory, at, flip):
    """Some bits of gzip mean nothing (padding, the time): those may flip. No other error comes out."""
    path = tmp_path_factory.mktemp("idx") / "f.gz"
    array = np.random.default_rng(0).integers(0, 256, (10, 10), dtype=np.uint8)
    write_idx(path, array)
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= flip
    path.write_bytes(content)
    try:
        back = read_idx(path)
    except DataError as error:
        assert "f.gz: " in str(error)
    else:
        np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(("make", "message"), [(False, "no such file"), (True, "cannot be read")])
def test_a_path_that_is_no_file_is_named(tmp_path, make, message):
    if make:
        (tmp_path / "f").mkdir()
    with pytest.raises(DataError, match=f"f: {message}"):
        read_idx(tmp_path / "f")


def test_more_dimensions_than_an_array_has_are_refused(tmp_path):
    (tmp_path / "x").write_bytes(bytes([0, 0, 8, 65]) + b"\0\0\0\1" * 65 + b"a")
    with pytest.raises(DataError, match="65 dimensions; an array has at most 64"):
        read_idx(tmp_path / "x")


def test_sizes_that_overflow_beside_a_zero_are_refused(tmp_path):
    (tmp_path / "x").write_bytes(bytes([0, 0, 8, 4]) + b"\0\0\0\0" + b"\xff\xff\xff\xff" * 3)
    with pytest.raises(DataError, match="which no array can have"):
        read_idx(tmp_path / "x")


def test_a_compressed_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tinygrad_cnn.support.limits.FREE", 1 << 20)
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 1]) + struct.pack(">I", 8 << 20) + bytes(8 << 20)))
    with pytest.raises(DataError, match="unpack to more than 1,048,576"):
        read_idx(path)
