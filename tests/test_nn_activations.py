"""Activations, linear maps, dropout in evaluation, padding and rearranging layers against PyTorch, number by number."""

import numpy as np
import pytest
from layer_tables import check_live, check_recorded

import tinygrad_edu as tg

nn, F = tg.nn, tg.nn.functional

PLAIN = ["nn.ReLU()", "nn.ReLU6()", "nn.LeakyReLU()", "nn.LeakyReLU(0.3)", "nn.PReLU()", "nn.PReLU(3, init=0.1)", "nn.ELU()", "nn.ELU(0.7)",
         "nn.SELU()", "nn.CELU()", "nn.CELU(0.5)", "nn.GELU()", "nn.GELU('tanh')", "nn.SiLU()", "nn.Mish()", "nn.Softplus()",
         "nn.Softplus(2.0, 1.5)", "nn.Softsign()", "nn.Hardtanh()", "nn.Hardtanh(-0.3, 0.7)", "nn.Hardswish()",
         "nn.Hardshrink()", "nn.Hardshrink(0.2)", "nn.Softshrink()", "nn.Softshrink(0.2)", "nn.Tanhshrink()", "nn.Threshold(0.1, -2.0)",
         "nn.Tanh()", "nn.Sigmoid()", "nn.LogSigmoid()", "nn.Softmax(1)", "nn.Softmax(dim=-1)", "nn.Softmin(1)", "nn.LogSoftmax(-1)",
         "nn.GLU()", "nn.Identity(3, unused=1)", "nn.Flatten()", "nn.Flatten(0, 1)", "nn.Unflatten(2, (2, -1))"]  # fmt: skip
CASES = [(text, [(2, 3, 4)]) for text in PLAIN] + [
    ("nn.Softmax2d()", [(2, 3, 2, 2)]), ("nn.Softmax2d()", [(3, 2, 2)]), ("nn.GLU(0)", [(4, 3)]), ("nn.PReLU()", [(5,)]),
    ("nn.PReLU(4)", [(3, 4)]), 
    ("nn.Linear(3, 2)", [(4, 3)]), ("nn.Linear(3, 2, bias=False)", [(2, 4, 3)]), ("nn.Linear(3, 2)", [(3,)]),
    ("nn.Bilinear(3, 4, 2)", [(5, 3), (5, 4)]), ("nn.Bilinear(3, 4, 2, bias=False)", [(2, 5, 3), (2, 5, 4)]),
    ("nn.PixelShuffle(2)", [(2, 8, 3, 2)]), ("nn.PixelUnshuffle(2)", [(2, 3, 4, 6)]), ("nn.ChannelShuffle(2)", [(2, 6, 3)]),
    ("nn.CosineSimilarity()", [(3, 4), (3, 4)]), ("nn.CosineSimilarity(dim=-1, eps=1.5)", [(2, 3, 4), (2, 3, 4)]),
    ("nn.PairwiseDistance()", [(3, 4), (3, 4)]), ("nn.PairwiseDistance(1.0, keepdim=True)", [(3, 4), (3, 4)]),
    ("nn.PairwiseDistance(3.0, eps=0.1)", [(3, 4), (4,)]),
    ("nn.ConstantPad1d(2, 3.5)", [(2, 3, 4)]), ("nn.ConstantPad2d((1, 0, -1, 2), -1.0)", [(2, 3, 4)]), ("nn.ConstantPad3d(1, 2.0)", [(1, 2, 2, 2)]),
    ("nn.ZeroPad1d((0, 2))", [(2, 3)]), ("nn.ZeroPad2d(1)", [(1, 2, 3, 2)]), ("nn.ZeroPad3d(1)", [(1, 2, 2, 2)]),
    ("nn.ReflectionPad1d((3, 1))", [(2, 3, 4)]), ("nn.ReflectionPad2d((1, 2, 0, 1))", [(2, 3, 4)]), ("nn.ReflectionPad3d(1)", [(1, 2, 2, 3)]),
    ("nn.ReplicationPad1d((2, 1))", [(2, 3)]), ("nn.ReplicationPad2d((1, -1, 2, 3))", [(1, 2, 3, 4)]), ("nn.ReplicationPad3d(1)", [(1, 2, 2, 2)]),
    ("nn.CircularPad1d((3, 2))", [(2, 3, 4)]), ("nn.CircularPad2d((1, 2, 3, 0))", [(2, 3, 4)]), ("nn.CircularPad3d(1)", [(1, 2, 2, 2)]),
    ("lambda x: F.pad(x, (-1, 2, 1, -1), 'circular')", [(1, 3, 4, 4)]), ("lambda x: F.pad(x, (1, 2, 0, -1, 3, 0))", [(2, 3, 4)]),
    ("lambda x: F.normalize(x)", [(2, 3, 4)]), ("lambda x: F.normalize(x, p=1.0, dim=-1)", [(3, 4)]), ("lambda x: F.normalize(x, dim=1, eps=2.0)", [(3, 4)]),
    
    ("lambda x, y: F.cosine_similarity(x, y, dim=-1)", [(3, 1, 4), (2, 4)]),
    ("lambda x: F.pdist(x)", [(4, 3)]), ("lambda x: F.softmax(x, 0, dtype=lib.float64)", [(3, 4)]),
    ("lambda x: F.rrelu(x)", [(3, 4)]), ("lambda x: F.dropout(x, 0.5, training=False)", [(3, 4)]), ("lambda x: F.dropout(x, 0.0)", [(3, 4)]),
    ("lambda x: F.dropout(x, 1.0)", [(3, 4)]), ("nn.Dropout(0.0)", [(3, 4)]), ("nn.AlphaDropout(0.0, inplace=True)", [(3, 4)]),
    ("lambda x: F.alpha_dropout(x, 1.0, True)", [(3, 4)]),
    *[(f"lambda x: F.{name}(x * 1.0, inplace=True)", [(3, 4)]) for name in ("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "silu",
                                                                           "mish", "hardtanh", "hardswish", "rrelu")],
    ("lambda x: F.threshold(x * 1.0, 0.1, 20.0, inplace=True)", [(3, 4)]), ("lambda x: F.relu_(x * 2.0)", [(3, 4)]),
    ("nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True), nn.Linear(3, 2), nn.LeakyReLU(0.2, inplace=True))", [(5, 4)]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=[f"{text} {shapes}" for text, shapes in CASES])
def test_recorded_numbers_of_pytorch(text, shapes):
    check_recorded(tg, text, shapes)


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=[f"{text} {shapes}" for text, shapes in CASES])
def test_pytorch_here_and_now(text, shapes):
    check_live(tg, pytest.importorskip("torch"), text, shapes)


