"""Recurrent layers: RNN, LSTM, GRU over whole sequences, and their cells for one step."""

import math
import warnings

import numpy as np

from ...api.create import check_device, dtype_of
from ...autograd import dtypes
from ...autograd.tensor import Tensor
from ...ops.activations import sigmoid
from ...ops.functions import tanh
from ...ops.products import affine
from ...ops.recurrent import gru_sequence, lstm_sequence, rnn_sequence
from ...ops.shapes import concatenate, flip, stack
from .. import functional as F
from .. import init
from ..module import Module
from ..parameter import Parameter
from ..utils.rnn import PackedSequence, pack_like, rows_of, unpacked


def check_sizes(name, input_size, hidden_size, least=1):
    """Refuse sizes that are no whole numbers, or too small."""
    for argument, value in (("input_size", input_size), ("hidden_size", hidden_size)):
        if not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name}: {argument} must be a positive int, got {value!r}")
        if value < least:
            raise ValueError(f"{name}: {argument} must be a positive int, got {value!r}")


class Recurrent(Module):
    """What RNN, LSTM and GRU share: layers and directions, their parameters, shapes, initial and final states.

    Weights are named weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, then l1 …, with _reverse for the second direction.
    """

    gates = 1

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        proj_size=0,
        device=None,
        dtype=None,
    ):
        super().__init__()
        check_device(device)
        name = type(self).__name__
        check_sizes(name, input_size, hidden_size)
        for argument, value in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(value, (bool, np.bool_)):
                raise TypeError(f"{name}: {argument} must be True or False, got {value!r}")
        if num_layers < 1:
            raise ValueError(f"{name}: num_layers must be at least 1, got {num_layers}")
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout is the probability of a zero, between 0 and 1, and it is {dropout}")
        if dropout > 0 and num_layers == 1:
            warnings.warn(f"{name}: dropout={dropout} acts between layers, and there is only one (num_layers=1)", stacklevel=3)
        if proj_size < 0 or proj_size >= hidden_size:
            raise ValueError(f"{name}: proj_size={proj_size} must be smaller than hidden_size={hidden_size}, or 0 for none")
        if proj_size and name != "LSTM":
            raise ValueError(f"{name}: proj_size is for LSTM only")
        dtype = dtypes.default if dtype is None else dtype_of(dtype)
        self.input_size, self.hidden_size, self.num_layers, self.bias = input_size, hidden_size, num_layers, bias
        self.batch_first, self.dropout, self.bidirectional, self.proj_size = batch_first, float(dropout), bidirectional, proj_size
        state = proj_size or hidden_size
        self.names = []
        for layer in range(num_layers):
            width = input_size if layer == 0 else state * (2 if bidirectional else 1)
            for end in ("", "_reverse") if bidirectional else ("",):
                shapes = {"weight_ih": (self.gates * hidden_size, width), "weight_hh": (self.gates * hidden_size, state)}
                if bias:
                    shapes |= {"bias_ih": (self.gates * hidden_size,), "bias_hh": (self.gates * hidden_size,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                names = {kind: f"{kind}_l{layer}{end}" for kind in shapes}
                for kind, shape in shapes.items():
                    setattr(self, names[kind], Parameter(Tensor(np.empty(shape, dtype), None)))
                self.names.append(names)
        self.reset_parameters()

    @property
    def _flat_weights_names(self):  # initialisations of strangers go through it, and look in _parameters
        return [name for names in self.names for name in names.values()]

    @property
    def _flat_weights(self):
        return [getattr(self, name) for name in self._flat_weights_names]

    @property
    def all_weights(self):
        """The parameters of each layer and direction, in order."""
        return [[getattr(self, name) for name in names.values()] for names in self.names]

    def reset_parameters(self):
        """Draw new initial values, all from U(−b, b) with b = 1 / √hidden_size."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self):
        """Nothing to do here: it arranges memory for GPUs in PyTorch."""

    def states(self, hx, batch, single, dtype):
        """Initial states as a tuple of (layers · directions, batch, size); zeros unless given."""
        count = len(self.names)
        sizes = (self.proj_size or self.hidden_size, self.hidden_size)[: self.state_count]
        if hx is None:
            return tuple(Tensor(np.zeros((count, batch, n), dtype), None) for n in sizes)
        given = hx if self.state_count == 2 else (hx,)
        tensors = isinstance(given, (tuple, list)) and all(isinstance(h, Tensor) for h in given)
        if not tensors or len(given) != self.state_count:
            kind = "a pair (h, c) of Tensors" if self.state_count == 2 else "a Tensor"
            raise TypeError(f"{type(self).__name__}: the initial state must be {kind}")
        for h, n in zip(given, sizes):
            wanted = (count, n) if single else (count, batch, n)
            if tuple(h.shape) != wanted:
                raise RuntimeError(
                    f"{type(self).__name__}: an initial state has shape {list(h.shape)}; "
                    f"it must be {list(wanted)}: "
                    f"layers · directions, {'' if single else 'batch, '}size"
                )
        return tuple(h.unsqueeze(1) for h in given) if single else tuple(given)

    state_count = 1

    def forward(self, input, hx=None):
        """(output of the last layer at each step, final state of each layer and direction)."""
        packed = input if isinstance(input, PackedSequence) else None
        lengths = None
        if packed is not None:
            input, lengths = unpacked(packed)
            single = False
            if hx is not None and packed.sorted_indices is not None:
                hx = tuple(h[:, packed.sorted_indices] for h in hx) if self.state_count == 2 else hx[:, packed.sorted_indices]
        else:
            if not isinstance(input, Tensor) or input.array.ndim not in (2, 3):
                shape = list(input.shape) if isinstance(input, Tensor) else type(input).__name__
                usual = "(N, T, size)" if self.batch_first else "(T, N, size)"
                raise ValueError(f"{type(self).__name__}: the input must be {usual}, or (T, size) for one sequence; got {shape}")
            single = input.array.ndim == 2
            input = input.unsqueeze(1) if single else input.transpose(0, 1) if self.batch_first else input
        if input.array.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{type(self).__name__}: the input has {input.array.shape[-1]} numbers per step, shape "
                f"{list(input.shape)}; expected input_size={self.input_size}"
            )
        if not input.array.shape[0]:
            raise RuntimeError(f"{type(self).__name__}: the sequence has no step; expected at least one")
        states = self.states(hx, input.array.shape[1], single, input.dtype)
        output, final = self.run(input, states, lengths, packed)
        final = tuple(stack(*parts, axis=0) for parts in zip(*final))
        if packed is not None:
            output = pack_like(output, packed)
            if packed.unsorted_indices is not None:
                final = tuple(h[:, packed.unsorted_indices] for h in final)
        elif single:
            output, final = output.squeeze(1), tuple(h.squeeze(1) for h in final)
        elif self.batch_first:
            output = output.transpose(0, 1)
        return output, final if self.state_count == 2 else final[0]

    def run(self, x, states, lengths, packed):
        """All layers and directions: the last one's outputs (T, B, size), and the final states."""
        final, directions = [], 2 if self.bidirectional else 1
        for layer in range(self.num_layers):
            if layer and self.dropout:
                if packed is None:
                    x = F.dropout(x, self.dropout, self.training)
                else:  # random numbers for the steps that exist, in PyTorch's order
                    rows = pack_like(x, packed)
                    x, lengths = unpacked(rows._replace(data=F.dropout(rows.data, self.dropout, self.training)))
            outputs = []
            for direction in range(directions):
                k = layer * directions + direction
                weights = {kind: getattr(self, name) for kind, name in self.names[k].items()}
                steps = turned(x, lengths) if direction else x
                output, last = self.sequence(steps, tuple(h[k] for h in states), weights, lengths)
                outputs.append(turned(output, lengths) if direction else output)
                final.append(last)
            x = concatenate(*outputs, axis=-1) if self.bidirectional else outputs[0]
        return x, final

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}"
        usual_values = dict(proj_size=0, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False)
        for name, usual in usual_values.items():
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text


def turned(x, lengths):
    """x backwards in time; each sequence within its own length."""
    if lengths is None:
        return flip(x, axes=(0,))
    t, b = np.indices(x.array.shape[:2])
    return rows_of(x, np.where(t < lengths, lengths - 1 - t, t), b)


def last_step(x, lengths):
    """The value at the last step; each sequence's own."""
    return x[-1] if lengths is None else rows_of(x, lengths - 1, np.arange(len(lengths)))


class RNN(Recurrent):
    """hₜ = tanh(x @ weight_ihᵀ + bias_ih + hₜ₋₁ @ weight_hhᵀ + bias_hh), or with ReLU

    Shapes: input (T, N, input_size), with batch_first (N, T, input_size), or (T, input_size), or a PackedSequence; initial state
    (layers · directions, N, hidden_size), zeros unless given → output (T, N, directions · hidden_size), final state.

    >>> import tinygrad_edu as tg
    >>> output, h = tg.nn.RNN(3, 5, batch_first=True)(tg.ones(2, 7, 3))
    >>> output.shape, h.shape
    (Size([2, 7, 5]), Size([1, 2, 5]))
    """

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        nonlinearity="tanh",
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        device=None,
        dtype=None,
        proj_size=0,
    ):
        if proj_size:
            raise ValueError("RNN: proj_size is for LSTM only")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f'RNN: nonlinearity must be "tanh" or "relu", not {nonlinearity!r}')
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype)
        self.nonlinearity = nonlinearity
        self.mode = f"RNN_{nonlinearity.upper()}"

    def sequence(self, x, states, weights, lengths):
        """One layer in one direction."""
        output = rnn_sequence(projected(x, weights), states[0], weights["weight_hh"], activation=self.nonlinearity)
        return output, (last_step(output, lengths),)


