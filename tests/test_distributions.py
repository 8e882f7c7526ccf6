"""Distributions against what defines them: densities integrate to 1, samples have the moments, divergences are expectations."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import distributions as D

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
    (lambda: D.Bernoulli(1.5), "probs must be between 0 and 1"),
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
