"""Pooling against PyTorch: results, gradients, second derivatives, buffers, reprs, state_dict keys."""

import numpy as np
import pytest
from layer_tables import check_live, check_recorded

import tinygrad_edu as tg

nn, F = tg.nn, tg.nn.functional

CASES = [
    ("nn.MaxPool1d(2)", [(2, 2, 7)]),
    ("nn.MaxPool1d(3, stride=2, padding=1, dilation=2, ceil_mode=True, return_indices=True)", [(2, 2, 8)]),
    ("nn.MaxPool1d(2)", [(2, 6)]),
    ("nn.MaxPool2d(2)", [(2, 3, 4, 6)]),
    ("nn.MaxPool2d(2, return_indices=True)", [(2, 3, 5, 7)]),
    ("nn.MaxPool2d(3, stride=1)", [(2, 2, 5, 4)]),
    ("nn.MaxPool2d(3, 2, 1, return_indices=True)", [(2, 2, 6, 7)]),
    ("nn.MaxPool2d((3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), ceil_mode=True, return_indices=True)", [(2, 2, 6, 5)]),
    ("nn.MaxPool2d(2, ceil_mode=True)", [(2, 5, 5)]),
    ("nn.MaxPool2d(2, stride=3, ceil_mode=True, padding=1)", [(1, 2, 6, 7)]),
    ("nn.MaxPool3d(2, padding=1)", [(1, 2, 3, 4, 3)]),
    ("nn.MaxPool2d(1)", [(1, 2, 2, 3)]),
    ("lambda x: F.max_pool2d((x * 2).round(), 2)", [(2, 2, 6, 6)]),
    ("lambda x: F.max_pool2d(F.relu(x), 2, return_indices=True)", [(2, 2, 6, 6)]),
    ("lambda x: F.max_pool2d(F.relu(x) * 0, 3, 2, 1, return_indices=True)", [(1, 2, 6, 6)]),
    ("lambda x: F.max_pool2d(x + x.flip(3), 3, 1)", [(1, 2, 5, 6)]),
    ("lambda x: F.max_pool1d(x, 3, 1, 1)", [(2, 2, 5)]),
    ("nn.AvgPool1d(3, stride=2, padding=1)", [(2, 2, 8)]),
    ("nn.AvgPool1d(2, ceil_mode=True, count_include_pad=False)", [(2, 7)]),
    ("nn.AvgPool2d(2)", [(2, 3, 4, 6)]),
    ("nn.AvgPool2d((3, 2), stride=(2, 1), padding=1)", [(2, 2, 6, 5)]),
    ("nn.AvgPool2d(3, 2, 1, ceil_mode=True)", [(2, 2, 6, 7)]),
    ("nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)", [(2, 2, 6, 7)]),
    ("nn.AvgPool2d(3, 2, 1, divisor_override=5)", [(2, 2, 6, 7)]),
    ("nn.AvgPool3d(2, padding=1, count_include_pad=False)", [(1, 2, 3, 4, 3)]),
    ("lambda x: nn.LPPool1d(3, 2)(x.abs())", [(2, 2, 6)]),
    ("nn.LPPool1d(2, 2)", [(2, 2, 6)]),
    ("lambda x: nn.LPPool1d(2, 3, stride=2)(x)", [(2, 2, 7)]),
    ("lambda x: F.lp_pool2d(x, 2, (2, 3), stride=1)", [(2, 2, 4, 5)]),
    ("nn.LPPool2d(2, 2)", [(2, 2, 5, 5)]),
    ("nn.LPPool2d(float('inf'), 2)", [(2, 2, 5, 5)]),
    ("nn.LPPool3d(2, (1, 2, 2), stride=(1, 2, 1), ceil_mode=True)", [(1, 2, 2, 5, 4)]),
    ("lambda x: F.fractional_max_pool2d(x, 2, (3, 4), return_indices=True, _random_samples=lib.tensor(np.linspace(0.05, 0.95, 8).reshape(2, 2, 2)))", [(2, 2, 7, 9)]),
    ("lambda x: nn.FractionalMaxPool2d((2, 3), output_ratio=0.5, _random_samples=lib.tensor([[[0.7, 0.2], [0.99, 0.01]]]).double())(x)", [(2, 8, 9)]),
    ("lambda x: F.fractional_max_pool3d(x, (1, 2, 2), (2, 2, 3), return_indices=True, _random_samples=lib.tensor(np.linspace(0.05, 0.95, 6).reshape(1, 2, 3)))", [(1, 2, 5, 6, 7)]),
    ("lambda x: (lib.manual_seed(5), nn.FractionalMaxPool3d(2, output_ratio=(0.5, 0.6, 0.7), return_indices=True)(x))[1]", [(2, 2, 5, 6, 7)]),
    ("lambda x: F.adaptive_max_pool2d_with_indices(x, (3, 2))", [(2, 2, 5, 4)]),
    ("nn.AdaptiveAvgPool1d(3)", [(2, 2, 7)]),
    ("nn.AdaptiveAvgPool1d(2)", [(2, 6)]),
    ("nn.AdaptiveAvgPool2d(1)", [(2, 2, 4, 5)]),
    ("nn.AdaptiveAvgPool2d((3, None))", [(2, 2, 5, 4)]),
    ("nn.AdaptiveAvgPool2d((7, 3))", [(2, 2, 5, 7)]),
    ("nn.AdaptiveAvgPool3d((2, 3, 1))", [(1, 2, 4, 5, 3)]),
    ("nn.AdaptiveMaxPool1d(3)", [(2, 2, 7)]),
    ("nn.AdaptiveMaxPool1d(3, return_indices=True)", [(2, 6)]),
    ("nn.AdaptiveMaxPool2d((3, 2), return_indices=True)", [(2, 2, 5, 4)]),
    ("nn.AdaptiveMaxPool2d(2)", [(2, 4, 5)]),
    ("nn.AdaptiveMaxPool3d(2)", [(1, 2, 3, 4, 3)]),
    ("lambda x: F.max_unpool1d(*F.max_pool1d(x, 2, return_indices=True), 2)", [(2, 2, 6)]),
    ("lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2, output_size=(5, 7))", [(2, 2, 5, 7)]),
    ("lambda x: nn.MaxUnpool2d(2, stride=2)(*F.max_pool2d(x, 2, 2, return_indices=True))", [(2, 2, 4, 6)]),
    ("lambda x: nn.MaxUnpool2d(3, 3, 1)(*F.max_pool2d(x, 3, 3, 1, return_indices=True), output_size=[1, 2, 8, 8])", [(1, 2, 8, 8)]),
]


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=[text for text, _ in CASES])
def test_recorded_numbers_of_pytorch(text, shapes):
    check_recorded(tg, text, shapes)


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=[text for text, _ in CASES])
def test_pytorch_here_and_now(text, shapes):
    check_live(tg, pytest.importorskip("torch"), text, shapes)