def projected(x, weights):
    """The inputs of all steps through their matrix, with both biases."""
    bias = weights["bias_ih"] + weights["bias_hh"] if "bias_ih" in weights else None
    return affine(x, weights["weight_ih"], bias)


class LSTM(Recurrent):
    """cₜ = σ(f) · cₜ₋₁ + σ(i) · tanh(g), hₜ = σ(o) · tanh(cₜ), i, f, g, o from xₜ and hₜ₋₁ (Hochreiter and Schmidhuber 1997)

    Shapes: as RNN, with a pair of states (h, c); weights hold the gates in the order i, f, g, o. With proj_size, h is
    projected: hₜ = (σ(o) · tanh(cₜ)) @ weight_hrᵀ.

    >>> import tinygrad_edu as tg
    >>> output, (h, c) = tg.nn.LSTM(3, 5, num_layers=2)(tg.ones(7, 2, 3))
    >>> output.shape, h.shape, c.shape
    (Size([7, 2, 5]), Size([2, 2, 5]), Size([2, 2, 5]))
    """

    gates, state_count = 4, 2
    mode = "LSTM"

    def sequence(self, x, states, weights, lengths):
        """One layer in one direction."""
        n = self.hidden_size
        if self.proj_size:
            return self.projecting_sequence(projected(x, weights), states, weights, lengths)
        both = lstm_sequence(projected(x, weights), *states, weights["weight_hh"])
        last = last_step(both, lengths)
        return both[..., :n], (last[:, :n], last[:, n:])

    def projecting_sequence(self, x, states, weights, lengths):
        """The same, step by step, where the output of each step is projected."""
        n, (h, c), hs, cs = self.hidden_size, states, [], []
        for z in x.unbind(0):
            z = z + affine(h, weights["weight_hh"])
            i, f, g, o = (z[:, k * n : (k + 1) * n] for k in range(4))
            c = sigmoid(f) * c + sigmoid(i) * tanh(g)
            h = affine(sigmoid(o) * tanh(c), weights["weight_hr"])
            hs.append(h)
            cs.append(c)
        hs, cs = stack(*hs, axis=0), stack(*cs, axis=0)
        return hs, (last_step(hs, lengths), last_step(cs, lengths))


