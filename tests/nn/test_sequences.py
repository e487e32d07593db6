"""Sequences of different lengths: padded, packed, cells, bags of words, CTC."""

import copy

import numpy as np
import pytest

import tinygrad_cnn as tg
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn import nn
from tinygrad_cnn.nn.utils.rnn import (
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)


def test_packing_keeps_time_steps_together_and_comes_back() -> None:
    x = tg.tensor([[1.0, 2, 3], [4, 5, 0], [6, 0, 0]])[..., None]
    packed = pack_padded_sequence(x, [3, 2, 1], batch_first=True)
    assert packed.data.flatten().tolist() == [1, 4, 6, 2, 5, 3]
    assert packed.batch_sizes.tolist() == [3, 2, 1]
    back, lengths = pad_packed_sequence(packed, batch_first=True, total_length=4, padding_value=9)
    assert back[..., 0].tolist() == [[1, 2, 3, 9], [4, 5, 9, 9], [6, 9, 9, 9]]
    assert lengths.tolist() == [3, 2, 1]


def test_unsorted_sequences_come_back_in_their_order() -> None:
    sequences = [tg.tensor([6.0]), tg.tensor([1.0, 2, 3]), tg.tensor([4.0, 5])]
    packed = pack_sequence(sequences, enforce_sorted=False)
    assert packed.data.tolist() == [1, 4, 6, 2, 5, 3]
    assert [s.tolist() for s in unpack_sequence(packed)] == [[6], [1, 2, 3], [4, 5]]
    padded = pad_sequence(sequences, batch_first=True, padding_value=-1, padding_side="left")
    assert padded.tolist() == [[-1, -1, 6], [1, 2, 3], [-1, 4, 5]]
    assert [s.tolist() for s in unpad_sequence(pad_sequence(sequences), [1, 3, 2])] == [[6], [1, 2, 3], [4, 5]]


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_packed_batch_is_its_sequences_one_by_one(kind: str) -> None:
    tg.manual_seed(0)
    net = getattr(nn, kind)(3, 4, num_layers=2, bidirectional=True, batch_first=True)
    x, lengths = tg.randn(3, 5, 3), [2, 5, 3]
    packed, state = net(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    y, found = pad_packed_sequence(packed, batch_first=True)
    assert found.tolist() == lengths
    last = state if isinstance(state, tuple) else (state,)
    for k, n in enumerate(lengths):
        alone, end = net(x[k : k + 1, :n])
        np.testing.assert_allclose(y[k, :n].detach().numpy(), alone[0].detach().numpy(), atol=1e-6)
        for a, b in zip(last, end if isinstance(end, tuple) else (end,)):
            np.testing.assert_allclose(a[:, k].detach().numpy(), b[:, 0].detach().numpy(), atol=1e-6)
    y.sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_lengths_that_do_not_fit_are_explained() -> None:
    with pytest.raises(ValueError, match=r"expected 2 lengths from 1 to 3, one per sequence, got \[4, 1\]"):
        pack_padded_sequence(tg.ones(3, 2, 1), [4, 1])
    with pytest.raises(ValueError, match=r"expected falling lengths, got \[1, 2\]: sort the batch, or say enforce_s"):
        pack_padded_sequence(tg.ones(3, 2, 1), [1, 2])
    with pytest.raises(ValueError, match="expected total_length of at least 3, got 2"):
        pad_packed_sequence(pack_padded_sequence(tg.ones(3, 2, 1), [3, 1]), total_length=2)
    with pytest.raises(ValueError, match=r"GRU expected a state of shape \(1, 2, 4\) \(layers · directions, batch, "):
        nn.GRU(3, 4)(tg.ones(5, 2, 3), tg.ones(1, 1, 4))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_cell_is_one_step_of_its_layer(kind: str) -> None:
    cell, net = getattr(nn, f"{kind}Cell")(3, 4), getattr(nn, kind)(3, 4)
    net.load_state_dict({f"{k}_l0": v for k, v in cell.state_dict().items()})
    x = tg.randn(2, 5, 3)
    state = None
    for t in range(2):
        state = cell(x[t]) if state is None else cell(x[t], state)
    y, _ = net(x)
    h = state[0] if kind == "LSTM" else state
    np.testing.assert_allclose(h.detach().numpy(), y[-1].detach().numpy(), atol=1e-6)
    with pytest.raises(ValueError, match=rf"{kind}Cell expected an input \(N, 3\) or \(3,\), got \(2, 5\)"):
        cell(tg.ones(2, 5))
    assert repr(nn.RNNCell(3, 4, False, "relu")) == "RNNCell(3, 4, bias=False, nonlinearity=relu)"


def test_bags_are_embeddings_summed() -> None:
    tg.manual_seed(0)
    bag = nn.EmbeddingBag(5, 3, mode="sum", padding_idx=1)
    words = tg.tensor([[0, 2, 1], [4, 4, 3]])
    rows = bag.weight[words].detach().numpy()
    np.testing.assert_allclose(bag(words).detach().numpy(), rows.sum(1), atol=1e-6)
    assert (bag.weight[1] == 0).all()
    flat = bag(words.flatten(), tg.tensor([0, 3]))
    np.testing.assert_allclose(flat.detach().numpy(), rows.sum(1), atol=1e-6)
    assert repr(bag) == "EmbeddingBag(5, 3, mode='sum', padding_idx=1)"
    with pytest.raises(IndexError, match="embedding_bag expected integers from 0 to 4, got 5"):
        bag(tg.tensor([[5]]))
    with pytest.raises(ValueError, match=r"expected an input \(bags, n\), or \(n,\) with offsets"):
        bag(tg.tensor([1, 2]))
    with pytest.raises(ValueError, match=r"expected offsets that rise from 0 to at most 2, got \[1\]"):
        bag(tg.tensor([1, 2]), tg.tensor([1]))


def test_long_rows_are_shortened_where_they_are_used() -> None:
    table = nn.Embedding(3, 2, max_norm=1.0)
    with tg.no_grad():
        table.weight.copy_(tg.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]]))
    np.testing.assert_allclose(table(tg.tensor([0, 1])).detach().numpy(), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-5)
    assert table.weight[2].tolist() == [6, 8]
    assert repr(table) == "Embedding(3, 2, max_norm=1.0)"


