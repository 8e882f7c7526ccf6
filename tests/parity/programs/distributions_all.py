"""Every distribution, divergence and transform."""

import math
import torch
import torch.distributions as D
from torch.distributions import constraints, transforms as T, biject_to, transform_to, kl_divergence


def check(make, grads=(), value=None, ent=True, cdf=True, rs=True):
    out = []
    d = make()
    out += [type(d).__name__, d.batch_shape, d.event_shape, d.has_rsample if rs else 0]
    s = d.sample((3,))
    out.append(s)
    v = s if value is None else value
    out += [d.log_prob(v)]
    for n in ("mean", "variance", "stddev") + (("mode",) if type(d).__name__ != "Kumaraswamy" else ()):
        try:
            out += [getattr(d, n)]
        except (NotImplementedError, AttributeError):
            print(type(d).__name__, "no " + n)
    if ent:
        out += [d.entropy()]
    if cdf:
        for n in ("cdf",):
            try:
                out.append(getattr(d, n)(v))
            except (NotImplementedError, AttributeError):
                print(type(d).__name__, "no " + n)
    out.append(d.expand((2,) + tuple(d.batch_shape)).log_prob(v[0]) if True else 0)
    out.append(torch.rand(1))
    return [o if not isinstance(o, D.Distribution) else str(o) for o in out]


def P(*v):
    return torch.tensor(v, requires_grad=True)


def continuous():
    out = []
    for mk in (
        lambda: D.Normal(P(0.0, 1.0), P(1.0, 2.0)),
        lambda: D.LogNormal(P(0.0, 1.0), P(1.0, 0.5)),
        lambda: D.HalfNormal(P(1.0, 2.0)),
        lambda: D.Uniform(P(0.0, -1.0), P(1.0, 2.0)),
        lambda: D.Exponential(P(0.5, 2.0)),
        lambda: D.Laplace(P(0.0, 1.0), P(1.0, 2.0)),
        lambda: D.Cauchy(P(0.0, 1.0), P(1.0, 2.0)),
        lambda: D.Gumbel(P(0.0, 1.0), P(1.0, 2.0)),
        lambda: D.HalfCauchy(P(1.0, 2.0)),
        lambda: D.Pareto(P(1.0, 2.0), P(3.0, 4.0)),
        lambda: D.Weibull(P(1.0, 2.0), P(3.0, 0.7)),
        lambda: D.Kumaraswamy(P(1.5, 2.0), P(3.0, 1.7)),
    ):
        out.append(check(mk))
    return out


def gammas():
    out = []
    for mk in (
        lambda: D.Gamma(P(0.5, 3.0), P(1.0, 2.0)),
        lambda: D.Beta(P(0.5, 3.0), P(1.0, 2.0)),
        lambda: D.Chi2(P(2.0, 5.0)),
        lambda: D.StudentT(P(2.5, 5.0)),
        lambda: D.StudentT(P(2.5, 1.0), P(0.0, 1.0), P(1.0, 2.0)),
        lambda: D.InverseGamma(P(3.0, 2.5), P(1.0, 2.0)),
        lambda: D.Dirichlet(P(1.0, 2.0, 0.5)),
    ):
        out.append(check(mk, rs=False))
    out.append(check(lambda: D.FisherSnedecor(P(3.0, 5.0), P(6.0, 7.0)), ent=False, rs=False))
    return out


def discrete():
    out = []
    for mk in (
        lambda: D.Bernoulli(P(0.3, 0.6)),
        lambda: D.Bernoulli(logits=P(0.3, -0.6)),
        lambda: D.Geometric(P(0.3, 0.6)),
        lambda: D.Categorical(P(0.2, 0.3, 0.5)),
        lambda: D.Categorical(logits=P(0.2, 0.3, 0.5)),
        lambda: D.OneHotCategorical(P(0.2, 0.3, 0.5)),
        lambda: D.OneHotCategoricalStraightThrough(P(0.2, 0.3, 0.5)),
        lambda: D.Binomial(10, P(0.3, 0.6)),
        lambda: D.Binomial(torch.tensor([100.0, 100.0]), logits=P(0.3, 0.6)),
        lambda: D.Multinomial(5, P(0.2, 0.3, 0.5)),
    ):
        out.append(check(mk, rs=False))
    for mk in (
        lambda: D.Poisson(P(2.0, 20.0)),
        lambda: D.NegativeBinomial(5.0, P(0.3, 0.6)),
        lambda: D.NegativeBinomial(P(5.0, 2.0), logits=P(0.3, 0.6)),
    ):
        out.append(check(mk, ent=False, rs=False))
    return out


