"""Recurrent layers, one time step after the other, written in the other ops.

    RNN    h' = tanh(W_ih·x + b_ih + W_hh·h + b_hh)                      (or relu)
    LSTM   c' = σ(f)·c + σ(i)·tanh(g),  h' = σ(o)·tanh(c')               gates i, f, g, o
    GRU    n = tanh(x_n + σ(r)·h_n),    h' = (1 − σ(z))·n + σ(z)·h       gates r, z, n

Weights are stacked by gate and named as in PyTorch: ``weight_ih_l0`` (gates·hidden, input), ``weight_hh_l0``,
``bias_ih_l0``, ``bias_hh_l0``, and with ``_reverse`` behind them for the second direction.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, TypeAlias

import numpy as np

from tinygrad_cnn.autograd import modes
from tinygrad_cnn.autograd.annotations import DType
from tinygrad_cnn.autograd.handle import wrap
from tinygrad_cnn.autograd.scope import Scope
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.nn import init
from tinygrad_cnn.nn.modules.module import Module
from tinygrad_cnn.nn.parameter import Parameter
from tinygrad_cnn.nn.utils.rnn import PackedSequence, permuted, steps_of
from tinygrad_cnn.ops.device import Device
from tinygrad_cnn.ops.expect import wrong_shape
from tinygrad_cnn.ops.shape import cat, stack
from tinygrad_cnn.tensors.tensor import Tensor

#: weight_ih, weight_hh, and bias_ih, bias_hh, which may be missing.
Weights: TypeAlias = "tuple[Tensor, Tensor, Tensor | None, Tensor | None]"


def rnn_cell(
    x: Tensor, state: tuple[Tensor, ...], w: Weights, nonlinearity: str = "tanh"
) -> tuple[Tensor, ...]:
    """One step of a plain recurrent layer: the new (h,)."""
    a = F.linear(x, w[0], w[2]) + F.linear(state[0], w[1], w[3])
    return (F.tanh(a) if nonlinearity == "tanh" else F.relu(a),)


def lstm_cell(x: Tensor, state: tuple[Tensor, ...], w: Weights) -> tuple[Tensor, ...]:
    """One step of an LSTM (Hochreiter & Schmidhuber 1997): the new (h, c)."""
    h, c = state
    i, f, g, o = (F.linear(x, w[0], w[2]) + F.linear(h, w[1], w[3])).chunk(4, -1)
    c = F.sigmoid(f) * c + F.sigmoid(i) * F.tanh(g)
    return F.sigmoid(o) * F.tanh(c), c


def gru_cell(x: Tensor, state: tuple[Tensor, ...], w: Weights) -> tuple[Tensor, ...]:
    """One step of a GRU (Cho et al. 2014): the new (h,)."""
    (h,) = state
    xr, xz, xn = F.linear(x, w[0], w[2]).chunk(3, -1)
    hr, hz, hn = F.linear(h, w[1], w[3]).chunk(3, -1)
    z = F.sigmoid(xz + hz)
    n = F.tanh(xn + F.sigmoid(xr + hr) * hn)
    return ((1 - z) * n + z * h,)


def _fill_uniformly(layer: Any) -> None:
    bound = 1 / math.sqrt(layer.hidden_size)
    for param in layer.parameters():
        init.uniform_(param, -bound, bound)


class RNNBase(Module):
    """What the recurrent layers share: weights, layers, directions, and the loop over time."""

    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, device: Device | None = None, dtype: DType = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if hidden_size < 1 or num_layers < 1:
            raise ValueError(
                f"{type(self).__name__} expected sizes of at least 1, got {hidden_size} and {num_layers} layers"
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = (
            bias,
            batch_first,
            float(dropout),
            bidirectional,
        )
        rows, directions = self.gates * hidden_size, 1 + bidirectional
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else hidden_size * directions
            for name in self._suffixes(layer):
                self.register_parameter(f"weight_ih_{name}", Parameter(init.blank((rows, inputs), dtype, device)))
                self.register_parameter(
                    f"weight_hh_{name}", Parameter(init.blank((rows, hidden_size), dtype, device))
                )
                if bias:
                    self.register_parameter(f"bias_ih_{name}", Parameter(init.blank((rows,), dtype, device)))
                    self.register_parameter(f"bias_hh_{name}", Parameter(init.blank((rows,), dtype, device)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """All uniform in ±1/√hidden_size."""
        _fill_uniformly(self)

    def flatten_parameters(self) -> None:
        """Nothing to do: a call that PyTorch's GPU code wants."""

    def cell(self, x: Tensor, state: tuple[Tensor, ...], w: Weights) -> tuple[Tensor, ...]:
        """One step."""
        raise NotImplementedError

    def forward(self, input: Tensor | PackedSequence, hx: Any = None) -> tuple[Any, Any]:
        """Input (L, N, input), (N, L, input) with `batch_first`, (L, input), or packed: (output, last state)."""
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            raise wrong_shape(
                type(self).__name__,
                f"an input (L, N, {self.input_size}) or (L, {self.input_size}), got {tuple(input.shape)}",
            )
        batched = input.ndim == 3
        x = input if batched else input.unsqueeze(1)
        if batched and self.batch_first:
            x = x.transpose(0, 1)
        given = () if hx is None else hx if isinstance(hx, tuple) else (hx,)
        given = tuple(h if batched else h.unsqueeze(1) for h in given)
        steps, last = self._layers(list(x.unbind(0)), given)
        x = stack(steps, 0)
        if not batched:
            x, last = x.squeeze(1), tuple(h.squeeze(1) for h in last)
        elif self.batch_first:
            x = x.transpose(0, 1)
        return x, last if self.states > 1 else last[0]

    def _forward_packed(self, packed: Any, hx: Any) -> Any:
        if packed.data.shape[-1] != self.input_size:
            raise wrong_shape(
                type(self).__name__, f"{self.input_size} features, got packed data {tuple(packed.data.shape)}"
            )
        given = () if hx is None else hx if isinstance(hx, tuple) else (hx,)
        steps, last = self._layers(steps_of(packed), permuted(given, packed.sorted_indices))
        last = permuted(last, packed.unsorted_indices)
        return packed._replace(data=cat(steps, 0)), last if self.states > 1 else last[0]

    def _layers(self, steps: list[Any], given: tuple[Tensor, ...]) -> tuple[list[Any], tuple[Any, ...]]:
        """All layers and directions: what each step sees, and the states behind the last."""
        shape = (self.num_layers * (1 + self.bidirectional), steps[0].shape[0], self.hidden_size)
        if not given:
            given = (wrap(np.zeros(shape, steps[0].dtype)),) * self.states
        if len(given) != self.states or any(tuple(h.shape) != shape for h in given):
            names = "(h, c), each" if self.states > 1 else "a state"
            raise wrong_shape(
                type(self).__name__, f"{names} of shape {shape} (layers · directions, batch, hidden), got "
                f"{[tuple(h.shape) for h in given]}",
            )  # fmt: skip
        ends: list[tuple[Any, ...]] = []
        for layer in range(self.num_layers):
            outputs = []
            for direction, name in enumerate(self._suffixes(layer)):
                state = tuple(h[len(ends)] for h in given)
                seen, state = self._run(steps, state, self._weights(name), bool(direction))
                outputs.append(seen)
                ends.append(state)
            steps = outputs[0] if len(outputs) == 1 else [cat(both, -1) for both in zip(*outputs)]
            if self.dropout and layer + 1 < self.num_layers:
                steps = [F.dropout(x, self.dropout, self.training) for x in steps]
        return steps, tuple(stack(states, 0) for states in zip(*ends))

    def _run(
        self, steps: list[Any], state: tuple[Tensor, ...], w: Weights, backwards: bool
    ) -> tuple[list[Any], tuple[Any, ...]]:
        """One direction. Sequences, longest first, may end before others: the later steps then hold fewer rows."""
        seen: list[Any] = [None] * len(steps)
        first, ended = state, []
        scope = modes.state.scope  # each step in time is a part of this call
        if backwards:
            state = tuple(h[: len(steps[-1])] for h in state) if len(steps[-1]) < len(steps[0]) else state
        for t in reversed(range(len(steps))) if backwards else range(len(steps)):
            rows, now = len(steps[t]), len(state[0])
            if rows < now:
                ended.append(tuple(h[rows:] for h in state))
                state = tuple(h[:rows] for h in state)
            elif rows > now:
                state = tuple(cat([h, start[now:rows]], 0) for h, start in zip(state, first))
            if scope is not None:
                modes.state.scope = Scope(scope, "", "step", scope.owner)
            state = self.cell(steps[t], state, w)
            seen[t] = state[0]
        modes.state.scope = scope
        if ended:
            state = tuple(cat(parts, 0) for parts in zip(state, *reversed(ended)))
        return seen, state

    def _suffixes(self, layer: int) -> list[str]:
        return [f"l{layer}", f"l{layer}_reverse"] if self.bidirectional else [f"l{layer}"]

    def _weights(self, name: str) -> Weights:
        own = self._parameters
        biases = own.get(f"bias_ih_{name}"), own.get(f"bias_hh_{name}")
        return own[f"weight_ih_{name}"], own[f"weight_hh_{name}"], *biases

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if not self.bias:
            text += ", bias=False"
        if self.batch_first:
            text += ", batch_first=True"
        if self.dropout:
            text += f", dropout={self.dropout}"
        return text + (", bidirectional=True" if self.bidirectional else "")