def test_ctc_is_the_sum_over_all_alignments() -> None:
    tg.manual_seed(0)
    lp = F.log_softmax(tg.randn(3, 1, 3, dtype=tg.float64), -1)
    p = np.exp(lp.numpy()[:, 0])
    paths = [(1, 2, 0), (1, 0, 2), (0, 1, 2), (1, 1, 2), (1, 2, 2)]  # what reads "1 2" in three frames
    wanted = -np.log(sum(np.prod([p[t, k] for t, k in enumerate(path)]) for path in paths))
    assert nn.CTCLoss(reduction="sum")(lp, tg.tensor([[1, 2]]), [3], [2]).item() == pytest.approx(wanted)
    assert nn.CTCLoss()(lp, tg.tensor([[1, 2]]), [3], [2]).item() == pytest.approx(wanted / 2)


def test_ctc_of_what_cannot_be_is_infinite_or_nothing() -> None:
    lp = F.log_softmax(tg.randn(2, 1, 3), -1).requires_grad_()
    twice = tg.tensor([[1, 1]])  # needs a blank in between
    assert F.ctc_loss(lp, twice, [2], [2]).item() == np.inf
    loss = F.ctc_loss(lp, twice, [2], [2], zero_infinity=True)
    loss.backward()
    assert loss.item() == 0
    assert (lp.grad == 0).all()


def test_ctc_explains_what_does_not_fit() -> None:
    lp = tg.zeros(4, 2, 3)
    with pytest.raises(ValueError, match=r"ctc_loss expected 2 input_lengths of at most 4, one per sample, got"):
        F.ctc_loss(lp, tg.ones(2, 2, dtype=tg.long), [5, 4], [1, 1])
    with pytest.raises(IndexError, match="ctc_loss expected classes from 0 to 2, got 3"):
        F.ctc_loss(lp, tg.tensor([[1], [3]]), [4, 4], [1, 1])
    with pytest.raises(ValueError, match="targets as integers, got float32: convert them with .long()"):
        F.ctc_loss(lp, tg.ones(2, 2), [4, 4], [1, 1])
    with pytest.raises(ValueError, match=r"targets \(2, 3 or more\), or 4 in one row, got \(2, 1\)"):
        F.ctc_loss(lp, tg.ones(2, 1, dtype=tg.long), [4, 4], [1, 3])


def test_a_buffer_registers_itself() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept = nn.Buffer(tg.ones(2))
            self.lost = nn.Buffer(tg.zeros(3), persistent=False)

    net = Net()
    assert list(net.state_dict()) == ["kept"]
    assert [n for n, _ in net.named_buffers()] == ["kept", "lost"]
    assert list(copy.deepcopy(net).double().state_dict()) == ["kept"]
    assert net.double().kept.dtype == "float64"
    assert not net.kept.requires_grad


def test_paddings_may_be_tensors() -> None:
    gap = tg.tensor([3])
    assert F.pad(tg.ones(1, 2), (gap // 2, gap - gap // 2)).tolist() == [[0, 1, 1, 0, 0]]