def special():
    out = [
        check(lambda: D.ContinuousBernoulli(P(0.3, 0.5, 0.9))),
        check(lambda: D.VonMises(P(0.0, 1.0), P(0.5, 4.0)), ent=False),
        check(lambda: D.MultivariateNormal(P(0.0, 1.0), torch.tensor([[2.0, 0.3], [0.3, 1.0]]))),
        check(lambda: D.LowRankMultivariateNormal(P(0.0, 1.0, 2.0), torch.tensor([[2.0], [0.3], [1.0]]), P(1.0, 2.0, 0.5))),
    ]
    d = D.LogisticNormal(P(0.0, 1.0), P(1.0, 0.5))
    s = d.sample((2,))
    out += [s, d.log_prob(s), d.batch_shape, d.event_shape]
    d = D.RelaxedBernoulli(torch.tensor(0.5), P(0.3, 0.6))
    s = d.rsample((2,))
    out += [s, d.log_prob(s), torch.autograd.grad(s.sum(), d.base_dist.probs) if False else 0]
    d = D.RelaxedOneHotCategorical(torch.tensor(0.7), logits=P(0.3, 0.6, 1.0))
    s = d.rsample((2,))
    out += [s, d.log_prob(s)]
    d = D.MixtureSameFamily(D.Categorical(P(0.3, 0.7)), D.Independent(D.Normal(torch.randn(2, 3), torch.rand(2, 3) + 0.1), 1))
    s = d.sample((2,))
    out += [s, d.log_prob(s), d.mean, d.variance]
    return out


def reparametrised():
    out = []
    for f in (
        lambda a, b: D.Normal(a, b),
        lambda a, b: D.LogNormal(a, b),
        lambda a, b: D.Laplace(a, b),
        lambda a, b: D.Gumbel(a, b),
        lambda a, b: D.Uniform(a, a + b),
        lambda a, b: D.Weibull(b, b + 1),
        lambda a, b: D.Kumaraswamy(b, b + 1),
        lambda a, b: D.Pareto(b, b + 1),
        lambda a, b: D.Independent(D.Normal(a, b), 1),
        lambda a, b: D.TransformedDistribution(D.Normal(a, b), [T.TanhTransform(cache_size=1)]),
        lambda a, b: D.TransformedDistribution(D.Normal(a, b), [T.AffineTransform(1.0, 2.0), T.SigmoidTransform()]),
        lambda a, b: D.TransformedDistribution(D.Normal(a, b), [T.StickBreakingTransform()]),
    ):
        a, b = P(0.1, -0.3), P(0.5, 1.2)
        d = f(a, b)
        s = d.rsample((2,))
        l = d.log_prob(s)
        out += [s, l, torch.autograd.grad(l.sum() + s.sum(), [a, b], allow_unused=True), d.batch_shape, d.event_shape]
    return out


def kl():
    a, b = P(0.1, 0.3), P(0.5, 1.2)
    out = []
    prs = [
        (D.Normal(a, b), D.Normal(b, a)),
        (D.Gamma(a, b), D.Gamma(b, a)),
        (D.Beta(a, b), D.Beta(b, a)),
        (D.Exponential(a), D.Exponential(b)),
        (D.Laplace(a, b), D.Laplace(b, a)),
        (D.Gumbel(a, b), D.Gumbel(b, a)),
        (D.Cauchy(a, b), D.Cauchy(b, a)),
        (D.HalfNormal(a), D.HalfNormal(b)),
        (D.Pareto(b, a), D.Pareto(a, b)),
        (D.Uniform(a, a + 1), D.Normal(a, b)),
        (D.Uniform(a, a + 0.1), D.Uniform(a - 1, a + 1)),
        (D.Bernoulli(a), D.Bernoulli(logits=b)),
        (D.Categorical(a), D.Categorical(b)),
        (D.Binomial(3, a), D.Binomial(3, logits=b)),
        (D.Geometric(a), D.Geometric(b - 0.3)),
        (D.Poisson(a), D.Poisson(b)),
        (D.Dirichlet(a), D.Dirichlet(b)),
        (D.MultivariateNormal(a, torch.eye(2)), D.MultivariateNormal(b, torch.eye(2) * 2)),
        (D.Independent(D.Normal(a, b), 1), D.Independent(D.Normal(b, a), 1)),
        (D.OneHotCategorical(a), D.OneHotCategorical(b)),
        (D.LogNormal(a, b), D.LogNormal(b, a)),
        (D.Chi2(a), D.Chi2(b)),
    ]
    for p, q in prs:
        k = kl_divergence(p, q)
        out += [k, torch.autograd.grad(k.sum(), [a, b], allow_unused=True)]
    return out


