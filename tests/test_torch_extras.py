"""What PyTorch programs do around tensors: complex numbers, Fourier transforms, pruning, checkpointing, mixed precision, old names."""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.autograd import gradcheck, gradgradcheck
from tinygrad_edu.nn.utils import prune
from tinygrad_edu.utils.checkpoint import checkpoint, checkpoint_sequential

pytestmark = pytest.mark.usefixtures("float64")
SEED = np.random.default_rng(3)


def leaf(*shape):
    return tg.tensor(SEED.normal(size=shape), requires_grad=True)


# --- complex numbers -----------------------------------------------------------------------------------------------------

COMPLEX = [
    lambda a, b: tg.view_as_real(tg.complex(a, b) * tg.complex(b, a) / (tg.complex(a, b) + 3)),
    lambda a, b: (tg.complex(a, b) @ tg.complex(b, a).mT.conj()).abs(),
    lambda a, b: tg.complex(a, b).exp().angle() + tg.polar(a.exp(), b).real,
    lambda a, b: tg.view_as_real(tg.einsum("ij,kj->ik", tg.complex(a, b), tg.complex(b, a))),
    lambda a, b: tg.view_as_real(tg.cat([tg.complex(a, b), tg.complex(b, a)[:, :2] ** 2], 1)),
    lambda a, b: tg.view_as_complex(tg.stack([a, b], -1)).transpose(0, 1).reshape(-1).sum().abs(),
]


@pytest.mark.parametrize("function", COMPLEX)
def test_complex_numbers_have_derivatives_of_both_orders(function):
    a, b = leaf(2, 3), leaf(2, 3)
    assert gradcheck(function, (a, b)) and gradgradcheck(function, (a, b))


def test_complex_numbers_are_numpys():
    a, b = SEED.normal(size=(2, 3)), SEED.normal(size=(2, 3))
    z, w = tg.complex(tg.tensor(a), tg.tensor(b)), a + 1j * b
    for ours, expected in ((z * z, w * w), (1 / z, 1 / w), (z - 2j, w - 2j), (2 - z, 2 - w), (z**3, w**3), (z.exp(), np.exp(w)), (z @ z.mT, w @ w.T)):
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-12)
    assert z.real.equal(tg.tensor(a)) and tg.imag(z).equal(tg.tensor(b)) and z.dtype == tg.complex128


def test_what_knows_no_complex_derivative_refuses_the_gradient():
    a = leaf(3)
    z = tg.complex(a, a)
    np.testing.assert_allclose(tg.nn.functional.softsign(z).detach().numpy(), z.detach().numpy() / (1 + abs(z.detach().numpy())))
    with pytest.raises(NotImplementedError, match="complex"):
        tg.view_as_real(tg.nn.functional.softsign(z)).sum().backward()


FOURIER = [
    (lambda x: tg.fft.rfft(x), np.fft.rfft), (lambda x: tg.fft.rfft(x, n=5), lambda x: np.fft.rfft(x, n=5)),
    (lambda x: tg.fft.fft(x, norm="ortho"), lambda x: np.fft.fft(x, norm="ortho")), (lambda x: tg.fft.fft2(x), np.fft.fft2),
    (lambda x: tg.fft.irfft(x, n=7), lambda x: np.fft.irfft(x, n=7)), (lambda x: tg.fft.rfftn(x), np.fft.rfftn),
    (lambda x: tg.fft.ifftn(x, norm="forward"), lambda x: np.fft.ifftn(x, norm="forward")), (lambda x: tg.fft.hfft(x), np.fft.hfft),
    (lambda x: tg.fft.fftshift(tg.fft.fft(x, n=8, dim=0)), lambda x: np.fft.fftshift(np.fft.fft(x, n=8, axis=0))),
]  # fmt: skip


@pytest.mark.parametrize("ours, numpys", FOURIER)
def test_fourier_transforms(ours, numpys):
    x = leaf(4, 6)
    np.testing.assert_allclose(ours(x.detach()).numpy(), numpys(x.detach().numpy()), atol=1e-12)
    assert gradcheck(lambda x: tg.real(ours(x)) if not ours(x).is_complex() else tg.view_as_real(ours(x)), (x,))


# --- around modules ------------------------------------------------------------------------------------------------------


