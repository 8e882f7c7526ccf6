"""Distributions against what defines them: densities integrate to 1, samples have the moments, divergences are expectations."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import distributions as D
from tinygrad_edu.distributions import constraints, transforms

LINE = np.linspace(-40, 40, 80001)
CONTINUOUS = [D.Normal(0.3, 0.7), D.LogNormal(0.1, 0.4), D.Laplace(-0.5, 0.6), D.Uniform(-1.0, 2.5), D.Exponential(1.7), D.Gamma(2.5, 1.5),
              D.Beta(2.0, 3.5), D.Gumbel(0.2, 0.8), D.HalfNormal(1.3)]  # fmt: skip
COUNTED = [D.Poisson(2.3), D.Geometric(0.4), D.Bernoulli(0.3), D.Categorical(tg.tensor([1.0, 2.0, 3.0]))]


def name_of(d):
    return type(d).__name__


def densities(d):
    """The density on the part of the line where it is defined, and those points."""
    inside = np.asarray(d.support.check(tg.tensor(LINE)).array)
    points = LINE[inside]
    points = points[1:-1]  # a density may be infinite at the end of its support
    return points, np.exp(np.asarray(d.log_prob(tg.tensor(points)).array, np.float64))


@pytest.mark.parametrize("d", CONTINUOUS, ids=name_of)
def test_density_has_the_mass_the_moments_and_the_entropy(d):
    points, density = densities(d)
    step = LINE[1] - LINE[0]
    mean = (points * density).sum() * step
    assert density.sum() * step == pytest.approx(1, abs=3e-3)
    assert mean == pytest.approx(d.mean.item(), abs=5e-3)
    assert ((points - mean) ** 2 * density).sum() * step == pytest.approx(d.variance.item(), abs=1e-2)
    kept = density > 0
    assert -(density[kept] * np.log(density[kept])).sum() * step == pytest.approx(d.entropy().item(), abs=1e-2)


@pytest.mark.parametrize("d", COUNTED, ids=name_of)
def test_probabilities_sum_to_one(d):
    counts = tg.arange(80.0)
    counts = counts[d.support.check(counts)]
    assert d.log_prob(counts).exp().sum().item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("d", CONTINUOUS + COUNTED[:3], ids=name_of)
def test_samples_have_the_moments(d):
    tg.manual_seed(0)
    drawn = d.sample((4000,))
    spread = d.stddev.item() / 4000**0.5
    assert drawn.mean().item() == pytest.approx(d.mean.item(), abs=5 * spread)
    assert drawn.shape == (4000,) and not drawn.requires_grad


@pytest.mark.parametrize("p, q", [
    (D.Normal(0.3, 0.7), D.Normal(0.0, 1.0)), (D.Laplace(0.3, 0.7), D.Laplace(0.0, 1.0)), (D.Gamma(2.5, 1.5), D.Gamma(2.0, 1.0)),
    (D.Beta(2.0, 3.5), D.Beta(2.0, 2.0)), (D.Exponential(1.5), D.Exponential(1.0)), (D.LogNormal(0.1, 0.4), D.LogNormal(0.0, 0.5)),
    (D.Uniform(0.0, 1.0), D.Uniform(-1.0, 2.0))], ids=lambda d: name_of(d))  # fmt: skip
def test_divergence_is_the_expected_difference(p, q):
    points, density = densities(p)
    kept = density > 1e-300
    other = np.asarray(q.log_prob(tg.tensor(points[kept])).array, np.float64)
    expected = (density[kept] * (np.log(density[kept]) - other)).sum() * (LINE[1] - LINE[0])
    assert D.kl_divergence(p, q).item() == pytest.approx(expected, abs=5e-3)


def test_rsample_carries_the_gradient_and_sample_does_not():
    loc, scale = tg.tensor(0.5, requires_grad=True), tg.tensor(2.0, requires_grad=True)
    tg.manual_seed(0)
    x = D.Normal(loc, scale).rsample()
    x.backward()
    assert loc.grad.item() == 1 and scale.grad.item() == pytest.approx((x.item() - 0.5) / 2)
    assert not D.Normal(loc, scale).sample().requires_grad
    with pytest.raises(NotImplementedError, match=r"use sample\(\)"):
        D.Poisson(scale).rsample()


@pytest.mark.parametrize("make, what", [
    (lambda: D.Normal(0.0, -1.0), "scale must be greater than 0"),
    (lambda: D.Bernoulli(1.5), "probs must be between 0.0 and 1.0"),
    (lambda: D.Bernoulli(), "probs or logits"),
    (lambda: D.Uniform(1.0, 0.0), "low must be less than high"),
    (lambda: D.MultivariateNormal(tg.zeros(2)), "one of covariance_matrix"),
    (lambda: D.Categorical(tg.ones(3)).log_prob(tg.tensor(3)), "a whole number from 0 to 2"),
    (lambda: D.Normal(0.0, 1.0).log_prob(0.0), "expected a Tensor, got float"),
])  # fmt: skip
def test_errors_say_what_would_fit(make, what):
    with pytest.raises(ValueError, match=what):
        make()


def test_unknown_divergence_says_what_to_do():
    with pytest.raises(NotImplementedError, match="average p.log_prob"):
        D.kl_divergence(D.Exponential(1.0), D.Laplace(0.0, 1.0))


def test_texts_of_joined_ones():
    d = tg.distributions
    mixture = d.MixtureSameFamily(d.Categorical(tg.ones(2)), d.Normal(tg.zeros(2), tg.ones(2)))
    assert repr(mixture) == "MixtureSameFamily(\n  Categorical(probs: Size([2])),\n  Normal(loc: Size([2]), scale: Size([2])))"
    assert repr(d.ComposeTransform([d.ExpTransform(), d.SigmoidTransform().inv])) == "ComposeTransform(\n    ExpTransform(),\n    Inverse(SigmoidTransform())\n)"


# --- distributions, transforms and constraints of the user's own, written as for PyTorch --------------------------------------


class Ordered(constraints.Constraint):
    event_dim = 1

    def check(self, value):
        return (value[..., 1:] > value[..., :-1]).all(-1)


class Increasing(transforms.Transform):
    domain, codomain, bijective = constraints.real_vector, Ordered(), True

    def _call(self, x):
        return tg.cat([x[..., :1], x[..., 1:].exp()], -1).cumsum(-1)

    def _inverse(self, y):
        return tg.cat([y[..., :1], (y[..., 1:] - y[..., :-1]).log()], -1)

    def log_abs_det_jacobian(self, x, y):
        return x[..., 1:].sum(-1)


class Cut(D.Distribution):
    """An exponential distribution up to a limit."""

    arg_constraints = {"rate": constraints.positive}
    has_rsample = True

    def __init__(self, rate, top, validate_args=None):
        self.rate, self.top = D.utils.broadcast_all(rate, top)
        super().__init__(self.rate.size(), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self):
        return constraints.interval(0.0, self.top)

    @D.utils.lazy_property
    def mass(self):
        return 1 - (-self.rate * self.top).exp()

    def expand(self, batch_shape, _instance=None):
        new = self._get_checked_instance(Cut, _instance)
        new.rate, new.top = self.rate.expand(batch_shape), self.top.expand(batch_shape)
        super(Cut, new).__init__(batch_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def rsample(self, sample_shape=()):
        return -(-tg.rand(self._extended_shape(sample_shape)) * self.mass).log1p() / self.rate

    def log_prob(self, value):
        if self._validate_args:
            self._validate_sample(value)
        return self.rate.log() - self.rate * value - self.mass.log()


def test_distributions_of_ones_own():
    d = Cut(tg.tensor([1.0, 2.0]), 3.0)
    assert d._batch_shape == (2,) and d.expand((4, 2)).log_prob(tg.ones(4, 2)).shape == (4, 2)
    x = d.rsample((1000,))
    assert bool(d.support.check(x).all()) and D.Independent(d, 1).log_prob(x).shape == (1000,)
    steps = tg.linspace(0.0, 3.0, 3001)
    assert np.allclose(tg.trapezoid(d.log_prob(steps[:, None].expand(-1, 2)).exp(), steps, dim=0).numpy(), 1, atol=1e-4)
    with pytest.raises(ValueError, match="every value must be"):
        d.log_prob(tg.tensor([5.0, 1.0]))
    with pytest.raises(NotImplementedError, match="must define expand"):
        type("Other", (D.Normal,), {"__init__": lambda self: D.Normal.__init__(self, 0.0, 1.0)})()._get_checked_instance(D.Normal)


def test_transforms_and_constraints_of_ones_own():
    D.biject_to.register(Ordered(), lambda constraint: Increasing())
    t, x = D.biject_to(Ordered()), tg.tensor([[0.5, -1.0, 0.2]])
    y = t(x)
    assert bool(Ordered().check(y).all()) and np.allclose(t.inv(y).numpy(), x.numpy(), atol=1e-6) and t.domain_dim == t.codomain_dim == 1
    d = D.TransformedDistribution(D.Normal(tg.zeros(3), 1.0), [Increasing()])
    expected = D.Normal(0.0, 1.0).log_prob(x).sum(-1) - x[:, 1:].sum(-1)
    assert d.event_shape == (3,) and np.allclose(d.log_prob(y).numpy(), expected.numpy(), atol=1e-5)
    assert isinstance(constraints.positive, constraints.greater_than) and isinstance(constraints.unit_interval, constraints.interval)
    with pytest.raises(NotImplementedError, match="_call"):
        transforms.Transform()(x)
    with pytest.raises(NotImplementedError, match="check"):
        constraints.Constraint().check(x)


def test_constraints_and_distributions_print_as_in_pytorch():
    c, two = D.constraints, tg.ones(2)
    shown = [c.real, c.positive, c.unit_interval, c.integer_interval(0, 3), c.nonnegative_integer, c.half_open_interval(0, 1), c.less_than(1.0), c.simplex,
             c.real_vector, c.independent(c.positive, 1), c.multinomial(3), c.cat([c.real])]  # fmt: skip
    assert list(map(repr, shown)) == [
        "Real()", "GreaterThan(lower_bound=0.0)", "Interval(lower_bound=0.0, upper_bound=1.0)", "IntegerInterval(lower_bound=0, upper_bound=3)",
        "IntegerGreaterThan(lower_bound=0)", "HalfOpenInterval(lower_bound=0, upper_bound=1)", "LessThan(upper_bound=1.0)", "Simplex()",
        "IndependentConstraint(Real(), 1)", "IndependentConstraint(GreaterThan(lower_bound=0.0), 1)", "Multinomial()", "Cat()"]  # fmt: skip
    assert list(map(repr, [D.Beta(two, two), D.HalfNormal(two), D.Pareto(two, two), D.Normal(0.0, 1.0)])) == [
        "Beta()", "HalfNormal()", "Pareto(alpha: Size([2]), scale: Size([2]))", "Normal(loc: 0.0, scale: 1.0)"]  # fmt: skip
    assert repr(D.MixtureSameFamily(D.Categorical(two), D.Normal(two, two)).support) == "MixtureSameFamilyConstraint(Real())"
    flow = D.TransformedDistribution(D.Independent(D.Normal(two, two), 1), D.ExpTransform())
    assert repr(flow.support) == "IndependentConstraint(GreaterThan(lower_bound=0.0), 1)"
    with pytest.raises(ValueError, match="each greater than 0.0"):
        flow.log_prob(-two)


def test_mixtures_have_a_distribution_function():
    mixture = D.MixtureSameFamily(D.Categorical(tg.tensor([0.25, 0.75])), D.Normal(tg.tensor([0.0, 1.0]), tg.tensor([1.0, 2.0])))
    assert mixture.cdf(tg.tensor([0.5])).item() == pytest.approx(0.25 * 0.6914625 + 0.75 * 0.4012937, rel=1e-6)


def test_edges_of_the_continuous_bernoulli_are_exact():
    exact, taylor = (D.ContinuousBernoulli(tg.tensor(0.499, dtype=tg.float64), lims=lims) for lims in ((0.499, 0.501), (0.49, 0.51)))
    p = tg.tensor(0.3, dtype=tg.float64)
    assert exact.icdf(p) != p and taylor.icdf(p) == p and exact.mean.item() == pytest.approx(taylor.mean.item(), abs=1e-6)


def test_divergence_of_logistic_normals_is_one_number():
    first, second = D.LogisticNormal(tg.zeros(2), tg.ones(2)), D.LogisticNormal(tg.ones(2), tg.ones(2))
    second.transforms = first.transforms
    assert D.kl_divergence(first, second).shape == () and D.kl_divergence(first, second).item() == pytest.approx(1.0)


def test_divergence_of_wisharts():
    first, second = D.Wishart(tg.tensor(4.0), tg.eye(2)), D.Wishart(tg.tensor(5.0), tg.tensor([[2.0, 0.5], [0.5, 1.0]]))
    assert D.kl_divergence(first, first).item() == pytest.approx(0, abs=1e-6)
    assert D.kl_divergence(first, second).item() == pytest.approx(1.0034393072128296, rel=1e-5)


def test_what_distributions_refuse_more():
    with pytest.raises(ValueError, match="one dimension"):
        D.Dirichlet(tg.tensor(1.0))
    with pytest.raises(ValueError, match="at least 0.0"):
        D.Gamma(1.0, 1.0).cdf(tg.tensor(-1.0))
