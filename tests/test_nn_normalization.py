"""Normalisation against PyTorch: results, gradients, second derivatives, buffers, reprs, state_dict keys."""

import numpy as np
import pytest
from layer_tables import check_live, check_recorded

import tinygrad_edu as tg

nn, F = tg.nn, tg.nn.functional

CASES = [
    ("nn.BatchNorm1d(3)", [(4, 3)]),
    ("nn.BatchNorm1d(3)", [(4, 3, 5)]),
    ("nn.BatchNorm1d(3, momentum=None)", [(4, 3)]),
    ("nn.BatchNorm1d(3, eps=0.1, momentum=0.3, affine=False)", [(4, 3)]),
    ("nn.BatchNorm1d(3, track_running_stats=False)", [(4, 3)]),
    ("nn.BatchNorm2d(3, bias=False)", [(2, 3, 4, 5)]),
    ("nn.BatchNorm2d(3)", [(2, 3, 4, 5)]),
    ("nn.BatchNorm2d(3, affine=False, track_running_stats=False)", [(2, 3, 4, 5)]),
    ("nn.BatchNorm3d(2)", [(2, 2, 3, 2, 2)]),
    ("nn.LayerNorm(4)", [(2, 3, 4)]),
    ("nn.LayerNorm((3, 4), eps=1e-2)", [(2, 3, 4)]),
    ("nn.LayerNorm([4], elementwise_affine=False)", [(4,)]),
    ("nn.LayerNorm(4, bias=False)", [(2, 3, 4)]),
    ("nn.GroupNorm(2, 4)", [(3, 4, 5)]),
    ("nn.GroupNorm(4, 4, affine=False)", [(3, 4, 2, 2)]),
    ("nn.GroupNorm(1, 4, eps=0.1)", [(3, 4)]),
    ("nn.GroupNorm(2, 4, bias=False)", [(3, 4, 5)]),
    ("nn.InstanceNorm1d(3)", [(2, 3, 5)]),
    ("nn.InstanceNorm1d(3, affine=True)", [(3, 5)]),
    ("nn.InstanceNorm2d(3, affine=True, track_running_stats=True)", [(2, 3, 4, 5)]),
    ("nn.InstanceNorm2d(3)", [(3, 4, 5)]),
    ("nn.InstanceNorm3d(2, affine=True)", [(2, 2, 3, 2, 2)]),
    ("nn.RMSNorm(4)", [(2, 3, 4)]),
    ("nn.RMSNorm((3, 4), eps=1e-3)", [(2, 3, 4)]),
    ("nn.RMSNorm([4], elementwise_affine=False)", [(2, 4)]),
    ("nn.LocalResponseNorm(3)", [(2, 4, 5)]),
    ("nn.LocalResponseNorm(2, alpha=0.5, beta=0.6, k=2.0)", [(2, 5, 3, 2)]),
    ("lambda x: F.batch_norm(x, None, None, training=True)", [(4, 3)]),
    ("lambda x, w, b: F.batch_norm(x, lib.zeros(3, dtype=lib.float64), lib.ones(3, dtype=lib.float64) * 2, w, b)", [(4, 3, 2), (3,), (3,)]),
    ("lambda x, w: F.batch_norm(x, None, None, w, training=True, eps=0.01)", [(4, 3, 2), (3,)]),
    ("lambda x, w, b: F.layer_norm(x, (3, 2), w, b)", [(4, 3, 2), (3, 2), (3, 2)]),
    ("lambda x, b: F.layer_norm(x, (2,), None, b, 0.1)", [(4, 3, 2), (2,)]),
    ("lambda x, w, b: F.group_norm(x, 2, w, b)", [(2, 4, 3), (4,), (4,)]),
    ("lambda x, w, b: F.instance_norm(x, weight=w, bias=b)", [(2, 4, 3), (4,), (4,)]),
    ("lambda x, w: F.rms_norm(x, (3,), w)", [(2, 3), (3,)]),
    ("lambda x: F.local_response_norm(x, 3)", [(2, 4, 5)]),
]


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=[text for text, _ in CASES])
def test_recorded_numbers_of_pytorch(text, shapes):
    check_recorded(tg, text, shapes)


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=[text for text, _ in CASES])
def test_pytorch_here_and_now(text, shapes):
    check_live(tg, pytest.importorskip("torch"), text, shapes)


