"""Gradients through gamma and Dirichlet outcomes, distributions of matrices, divergences of different kinds, larger batches.

Checked against what defines them (cumulative probabilities, integrals, Jacobians) and against PyTorch where it is installed.
"""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import distributions as D
from tinygrad_edu.distributions import constraints, pathwise

pytestmark = pytest.mark.usefixtures("float64")
SEED = np.random.default_rng(5)


def leaf(*values):
    return tg.tensor(values, requires_grad=True)


# --- pathwise gradients ------------------------------------------------------------------------------------------------------


def test_a_gamma_outcome_keeps_its_probability():
    alpha = np.exp(SEED.uniform(-2, 4, 300))
    x = np.maximum(SEED.gamma(alpha), 1e-8)
    step = 1e-5 * alpha
    up, down = (np.asarray(tg.special.gammainc(tg.tensor(alpha + s), tg.tensor(x)).array) for s in (step, -step))
    density = D.Gamma(tg.tensor(alpha), tg.ones(300)).log_prob(tg.tensor(x)).exp().array
    np.testing.assert_allclose(pathwise.gamma_slope(alpha, x), -(up - down) / (2 * step) / density, rtol=3e-3, atol=1e-7)


def beta_cdf(x, a, b):
    """∫₀ˣ of the density, by the trapezoidal rule in s, where t = x·s³ takes the edge off at 0."""
    s = np.linspace(0, 1, 4001)[1:]
    t = x * s**3
    logs = (a - 1) * np.log(t) + (b - 1) * np.log1p(-t) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return np.trapezoid(np.exp(logs) * 3 * x * s**2, s)


def test_a_beta_outcome_keeps_its_probability():
    for a, b in [(0.8, 0.9), (2.0, 3.0), (0.9, 5.0), (6.0, 0.9), (9.0, 12.0), (30.0, 8.0), (3.0, 40.0)]:
        for x in (a / (a + b), *SEED.beta(a, b, 4)):
            step = 1e-4
            by_a = (beta_cdf(x, a + step, b) - beta_cdf(x, a - step, b)) / (2 * step)
            density = math.exp(D.Beta(tg.tensor(a), tg.tensor(b)).log_prob(tg.tensor(x)).item())
            one = np.array([x]), np.array([a]), np.array([a + b])
            assert pathwise.beta_slope(*one)[0] * (1 - x) == pytest.approx(-by_a / density, rel=4e-3, abs=2e-5)


RECORDED = {  # PyTorch 2.13
    "gamma": [0.0331246420944078, 0.5957784221754073, 0.5057488983536454, 1.4138771879560048, 0.9534439667878193, 0.8959497894573579,
     1.0128225916364855, 1.0218398877905577, 1.1411978892128196, 0.9579857441475541],
    "beta": [0.0125039006852481, 0.26823965207235, 0.1624342498349567, 0.4067887206162434, 0.2546459645786517, 0.49874791144265596,
     0.065131328541037, 0.026608744449276127, 0.08741881619573152, 0.0239297490226693],
}  # fmt: skip


def slopes():
    """Pathwise gradients over all regions of both approximations."""
    x = np.array([1e-3, 0.3, 0.7999, 0.9, 2.0, 7.0, 9.0, 10.1, 12.0, 30.0])
    alpha = np.array([0.2, 1.0, 3.0, 0.7, 2.5, 9.0, 9.1, 10.0, 9.5, 33.0])
    p = np.array([1e-3, 0.2, 0.45, 0.6, 0.9, 0.995, 0.5, 0.52, 0.8, 0.3])
    a = np.array([0.5, 1.5, 3.0, 2.0, 4.0, 2.0, 8.0, 20.0, 7.0, 9.0])
    b = np.array([2.0, 1.0, 4.0, 0.7, 0.4, 1.0, 8.0, 18.0, 9.0, 50.0])
    return alpha, x, p, a, b


def test_slopes_are_the_recorded_ones():
    alpha, x, p, a, b = slopes()
    np.testing.assert_allclose(pathwise.gamma_slope(alpha, x), RECORDED["gamma"], rtol=1e-10)
    np.testing.assert_allclose(pathwise.beta_slope(p, a, a + b), RECORDED["beta"], rtol=1e-10)


