"""First and second derivatives of linear algebra, reductions, indexing and rearranging, weighted so that no two elements count alike."""

import torch


def flat(value):
    """The numbers of nested results; three sums of long ones."""
    if isinstance(value, (list, tuple)):
        return [number for v in value for number in flat(v)]
    if not isinstance(value, torch.Tensor):
        return [] if value is None else [float(value)]
    value = value.detach()
    value = torch.view_as_real(value.resolve_conj()) if value.is_complex() else value
    value = value.reshape(-1).to(torch.float64)
    if value.numel() > 12:
        value = torch.stack([value.sum(), value.abs().sum(), (value * torch.cos(torch.arange(value.numel()))).sum()])
    return value.tolist()


def g(f, *xs):
    xs = [x.clone().requires_grad_() for x in xs]
    out = f(*xs)
    outs = [o for o in (out if isinstance(out, tuple) else (out,)) if o.is_floating_point() and o.requires_grad]
    w = [torch.cos(torch.arange(o.numel(), dtype=o.dtype)).reshape(o.shape) for o in outs]
    gr = torch.autograd.grad(sum((o * v).sum() for o, v in zip(outs, w)), xs, create_graph=True)
    size = sum((x ** 2).sum() for x in gr)
    second = torch.autograd.grad(size, xs, allow_unused=True) if size.requires_grad else None
    return [o.detach() for o in outs], [x.detach() for x in gr], second