def test_checkpoints_compute_again():
    calls = []

    def part(x):
        calls.append(1)
        return nn.functional.dropout(layer(x), 0.5)

    layer, x = nn.Linear(3, 3), leaf(4, 3)
    tg.manual_seed(1)
    part(x).square().sum().backward()
    expected = x.grad.clone(), layer.weight.grad.clone()
    x.grad = layer.weight.grad = layer.bias.grad = None
    tg.manual_seed(1)
    checkpoint(part, x, use_reentrant=False).square().sum().backward()
    assert len(calls) == 3 and x.grad.equal(expected[0]) and layer.weight.grad.equal(expected[1])
    model = nn.Sequential(*(nn.Linear(3, 3) for _ in range(5)))
    assert checkpoint_sequential(model, 2, x, use_reentrant=False).equal(model(x))
    assert gradgradcheck(lambda x: checkpoint(lambda x: (x**3).sum(), x, use_reentrant=False), (x,))
    assert not checkpoint(layer, x.detach(), use_reentrant=True).requires_grad


def test_a_checkpoint_keeps_gradients_apart_that_come_from_outside():
    x = leaf(3)
    y = x * 2
    z = checkpoint(lambda a, b: a * b, x, y, use_reentrant=False)
    (g,) = tg.autograd.grad(z.sum(), x)
    np.testing.assert_allclose(g.numpy(), 4 * x.detach().numpy())


def test_pruning():
    layer = nn.Linear(4, 3)
    before = layer.weight.detach().clone()
    prune.l1_unstructured(layer, "weight", amount=4)
    assert int((layer.weight == 0).sum()) == 4 and prune.is_pruned(layer)
    assert list(layer.state_dict()) == ["bias", "weight_orig", "weight_mask"] and layer.weight_orig.equal(before)
    prune.ln_structured(layer, "weight", amount=1, n=2, dim=0)
    assert len(layer._forward_pre_hooks) == 1 and (layer.weight == 0).all(1).sum() >= 1
    layer(tg.ones(1, 4)).sum().backward()
    assert ((layer.weight_orig.grad == 0) == (layer.weight_mask == 0)).all()
    prune.remove(layer, "weight")
    assert list(layer.state_dict()) == ["bias", "weight"] and not prune.is_pruned(layer)
    with pytest.raises(ValueError, match="amount"):
        prune.random_unstructured(layer, "weight", amount=1.5)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)])
@pytest.mark.parametrize("way", ["matrix_exp", "cayley", "householder"])
def test_orthogonal_weights_stay_orthogonal(shape, way):
    layer = nn.utils.parametrizations.orthogonal(nn.Linear(shape[1], shape[0]), orthogonal_map=way)
    optimizer = tg.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        weight = layer.weight
        product = weight @ weight.T if shape[0] < shape[1] else weight.T @ weight
        np.testing.assert_allclose(product.detach().numpy(), np.eye(min(shape)), atol=1e-10)
        optimizer.zero_grad()
        layer(tg.ones(2, shape[1])).square().sum().backward()
        optimizer.step()


def test_mixed_precision_is_off_or_refused():
    w = nn.Parameter(tg.ones(2))
    optimizer = tg.optim.SGD([w], lr=0.1)
    scaler = tg.amp.GradScaler("cpu", init_scale=4.0, growth_interval=1)
    with tg.autocast("cpu", enabled=False):
        loss = (w * w).sum()
    scaler.scale(loss).backward()
    assert w.grad.tolist() == [8, 8]
    scaler.step(optimizer), scaler.update()
    assert w.tolist() == pytest.approx([0.8, 0.8]) and scaler.get_scale() == 8
    w.grad = tg.tensor([math.inf, 0.0])
    scaler.step(optimizer), scaler.update()
    assert w.tolist() == pytest.approx([0.8, 0.8]) and scaler.get_scale() == 4
    with pytest.raises(NotImplementedError, match="bfloat16"), tg.autocast("cpu"):
        pass
    with pytest.warns(UserWarning, match="no such device"):
        assert not tg.cuda.amp.GradScaler().is_enabled()


def test_compiled_functions_are_the_functions():
    model = tg.compile(nn.Linear(2, 1))
    assert list(model.state_dict()) == ["_orig_mod.weight", "_orig_mod.bias"] and model.in_features == 2
    assert model(tg.ones(1, 2)).equal(model._orig_mod(tg.ones(1, 2)))
    assert tg.compile(lambda x: x + 1)(1) == 2 and tg.compile(mode="max-autotune")(abs)(-1) == 1
    assert tg.jit.script(model) is model and tg.jit.trace(model, tg.ones(1, 2)) is model
    with pytest.raises(NotImplementedError, match="state_dict"):
        tg.jit.save(model, "x")


def test_backward_hooks_replace_the_gradients_of_all_inputs():
    class Product(nn.Module):
        def forward(self, a, b):
            return a * b

    a, b, seen = leaf(2), leaf(2), []
    module = Product()
    module.register_full_backward_hook(lambda m, given, out: seen.append(len(given)) or tuple(2 * g for g in given))
    module(a, b).sum().backward()
    assert seen == [2] and a.grad.equal(2 * b.detach()) and b.grad.equal(2 * a.detach())