FAMILY = {
    "Gamma": [(2.0, 0.7, 12.0), (1.0, 2.0, 0.5)], "Beta": [(2.0, 0.7, 12.0), (1.0, 2.0, 9.0)], "Dirichlet": [(2.0, 0.7, 12.0)],
    "Chi2": [(2.0, 7.0, 30.0)], "StudentT": [(3.0, 5.0, 9.0), (0.0, 1.0, 2.0), (1.0, 2.0, 3.0)],
    "FisherSnedecor": [(3.0, 5.0, 9.0), (6.0, 7.0, 8.0)], "InverseGamma": [(2.0, 3.0, 12.0), (1.0, 2.0, 0.5)],
}  # fmt: skip


def outcomes(lib, name):
    """Outcomes from a fixed seed, and the gradients of a sum over them."""
    parameters = [lib.tensor(values, dtype=lib.float64, requires_grad=True) for values in FAMILY[name]]
    lib.manual_seed(0)
    drawn = getattr(lib.distributions, name)(*parameters).rsample((4,))
    (drawn * lib.tensor(np.cos(np.arange(12.0)).reshape(4, 3))).sum().backward()
    return [drawn.detach().numpy(), *(p.grad.numpy() for p in parameters)]


@pytest.mark.parametrize("name", FAMILY)
def test_outcomes_have_gradients(name):
    """The mean outcome moves as the mean does."""
    parameters = [leaf(*values) for values in FAMILY[name]]
    d = getattr(D, name)(*parameters)
    assert d.has_rsample and d.rsample().requires_grad and not d.sample().requires_grad
    tg.manual_seed(0)
    weights = tg.tensor([1.0, 0.5, -2.0])
    ours = tg.autograd.grad((d.rsample((1500,)).mean(0) * weights).sum(), parameters, retain_graph=True)
    theirs = tg.autograd.grad((d.mean * weights).sum(), parameters, materialize_grads=True)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0.5, atol=0.2)
    torch = pytest.importorskip("torch")
    for a, b in zip(outcomes(tg, name), outcomes(torch, name)):
        np.testing.assert_allclose(a, b, rtol=1e-7)


def test_gradients_keep_the_type_and_pass_numbers_at_the_edge():
    alpha = tg.tensor([0.01, 3.0], dtype=tg.float32, requires_grad=True)
    tg.manual_seed(1)
    drawn = D.Gamma(alpha, tg.ones(2, dtype=tg.float32)).rsample((50,))
    drawn.sum().backward()
    assert drawn.dtype == alpha.grad.dtype == tg.float32 and bool((drawn > 0).all()) and bool(alpha.grad.isfinite().all())


# --- matrices ------------------------------------------------------------------------------------------------------------------


def test_lkj():
    tg.manual_seed(0)
    d = D.LKJCholesky(4, tg.tensor([0.5, 3.0]))
    lower = d.sample((500,))
    assert lower.shape == (500, 2, 4, 4) and bool(d.support.check(lower).all())
    correlations = (lower @ lower.mT)[..., 1, 0].var(0)
    np.testing.assert_allclose(correlations.numpy(), 1 / (2 * np.array([0.5, 3.0]) + 3), rtol=0.2)  # Var r = 1/(2η + n − 1)
    r = np.linspace(-1, 1, 20001)[1:-1]  # for n = 2 the density of L₂₂ = √(1 − r²), L₂₁ = r over r is that of log_prob
    factors = np.zeros((len(r), 2, 2))
    factors[:, 0, 0], factors[:, 1, 0], factors[:, 1, 1] = 1, r, np.sqrt(1 - r**2)
    density = np.exp(D.LKJCholesky(2, 1.7).log_prob(tg.tensor(factors)).array)
    assert np.trapezoid(density, r) == pytest.approx(1, abs=1e-4)
    assert d.expand((3, 2)).batch_shape == (3, 2)
    with pytest.raises(ValueError, match="at least 2"):
        D.LKJCholesky(1)