KINKS = {"relu": (0,), "relu6": (0, 6), "leaky_relu": (0,), "elu": (0,), "celu": (0,), "selu": (0,), "hardtanh": (-1, 1), "hardsigmoid": (-3, 3),
         "hardswish": (-3, 3), "hardshrink": (-0.5, 0.5), "softshrink": (-0.5, 0.5), "softplus": (20,), "tanhshrink": (0,), "softsign": (0,),
         "rrelu": (0,)}  # fmt: skip


@pytest.mark.parametrize("name", KINKS)
def test_slopes_at_kinks_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch")
    points = list(KINKS[name])
    slopes = []
    for lib in (tg, torch):
        x = lib.tensor(points, dtype=lib.float64, requires_grad=True)
        y = getattr(lib.nn.functional, name)(x)
        y.sum().backward()
        slopes.append(y.tolist() + x.grad.tolist())
    assert slopes[0] == pytest.approx(slopes[1]), name


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "logsigmoid", "silu", "mish", "gelu", "elu", "celu", "selu", "tanh", "tanhshrink", "softsign"])
@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
def test_activations_are_finite_far_out(name, dtype):
    x = tg.tensor([-1000.0, -100.0, 0.0, 100.0, 1000.0], dtype=dtype, requires_grad=True)
    y = getattr(F, name)(x)
    y.sum().backward()
    assert np.isfinite(y.detach().numpy()).all()
    assert np.isfinite(x.grad.numpy()).all()
    assert y.dtype == x.grad.dtype == dtype


def test_dropout_zeroes_and_scales():
    tg.manual_seed(0)
    x = tg.ones(1000, 20)
    y = F.dropout(x, 0.25)
    assert y.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert y.mean().item() == pytest.approx(1, abs=0.03)
    z = F.dropout2d(tg.ones(50, 40, 2, 3), 0.5).numpy()
    assert (z.reshape(50, 40, -1).std(axis=-1) == 0).all()
    assert z.mean() == pytest.approx(1, abs=0.1)
    a = F.alpha_dropout(tg.randn(1000, 20), 0.3, training=True)
    assert a.mean().item() == pytest.approx(0, abs=0.05)
    assert a.std().item() == pytest.approx(1, abs=0.05)
    module = nn.Dropout(0.5)
    assert (module(x) == 0).any()
    assert module.eval()(x) is x