def main():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(3)
    out = []
    A = torch.randn(4, 4)
    S = A @ A.T + 4 * torch.eye(4)
    R = torch.randn(5, 3)
    B = torch.randn(2, 3, 3)
    b = torch.randn(4, 2)
    U, s, Vh = torch.linalg.svd(R, full_matrices=False)
    out.append(g(torch.linalg.inv, A))
    out.append(g(torch.linalg.det, A))
    out.append(g(torch.logdet, S))
    out.append(g(torch.linalg.svdvals, R))
    out.append(g(torch.linalg.eigvalsh, S))
    out.append(g(torch.linalg.cholesky, S))
    out.append(g(torch.linalg.solve, A, b))
    out.append(g(torch.linalg.qr, R))
    out.append(g(torch.linalg.pinv, R))
    out.append(g(torch.linalg.matrix_exp, A))
    out.append(g(lambda x: torch.linalg.matrix_norm(x, 2), A))
    out.append(g(lambda x: torch.linalg.matrix_norm(x, "nuc"), A))
    out.append(g(lambda x: torch.linalg.cond(x), A))
    out.append(g(lambda x, y: torch.linalg.lstsq(x, y).solution, R, torch.ones(5, 1)))
    out.append(g(lambda x, y: torch.linalg.solve_triangular(x, y, upper=True), S, b))
    out.append(g(lambda x: torch.linalg.eigh(x)[0], B + B.mT))
    out.append(g(lambda x: torch.linalg.eigh(x)[1].abs(), S))
    out.append(g(lambda x: torch.linalg.svd(x)[1], B))
    out.append(g(lambda x: (torch.linalg.svd(x, full_matrices=False)[0] * 1.0).abs(), R))
    out.append(g(lambda x: torch.cholesky_inverse(torch.linalg.cholesky(x)), S))
    out.append(g(lambda x, y: torch.cholesky_solve(y, torch.linalg.cholesky(x)), S, b))
    out.append(g(lambda x: torch.linalg.matrix_power(x, 3), A))
    out.append(g(lambda x: torch.linalg.matrix_power(x, -1), A))
    out.append(g(lambda x: torch.linalg.norm(x), A))
    out.append(g(lambda x: torch.linalg.vector_norm(x, 3, dim=1), A))
    out.append(g(lambda x: torch.linalg.vector_norm(x, 1), A))
    out.append(g(lambda x: torch.linalg.vector_norm(x, float("inf")), A))
    out.append(g(lambda x: torch.linalg.multi_dot([x, x, x]), A))
    out.append(g(lambda x: torch.linalg.tensorsolve(x.reshape(2, 2, 4), torch.ones(2, 2)), A))
    out.append(g(lambda x: torch.trace(x @ x), A))
    out.append(g(lambda x: torch.kron(x, x), A))
    out.append(g(lambda x: torch.cov(x), R))
    out.append(g(lambda x: torch.corrcoef(x), R))
    out.append(g(lambda x: torch.renorm(x, 2, 0, 1.0), R))
    out.append(g(lambda x: torch.cross(x, x.roll(1, 0), dim=1), R))
    out.append(g(lambda x: torch.quantile(x, torch.tensor([0.2, 0.7]), dim=0), R))
    out.append(g(lambda x: torch.cumprod(x, 0), R))
    out.append(g(lambda x: torch.logcumsumexp(x, 0), R))
    out.append(g(lambda x: torch.cummax(x, 0).values, R))
    out.append(g(lambda x: x.prod(0), R))
    out.append(g(lambda x: x.std(1), R))
    out.append(g(lambda x: torch.var_mean(x, 0), R))
    out.append(g(lambda x: x.median(0).values, R))
    out.append(g(lambda x: x.kthvalue(2).values, R))
    out.append(g(lambda x: x.mode(0).values, R))
    out.append(g(lambda x: x.topk(2).values, R))
    out.append(g(lambda x: x.sort(0).values, R))
    out.append(g(lambda x: torch.nanmean(torch.where(x > 1, float("nan"), x)), R))
    out.append(g(lambda x: torch.trapezoid(x, dim=0), R))
    out.append(g(lambda x: torch.gradient(x, dim=0)[0], R))
    out.append(g(lambda x: torch.diff(x, dim=0), R))
    out.append(g(lambda x: torch.einsum("ij,kj->ik", x, x), R))
    out.append(g(lambda x: torch.einsum("ij,ik,jk->", x, x, torch.ones(3, 3)), R))
    out.append(g(lambda x: torch.tensordot(x, x, dims=([0], [0])), R))
    out.append(g(lambda x: x.unfold(0, 2, 1), R))
    out.append(g(lambda x: x.as_strided((3, 3), (3, 1), 1), R))
    out.append(g(lambda x: torch.block_diag(x, x[:2]), R))
    out.append(g(lambda x: torch.scatter_reduce(x, 0, torch.tensor([[0, 1, 0], [1, 1, 2]]), x[:2] * 2, "mean"), R))
    out.append(g(lambda x: torch.scatter_reduce(x, 0, torch.tensor([[0, 1, 0], [1, 1, 2]]), x[:2] * 2, "prod"), R))
    out.append(g(lambda x: torch.scatter_reduce(x, 0, torch.tensor([[0, 1, 0], [1, 1, 2]]), x[:2] * 2, "amax", include_self=False), R))
    out.append(g(lambda x: torch.index_reduce(x, 0, torch.tensor([0, 0]), x[:2] * 2, "mean"), R))
    out.append(g(lambda x: torch.index_reduce(x, 0, torch.tensor([0, 0]), x[:2] * 2, "prod"), R))
    out.append(g(lambda x: torch.index_reduce(x, 0, torch.tensor([0, 0]), x[:2] * 2, "amin"), R))
    out.append(g(lambda x: torch.index_add(x, 0, torch.tensor([0, 0]), x[:2] * 2), R))
    out.append(g(lambda x: torch.index_copy(x, 0, torch.tensor([3, 0]), x[:2] * 2), R))
    out.append(g(lambda x: x.index_put((torch.tensor([0, 0]),), x[:2] * 2, accumulate=True), R))
    out.append(g(lambda x: x.masked_scatter(x > 0, x * 3), R))
    out.append(g(lambda x: torch.take(x, torch.tensor([0, 0, 5])), R))
    out.append(g(lambda x: torch.rot90(x), R))
    out.append(g(lambda x: torch.repeat_interleave(x, torch.tensor([1, 2, 0, 1, 1]), dim=0), R))
    out.append(g(lambda x: torch.clamp(x, -0.5, 0.5), R))
    out.append(g(lambda x: torch.clamp(x, x.detach().roll(1, 0), x * 2), R))
    out.append(g(lambda x: torch.where(x > 0, x ** 2, x ** 3), R))
    out.append(g(lambda x: torch.maximum(x, x.roll(1, 0)), R))
    out.append(g(lambda x: torch.logaddexp(x, x.roll(1, 0)), R))
    out.append(g(lambda x: torch.atan2(x, x.roll(1, 0)), R))
    out.append(g(lambda x: torch.hypot(x, x.roll(1, 0)), R))
    out.append(g(lambda x: torch.lerp(x, x.roll(1, 0), x), R))
    out.append(g(lambda x: torch.fmod(x, 0.7), R))
    out.append(g(lambda x: torch.remainder(x, x.roll(1, 0)), R))
    out.append(g(lambda x: torch.copysign(x, x.roll(1, 0)), R))
    out.append(g(lambda x: torch.xlogy(x, x.abs()), R))
    out.append(g(lambda x: torch.float_power(x.abs(), 2.5), R))
    out.append(g(lambda x: torch.frac(x), R))
    out.append(g(lambda x: torch.sinc(x), R))
    return flat(out)