def test_wishart():
    covariance = tg.tensor([[2.0, 0.6], [0.6, 1.0]])
    for options in (dict(covariance_matrix=covariance), dict(precision_matrix=covariance.inverse()), dict(scale_tril=tg.linalg.cholesky(covariance))):
        d = D.Wishart(tg.tensor(5.0), **options)
        np.testing.assert_allclose(d.mean.numpy(), 5 * covariance.numpy(), rtol=1e-12)
        np.testing.assert_allclose(d.variance.numpy(), 5 * (covariance**2 + tg.outer(covariance.diag(), covariance.diag())).numpy(), rtol=1e-12)
        np.testing.assert_allclose(d.precision_matrix.numpy(), np.linalg.inv(covariance.numpy()), rtol=1e-10)
    tg.manual_seed(0)
    drawn = d.sample((1000,))
    np.testing.assert_allclose(drawn.mean(0).numpy(), 5 * covariance.numpy(), rtol=0.08)
    assert -d.log_prob(drawn).mean().item() == pytest.approx(d.entropy().item(), rel=0.02)
    one = D.Wishart(tg.tensor(3.0), tg.tensor([[2.0]]))  # one dimension: a gamma distribution
    x = tg.tensor([[[0.7]], [[4.0]]])
    np.testing.assert_allclose(one.log_prob(x).numpy(), D.Gamma(tg.tensor(1.5), tg.tensor(0.25)).log_prob(x[:, 0, 0]).numpy(), rtol=1e-12)
    assert d.expand((3,)).log_prob(drawn[0]).shape == (3,) and bool(d.mode.isfinite().all())
    lower = tg.linalg.cholesky(covariance).requires_grad_()
    D.Wishart(5.0, scale_tril=lower).rsample((2,)).sum().backward()
    assert bool(lower.grad.isfinite().all())
    with pytest.raises(ValueError, match="greater than 1"):
        D.Wishart(1.0, covariance)
    with pytest.raises(AssertionError, match="give one of"):
        D.Wishart(3.0)


def test_correlations_from_any_numbers():
    t, x = D.CorrCholeskyTransform(), tg.tensor(SEED.normal(size=6))
    y = t(x)
    assert bool(constraints.corr_cholesky.check(y)) and t.inv(y).allclose(x)
    i, j = np.tril_indices(4, -1)
    jacobian = tg.autograd.functional.jacobian(lambda x: t(x)[i, j], x)
    assert t.log_abs_det_jacobian(x, y).item() == pytest.approx(np.linalg.slogdet(jacobian.numpy())[1], rel=1e-10)
    assert D.transform_to(constraints.corr_cholesky)(x).equal(y) and t.forward_shape((2, 3)) == (2, 3, 3) and t.inverse_shape((3, 3)) == (3,)
    with pytest.raises(ValueError, match="do not fill"):
        t(tg.ones(4))


def test_tails_beyond_a_threshold():
    for c in (0.3, 0.0, -0.4):
        d = D.GeneralizedPareto(1.0, 2.0, c)
        x = np.linspace(1, 5.9 if c < 0 else 3000, 2000001)
        density = np.exp(d.log_prob(tg.tensor(x)).array)
        assert np.trapezoid(density, x) == pytest.approx(1, abs=2e-3)
        assert np.trapezoid(density * x, x) == pytest.approx(d.mean.item(), rel=1e-2)
        u = tg.tensor([0.1, 0.7])
        np.testing.assert_allclose(d.cdf(d.icdf(u)).numpy(), u.numpy(), rtol=1e-12)
        assert -np.trapezoid(density * np.log(np.maximum(density, 1e-300)), x) == pytest.approx(d.entropy().item(), abs=1e-2)
        assert d.log_survival_function(d.icdf(u)).exp().allclose(1 - u)
    assert math.isnan(D.GeneralizedPareto(0.0, 1.0, 1.5).mean.item()) and math.isnan(D.GeneralizedPareto(0.0, 1.0, 0.7).variance.item())


# --- divergences -----------------------------------------------------------------------------------------------------------------

ONE = {
    "Beta": D.Beta(2.0, 3.5), "ContinuousBernoulli": D.ContinuousBernoulli(0.8), "Exponential": D.Exponential(1.7), "Gamma": D.Gamma(2.5, 1.5),
    "Gumbel": D.Gumbel(0.2, 0.8), "Laplace": D.Laplace(-0.5, 0.6), "Normal": D.Normal(0.3, 0.7), "Pareto": D.Pareto(0.5, 3.5), "Uniform": D.Uniform(0.6, 0.9),
}  # fmt: skip
PAIRS = [("Beta", "ContinuousBernoulli Exponential Gamma Normal"), ("ContinuousBernoulli", "ContinuousBernoulli Exponential Normal"),
         ("Exponential", "Gamma Gumbel Normal"), ("Gamma", "Exponential Gumbel Normal"), ("Gumbel", "Normal"), ("Laplace", "Normal"),
         ("Normal", "Gumbel Laplace"), ("Pareto", "Exponential Gamma Normal"), ("Uniform", "Beta ContinuousBernoulli Exponential Gamma Gumbel Pareto")]  # fmt: skip