def transforms():
    x = torch.randn(3, 4, requires_grad=True)
    out = []
    for t in (
        T.ExpTransform(),
        T.SigmoidTransform(),
        T.TanhTransform(),
        T.AffineTransform(1.0, torch.tensor(-2.0)),
        T.PowerTransform(torch.tensor(2.0)),
        T.SoftplusTransform(),
        T.StickBreakingTransform(),
        T.ComposeTransform([T.AffineTransform(0.0, 2.0), T.ExpTransform()]),
        T.IndependentTransform(T.ExpTransform(), 1),
        T.ReshapeTransform((4,), (2, 2)),
        T.CatTransform([T.ExpTransform(), T.AffineTransform(0.0, 3.0)], dim=1, lengths=[1, 3]),
        T.StackTransform([T.ExpTransform(), T.AffineTransform(0.0, 3.0), T.SigmoidTransform()], dim=0),
        T.CumulativeDistributionTransform(D.Normal(0.0, 1.0)),
        T.ComposeTransform([T.ExpTransform(), T.StickBreakingTransform()]),
        T.identity_transform,
    ):
        z = x.abs() + 0.1 if isinstance(t, T.PowerTransform) else x
        y = t(z)
        out += [
            y,
            t.inv(y),
            t.log_abs_det_jacobian(z, y),
            t.inv.log_abs_det_jacobian(y, z),
            t.forward_shape((5, 4)) if not isinstance(t, T.CatTransform) else 0,
        ]
    m = torch.randn(3, 3)
    out += [T.LowerCholeskyTransform()(m), T.PositiveDefiniteTransform()(m), T.SoftmaxTransform()(x), T.AbsTransform()(x)]
    for c in (
        constraints.real,
        constraints.positive,
        constraints.unit_interval,
        constraints.interval(-1.0, 2.0),
        constraints.greater_than(3.0),
        constraints.less_than(1.0),
        constraints.simplex,
    ):
        out += [transform_to(c)(x), biject_to(c)(x)]
    for c, v in (
        (constraints.positive, x),
        (constraints.simplex, x.softmax(-1)),
        (constraints.boolean, (x > 0).double()),
        (constraints.nonnegative_integer, x.round()),
        (constraints.interval(0, 1), x),
        (constraints.lower_cholesky, m),
        (constraints.positive_definite, m @ m.T + torch.eye(3)),
        (constraints.integer_interval(0, 3), x.round()),
    ):
        out.append(c.check(v))
    return out


def flow_training():
    base = D.Independent(D.Normal(torch.zeros(2), torch.ones(2)), 1)
    sh = torch.nn.Parameter(torch.zeros(2))
    sc = torch.nn.Parameter(torch.zeros(2))
    opt = torch.optim.Adam([sh, sc], 0.1)
    out = []
    data = torch.randn(20, 2) * 2 + 3
    for _ in range(5):
        d = D.TransformedDistribution(base, [T.AffineTransform(sh, sc.exp(), event_dim=1)])
        l = -d.log_prob(data).mean()
        opt.zero_grad()
        l.backward()
        opt.step()
        out.append(l.item())
    return out, d.sample((2,)), d.event_shape


def errors():
    out = []
    for f in (
        lambda: D.Normal(0.0, -1.0),
        lambda: D.Categorical(torch.tensor([-0.1, 0.5])),
        lambda: D.Bernoulli(1.5),
        lambda: D.Uniform(1.0, 0.0),
        lambda: D.Normal(0.0, 1.0).log_prob(torch.tensor(float("nan"))),
        lambda: D.Beta(1.0, 1.0).log_prob(torch.tensor(2.0)),
        lambda: D.Poisson(1.0).log_prob(torch.tensor(0.5)),
        lambda: D.Categorical(torch.ones(3)).log_prob(torch.tensor(5)),
        lambda: D.Bernoulli(),
        lambda: D.kl_divergence(D.Normal(0.0, 1.0), D.Poisson(1.0)),
        lambda: D.Categorical(torch.ones(3)).rsample(),
        lambda: D.MultivariateNormal(torch.zeros(2), -torch.eye(2)),
        lambda: D.Binomial(3, 0.5).log_prob(torch.tensor(5.0)),
    ):
        try:
            f()
            out.append("none")
        except Exception as e:
            out.append([k.__name__ for k in (ValueError, NotImplementedError, RuntimeError) if isinstance(e, k)][:1])
    return out
