"""Resampling against PyTorch: results, gradients, second derivatives, buffers, reprs, state_dict keys."""

import numpy as np
import pytest
from layer_tables import check_live, check_recorded

import tinygrad_edu as tg

nn, F = tg.nn, tg.nn.functional

CASES = [
    ("nn.Upsample(scale_factor=2)", [(1, 2, 3)]),
    ("nn.Upsample(scale_factor=2)", [(1, 2, 3, 2)]),
    ("nn.Upsample(size=(5, 3))", [(1, 2, 3, 7)]),
    ("nn.Upsample(scale_factor=(2, 1.5), mode='bilinear')", [(1, 2, 3, 4)]),
    ("nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True)", [(1, 2, 3, 4)]),
    ("nn.Upsample(size=7, mode='linear', align_corners=False)", [(2, 2, 4)]),
    ("nn.Upsample(scale_factor=2.3, mode='linear', recompute_scale_factor=True)", [(2, 2, 4)]),
    ("nn.Upsample(size=(7, 3), mode='bicubic')", [(1, 2, 4, 5)]),
    ("nn.Upsample(scale_factor=1.7, mode='bicubic', align_corners=True)", [(1, 2, 4, 5)]),
    ("nn.Upsample(scale_factor=2, mode='trilinear')", [(1, 1, 2, 3, 2)]),
    ("nn.UpsamplingNearest2d(scale_factor=3)", [(1, 2, 2, 2)]),
    ("nn.UpsamplingBilinear2d(size=(5, 4))", [(1, 2, 3, 2)]),
    ("lambda x: F.interpolate(x, scale_factor=0.4)", [(1, 2, 11)]),
    ("lambda x: F.interpolate(x, scale_factor=1.3)", [(1, 2, 11)]),
    ("lambda x: F.interpolate(x, size=4)", [(1, 2, 11)]),
    ("lambda x: F.interpolate(x, size=(4, 9), mode='nearest-exact')", [(1, 2, 7, 5)]),
    ("lambda x: F.interpolate(x, scale_factor=0.6, mode='nearest-exact')", [(1, 2, 7, 9)]),
    ("lambda x: F.interpolate(x, scale_factor=0.6, mode='bilinear')", [(1, 2, 7, 9)]),
    ("lambda x: F.interpolate(x, scale_factor=0.6, mode='bilinear', recompute_scale_factor=True)", [(1, 2, 7, 9)]),
    ("lambda x: F.interpolate(x, size=(1, 1), mode='bilinear', align_corners=True)", [(1, 2, 3, 4)]),
    ("lambda x: F.interpolate(x, size=(3, 2), mode='area')", [(1, 2, 7, 5)]),
    ("lambda x: F.interpolate(x, size=(3, 4))", [(1, 2, 3, 4)]),
    ("lambda x, g: F.grid_sample(x, g, align_corners=False)", [(2, 3, 4, 5), (2, 3, 3, 2)]),
    ("lambda x, g: F.grid_sample(x, g, align_corners=True, padding_mode='border')", [(2, 3, 4, 5), (2, 3, 3, 2)]),
    ("lambda x, g: F.grid_sample(x, g.detach(), 'nearest', align_corners=False)", [(2, 3, 4, 5), (2, 3, 3, 2)]),
    ("lambda t: F.affine_grid(t, (2, 1, 3, 4), align_corners=False)", [(2, 2, 3)]),
    ("lambda t: F.affine_grid(t, (2, 1, 3, 1), align_corners=True)", [(2, 2, 3)]),
    ("lambda x, t: F.grid_sample(x, F.affine_grid(t, (2, 1, 3, 4), align_corners=False), align_corners=False)", [(2, 1, 5, 4), (2, 2, 3)]),
]


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=[text for text, _ in CASES])
def test_recorded_numbers_of_pytorch(text, shapes):
    check_recorded(tg, text, shapes)


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=[text for text, _ in CASES])
def test_pytorch_here_and_now(text, shapes):
    check_live(tg, pytest.importorskip("torch"), text, shapes)


def test_infinities_stay_where_they_are():
    x = tg.tensor([[[np.inf, 1.0, 2.0]]])
    assert F.interpolate(x, scale_factor=2).tolist() == [[[np.inf, np.inf, 1, 1, 2, 2]]]
    assert F.interpolate(x, size=5, mode="linear", align_corners=True)[0, 0, 2:].tolist() == [1, 1.5, 2]


def test_a_result_has_memory_of_its_own():
    x = tg.ones(1, 1, 2)
    F.interpolate(x, size=2).zero_()
    assert x.sum().item() == 2


def test_linear_resampling_by_finite_differences():
    x = np.random.default_rng(0).standard_normal((1, 1, 3))
    t = tg.tensor(x, requires_grad=True)
    F.interpolate(t, size=5, mode="linear")[0, 0, 1].backward()
    for i in range(3):
        step = np.zeros_like(x)
        step[0, 0, i] = 1e-6
        up, down = (F.interpolate(tg.tensor(x + s), size=5, mode="linear")[0, 0, 1].item() for s in (step, -step))
        assert t.grad.numpy()[0, 0, i] == pytest.approx((up - down) / 2e-6, abs=1e-8)


ERRORS = [
    (lambda: F.interpolate(tg.ones(1, 1, 2)), ValueError, "either size or scale_factor"),
    (lambda: F.interpolate(tg.ones(1, 1, 2), size=3, scale_factor=2), ValueError, "either size or scale_factor"),
    (lambda: F.interpolate(tg.ones(1, 1, 2), size=3, mode="bilinear"), NotImplementedError, "wants an input of 4 dimensions"),
    (lambda: F.interpolate(tg.ones(1, 1, 2), size=3, mode="cubic"), NotImplementedError, "mode must be one of"),
    (lambda: F.interpolate(tg.ones(1, 1, 2), size=3, align_corners=True), ValueError, "align_corners"),
    (lambda: F.interpolate(tg.ones(1, 1, 2), size=0), RuntimeError, "sizes must be positive"),
    (lambda: F.interpolate(tg.ones(1, 1, 2, 2), size=(1, 2, 3)), ValueError, "has 3 numbers"),
    (lambda: F.grid_sample(tg.ones(1, 1, 2, 2), tg.ones(1, 2, 2, 2), padding_mode="mirror"), ValueError, "padding_mode"),
]


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS, ids=[text for _, _, text in ERRORS])
def test_errors_say_what_fits(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


def test_an_axis_that_keeps_its_size_is_copied_whatever_the_factor():
    x = tg.arange(8.0).reshape(1, 1, 2, 4)
    for mode in ("bilinear", "nearest"):
        same = F.interpolate(x, scale_factor=1.1, mode=mode)
        assert same.tolist() == x.tolist() and same is not x
    assert F.interpolate(x, scale_factor=1.1, mode="bilinear", antialias=True).tolist() == x.tolist()
    assert F.interpolate(x[..., :3], scale_factor=(1, 2.3))[0, 0, 0].tolist() == [0, 0, 1, 1, 2, 2]  # and twice the size is each one twice