class GRU(Recurrent):
    """hₜ = (1 − z) · n + z · hₜ₋₁ with gates r, z = σ(…) and n = tanh(x-part + r · (h-part)) (Cho et al. 2014)

    Shapes: as RNN; weights hold the gates in the order r, z, n.

    >>> import tinygrad_edu as tg
    >>> output, h = tg.nn.GRU(3, 5, bidirectional=True)(tg.ones(7, 2, 3))
    >>> output.shape, h.shape
    (Size([7, 2, 10]), Size([2, 2, 5]))
    """

    gates = 3
    mode = "GRU"

    def sequence(self, x, states, weights, lengths):
        """One layer in one direction."""
        x = affine(x, weights["weight_ih"], weights.get("bias_ih"))
        output = gru_sequence(x, states[0], weights["weight_hh"], weights.get("bias_hh"))
        return output, (last_step(output, lengths),)


class Cell(Module):
    """What the cells share: one layer's parameters, and the shapes of one step."""

    gates, state_count = 1, 1

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__()
        check_device(device)
        check_sizes(type(self).__name__, input_size, hidden_size, 0)
        dtype = dtypes.default if dtype is None else dtype_of(dtype)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        self.weight_ih = Parameter(Tensor(np.empty((self.gates * hidden_size, input_size), dtype), None))
        self.weight_hh = Parameter(Tensor(np.empty((self.gates * hidden_size, hidden_size), dtype), None))
        self.register_parameter("bias_ih", Parameter(Tensor(np.empty(self.gates * hidden_size, dtype), None)) if bias else None)
        self.register_parameter("bias_hh", Parameter(Tensor(np.empty(self.gates * hidden_size, dtype), None)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new initial values, all from U(−b, b) with b = 1 / √hidden_size."""
        bound = 1.0 / math.sqrt(max(self.hidden_size, 1))
        for parameter in self.parameters() if self.hidden_size else ():  # of size 0 there is nothing to draw
            init.uniform_(parameter, -bound, bound)

    def start(self, input, hx):
        """The input (N, size), the states, and whether the batch axis was added; refuses what does not fit."""
        name = type(self).__name__
        if not isinstance(input, Tensor) or input.array.ndim not in (1, 2) or input.array.shape[-1] != self.input_size:
            shape = list(input.shape) if isinstance(input, Tensor) else type(input).__name__
            kind = RuntimeError if isinstance(input, Tensor) and input.array.ndim in (1, 2) else ValueError
            raise kind(f"{name}: the input must be (N, {self.input_size}) or ({self.input_size}); got {shape}")
        single = input.array.ndim == 1
        if hx is None:
            states = (Tensor(np.zeros((*input.array.shape[:-1], self.hidden_size), input.dtype), None),) * self.state_count
        else:
            states = tuple(hx) if self.state_count == 2 else (hx,)
        wanted = (*input.array.shape[:-1], self.hidden_size)
        for h in states:
            if tuple(h.shape) != wanted:
                kind = RuntimeError if h.ndim in (1, 2) else ValueError
                raise kind(
                    f"{name}: the state has shape {list(h.shape)}; for this input, {list(input.shape)}, it must be {list(wanted)}"
                )
        return (input.unsqueeze(0), tuple(h.unsqueeze(0) for h in states), True) if single else (input, states, False)

    def input_part(self, input):
        """The input through its matrix, with both biases, as a sequence of one step."""
        bias = None if self.bias_ih is None else self.bias_ih + self.bias_hh
        return affine(input, self.weight_ih, bias).unsqueeze(0)

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            text += f", bias={self.bias}"
        return text if getattr(self, "nonlinearity", "tanh") == "tanh" else f"{text}, nonlinearity={self.nonlinearity}"


class RNNCell(Cell):
    """h′ = tanh(x @ weight_ihᵀ + bias_ih + h @ weight_hhᵀ + bias_hh), or with ReLU: one step of RNN

    Shapes: x (N, input_size), h (N, hidden_size), zeros unless given → (N, hidden_size).

    >>> import tinygrad_edu as tg
    >>> tg.nn.RNNCell(3, 5)(tg.ones(2, 3)).shape
    Size([2, 5])
    """

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f'RNNCell: nonlinearity must be "tanh" or "relu", not {nonlinearity!r}')
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        input, (h,), single = self.start(input, hx)
        out = rnn_sequence(self.input_part(input), h, self.weight_hh, activation=self.nonlinearity).squeeze(0)
        return out.squeeze(0) if single else out


class LSTMCell(Cell):
    """One step of LSTM: (h, c) → (h′, c′)

    Shapes: x (N, input_size), h and c (N, hidden_size), zeros unless given → the pair (h′, c′).

    >>> import tinygrad_edu as tg
    >>> h, c = tg.nn.LSTMCell(3, 5)(tg.ones(2, 3))
    >>> h.shape, c.shape
    (Size([2, 5]), Size([2, 5]))
    """

    gates, state_count = 4, 2

    def forward(self, input, hx=None):
        input, (h, c), single = self.start(input, hx)
        both = lstm_sequence(self.input_part(input), h, c, self.weight_hh).squeeze(0)
        both = both.squeeze(0) if single else both
        return both[..., : self.hidden_size], both[..., self.hidden_size :]


class GRUCell(Cell):
    """h′ = (1 − z) · n + z · h: one step of GRU

    Shapes: x (N, input_size), h (N, hidden_size), zeros unless given → (N, hidden_size).

    >>> import tinygrad_edu as tg
    >>> tg.nn.GRUCell(3, 5)(tg.ones(2, 3)).shape
    Size([2, 5])
    """

    gates = 3

    def forward(self, input, hx=None):
        input, (h,), single = self.start(input, hx)
        x = affine(input, self.weight_ih, self.bias_ih).unsqueeze(0)
        out = gru_sequence(x, h, self.weight_hh, self.bias_hh).squeeze(0)
        return out.squeeze(0) if single else out


RNNBase, RNNCellBase = Recurrent, Cell  # PyTorch's names, for isinstance

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]
