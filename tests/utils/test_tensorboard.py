"""TensorBoard's files hold what was written; they are read here by their format, without the writing library."""

import struct

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, training
from tinygrad_cnn.errors import MissingExtraError

pytest.importorskip("tensorboardX")
from tinygrad_cnn.utils.tensorboard import SummaryWriter


def crc32c(data):
    """Castagnoli's checksum, as TFRecord files mask it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def fields(data):
    """The fields of a protocol buffer message: {number: [values]}, sub-messages as bytes."""
    found, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        number, kind = divmod(varint(), 8)
        size = {1: 8, 5: 4}.get(kind)
        if kind == 0:
            value = varint()
        else:
            size = varint() if size is None else size
            value = data[at : at + size]
            at += size
        found.setdefault(number, []).append(value)
    return found


def events(folder):
    """The events in a run's files, in order, as fields of tensorflow.Event."""
    found = []
    for path in sorted(folder.glob("events.*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (size,) = struct.unpack("<Q", data[at : at + 8])
            body = data[at + 12 : at + 12 + size]
            assert struct.unpack("<I", data[at + 8 : at + 12])[0] == crc32c(data[at : at + 8])
            assert len(body) > 2000 or struct.unpack("<I", data[at + 12 + size : at + 16 + size])[0] == crc32c(body)
            found.append(fields(body))
            at += 16 + size
    return found


def summaries(folder):
    """(tag, step, fields of the Summary.Value) of all summaries."""
    found = []
    for event in events(folder):
        for summary in event.get(5, []):
            for value in fields(summary).get(1, []):
                parts = fields(value)
                found.append((parts[1][0].decode(), event.get(2, [0])[0], parts))
    return found


def scalars(folder):
    return [(tag, step, struct.unpack("<f", v[2][0])[0]) for tag, step, v in summaries(folder) if 2 in v]


def test_scalars_histograms_and_pictures_are_read_back(tmp_path):
    pytest.importorskip("PIL")
    with SummaryWriter(tmp_path) as writer:
        assert writer.log_dir == str(tmp_path)
        writer.add_scalar("loss", tg.tensor(0.5, requires_grad=True), 3)
        writer.add_scalar("loss", 0.25, 4)
        writer.add_histogram("weights", tg.tensor([1.0, 2.0, 2.0, 7.0]), 4)
        writer.add_image("digit", tg.ones(1, 5, 4), 4)
        writer.add_images("digits", np.zeros((3, 1, 5, 4)), 4)
        writer.add_text("note", "a *text*")
    assert scalars(tmp_path) == [("loss", 3, 0.5), ("loss", 4, 0.25)]
    by_tag = {tag: parts for tag, _, parts in summaries(tmp_path)}
    histogram = {n: struct.unpack("<d", v[0])[0] for n, v in fields(by_tag["weights"][5][0]).items() if n <= 5}
    assert histogram == {1: 1.0, 2: 7.0, 3: 4.0, 4: 12.0, 5: 58.0}  # min, max, number, sum, sum of squares
    image = fields(by_tag["digit"][4][0])
    assert (image[1], image[2]) == ([5], [4]) and image[4][0][:4] == b"\x89PNG"
    assert "note/text_summary" in by_tag


def test_a_figure_is_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("PIL")
    with SummaryWriter(tmp_path) as writer:
        writer.add_figure("curves", tg.viz.curves({"loss": [2.0, 1.0]}), 1)
    ((tag, step, parts),) = summaries(tmp_path)
    assert (tag, step) == ("curves", 1) and fields(parts[4][0])[4][0][:4] == b"\x89PNG"


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())

    def forward(self, x):
        return self.body(x).flatten(1) + 1


def test_the_graph_has_the_ops_in_the_boxes_of_their_modules(tmp_path):
    model = Branch()
    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(model, tg.ones(2, 1, 5, 5))
    assert model.training
    (graph,) = [fields(event[4][0]) for event in events(tmp_path) if 4 in event]
    nodes = {}
    for raw in graph[1]:
        node = fields(raw)
        nodes[node[1][0].decode()] = (node[2][0].decode(), [name.decode() for name in node.get(3, [])])
    assert {"input_0", "body/0/weight", "body/0/bias"} <= set(nodes)
    (convolution,) = [name for name, (op, _) in nodes.items() if op == "correlate"]
    assert convolution.startswith("body/0/correlate_")
    assert nodes[convolution][1] == ["input_0", "body/0/weight"]
    (relu,) = [name for name, (op, _) in nodes.items() if op == "relu"]
    assert relu.startswith("body/1/relu_")
    assert all(parent in nodes for _, parents in nodes.values() for parent in parents)


def test_hyper_parameters_are_a_run_with_its_results(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams({"lr": 0.1, "optimizer": "adam"}, {"accuracy": 0.9}, run_name="one")
    tags = [tag for tag, _, _ in summaries(tmp_path / "one")]
    assert {"_hparams_/experiment", "_hparams_/session_start_info", "accuracy"} <= set(tags)


def test_the_callback_writes_training_and_validation_as_two_runs(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 4)).astype(np.float32), rng.integers(0, 3, 20)
    board = training.TensorBoard(tmp_path, histogram_freq=2, update_freq=1)
    model = nn.Sequential(nn.Linear(4, 3))
    history = training.fit(model, x, y, epochs=2, validation=(x, y), batch_size=10, callbacks=[board], verbose=0)
    train, validation = scalars(tmp_path / "train"), scalars(tmp_path / "validation")
    assert [v for t, _, v in train if t == "loss"] == pytest.approx(history["loss"])
    assert [(s, v) for t, s, v in validation if t == "accuracy"] == [
        (s, pytest.approx(v)) for s, v in enumerate(history["val_accuracy"], 1)
    ]
    assert [s for t, s, _ in train if t == "batch_loss"] == [1, 2, 3, 4]
    histograms = {tag for tag, _, parts in summaries(tmp_path / "train") if 5 in parts}
    assert histograms == {"0.weight", "0.bias", "0.weight.grad", "0.bias.grad"}
    assert any(4 in event for event in events(tmp_path / "train"))
    with pytest.raises(ValueError, match="update_freq expected"):
        training.TensorBoard(update_freq="batch")


def test_without_the_library_the_extra_is_named(monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboardX" else real(name))
    with pytest.raises(MissingExtraError, match=r"pip install 'tinygrad-cnn\[tensorboard\]'"):
        SummaryWriter("unused")