# --- names and errors ----------------------------------------------------------------------------------------------------


def test_shapes_that_do_not_fit_are_the_errors_of_both_libraries():
    for wrong in (lambda: tg.ones(2) + tg.ones(3), lambda: tg.ones(2, 3) @ tg.ones(2, 3), lambda: tg.ones(3).view(2), lambda: tg.cat([tg.ones(2), tg.ones(2, 2)])):
        for kind in (RuntimeError, ValueError):
            with pytest.raises(kind):
                wrong()
    with pytest.raises(RuntimeError, match="ZeroDivision"):
        tg.tensor(1) // 0


def test_sizes_types_and_storages():
    x = tg.ones(2, 3)
    assert isinstance(x.shape[1:], tg.Size) and x.shape + (1,) == tg.Size([2, 3, 1]) and (x.shape * 2).numel() == 36
    assert isinstance(x, tg.DoubleTensor) and not isinstance(x, tg.LongTensor) and x.type() == "torch.DoubleTensor"
    assert x.type("torch.IntTensor").dtype == tg.int32
    assert x.storage().data_ptr() == x[1:].storage().data_ptr() and x.untyped_storage().nbytes() == 48 and len(x.storage()) == 6
    from collections import deque

    assert tg.tensor(deque([1.0, 2.0])).tolist() == [1, 2]
    assert tg.exp(input=x, out=tg.empty(2, 3)).shape == (2, 3) and tg.split(tensor=x, split_size=1)[1].tolist() == [[1, 1, 1]]


def test_an_activation_may_overwrite_what_max_pool_has_returned():
    x = leaf(1, 1, 4, 4)
    (expected,) = tg.autograd.grad(nn.functional.max_pool2d(x, 2).relu().sum(), x)
    (found,) = tg.autograd.grad(nn.functional.relu(nn.functional.max_pool2d(x, 2), inplace=True).sum(), x)
    assert found.equal(expected)


def test_rows_of_gradients():
    x = leaf(3)
    rows = tg.eye(3)
    (found,) = tg.autograd.grad(x**2, x, rows, is_grads_batched=True)
    assert found.equal((2 * x.detach()).diag())


def test_factorisations():
    A = leaf(4, 4)
    P, L, U = tg.linalg.lu(A)
    np.testing.assert_allclose((P @ L @ U).detach().numpy(), A.detach().numpy(), atol=1e-12)
    assert gradcheck(lambda A: tg.linalg.lu(A)[1:], (A,))
    b = tg.tensor(SEED.normal(size=(4, 2)))
    np.testing.assert_allclose((A @ tg.linalg.lu_solve(*tg.linalg.lu_factor(A), b)).detach().numpy(), b.numpy(), atol=1e-10)
    Q = tg.linalg.householder_product(*tg.geqrf(A.detach()))
    np.testing.assert_allclose((Q.T @ Q).numpy(), np.eye(4), atol=1e-12)
    values = tg.linalg.eigvals(A.detach())
    np.testing.assert_allclose(values.numpy().sum(), np.trace(A.detach().numpy()), atol=1e-10)
    low = tg.randn(20, 2) @ tg.randn(2, 10)
    U, S, V = tg.svd_lowrank(low, q=4)
    np.testing.assert_allclose((U @ S.diag() @ V.T).numpy(), low.numpy(), atol=1e-8)


@pytest.mark.parametrize("diagonal", [1.0, 0.01, 0.0])
def test_symmetric_factors_solve(diagonal):
    rng = np.random.default_rng(5)
    A = rng.standard_normal((2, 3, 6, 6))
    A = A + A.swapaxes(-1, -2)
    A[..., np.arange(6), np.arange(6)] *= diagonal
    A, B = tg.tensor(A, requires_grad=True), tg.tensor(rng.standard_normal((3, 6, 2)))
    LD, pivots, info = tg.linalg.ldl_factor_ex(A)
    assert (info == 0).all() and pivots.dtype == tg.int32 and ((pivots < 0).any() or diagonal == 1) and (LD.triu(1) == 0).all()
    X = tg.linalg.ldl_solve(LD, pivots, B)
    np.testing.assert_allclose((A @ X).detach().numpy(), np.broadcast_to(B.numpy(), (2, 3, 6, 2)), atol=1e-9)
    with pytest.raises(NotImplementedError, match="no derivative"):
        X.sum().backward()