@pytest.mark.parametrize("call", ["F.dropout(lib.ones(3, 50), 0.4)", "F.dropout1d(lib.ones(3, 5, 4))", "F.dropout1d(lib.ones(6, 4))",
                                  "F.dropout2d(lib.ones(3, 5, 4, 2), 0.3)", "F.dropout3d(lib.ones(3, 5, 4, 2, 2))", "F.alpha_dropout(lib.ones(4, 9), 0.4, True)",
                                  "F.feature_alpha_dropout(lib.ones(4, 9, 2), 0.4, True)", "F.gumbel_softmax(lib.ones(4, 9))",
                                  "F.gumbel_softmax(lib.ones(4, 9), tau=0.5, hard=True)", "F.rrelu(-lib.ones(4, 9), training=True)",
                                  "F.dropout(lib.ones(3, 50, dtype=lib.float64), 0.4, inplace=True)", "nn.Dropout2d(0.4)(lib.ones(2, 8, 3, 3))"])  # fmt: skip
def test_random_masks_are_those_of_pytorch(call):
    torch = pytest.importorskip("torch")
    results = []
    for lib in (tg, torch):
        lib.manual_seed(7)
        results.append(eval(call, {"lib": lib, "F": lib.nn.functional, "nn": lib.nn}).numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5, atol=1e-6)


def test_gumbel_softmax_is_differentiable_when_hard():
    x = tg.randn(5, 4).requires_grad_()
    y = F.gumbel_softmax(x, hard=True)
    assert np.allclose(y.sum(dim=-1).tolist(), 1)
    (y * tg.arange(4.0)).sum().backward()
    assert (x.grad != 0).any()


def test_one_hot():
    assert F.one_hot(tg.tensor([[0, 2], [1, 1]])).shape == (2, 2, 3)
    assert F.one_hot(tg.tensor([1]), 3).tolist() == [[0, 1, 0]]
    assert F.one_hot(tg.tensor(2)).tolist() == [0, 0, 1]


ERRORS = [(lambda: F.glu(tg.ones(3)), "even"), (lambda: F.prelu(tg.ones(2, 3), tg.ones(2)), "channels"), (lambda: F.gelu(tg.ones(2), "erf"), "approximate"),
          (lambda: nn.Dropout(1.5), "between 0 and 1"), (lambda: F.pad(tg.ones(2, 3), (3, 0), "reflect"), "at most 2"),
          (lambda: F.pad(tg.ones(2, 3), (3, 0), "mirror"), "mode"), (lambda: F.pad(tg.ones(3), (1,)), "two numbers"),
          (lambda: F.pad(tg.ones(2, 3, 4, 5), (1, 1), "circular"), "one or two"), (lambda: F.one_hot(tg.tensor([3]), 2), "class 3"),
          (lambda: F.one_hot(tg.tensor([-1])), "negative"), (lambda: F.bilinear(tg.ones(2, 3), tg.ones(3, 4), tg.ones(5, 3, 4)), "agree"),
          (lambda: nn.Softmax2d()(tg.ones(2, 3)), "shape"), (lambda: F.pixel_shuffle(tg.ones(3, 2, 2), 2), "2²"),
          (lambda: F.hardtanh(tg.ones(1), 1, -1), "larger"), (lambda: nn.Unflatten(1, "ab"), "tuple of ints")]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), ERRORS, ids=[text for _, text in ERRORS])
def test_errors_say_what_is_wrong(call, text):
    with pytest.raises((RuntimeError, ValueError, TypeError, NotImplementedError), match=text):
        call()


def test_softmax_without_a_dimension_warns():
    with pytest.warns(UserWarning, match="dim=1"):
        assert F.softmax(tg.zeros(2, 4)).tolist() == [[0.25] * 4] * 2


def test_nothing_has_a_direction():
    """At 0 the first derivatives are those of PyTorch, and the second ones 0 where PyTorch has NaN."""
    zero, x = tg.zeros(2, 3, dtype=tg.float64, requires_grad=True), tg.ones(2, 3, dtype=tg.float64)
    for loss, slope in ((F.normalize(zero).sum(), 1e12), (F.cosine_similarity(zero, x).sum(), 1e8 / np.sqrt(3))):
        (g,) = tg.autograd.grad(loss, zero, create_graph=True)
        np.testing.assert_allclose(g.detach().numpy(), slope)
        (second,) = tg.autograd.grad((g * x).sum(), zero, allow_unused=True)
        assert second is None or np.isfinite(second.numpy()).all()


def test_hardsigmoid_is_linear_in_the_middle():
    x = tg.tensor([-4.0, -1.0, 0.0, 2.0, 5.0], requires_grad=True)
    y = nn.Hardsigmoid(inplace=True)(x * 1.0)
    y.sum().backward()
    assert y.tolist() == pytest.approx([0, 1 / 3, 0.5, 5 / 6, 1])
    assert x.grad.tolist() == pytest.approx([0, 1 / 6, 1 / 6, 1 / 6, 0])