class RNNCellBase(Module):
    """What the cells share: the weights of one step, for loops over time that a network writes itself."""

    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Device | None = None, dtype: DType = None
    ) -> None:
        super().__init__()
        if hidden_size < 1:
            raise ValueError(f"{type(self).__name__} expected a hidden size of at least 1, got {hidden_size}")
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = self.gates * hidden_size
        self.weight_ih = Parameter(init.blank((rows, input_size), dtype, device))
        self.weight_hh = Parameter(init.blank((rows, hidden_size), dtype, device))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(init.blank((rows,), dtype, device)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """All uniform in ±1/√hidden_size."""
        _fill_uniformly(self)

    def cell(self, x: Tensor, state: tuple[Tensor, ...], w: Weights) -> tuple[Tensor, ...]:
        """One step."""
        raise NotImplementedError

    def forward(self, input: Tensor, hx: Any = None) -> Tensor | tuple[Tensor, ...]:
        """Input (N, input) or (input,), state of the same form with `hidden_size` features (zeros when left out)."""
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise wrong_shape(
                type(self).__name__,
                f"an input (N, {self.input_size}) or ({self.input_size},), got {tuple(input.shape)}",
            )
        shape = (*input.shape[:-1], self.hidden_size)
        given = () if hx is None else tuple(hx) if isinstance(hx, (tuple, list)) else (hx,)
        given = given or (wrap(np.zeros(shape, input.dtype)),) * self.states
        if len(given) != self.states or any(tuple(h.shape) != shape for h in given):
            raise wrong_shape(
                type(self).__name__, f"{'(h, c), each' if self.states > 1 else 'a state'} of shape {shape}, got "
                f"{[tuple(h.shape) for h in given]}",
            )  # fmt: skip
        state = self.cell(input, given, (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh))
        return state if self.states > 1 else state[0]

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(RNNCellBase):
    """One step of a plain recurrent layer with tanh or relu."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        device: Device | None = None, dtype: DType = None,
    ) -> None:  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNNCell expected nonlinearity 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def cell(self, x: Tensor, state: tuple[Tensor, ...], w: Weights) -> tuple[Tensor, ...]:
        return rnn_cell(x, state, w, self.nonlinearity)

    def extra_repr(self) -> str:
        return super().extra_repr() + (", nonlinearity=relu" if self.nonlinearity == "relu" else "")


class LSTMCell(RNNCellBase):
    """One step of long short-term memory; the state is the pair (h, c)."""

    gates, states = 4, 2

    def cell(self, x: Tensor, state: tuple[Tensor, ...], w: Weights) -> tuple[Tensor, ...]:
        return lstm_cell(x, state, w)


class GRUCell(RNNCellBase):
    """One step of gated recurrent units."""

    gates = 3

    def cell(self, x: Tensor, state: tuple[Tensor, ...], w: Weights) -> tuple[Tensor, ...]:
        return gru_cell(x, state, w)


class RNN(RNNBase):
    """A plain recurrent layer with tanh or relu."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN expected nonlinearity 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(input_size, hidden_size, num_layers, *args, **kwargs)
        self.nonlinearity = nonlinearity

    def cell(self, x: Tensor, state: tuple[Tensor, ...], w: Weights) -> tuple[Tensor, ...]:
        return rnn_cell(x, state, w, self.nonlinearity)


class LSTM(RNNBase):
    """Long short-term memory; the state is the pair (h, c)."""

    gates, states = 4, 2

    def cell(self, x: Tensor, state: tuple[Tensor, ...], w: Weights) -> tuple[Tensor, ...]:
        return lstm_cell(x, state, w)


class GRU(RNNBase):
    """Gated recurrent units."""

    gates = 3

    def cell(self, x: Tensor, state: tuple[Tensor, ...], w: Weights) -> tuple[Tensor, ...]:
        return gru_cell(x, state, w)


__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]