@pytest.mark.parametrize("p", [p for p, _ in PAIRS])
def test_divergences_are_integrals(p):
    edges = dict(Beta=(0, 1), ContinuousBernoulli=(0, 1), Exponential=(0, 30), Gamma=(0, 40), Gumbel=(-5, 40), Laplace=(-25, 25), Normal=(-8, 8),
                 Pareto=(0.5, 4000), Uniform=(0.6, 0.9))[p]  # fmt: skip
    s = np.linspace(0, 1, 400001)
    x = edges[0] + (edges[1] - edges[0]) * (s**3 if p == "Pareto" else s)
    x = (x[1:] + x[:-1]) / 2
    widths = np.diff(edges[0] + (edges[1] - edges[0]) * (s**3 if p == "Pareto" else s))
    logs = ONE[p].log_prob(tg.tensor(x)).numpy()
    for q in dict(PAIRS)[p].split():
        cost = (np.exp(logs) * (logs - ONE[q].log_prob(tg.tensor(x)).numpy()) * widths).sum()
        assert D.kl_divergence(ONE[p], ONE[q]).item() == pytest.approx(cost, rel=2e-3, abs=2e-3), q


def test_divergences_are_infinite_where_outcomes_are_excluded():
    for p, q in (("Normal", "Gamma"), ("Gamma", "Uniform"), ("Exponential", "Beta"), ("Beta", "Pareto"), ("Gumbel", "Exponential")):
        assert D.kl_divergence(ONE[p], ONE[q]).item() == math.inf
    assert D.kl_divergence(ONE["Beta"], D.Uniform(0.0, 2.0)).item() < D.kl_divergence(ONE["Beta"], D.Uniform(0.1, 2.0)).item() == math.inf
    heavy = leaf(0.9, 1.5, 3.0)
    cost = D.kl_divergence(D.Pareto(tg.ones(3), heavy), D.Normal(0.0, 1.0))
    assert cost.isinf().tolist() == [True, True, False]
    cost[2].backward()
    assert heavy.grad[:2].tolist() == [0.0, 0.0] and heavy.grad[2].item() != 0
    assert D.kl_divergence(D.Poisson(1.0), D.Bernoulli(0.5)).item() == math.inf
    assert D.kl_divergence(D.Bernoulli(0.3), D.Poisson(0.4)).item() == pytest.approx(0.4 - 0.3 * math.log(0.4) - D.Bernoulli(0.3).entropy().item())


def test_divergences_of_low_rank_and_transformed():
    loc, factor, diagonal = tg.zeros(3), tg.tensor(SEED.normal(size=(3, 1))), tg.tensor([0.5, 1.0, 2.0])
    low = D.LowRankMultivariateNormal(loc, factor, diagonal)
    full = D.MultivariateNormal(loc + 1, tg.eye(3) * 2)
    same = D.MultivariateNormal(loc, low.covariance_matrix)
    for p, q, expected in ((low, full, (same, full)), (full, low, (full, same)), (low, low, (same, same))):
        assert D.kl_divergence(p, q).item() == pytest.approx(D.kl_divergence(*expected).item(), rel=1e-9, abs=1e-12)
    steps = [D.ExpTransform(), D.AffineTransform(1.0, 2.0)]
    p, q = (D.TransformedDistribution(base, steps) for base in (D.Normal(0.0, 1.0), D.Normal(1.0, 2.0)))
    assert D.kl_divergence(p, q).equal(D.kl_divergence(p.base_dist, q.base_dist))
    gammas = D.InverseGamma(2.0, 3.0), D.InverseGamma(2.5, 1.0)
    assert D.kl_divergence(*gammas).equal(D.kl_divergence(*(g.base_dist for g in gammas)))
    with pytest.raises(NotImplementedError, match="differ"):
        D.kl_divergence(p, D.TransformedDistribution(D.Normal(0.0, 1.0), D.ExpTransform()))


# --- what all distributions have -------------------------------------------------------------------------------------------------