def test_symmetric_factors_of_singular_matrices():
    assert tg.linalg.ldl_factor_ex(tg.zeros(2, 3, 3)).info.tolist() == [1, 1]
    with pytest.raises(tg.linalg.LinAlgError, match="singular"):
        tg.linalg.ldl_factor(tg.zeros(2, 2))
    with pytest.raises(IndexError, match="unsqueeze"):
        tg.linalg.ldl_solve(tg.eye(2), tg.tensor([1, 2]), tg.ones(2))


def test_as_strided_scatter():
    x, new = leaf(6), leaf(2)
    out = tg.as_strided_scatter(x, new, (2,), (3,), 1)
    np.testing.assert_array_equal(out.detach().numpy(), [v if k not in (1, 4) else new[(k - 1) // 3].item() for k, v in enumerate(x.tolist())])
    out.sum().backward()
    assert x.grad.tolist() == [1, 0, 1, 1, 0, 1] and new.grad.tolist() == [1, 1]
    assert tg.empty_permuted((2, 3, 4), (2, 0, 1)).stride() == (3, 1, 6)
    with pytest.raises(RuntimeError, match="each of the 2 dimensions once"):
        tg.empty_permuted((2, 3), (0, 0))


def test_incomplete_gamma():
    np.testing.assert_allclose(tg.special.gammainc(tg.tensor([1.0, 0.5]), tg.tensor([2.0, 1.5])).numpy(), [1 - math.exp(-2), math.erf(math.sqrt(1.5))])
    a = tg.tensor(2.0, requires_grad=True)
    with pytest.raises(NotImplementedError, match="first argument"):
        tg.special.gammainc(a, tg.tensor(1.0)).backward()


def test_bessel_functions_to_the_last_digit():
    """Against the series in exact fractions; PyTorch 2.13 is off by 1e-7 around 5.7."""
    from fractions import Fraction

    for x in (0.5, 5.72151493, 12.25):
        term = total = Fraction(1)
        for k in range(1, 80):
            term *= -Fraction(x) ** 2 / (4 * k * k)
            total += term
        assert tg.special.bessel_j0(tg.tensor(x)).item() == pytest.approx(float(total), abs=1e-15)
    y = tg.special.bessel_y0(tg.tensor([0.5, 3.0, 20.0]))
    np.testing.assert_allclose(y.numpy(), [-0.4445187335067066, 0.3768500100127904, 0.06264059680938384], atol=1e-13)
    np.testing.assert_allclose(tg.special.modified_bessel_k1(tg.tensor([0.5, 2.0])).numpy(), [1.656441120003301, 0.13986588181652243], rtol=1e-13)


def test_lazy_layers_become_what_they_need_to_be():
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    weights = list(model.parameters())
    model(tg.ones(2, 3, 5, 5))
    assert type(model[0]) is nn.Conv2d and model[0].in_channels == 3 and model[1].num_features == 4
    assert all(a is b for a, b in zip(weights, model.parameters()))


def test_sparse_matrices_are_dense_here():
    values = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    S = tg.sparse_coo_tensor([[0, 1, 1], [1, 0, 0]], values, (2, 3))
    assert S.tolist() == [[0, 1, 0], [5, 0, 0]]
    tg.sparse.mm(S, tg.ones(3, 2)).sum().backward()
    assert values.grad.tolist() == [2, 2, 2]


# --- complex leaves and parameters ---------------------------------------------------------------------------------------


def test_the_gradient_of_a_complex_leaf_is_complex():
    z = tg.tensor([1 + 2j, 3 - 1j], requires_grad=True)
    ((z * z.conj()).real.sum() + (z**2).real.sum() + z.imag.exp().sum()).backward()
    w = z.detach().numpy()
    np.testing.assert_allclose(z.grad.numpy(), 2 * w + 2 * w.conj() + 1j * np.exp(w.imag), rtol=1e-12)
    assert z.is_leaf and z.requires_grad and z.grad.dtype == tg.complex128 and z.grad.shape == (2,)
    (g,) = tg.autograd.grad((z.abs() ** 3).sum(), z, create_graph=True)
    (h,) = tg.autograd.grad(tg.view_as_real(g).square().sum(), z)
    np.testing.assert_allclose(h.numpy(), 36 * np.abs(w) ** 2 * w, rtol=1e-10)  # |3|z|z|² = 9|z|⁴
    assert tg.ones(2, dtype=tg.complex64).requires_grad_().requires_grad


def test_operators_without_a_complex_derivative_refuse_complex_leaves_too():
    z = tg.tensor([1 + 2j], requires_grad=True)
    with pytest.raises(NotImplementedError, match="complex"):
        tg.view_as_real(tg.nn.functional.softsign(z)).sum().backward()


class SpectralConvolution(nn.Module):
    """As in Fourier neural operators: the lowest frequencies times learned complex weights."""

    def __init__(self, channels, modes):
        super().__init__()
        self.modes, self.weights = modes, nn.Parameter(tg.rand(channels, channels, modes, dtype=tg.cdouble) / channels**2)

    def forward(self, x):
        z = tg.fft.rfft(x)
        out = tg.zeros(*z.shape, dtype=tg.cdouble)
        out[:, :, : self.modes] = tg.einsum("bix,iox->box", z[:, :, : self.modes], self.weights)
        return tg.fft.irfft(out, n=x.shape[-1])


def test_complex_parameters_are_trained():
    tg.manual_seed(0)
    layer, x, y = SpectralConvolution(2, 3), tg.tensor(SEED.normal(size=(3, 2, 8))), tg.tensor(SEED.normal(size=(3, 2, 8)))
    assert isinstance(layer.weights, nn.Parameter) and [n for n, _ in layer.named_parameters()] == ["weights"]
    loss = (layer(x) - y).square().mean()
    loss.backward()
    gradient, step = layer.weights.grad.numpy(), 1e-6
    for place in ((0, 1, 2), (1, 0, 1)):
        for unit in (1, 1j):
            values = []
            for sign in (1, -1):
                with tg.no_grad():
                    layer.weights[place] += sign * step * unit
                    values.append((layer(x) - y).square().mean().item())
                    layer.weights[place] -= sign * step * unit
            slope = gradient[place].real if unit == 1 else gradient[place].imag
            assert (values[0] - values[1]) / (2 * step) == pytest.approx(slope, abs=1e-7)
    for optimizer in (tg.optim.Adam(layer.parameters(), lr=0.05), tg.optim.SGD(layer.parameters(), lr=0.1, momentum=0.5)):
        before = loss.item()
        for _ in range(10):
            optimizer.zero_grad()
            loss = (layer(x) - y).square().mean()
            loss.backward()
            optimizer.step()
        assert loss.item() < before
    other = SpectralConvolution(2, 3)
    other.load_state_dict({k: v.clone() for k, v in layer.state_dict().items()})
    assert other(x).allclose(layer(x)) and other.weights.is_complex()


def test_complex_parameters_train_as_in_pytorch():
    torch = pytest.importorskip("torch")
    weights, rows = SEED.normal(size=(3, 2)) + 1j * SEED.normal(size=(3, 2)), SEED.normal(size=(4, 3))
    found = []
    for lib in (tg, torch):
        p = lib.nn.Parameter(lib.tensor(weights))
        optimizer = lib.optim.AdamW([p], lr=0.05)
        for _ in range(5):
            optimizer.zero_grad()
            (lib.fft.fft(lib.tensor(rows) @ p.abs()).abs() + (p * p.conj() * 2).real.sum()).sum().backward()
            optimizer.step()
        found.append(p.detach().numpy())
        lib.manual_seed(1)
        found[-1] = np.concatenate([found[-1].ravel(), lib.randn(3, dtype=lib.complex128).numpy(), lib.rand(20, dtype=lib.complex128).numpy()])
    np.testing.assert_allclose(*found, rtol=1e-10)


def test_complex_parameters_are_copied_clipped_frozen_and_replaced():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(tg.complex(tg.ones(2), tg.tensor([0.0, 2.0])))

        def forward(self, x):
            return (x * self.w).abs().sum()

    import copy

    model = Model()
    twin = copy.deepcopy(model)
    for m in (model, twin):
        m(tg.tensor([3.0, 4.0])).backward()
    assert isinstance(twin.w, nn.Parameter) and twin.w.grad.equal(model.w.grad) and twin.w.data_ptr() != model.w.data_ptr()
    norm = np.linalg.norm(model.w.grad.numpy())
    assert nn.utils.clip_grad_norm_(model.parameters(), 0.5).item() == pytest.approx(norm)
    assert np.linalg.norm(model.w.grad.numpy()) == pytest.approx(0.5)
    kept = model.w.grad
    model.requires_grad_(False).requires_grad_(True)
    assert model.w.grad is kept and isinstance(model.w, nn.Parameter)
    model.zero_grad()
    model.w.data = model.w.data * 3
    assert model.w.grad is None and model.w.detach().tolist() == [3 + 0j, 3 + 6j]
    with pytest.raises(RuntimeError, match="must stay"):
        model.w.data = tg.ones(2, dtype=tg.int64)


def test_eigenvalues_and_eigenvectors_have_gradients():
    a, weights = leaf(4, 4), tg.tensor(SEED.normal(size=(4, 4)))
    assert gradcheck(lambda a: tg.linalg.eigvals(a).abs(), a)
    assert gradcheck(lambda a: (tg.linalg.eig(a).eigenvectors.abs() * weights).sum(), a)
    b = leaf(4, 4)
    assert gradcheck(lambda a, b: tg.linalg.eig(tg.complex(a, b))[0].abs().sum(), (a, b))
    z = tg.tensor(a.detach().numpy() + 1j * b.detach().numpy(), requires_grad=True)
    tg.linalg.eigvals(z).real.sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), np.eye(4), atol=1e-12)  # the sum of the eigenvalues is the trace
    with pytest.raises(RuntimeError, match="phase"):
        tg.linalg.eig(z).eigenvectors.real.sum().backward()
    with pytest.raises(RuntimeError, match="square"):
        tg.linalg.eig(tg.ones(2, 3, dtype=tg.complex128))


# --- what libraries written for PyTorch ask for ---------------------------------------------------------------------------


def test_functions_of_lists_of_tensors():
    a, b = [tg.tensor([1.0, 4.0]), tg.tensor([9.0])], [tg.tensor([2.0, 3.0]), tg.tensor([5.0])]
    assert [x.tolist() for x in tg._foreach_sqrt(a)] == [[1, 2], [3]] and tg._foreach_norm(b)[1].item() == 5
    assert [x.tolist() for x in tg._foreach_add(a, b, alpha=2)] == [[5, 10], [19]]
    assert [x.tolist() for x in tg._foreach_mul(a, [2.0, 3.0])] == [[2, 8], [27]]
    assert [x.tolist() for x in tg._foreach_pow(2.0, b)] == [[4, 8], [32]]
    assert [x.tolist() for x in tg._foreach_maximum_([x.clone() for x in a], b)] == [[2, 4], [9]]
    assert [x.tolist() for x in tg._foreach_addcmul(a, b, b, scalars=[1.0, 0.5])] == [[5, 13], [21.5]]
    tg._foreach_lerp_(a, b, 0.5), tg._foreach_addcdiv_(b, b, b, [1.0, 2.0]), tg._foreach_zero_(c := [tg.ones(2)])
    assert a[0].tolist() == [1.5, 3.5] and b[1].item() == 7 and c[0].tolist() == [0, 0]
    with pytest.raises(RuntimeError, match="do not go together"):
        tg._foreach_add(a, b[:1])
    with pytest.raises(AttributeError, match="_foreach_nothing"):
        tg._foreach_nothing  # noqa: B018


def test_other_devices_have_names_and_hold_nothing():
    there = tg.device("cuda:1")
    assert (repr(there), str(there), there.type, there.index) == ("device(type='cuda', index=1)", "cuda:1", "cuda", 1)
    assert there != tg.device("cpu") and there == tg.device("cuda", 1) and tg.device("cpu") == "cpu" and tg.ones(1).device == tg.device("cpu:0")
    for make in (lambda: tg.zeros(1, device=there), lambda: tg.ones(1).to(there), lambda: nn.Linear(1, 1).to(there), lambda: nn.Linear(1, 1, device=there)):
        with pytest.raises(RuntimeError, match="live on the CPU"):
            make()
    with pytest.raises(RuntimeError, match="live on the CPU"):
        tg.device("toaster")


def test_bytes_beside_numbers_that_do_not_fit():
    byte = tg.tensor([200, 5], dtype=tg.uint8)
    assert (byte & -32).tolist() == [192, 0] and (byte | -32).tolist() == [232, 229] and (byte ^ 300).tolist() == [228, 41]


def test_half_complex_has_a_name():
    assert repr(tg.complex32) == "complex32" and tg.ones(1).dtype not in (tg.complex32, tg.bfloat16)


def test_trees():
    from tinygrad_edu.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

    leaves, spec = tree_flatten({"a": 1, "b": [2, (3, None)]})
    assert leaves == [1, 2, 3, None] and spec.num_leaves == 4 and spec == tree_flatten({"a": 0, "b": [0, (0, 0)]})[1]
    assert tree_unflatten("wxyz", spec) == {"a": "w", "b": ["x", ("y", "z")]}
    assert tree_map(lambda x, y: x + y, [1, (2,)], [10, (20,)]) == [11, (22,)]
    assert tree_leaves([1, (2, 3)], is_leaf=lambda x: isinstance(x, tuple)) == [1, (2, 3)]


def test_modules_that_complete_themselves():
    class Scale(nn.modules.lazy.LazyModuleMixin, nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.parameter.UninitializedParameter()

        def initialize_parameters(self, x):
            self.weight.materialize(x.shape[-1:])
            self.weight.data.fill_(2.0)

        def forward(self, x):
            return x * self.weight

    model = Scale()
    assert model.has_uninitialized_params() and nn.parameter.is_lazy(model.weight)
    kept = model.weight
    assert model(tg.ones(3)).tolist() == [2, 2, 2] == model(tg.ones(3)).tolist()
    assert model.weight is kept and type(kept) is nn.Parameter and not model.has_uninitialized_params()
    model(tg.ones(3)).sum().backward()
    assert kept.grad.tolist() == [1, 1, 1]


def test_factors_in_second_place():
    """As in the first versions of PyTorch, whose optimizers are still about."""
    x = tg.tensor([1.0, 2.0])
    assert tg.add(x, 3, x).tolist() == [4, 8] and x.sub(2, x).tolist() == [-1, -2] and x.clone().add_(-0.5, x).tolist() == [0.5, 1]
    assert x.clone().addcmul_(0.5, x, x).tolist() == [1.5, 4] and x.addcdiv(3.0, x, x).tolist() == [4, 5]


def test_a_metric_with_a_table_of_its_own():
    class Metric(nn.Module):
        def __init__(self):
            super().__init__()
            self._persistent = {"values": False}  # a name that libraries use
            self.values = []
            self.register_buffer("total", tg.zeros(1))

    metric = Metric()
    metric.values = [tg.ones(1)]
    assert list(metric.state_dict()) == ["total"] and metric._persistent == {"values": False}


def test_functions_of_other_libraries_compute_without_a_graph():
    double = np.frompyfunc(lambda x: 2.0 * x, 1, 1)
    assert np.spacing(tg.tensor([1.0])).item() == np.spacing(1.0) and isinstance(np.spacing(tg.tensor([1.0])), tg.Tensor)
    with pytest.raises(TypeError, match="has no operator"):
        double(leaf(2))


def test_complex_tensors_are_overwritten_in_place():
    x = leaf(3, 8)
    s = alias = tg.fft.rfft(x)
    expected = (s.detach().clone() * 0.5 + 1) * 2j
    s *= 0.5
    s += 1
    assert s.mul_(2j) is alias and np.allclose(alias.detach().numpy(), expected.numpy())
    assert np.allclose(tg.autograd.grad(alias.imag.sum(), x)[0].numpy(), tg.autograd.grad(tg.fft.rfft(x).real.sum(), x)[0].numpy())
    with tg.no_grad():
        plain = tg.fft.rfft(x).t()
        before = plain.clone()
        plain[1].sub_(3.0)
        plain.div_(2)
        assert np.allclose(plain[1].numpy(), (before[1] - 3).numpy() / 2) and np.allclose(plain[0].numpy(), before[0].numpy() / 2)
        a, b = tg.ones(2), tg.ones(2)
        tg.complex(a, b).mul_(3.0)
        assert a.tolist() == b.tolist() == [1, 1]


def test_sorted_from_above_lies_in_order():
    values, order = tg.tensor([[1.0, 3.0, 2.0]]).sort(dim=1, descending=True)
    assert values.view(-1).tolist() == [3, 2, 1] and order.view(-1).tolist() == [1, 2, 0]


def test_types_in_scripted_functions():
    from typing import Optional

    check = tg.jit.isinstance
    assert check([1, 2], list[int]) and not check([1, "2"], list[int]) and check({"a": 1}, dict[str, int])
    assert check((1, "a"), tuple[int, str]) and check(None, Optional[int]) and check(True, bool)  # noqa: UP045


def test_devices_that_are_not_there():
    from tinygrad_edu.random import fork_rng

    for module in (tg.mps, tg.xpu, tg.cuda):
        assert not module.is_available() and module.device_count() == 0
        module.manual_seed(0), module.empty_cache(), module.synchronize()
    with fork_rng():
        tg.rand(1)
    layer = nn.Linear(2, 1)
    assert layer.to_empty(device="cpu") is layer


def events_in(folder):
    """The records of the files that TensorBoard reads: for each its length, a checksum of that, the record, its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    for file in sorted(folder.rglob("events*")):
        data, at = file.read_bytes(), 0
        while at < len(data):
            length = int.from_bytes(data[at : at + 8], "little")
            yield Event.FromString(data[at + 12 : at + 12 + length])
            at += 16 + length


def test_a_training_recorded_for_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX", reason="needs tensorboardX: pip install 'tinygrad_edu[tensorboard]'")
    from tinygrad_edu.utils.tensorboard import SummaryWriter

    weights = leaf(8)
    with SummaryWriter(tmp_path) as writer:
        for step in range(3):
            writer.add_scalar("loss", (weights * step).mean(), tg.tensor(step))
        writer.add_histogram("weights", weights, 3)
        writer.add_image("picture", tg.rand(3, 4, 5), 3)
        writer.add_pr_curve("curve", tg.tensor([0, 1, 1]), tg.tensor([0.1, 0.6, 0.9]))
        writer.add_hparams({"lr": 0.1, "size": tg.tensor(4)}, {"accuracy": tg.tensor(0.5)})
        assert writer.log_dir == writer.get_logdir() == str(tmp_path)
        with pytest.raises(ValueError, match="pass one as input_to_model"):
            writer.add_graph(nn.Linear(2, 1))
    values = {(v.tag, event.step): v for event in events_in(tmp_path) for v in event.summary.value}
    mean = weights.mean().item()
    assert [values["loss", step].simple_value for step in range(3)] == pytest.approx([0, mean, 2 * mean])
    assert values["weights", 3].histo.num == 8 and values["weights", 3].histo.sum == pytest.approx(8 * mean)
    assert (values["picture", 3].image.height, values["picture", 3].image.width) == (4, 5)
    assert values["accuracy", 0].simple_value == 0.5 and ("curve", 0) in values


def test_a_module_drawn_by_tensorboard(tmp_path, capsys):
    pytest.importorskip("tensorboardX", reason="needs tensorboardX: pip install 'tinygrad_edu[tensorboard]'")
    pytest.importorskip("onnx", reason="needs onnx: pip install 'onnx>=1.17' onnxruntime")
    from tensorboardX.proto.graph_pb2 import GraphDef

    from tinygrad_edu.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), tg.ones(2, 4))
    assert {"Gemm", "Relu"} <= {node.op for event in events_in(tmp_path) for node in GraphDef.FromString(event.graph_def).node}
    assert capsys.readouterr().out == ""


def hermitian(x):
    return x @ x.mH


@pytest.mark.parametrize(
    "function",
    [lambda x: tg.linalg.eigvalsh(hermitian(x)), lambda x: tg.linalg.svdvals(x[:, :2]), lambda x: tg.linalg.eigh(hermitian(x)).eigenvectors.abs(),
     lambda x: tg.linalg.solve_triangular(x, tg.complex(x.real[:, :1], x.real[:, :1]), upper=True).abs(), lambda x: tg.linalg.matrix_norm(x), lambda x: tg.linalg.matrix_norm(x, 2),
     lambda x: tg.linalg.solve_triangular(x, x[:1] * 2, upper=False, left=False, unitriangular=True).real],
)  # fmt: skip
def test_decompositions_of_complex_matrices_have_gradients(function):
    tg.manual_seed(3)
    re, im = (tg.randn(3, 3, dtype=tg.float64, requires_grad=True) for _ in range(2))
    assert tg.autograd.gradcheck(lambda re, im: function(tg.complex(re, im)), (re, im))


def test_decompositions_of_complex_matrices_are_numpys():
    tg.manual_seed(4)
    x = tg.complex(tg.randn(2, 3, 3, dtype=tg.float64), tg.randn(2, 3, 3, dtype=tg.float64))
    a, h = x.numpy(), hermitian(x)
    values, vectors = tg.linalg.eigh(h)
    assert np.allclose((vectors @ tg.diag_embed(values).to(vectors.dtype) @ vectors.mH).numpy(), h.numpy()) and values.dtype == tg.float64
    U, S, Vh = tg.linalg.svd(x, full_matrices=False)
    assert np.allclose((U * S[:, None] @ Vh).numpy(), a) and np.allclose(tg.linalg.svdvals(x).numpy(), S.numpy())
    L, Q = tg.linalg.cholesky(h), tg.linalg.qr(x)
    assert np.allclose((L @ L.mH).numpy(), h.numpy()) and np.allclose((Q.Q @ Q.R).numpy(), a) and np.allclose((tg.linalg.pinv(x) @ x).numpy(), np.eye(3))
    assert np.allclose(tg.linalg.cholesky(h, upper=True).mH.numpy(), L.numpy())
    re = tg.ones(2, 2, requires_grad=True)
    with pytest.raises(NotImplementedError, match="derivative is not known"):
        tg.linalg.qr(tg.complex(re, re * 2)).R.abs().sum().backward()


def test_parts_of_complex_tensors_can_be_assigned():
    z = tg.complex(tg.ones(2), tg.ones(2))
    z.real = 0
    z.imag = tg.tensor([2.0, 3.0])
    assert z.tolist() == [2j, 3j]
