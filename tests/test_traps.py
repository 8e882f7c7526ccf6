"""Eighteen traps that caught other frameworks on NumPy: each is right here, or a clear error."""

import numpy as np
import pytest

import tinygrad_edu as tg


def leaf(values, dtype=tg.float64):
    return tg.tensor(values, dtype=dtype, requires_grad=True)


def test_01_same_tensor_twice_in_one_operator():
    x = leaf([3.0])
    (x * x).sum().backward()
    (x + x).sum().backward()
    assert x.grad.item() == 8.0


def test_02_twenty_six_doublings():
    x = leaf(1.0)
    a = x
    for _ in range(26):
        a = a + a
    a.backward()
    assert x.grad.item() == 2.0**26


@pytest.mark.parametrize("depth", [1_500, 100_000])
def test_03_deep_chains(depth):
    x = leaf(1.0)
    y = x
    for _ in range(depth):
        y = y + 1.0
    y.backward()
    assert x.grad.item() == 1.0


def test_04_gather_with_a_repeated_index():
    x = leaf([1.0, 2.0, 3.0])
    (x[[0, 0, 2]] * tg.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [11.0, 0.0, 100.0]


def test_05_max_with_ties_is_a_subgradient():
    x = leaf([2.0, 5.0, 5.0])
    x.max().backward()
    assert x.grad.sum().item() == 1.0 and x.grad[0].item() == 0.0 and (x.grad >= 0).all()


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((4, 2, 3), (3,)), ((3,), (4, 3, 2))])
def test_06_vectors_in_matmul(shapes):
    rng = np.random.default_rng(0)
    a, b = (leaf(rng.normal(size=s)) for s in shapes)
    assert (a @ b).shape == np.matmul(a.detach().numpy(), b.detach().numpy()).shape
    assert tg.autograd.gradcheck(lambda a, b: a @ b, (a, b))


def test_07_broadcast_batches_in_matmul():
    rng = np.random.default_rng(0)
    a, b = leaf(rng.normal(size=(5, 1, 2, 3))), leaf(rng.normal(size=(4, 3, 2)))
    assert tg.autograd.gradcheck(lambda a, b: a @ b, (a, b), fast_mode=True)
    (a @ b).sum().backward()
    assert a.grad.shape == (5, 1, 2, 3) and b.grad.shape == (4, 3, 2)


def test_08_to_the_power_of_zero_at_zero():
    for power in (0, 0.0, tg.tensor(0.0, dtype=tg.float64)):
        x = leaf([0.0, 2.0])
        (x**power).sum().backward()
        assert x.grad.tolist() == [0.0, 0.0]


def test_09_gradient_of_the_exponent():
    x, y = leaf([2.0]), leaf([3.0])
    (x**y).sum().backward()
    assert y.grad.item() == pytest.approx(8 * np.log(2)) and x.grad.item() == pytest.approx(12.0)
    y.grad = None
    (2.0**y).sum().backward()
    assert y.grad.item() == pytest.approx(8 * np.log(2))


def test_10_sigmoid_of_a_thousand():
    x = leaf([-1000.0, 1000.0, 0.0])
    out = tg.sigmoid(x)  # warnings are errors here
    out.sum().backward()
    assert out.tolist() == pytest.approx([0.0, 1.0, 0.5]) and np.isfinite(x.grad.numpy()).all()


def test_11_array_times_tensor():
    x = leaf([1.0, 2.0])
    for out in (np.array([3.0, 4.0]) * x, np.float64(3.0) * x, np.array([[1.0], [2.0]]) @ x.reshape(1, 2), np.ones(2) - x):
        assert isinstance(out, tg.Tensor) and out.requires_grad
    (np.array([3.0, 4.0]) * x).sum().backward()
    assert x.grad.tolist() == [3.0, 4.0]


def test_12_numpy_function_of_a_tensor():
    x = leaf([1.0, 2.0])
    np.exp(x).sum().backward()
    assert x.grad.tolist() == pytest.approx(np.exp([1.0, 2.0]).tolist())


def test_13_float32_stays_float32():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    for out in (2.0 * x + 1, x * np.float64(2.0) + 1, x * np.sqrt(2), x / 3, x**2, x + True, 1 / x):
        assert out.dtype == tg.float32
    (2.0 * x + 1).sum().backward()
    assert x.grad.dtype == tg.float32


def test_14_two_losses_share_a_trunk():
    x = leaf(3.0)
    trunk = x * x
    a, b = trunk * 2, trunk * 3
    a.backward(retain_graph=True)
    b.backward()
    assert x.grad.item() == 30.0
    trunk = x * x
    a, b = trunk * 2, trunk * 3
    a.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        b.backward()


def test_15_backward_twice():
    x = leaf(3.0)
    y = x * x * 2
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()
    assert x.grad.item() == 12.0


def test_16_numpy_writes_between_forward_and_backward():
    x, a = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    out = (x * a).sum() + (x * x).sum()
    a[:] = 100.0
    with pytest.raises(ValueError, match="read-only"):
        x.detach().numpy()[:] = 100.0
    out.backward()
    assert x.grad.tolist() == [5.0, 8.0]
    c = tg.tensor([3.0, 4.0], dtype=tg.float64)
    out = (x * c).sum()
    c.numpy()[:] = 100.0
    with pytest.raises(RuntimeError, match="NumPy"):
        out.backward()


def test_17_integers_have_no_gradient():
    with pytest.raises(RuntimeError, match="floating-point"):
        tg.tensor([1, 2], requires_grad=True)
    with pytest.raises(RuntimeError, match="floating-point"):
        tg.tensor([True]).requires_grad_()


def test_18_graphs_are_freed_without_the_cycle_collector():
    import gc
    import weakref

    gc.collect()
    gc.disable()
    try:
        x = leaf([1.0, 2.0])
        y = (x * x).exp().sum()
        ref = weakref.ref(y.node)
        del y
        assert ref() is None
    finally:
        gc.enable()
