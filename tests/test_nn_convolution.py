"""Convolutions against PyTorch: results, gradients, second derivatives, buffers, reprs, state_dict keys."""

import numpy as np
import pytest
from layer_tables import check_live, check_recorded

import tinygrad_edu as tg

nn, F = tg.nn, tg.nn.functional

CASES = [
    ("nn.Conv1d(2, 3, 3)", [(2, 2, 7)]),
    ("nn.Conv1d(2, 3, 3)", [(2, 7)]),
    ("nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2)", [(2, 4, 9)]),
    ("nn.Conv1d(2, 3, 4, padding='same', dilation=3)", [(2, 2, 9)]),
    ("nn.Conv1d(2, 3, 4, padding='valid', bias=False)", [(1, 2, 6)]),
    ("nn.Conv1d(2, 3, 3, padding=2, padding_mode='reflect')", [(2, 2, 5)]),
    ("nn.Conv1d(2, 3, 3, padding=2, padding_mode='replicate')", [(2, 2, 5)]),
    ("nn.Conv1d(2, 3, 3, padding=2, padding_mode='circular')", [(2, 2, 5)]),
    ("nn.Conv2d(2, 3, 3)", [(2, 2, 5, 6)]),
    ("nn.Conv2d(1, 3, (2, 3), stride=(2, 1), padding=(1, 2))", [(2, 1, 5, 4)]),
    ("nn.Conv2d(4, 4, 3, padding=1, groups=4)", [(2, 4, 4, 5)]),
    ("nn.Conv2d(4, 8, 3, padding=1, groups=2, stride=2, dilation=(1, 2))", [(2, 4, 7, 6)]),
    ("nn.Conv2d(2, 3, 1)", [(2, 2, 3, 3)]),
    ("nn.Conv2d(2, 3, 1, stride=2, padding=1)", [(2, 2, 3, 4)]),
    ("nn.Conv2d(2, 3, (4, 2), padding='same')", [(1, 2, 4, 5)]),
    ("nn.Conv2d(2, 3, 3, padding='same', padding_mode='circular', bias=False)", [(1, 2, 4, 5)]),
    ("nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode='reflect')", [(2, 2, 4, 5)]),
    ("nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode='replicate')", [(2, 4, 5)]),
    ("nn.Conv2d(2, 3, 3)", [(2, 5, 6)]),
    ("nn.Conv3d(2, 3, 2, padding=1, stride=(1, 2, 1))", [(2, 2, 3, 4, 3)]),
    ("nn.ConvTranspose1d(2, 3, 3, stride=2, output_padding=1)", [(2, 2, 4)]),
    ("nn.ConvTranspose1d(4, 6, 3, stride=2, padding=2, output_padding=1, groups=2, dilation=2, bias=False)", [(2, 4, 5)]),
    ("nn.ConvTranspose1d(2, 3, 3, dilation=3, output_padding=2)", [(2, 2, 4)]),
    ("nn.ConvTranspose2d(2, 3, 3)", [(2, 2, 4, 3)]),
    ("nn.ConvTranspose2d(4, 2, 4, stride=2, padding=1)", [(2, 4, 3, 3)]),
    ("nn.ConvTranspose2d(4, 6, (3, 2), stride=(2, 3), padding=1, output_padding=(1, 2), groups=2, dilation=(1, 2))", [(2, 4, 3, 4)]),
    ("nn.ConvTranspose2d(2, 3, 3)", [(2, 4, 3)]),
    ("nn.ConvTranspose3d(2, 1, 2, stride=2)", [(1, 2, 2, 2, 3)]),
    ("lambda x: nn.ConvTranspose2d(1, 1, 3, stride=2, bias=False).double()(x, output_size=(6, 6)).shape and x * 1", [(1, 1, 2, 2)]),
    ("nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(4, 2, 2), nn.AdaptiveAvgPool2d(1))", [(3, 1, 8, 8)]),
    ("nn.Unfold((2, 3), dilation=2, padding=(1, 2), stride=(2, 1))", [(2, 2, 5, 4)]),
    ("nn.Unfold(2)", [(2, 3, 3)]),
    ("nn.Fold((5, 4), (2, 3), dilation=2, padding=(1, 2), stride=(2, 1))", [(2, 12, 12)]),
    ("nn.Fold((3, 3), 2)", [(8, 4)]),
    ("lambda x, w, b: F.conv1d(x, w, b, 2, 1)", [(2, 2, 6), (3, 2, 3), (3,)]),
    ("lambda x, w: F.conv2d(x, w, stride=(1, 2), padding='valid')", [(2, 2, 4, 6), (3, 2, 3, 3)]),
    ("lambda x, w, b: F.conv2d(x, w, b, 1, 1, 1, 2)", [(2, 4, 4, 3), (2, 2, 3, 3), (2,)]),
    ("lambda x, w, b: F.conv3d(x, w, b, padding=1)", [(1, 1, 3, 2, 3), (2, 1, 2, 2, 2), (2,)]),
    ("lambda x, w, b: F.conv_transpose1d(x, w, b, 2, 1, 1)", [(2, 2, 4), (2, 3, 3), (3,)]),
    ("lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1, 1, 2, 2)", [(2, 4, 3, 3), (4, 1, 3, 3), (2,)]),
]


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=[text for text, _ in CASES])
def test_recorded_numbers_of_pytorch(text, shapes):
    check_recorded(tg, text, shapes)


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=[text for text, _ in CASES])
def test_pytorch_here_and_now(text, shapes):
    check_live(tg, pytest.importorskip("torch"), text, shapes)


