"""Recurrent layers against PyTorch: results, gradients, second derivatives, buffers, reprs, state_dict keys."""

import numpy as np
import pytest
from layer_tables import check_live, check_recorded

import tinygrad_edu as tg

nn, F = tg.nn, tg.nn.functional

CASES = [
    ("nn.RNN(3, 4)", [(5, 2, 3)]),
    ("nn.RNN(3, 4, 2, 'relu', False, True)", [(2, 5, 3)]),
    ("nn.RNN(3, 4, bidirectional=True, num_layers=2)", [(3, 2, 3), (4, 2, 4)]),
    ("nn.RNN(3, 4)", [(5, 3)]),
    ("nn.RNN(3, 4)", [(5, 3), (1, 4)]),
    ("nn.LSTM(3, 4)", [(5, 2, 3)]),
    ("nn.LSTM(3, 4, num_layers=2, batch_first=True, bidirectional=True)", [(2, 4, 3)]),
    ("nn.LSTM(3, 4, bias=False)", [(1, 2, 3)]),
    ("nn.LSTM(3, 4)", [(5, 3)]),
    ("lambda x, h, c, a, b: (lambda m: (m.weight_ih_l0.data.copy_(a), m.weight_hh_l0.data.copy_(b), m(x, (h, c)))[2])(nn.LSTM(3, 4, bias=False).double())", [(5, 2, 3), (1, 2, 4), (1, 2, 4), (16, 3), (16, 4)]),
    ("nn.LSTM(3, 5, num_layers=2, proj_size=2, bidirectional=True)", [(3, 2, 3)]),
    ("nn.GRU(3, 4)", [(5, 2, 3)]),
    ("nn.GRU(3, 4, num_layers=2, batch_first=True, bidirectional=True)", [(2, 4, 3)]),
    ("nn.GRU(3, 4, bias=False)", [(4, 2, 3), (1, 2, 4)]),
    ("nn.GRU(3, 4)", [(5, 3)]),
    ("nn.RNNCell(3, 4)", [(2, 3)]),
    ("nn.RNNCell(3, 4, bias=False, nonlinearity='relu')", [(2, 3), (2, 4)]),
    ("nn.RNNCell(3, 4)", [(3,)]),
    ("nn.LSTMCell(3, 4)", [(2, 3)]),
    ("nn.LSTMCell(3, 4, bias=False)", [(3,)]),
    ("nn.GRUCell(3, 4)", [(2, 3), (2, 4)]),
    ("nn.GRUCell(3, 4, bias=False)", [(3,)]),
    ("nn.Sequential(nn.Linear(2, 3), nn.GRUCell(3, 4), nn.Linear(4, 1))", [(2, 2)]),
]


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=[text for text, _ in CASES])
def test_recorded_numbers_of_pytorch(text, shapes):
    check_recorded(tg, text, shapes)


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=[text for text, _ in CASES])
def test_pytorch_here_and_now(text, shapes):
    check_live(tg, pytest.importorskip("torch"), text, shapes)


PACKED = [
    ("nn.RNN(3, 4)", [4, 2, 1], True), ("nn.LSTM(3, 4, bidirectional=True, num_layers=2)", [4, 4, 2], True),
    ("nn.GRU(3, 4, bidirectional=True, batch_first=True)", [2, 4, 1], False), ("nn.LSTM(3, 4)", [1, 3, 2], False),
]  # fmt: skip


def packed_numbers(lib, rnn, text, lengths, enforce_sorted):
    rng = np.random.default_rng(0)
    model = eval(text, {"nn": lib.nn}).double()
    with lib.no_grad():
        for p in model.parameters():
            p.copy_(lib.tensor(rng.standard_normal(tuple(p.shape)) * 0.5))
    shape = (len(lengths), 4, 3) if model.batch_first else (4, len(lengths), 3)
    x = lib.tensor(rng.standard_normal(shape), requires_grad=True)
    packed = rnn.pack_padded_sequence(x, lengths, batch_first=model.batch_first, enforce_sorted=enforce_sorted)
    out, final = model(packed)
    padded, sizes = rnn.pad_packed_sequence(out, batch_first=model.batch_first, padding_value=-1.0, total_length=5)
    finals = final if isinstance(final, tuple) else (final,)
    loss = sum((t * lib.tensor(rng.standard_normal(tuple(t.shape)))).sum() for t in (padded, *finals))
    gradients = lib.autograd.grad(loss, [x, *model.parameters()])
    return [t.detach().numpy() for t in (packed.data, packed.batch_sizes, out.data, padded, sizes, *finals, *gradients)]


@pytest.mark.parametrize(("text", "lengths", "enforce_sorted"), PACKED)
def test_packed_sequences_like_pytorch(text, lengths, enforce_sorted):
    torch = pytest.importorskip("torch")
    ours = packed_numbers(tg, tg.nn.utils.rnn, text, lengths, enforce_sorted)
    theirs = packed_numbers(torch, torch.nn.utils.rnn, text, lengths, enforce_sorted)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("text", "lengths", "enforce_sorted"), PACKED)
def test_packed_sequences_are_each_sequence_alone(text, lengths, enforce_sorted):
    tg.manual_seed(1)
    model = eval(text, {"nn": nn}).double()
    batch_first, model.batch_first = model.batch_first, False
    sequences = [tg.randn(n, 3, dtype=tg.float64) for n in lengths]
    rnn = tg.nn.utils.rnn
    out, final = model(rnn.pack_sequence(sequences, enforce_sorted=enforce_sorted))
    finals = final if isinstance(final, tuple) else (final,)
    for k, (sequence, part) in enumerate(zip(sequences, rnn.unpack_sequence(out))):
        alone, last = model(sequence)
        np.testing.assert_allclose(part.detach().numpy(), alone.detach().numpy(), rtol=1e-12)
        for a, b in zip(finals, last if isinstance(last, tuple) else (last,)):
            np.testing.assert_allclose(a[:, k].detach().numpy(), b.detach().numpy(), rtol=1e-12)
    model.batch_first = batch_first