def test_of_equal_maxima_the_first_one_counts():
    x = tg.zeros(1, 1, 2, 4, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[[1, 0, 1, 0], [0, 0, 0, 0]]]]


def test_nan_and_minus_infinity():
    x = tg.tensor([[[1.0, np.nan, 3.0, -np.inf, -np.inf]]], requires_grad=True)
    out, where = F.max_pool1d(x, 2, stride=3, padding=1, return_indices=True)
    assert np.isnan(F.max_pool1d(x, 2).detach().numpy()[0, 0, 0])
    out, where = F.max_pool1d(tg.tensor([[[-np.inf, -np.inf]]], requires_grad=True), 2, padding=1, return_indices=True)
    assert where.tolist() == [[[0, 1]]], "the border is never chosen"
    F.max_pool1d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[0, 1, 1, 0, 0]]], "NaN is the largest"


def test_windows_against_a_loop():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 1, 7, 8))
    for function, reduce in ((F.max_pool2d, np.max), (F.avg_pool2d, np.mean)):
        out = function(tg.tensor(x), (3, 2), (2, 3)).numpy()
        for i, j in np.ndindex(*out.shape[2:]):
            assert out[0, 0, i, j] == pytest.approx(reduce(x[0, 0, 2 * i : 2 * i + 3, 3 * j : 3 * j + 2]))
    out = F.adaptive_max_pool2d(tg.tensor(x), (3, 3)).numpy()
    for i, j in np.ndindex(3, 3):
        assert out[0, 0, i, j] == x[0, 0, i * 7 // 3 : -(-(i + 1) * 7 // 3), j * 8 // 3 : -(-(j + 1) * 8 // 3)].max()


def test_whole_numbers_are_pooled_too():
    assert F.max_pool1d(tg.tensor([[[1, 5, 2, -7]]]), 2).tolist() == [[[5, 2]]]


def test_results_have_memory_of_their_own():
    x = tg.ones(1, 1, 2, 2)
    for out in (F.max_pool2d(x, 1), F.avg_pool2d(x, 1), F.unfold(x, 1), F.adaptive_avg_pool2d(x, 2)):
        out.zero_()
    assert x.sum().item() == 4


ERRORS = [
    (lambda: F.max_pool2d(tg.ones(1, 1, 4, 4), 2, padding=2), RuntimeError, "at most half of the window"),
    (lambda: F.max_pool2d(tg.ones(1, 1, 4, 4), 5), RuntimeError, "no window"),
    (lambda: F.max_pool2d(tg.ones(4, 4), 2), ValueError, "must be (N, C, H, W)"),
    (lambda: F.avg_pool2d(tg.ones(1, 1, 4, 4), 2, divisor_override=0), ValueError, "must not be 0"),
    (lambda: F.adaptive_avg_pool2d(tg.ones(1, 1, 4, 4), (1, 2, 3)), ValueError, "has 3 numbers"),
    (lambda: F.max_unpool2d(tg.ones(1, 1, 1, 1), tg.tensor([[[[9]]]]), 2), IndexError, "output_size"),
    (lambda: F.max_pool1d([1.0], 2), TypeError, "expected a Tensor"),
]


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS, ids=[text for _, _, text in ERRORS])
def test_errors_say_what_fits(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)
