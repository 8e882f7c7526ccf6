"""Every distribution: what it draws for a seed, log densities, entropies, divergences, and gradients through rsample."""

import torch
from torch import distributions as D
from torch.distributions import Bernoulli, Categorical, Independent, MultivariateNormal, Normal, TransformedDistribution, Uniform, kl_divergence
from torch.distributions.transforms import AffineTransform, ExpTransform, SigmoidTransform, TanhTransform


def main():
    torch.manual_seed(12)
    torch.set_default_dtype(torch.float64)
    loc, scale = torch.randn(2, 3, requires_grad=True), torch.rand(3).add(0.5).requires_grad_()
    probs, logits = torch.rand(2, 4), torch.randn(4, requires_grad=True)
    A = torch.randn(3, 3)
    cov = (A @ A.T + torch.eye(3)).requires_grad_()
    pairs = [
        (Normal(loc, scale), Normal(0.0, 2.0)), (D.LogNormal(loc, scale), D.LogNormal(torch.tensor(0.1), 1.5)),
        (D.Laplace(loc, scale), D.Laplace(0.3, torch.ones(3))), (Uniform(loc, loc + scale), Uniform(loc - 1, loc + 3)),
        (D.Exponential(scale), D.Exponential(2.0)), (D.Gamma(scale * 2, scale), D.Gamma(torch.tensor(1.2), 1.0)),
        (D.Beta(scale, scale + 1), D.Beta(2.0, 0.7)), (D.Dirichlet(scale * 3), D.Dirichlet(torch.ones(3))),
        (Bernoulli(logits=logits), Bernoulli(probs=torch.rand(4))), (Categorical(probs), Categorical(logits=logits)),
        (D.OneHotCategorical(probs), D.OneHotCategorical(logits=logits)), (D.Geometric(torch.sigmoid(logits)), D.Geometric(0.4)),
        (D.Poisson(scale * 5), D.Poisson(2.0)), (Independent(Normal(loc, scale), 1), Independent(Normal(torch.zeros(2, 3), 1), 1)),
        (MultivariateNormal(torch.zeros(3), cov), MultivariateNormal(loc, scale_tril=torch.eye(3) * 2)),
        (D.Cauchy(loc, scale), None), (D.Gumbel(loc, scale), None), (D.HalfNormal(scale), None),
    ]
    results = []
    for p, q in pairs:
        results += [len(p.batch_shape), len(p.event_shape)]
        for shape in ((), (5,), torch.Size([2, 3])):
            x = p.sample(shape)
            results += [*x.shape, x.sum().item(), p.log_prob(x).sum().item(), x.requires_grad]
        total = p.log_prob(x).mean()
        if not isinstance(p, D.Poisson):
            results.append(p.entropy().sum().item())
            total = total + p.entropy().mean()
        if not isinstance(p, D.Cauchy):
            results += [p.mean.sum().item(), p.variance.sum().item()]
        if q is not None:
            results.append(kl_divergence(p, q).sum().item())
            total = total + kl_divergence(p, q).mean()
        if not isinstance(p, (D.Gamma, D.Beta, D.Dirichlet)) and p.has_rsample:
            total = total + (p.rsample((3,)) ** 2).mean()
        leaves = [t for t in (loc, scale, logits, cov)]
        for g in torch.autograd.grad(total, leaves, allow_unused=True):
            results.append(0.0 if g is None else g.sum().item())
    results += [Normal(0.0, 1.0).sample().item(), Normal(torch.tensor([0.0]), 1.0).cdf(torch.tensor([0.3])).item()]
    results += [len(repr(Normal(0.0, 1.0))), len(str(Categorical(logits=logits)).replace("torch.", ""))]

    squashed = TransformedDistribution(Normal(loc, scale), [TanhTransform(cache_size=1), AffineTransform(0.5, 2.0)])
    x = squashed.rsample()
    loss = squashed.log_prob(x).sum() + x.sum()
    loss.backward()
    results += [loss.item(), *scale.grad.tolist()]
    flow = TransformedDistribution(Independent(Normal(loc, scale), 1), [ExpTransform(), AffineTransform(loc=torch.ones(3), scale=scale)])
    results += flow.log_prob(flow.sample((2,))).flatten().tolist()
    logistic = TransformedDistribution(Uniform(torch.zeros(3), 1), [SigmoidTransform().inv, AffineTransform(1.0, 0.5)])
    results += [*logistic.sample().tolist(), *logistic.log_prob(torch.tensor([0.1, 1.0, 2.0])).tolist()]
    mixture = D.MixtureSameFamily(Categorical(probs[0]), Normal(torch.arange(4.0), torch.rand(4) + 0.1))
    results += [mixture.sample((3,)).sum().item(), mixture.log_prob(torch.tensor(0.7)).item(), mixture.mean.item(), mixture.variance.item()]
    soft = D.RelaxedOneHotCategorical(torch.tensor(0.7), logits=logits).rsample((2,))
    results += [*soft.flatten().tolist(), D.RelaxedOneHotCategorical(torch.tensor(0.7), logits=logits).log_prob(soft.detach()).sum().item()]
    precise = MultivariateNormal(torch.zeros(3), precision_matrix=cov.detach())
    results += [precise.log_prob(torch.ones(3)).item(), precise.covariance_matrix.sum().item(), precise.expand((2,)).sample().sum().item()]
    for wrong in (lambda: Normal(0.0, -1.0), lambda: Categorical(torch.tensor([-1.0, 2.0])), lambda: Bernoulli(0.5).log_prob(torch.tensor(2.0))):
        try:
            wrong()
        except ValueError:
            results.append(1)
    return [float(r) for r in results]