def test_a_layer_is_its_cell_step_by_step():
    tg.manual_seed(0)
    for layer_class, cell_class in ((nn.RNN, nn.RNNCell), (nn.GRU, nn.GRUCell), (nn.LSTM, nn.LSTMCell)):
        layer, cell = layer_class(3, 4).double(), cell_class(3, 4).double()
        cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
        x, state = tg.randn(5, 2, 3, dtype=tg.float64), None
        for t in range(5):
            state = cell(x[t], state)
        last = state[0] if isinstance(state, tuple) else state
        np.testing.assert_allclose(layer(x)[0][-1].detach().numpy(), last.detach().numpy(), rtol=1e-12)


def test_gradients_by_finite_differences():
    rng = np.random.default_rng(3)
    for text in ("nn.RNN(2, 3)", "nn.LSTM(2, 3)", "nn.GRU(2, 3)"):
        model = eval(text).double()
        x = tg.tensor(rng.standard_normal((3, 2, 2)))
        w = tg.tensor(rng.standard_normal((3, 2, 3)))
        (model(x)[0] * w).sum().backward()
        for p in model.parameters():
            i = tuple(rng.integers(0, n) for n in p.shape)
            values = []
            for step in (1e-6, -2e-6):
                p.data[i] += step
                values.append((model(x)[0] * w).sum().item())
            p.data[i] += 1e-6
            assert p.grad.numpy()[i] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-7)


def test_dropout_acts_between_layers_in_training_only():
    tg.manual_seed(0)
    model = nn.GRU(3, 4, num_layers=2, dropout=0.5)
    x = tg.randn(5, 2, 3)
    assert not tg.equal(model(x)[0], model(x)[0])
    model.eval()
    assert tg.equal(model(x)[0], model(x)[0])
    with pytest.warns(UserWarning, match="acts between layers"):
        nn.GRU(3, 4, dropout=0.5)


def test_float32_stays_float32():
    for layer in (nn.RNN(3, 4), nn.LSTM(3, 4), nn.GRU(3, 4)):
        x = tg.randn(5, 2, 3, requires_grad=True)
        out, _ = layer(x)
        out.sum().backward()
        assert out.dtype == x.grad.dtype == layer.weight_hh_l0.grad.dtype == np.float32


def test_large_inputs_do_not_overflow():
    for layer in (nn.RNN(1, 2), nn.LSTM(1, 2), nn.GRU(1, 2)):
        out, _ = layer(tg.full((2, 1, 1), 1e6))
        assert np.isfinite(out.detach().numpy()).all()


def test_pad_and_pack():
    rnn = tg.nn.utils.rnn
    parts = [tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0, 5.0]), tg.tensor([6.0])]
    assert rnn.pad_sequence(parts, batch_first=True, padding_value=-1.0, padding_side="left").tolist() == [[-1, 1, 2], [3, 4, 5], [-1, -1, 6]]
    packed = rnn.pack_sequence(parts, enforce_sorted=False)
    assert packed.data.tolist() == [3, 1, 6, 4, 2, 5] and packed.batch_sizes.tolist() == [3, 2, 1]
    assert [p.tolist() for p in rnn.unpack_sequence(packed)] == [p.tolist() for p in parts]
    with pytest.raises(RuntimeError, match="enforce_sorted=False"):
        rnn.pack_sequence(parts)


ERRORS = [
    (lambda: nn.LSTM(3, 4)(tg.ones(5, 2, 2)), RuntimeError, "expected input_size=3"),
    (lambda: nn.LSTM(3, 4)(tg.ones(5, 2, 3), tg.ones(1, 2, 4)), TypeError, "a pair (h, c)"),
    (lambda: nn.GRU(3, 4)(tg.ones(5, 2, 3), tg.ones(2, 4)), RuntimeError, "it must be [1, 2, 4]"),
    (lambda: nn.GRU(3, 4, proj_size=2), ValueError, "for LSTM only"),
    (lambda: nn.RNN(3, 4, nonlinearity="sigmoid"), ValueError, '"tanh" or "relu"'),
    (lambda: nn.RNN(3, 0), ValueError, "hidden_size must be a positive int"),
    (lambda: nn.GRUCell(3, 4)(tg.ones(2, 2)), RuntimeError, "must be (N, 3)"),
    (lambda: nn.GRUCell(3, 4)(tg.ones(2, 3), tg.ones(1, 4)), RuntimeError, "must be [2, 4]"),
]


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS, ids=[text for _, _, text in ERRORS])
def test_errors_say_what_fits(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


def test_dropout_between_layers_draws_for_the_steps_of_packed_sequences_only():
    tg.manual_seed(0)
    layer = tg.nn.LSTM(4, 3, 2, dropout=0.5, batch_first=True)
    packed = tg.nn.utils.rnn.pack_padded_sequence(tg.randn(3, 5, 4), [3, 5, 2], batch_first=True, enforce_sorted=False)
    tg.manual_seed(7)
    layer(packed)
    after = tg.rand(1).item()
    tg.manual_seed(7)
    tg.nn.functional.dropout(tg.ones(3 + 5 + 2, 3))
    assert tg.rand(1).item() == after