def test_running_statistics_over_several_batches():
    rng = np.random.default_rng(0)
    batches = [tg.tensor(rng.standard_normal((5, 2, 3)) * 3 + 1) for _ in range(4)]
    layer, mean, var = nn.BatchNorm1d(2).double(), np.zeros(2), np.ones(2)
    average = nn.BatchNorm1d(2, momentum=None).double()
    for x in batches:
        layer(x)
        average(x)
        mean = 0.9 * mean + 0.1 * x.numpy().mean((0, 2))
        var = 0.9 * var + 0.1 * x.numpy().transpose(1, 0, 2).reshape(2, -1).var(1, ddof=1)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.numpy(), var, rtol=1e-12)
    np.testing.assert_allclose(average.running_mean.numpy(), np.mean([x.numpy().mean((0, 2)) for x in batches], 0), rtol=1e-12)
    assert layer.num_batches_tracked.item() == 4 and layer.num_batches_tracked.dtype == np.int64
    layer.reset_running_stats()
    assert layer.running_mean.tolist() == [0, 0] and layer.num_batches_tracked.item() == 0


def test_evaluation_leaves_the_statistics_alone():
    layer = nn.BatchNorm2d(2).eval()
    layer(tg.randn(3, 2, 2, 2))
    assert layer.running_mean.tolist() == [0, 0] and layer.num_batches_tracked.item() == 0


def test_double_converts_buffers_but_not_counters():
    layer = nn.BatchNorm1d(2).double()
    assert layer.running_var.dtype == np.float64 and layer.num_batches_tracked.dtype == np.int64


def test_gradients_by_finite_differences():
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    for f in (lambda t: F.layer_norm(t, (4,)), lambda t: F.batch_norm(t, None, None, training=True), lambda t: F.rms_norm(t, (4,), eps=1e-5)):
        t = tg.tensor(x, requires_grad=True)
        (f(t) * tg.tensor(w)).sum().backward()
        for i in np.ndindex(*x.shape):
            step = np.zeros_like(x)
            step[i] = 1e-6
            up, down = ((f(tg.tensor(x + s)).numpy() * w).sum() for s in (step, -step))
            assert t.grad.numpy()[i] == pytest.approx((up - down) / 2e-6, abs=1e-7)


def test_large_offsets_do_not_cancel():
    x = tg.tensor(np.array([[1e8], [1e8 + 1], [1e8 + 2]]), dtype=tg.float64)
    out = F.batch_norm(x, None, None, training=True, eps=0.0).numpy().ravel()
    np.testing.assert_allclose(out, [-1.5**0.5, 0, 1.5**0.5], atol=1e-6)


def test_float32_stays_float32():
    x = tg.randn(4, 3, requires_grad=True)
    for layer in (nn.BatchNorm1d(3), nn.LayerNorm(3), nn.RMSNorm(3), nn.GroupNorm(3, 3)):
        out = layer(x)
        assert out.dtype == np.float32, layer
        out.sum().backward()
        assert x.grad.dtype == np.float32 and all(p.grad.dtype == np.float32 for p in layer.parameters())


ERRORS = [
    (lambda: nn.BatchNorm1d(3)(tg.ones(1, 3)), ValueError, "has no variance"),
    (lambda: nn.BatchNorm2d(3)(tg.ones(2, 3)), ValueError, "expected an input of 4-d"),
    (lambda: nn.BatchNorm1d(3)(tg.ones(2, 4)), RuntimeError, "has 4 channels"),
    (lambda: F.batch_norm(tg.ones(2, 3), None, None), RuntimeError, "training=True"),
    (lambda: nn.LayerNorm(3)(tg.ones(2, 4)), RuntimeError, "must end with normalized_shape=[3]"),
    (lambda: nn.GroupNorm(2, 3), ValueError, "must divide"),
    (lambda: F.group_norm(tg.ones(1, 3, 2), 2), RuntimeError, "does not divide the 3 channels"),
    (lambda: nn.InstanceNorm1d(3)(tg.ones(2, 3, 1)), ValueError, "has no variance"),
    (lambda: F.local_response_norm(tg.ones(2, 3), 2), ValueError, "(N, C, L)"),
]


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS, ids=[text for _, _, text in ERRORS])
def test_errors_say_what_fits(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


def test_states_from_before_batches_were_counted_load():
    layer = nn.BatchNorm1d(2)
    state = layer.state_dict()
    del state["num_batches_tracked"]
    assert not layer.load_state_dict(dict(state), strict=False).missing_keys  # a plain dict says no version
    with pytest.raises(RuntimeError, match="missing key 'num_batches_tracked'"):
        layer.load_state_dict(state)  # this one says 2