def test_larger_batches():
    mixture = D.MixtureSameFamily(D.Categorical(tg.tensor([0.3, 0.7])), D.Normal(tg.tensor([0.0, 1.0]), tg.tensor([1.0, 2.0])))
    x = tg.tensor([0.0, 1.0, 2.0])
    assert mixture.expand((3,)).log_prob(x).allclose(mixture.log_prob(x=x)) and bool(mixture.support.check(x).all())
    rows = D.Independent(D.Normal(tg.zeros(3, 2), tg.ones(3, 2)), 1)
    assert rows.expand((4, 3)).log_prob(tg.ones(2)).shape == (4, 3) and rows.support.event_dim == 1
    moved = D.TransformedDistribution(D.Normal(tg.zeros(2), tg.ones(2)), [D.ExpTransform()])
    assert moved.expand((3, 2)).log_prob(tg.ones(2)).allclose(moved.log_prob(tg.ones(2)))
    soft = D.RelaxedBernoulli(tg.tensor(0.7), logits=tg.tensor([0.3]))
    assert soft.expand((2, 1)).log_prob(tg.tensor([0.4])).allclose(soft.log_prob(tg.tensor([0.4])))
    assert D.Independent(D.Bernoulli(tg.tensor([0.3, 0.4])), 0).enumerate_support().shape == (2, 2)


def test_what_has_no_closed_form_says_so():
    rows = D.Independent(D.Bernoulli(tg.tensor([0.3, 0.4])), 1)
    for attempt in (lambda: D.Bernoulli(0.3).cdf(tg.tensor(1.0)), lambda: D.Normal(0.0, 1.0).enumerate_support(), lambda: rows.enumerate_support(),
                    lambda: D.Dirichlet(tg.ones(2)).icdf(tg.tensor(0.5)), lambda: D.Binomial(tg.tensor([2, 3]), tg.tensor(0.5)).enumerate_support()):  # fmt: skip
        with pytest.raises(NotImplementedError):
            attempt()


def test_transforms_know_their_sides():
    assert D.AffineTransform(1.0, 2.0) == D.AffineTransform(tg.tensor(1.0), 2.0) != D.AffineTransform(0.0, 2.0)
    assert D.ExpTransform() == D.ExpTransform() != D.TanhTransform() and D.ExpTransform().inv == D.ExpTransform().inv
    assert D.ExpTransform().domain is constraints.real and D.ExpTransform().inv.domain is constraints.positive
    assert D.ComposeTransform([D.TanhTransform(), D.AffineTransform(0.0, 1.0)]).codomain is constraints.real
    cached = D.ExpTransform().with_cache()
    x = tg.ones(2)
    assert cached.inv(cached(x)) is x and D.ExpTransform().cache_size == 0
    both = D.StackTransform([D.ExpTransform(), D.TanhTransform()], 0)
    assert both.codomain.check(tg.tensor([[2.0], [0.5]])).all() and not both.codomain.check(tg.tensor([[2.0], [1.5]])).all()
    parts = D.CatTransform([D.ExpTransform(), D.TanhTransform()], dim=-1, lengths=[1, 2])
    assert parts.codomain.check(tg.tensor([3.0, 0.5, 7.0])).tolist() == [True, True, False]


def test_the_logarithm_of_nothing_has_its_derivative():
    x, y = leaf(0.0, 0.0, 2.0), leaf(3.0, 0.0, 0.5)
    tg.xlogy(x, y).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [math.log(3), 0, math.log(0.5)])
    np.testing.assert_allclose(y.grad.numpy(), [0, 0, 4])
    z = leaf(0.0)
    tg.special.xlog1py(z, tg.tensor([2.0])).sum().backward()
    assert z.grad.item() == pytest.approx(math.log(3))


@pytest.mark.filterwarnings("ignore:Singular sample:UserWarning")
def test_pytorch_here_and_now():
    torch = pytest.importorskip("torch")
    alpha, x, p, a, b = slopes()
    theirs = torch._standard_gamma_grad(torch.tensor(alpha), torch.tensor(x))
    np.testing.assert_allclose(pathwise.gamma_slope(alpha, x), theirs.numpy(), rtol=1e-10)
    found = []
    for lib in (tg, torch):
        d, numbers = lib.distributions, []
        lib.manual_seed(3)
        lkj = d.LKJCholesky(3, lib.tensor([0.7, 2.0], dtype=lib.float64))
        drawn = lkj.sample((2,))
        numbers += [drawn, lkj.log_prob(drawn)]
        wishart = d.Wishart(lib.tensor([4.0, 6.0], dtype=lib.float64), lib.eye(3, dtype=lib.float64) * 2)
        drawn = wishart.sample((2,))
        numbers += [drawn, wishart.log_prob(drawn), wishart.entropy(), d.GeneralizedPareto(1.0, 2.0, lib.tensor([0.3, -0.3], dtype=lib.float64)).sample((3,))]
        found.append([t.numpy() for t in numbers])
    for ours, theirs in zip(*found):
        np.testing.assert_allclose(ours, theirs, rtol=1e-7)