def test_every_tap_of_a_convolution_by_hand():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 4, 6, 5)), rng.standard_normal((6, 2, 3, 2))
    out = F.conv2d(tg.tensor(x), tg.tensor(w), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2).numpy()
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)))
    for n, o, i, j in np.ndindex(*out.shape):
        window = padded[n, 2 * (o // 3) : 2 * (o // 3) + 2, 2 * i : 2 * i + 3, j : j + 3 : 2]
        assert out[n, o, i, j] == pytest.approx((window * w[o]).sum(), abs=1e-12)


def test_large_batches_are_computed_in_blocks(monkeypatch):
    from tinygrad_edu.ops import windows

    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((7, 2, 6, 6)), rng.standard_normal((3, 2, 3, 3))

    def numbers():
        a, b = tg.tensor(x, requires_grad=True), tg.tensor(w, requires_grad=True)
        out = F.conv2d(a, b, padding=1)
        return [out.detach().numpy(), *(g.numpy() for g in tg.autograd.grad((out * out).sum(), (a, b)))]

    whole = numbers()
    monkeypatch.setattr(windows, "BLOCK", 3 * 2 * 9 * 36 * 8)  # blocks of 3, 3 and 1 images
    for a, b in zip(whole, numbers()):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_float32_stays_float32():
    layer = nn.Conv2d(1, 2, 3)
    x = tg.ones(1, 1, 4, 4, requires_grad=True)
    layer(x).sum().backward()
    assert layer(x).dtype == x.grad.dtype == layer.weight.grad.dtype == np.float32


def test_first_values():
    tg.manual_seed(0)
    layer = nn.Conv2d(4, 64, 3, groups=2)
    bound = 1 / np.sqrt(2 * 9)
    for p in (layer.weight, layer.bias):
        assert 0.8 * bound < abs(p.detach().numpy()).max() <= bound
    tg.manual_seed(0)
    weight = nn.init.kaiming_uniform_(tg.empty(64, 2, 3, 3), a=5**0.5)
    assert (weight.numpy() == layer.weight.detach().numpy()).all(), "the weight is drawn first, then the bias"


def test_an_empty_batch():
    layer = nn.Conv2d(1, 2, 3)
    out = layer(tg.zeros(0, 1, 5, 5))
    assert out.shape == (0, 2, 3, 3)
    out.sum().backward()
    assert (layer.weight.grad.numpy() == 0).all()


ERRORS = [
    (lambda: nn.Conv2d(3, 4, 3)(tg.ones(1, 2, 5, 5)), ValueError, "has 2 channels"),
    (lambda: nn.Conv2d(3, 4, 3)(tg.ones(5, 5)), ValueError, "must be (N, C, H, W), or (C, H, W)"),
    (lambda: nn.Conv2d(1, 1, 3)(tg.ones(1, 1, 2, 5)), RuntimeError, "more padding or a smaller kernel"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "groups=2 must divide"),
    (lambda: nn.Conv2d(3, 4, 3, padding="same", stride=2), ValueError, "needs stride 1"),
    (lambda: nn.Conv2d(3, 4, 3, padding="full"), ValueError, 'must be a number, "valid" or "same"'),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), ValueError, "padding_mode must be"),
    (lambda: nn.Conv2d(3, 4, (3, 3, 3)), ValueError, "has 3 numbers"),
    (lambda: nn.Conv2d(3, 4, 0), ValueError, "at least 1"),
    (lambda: F.conv1d(tg.ones(1, 1, 4), tg.ones(2, 1, 2), tg.ones(1)), ValueError, "bias has shape [1]; it must be [2]"),
    (lambda: nn.ConvTranspose2d(1, 1, 3, stride=2, output_padding=2)(tg.ones(1, 1, 3, 3)), RuntimeError, "output_padding"),
    (lambda: nn.ConvTranspose2d(1, 1, 3, stride=2)(tg.ones(1, 1, 2, 2), output_size=(7, 7)), ValueError, "from [5, 5] to [6, 6]"),
    (lambda: F.fold(tg.ones(1, 4, 3), (3, 3), 2), RuntimeError, "(N, C·4, 4)"),
    (lambda: F.unfold(tg.ones(1, 1, 2, 2), 3), RuntimeError, "no window"),
]


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS, ids=[text for _, _, text in ERRORS])
def test_errors_say_what_fits(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)
