"""Fourier transforms, complex functions and matrices, special functions and windows, with derivatives."""

import torch


def g(f, x, second=True):
    x = x.clone().requires_grad_()
    o = f(x)
    if o.is_complex():
        o = torch.view_as_real(o)
    w = torch.cos(torch.arange(o.numel(), dtype=o.dtype)).reshape(o.shape)
    (d,) = torch.autograd.grad((o * w).sum() + (o ** 2).sum(), x, create_graph=second)
    if not second:
        return o.detach(), d
    e = d if not d.is_complex() else torch.view_as_real(d)
    (h,) = torch.autograd.grad((e ** 2).sum(), x)
    return o.detach(), d.detach(), h


def main():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(3)
    out = []
    torch.manual_seed(5)
    x = torch.randn(3, 8)
    z = torch.complex(torch.randn(4, 6), torch.randn(4, 6))
    out += [torch.fft.fft(x, n=5), torch.fft.fft(x, n=10, dim=0), torch.fft.fft(x, norm="ortho"), torch.fft.fft(x, norm="forward"), torch.fft.ifft(z, norm="forward")]
    out += [torch.fft.fft2(z), torch.fft.ifft2(z), torch.fft.rfft2(x), torch.fft.irfft2(z), torch.fft.fftn(z), torch.fft.ifftn(z, dim=(0,)), torch.fft.rfftn(x), torch.fft.irfftn(z, s=(4, 5))]
    out += [torch.fft.fftfreq(5), torch.fft.fftfreq(6, d=0.5), torch.fft.rfftfreq(5), torch.fft.fftshift(x), torch.fft.ifftshift(x, dim=1)]
    out += [torch.stft(torch.randn(64), n_fft=16, hop_length=4, window=torch.hann_window(16), center=False, return_complex=True).abs()]
    sig = torch.randn(64)
    out += [torch.istft(torch.stft(sig, 16, window=torch.hann_window(16), return_complex=True), 16, window=torch.hann_window(16), length=64) - sig]
    out += [g(torch.fft.fft, x)]
    out += [g(torch.fft.fft, z)]
    out += [g(torch.fft.ifft, z)]
    out += [g(torch.fft.rfft, x)]
    out += [g(torch.fft.irfft, z)]
    out += [g(lambda t: torch.fft.irfft(t, n=7), z)]
    out += [g(torch.fft.fft2, z)]
    out += [g(torch.fft.rfft2, x)]
    out += [g(torch.fft.irfft2, z)]
    out += [g(lambda t: torch.fft.rfft(t, n=12, dim=0), x)]
    out += [g(lambda t: torch.fft.irfftn(t, s=(3, 5)), z)]
    out += [g(lambda t: torch.fft.fftshift(t), x)]
    out += [g(lambda t: torch.istft(torch.stft(t.reshape(-1), 8, window=torch.hann_window(8), return_complex=True), 8, window=torch.hann_window(8)), x)]
    out += [g(lambda t: t.angle(), z)]
    out += [g(lambda t: t * t.conj(), z)]
    out += [g(lambda t: torch.exp(t), z)]
    out += [g(lambda t: torch.sqrt(t), z)]
    out += [g(lambda t: torch.sin(t) * torch.cos(t), z)]
    out += [g(lambda t: t ** 2, z)]
    out += [g(lambda t: 1 / t, z)]
    out += [g(lambda t: t @ t.mH, z)]
    out += [g(lambda t: t.mean(), z)]
    out += [g(lambda t: torch.sgn(t), z)]
    out += [g(lambda t: torch.sigmoid(t), z)]
    out += [g(lambda t: torch.view_as_complex(torch.stack([t, t ** 2], -1)), x)]
    out += [g(lambda t: torch.complex(t, t.sin()), x)]
    out += [g(lambda t: torch.linalg.norm(t), z)]
    out += [g(lambda t: torch.linalg.solve(t[:4, :4], t[:, 4:]), z)]
    out += [g(lambda t: torch.einsum("ij,kj->ik", t, t.conj()), z)]
    out += [g(lambda t: t.cumsum(0), z)]
    out += [g(lambda t: torch.cat([t, t.conj()], 0), z)]
    out += [torch.view_as_real(z).shape]
    out += [torch.tensor([1.0], dtype=torch.float64) * (1 + 2j)]
    s = torch.special
    v = torch.tensor([-2.5, -0.3, 0.0, 0.4, 1.0, 2.5, 7.0])
    p = torch.tensor([0.05, 0.3, 0.5, 0.9])
    out += [s.gammaln(v), s.digamma(v), s.polygamma(1, v), s.polygamma(2, p), s.multigammaln(v + 5, 2)]
    out += [s.erf(v), s.erfc(v), s.erfinv(p), s.erfcx(v)]
    out += [s.ndtr(v), s.ndtri(p), s.log_ndtr(v), s.entr(p), s.xlogy(p, p), s.xlog1py(p, p), s.sinc(v), s.exp2(v), s.expm1(v), s.log1p(p), s.round(v), s.psi(p)]
    out += [s.zeta(torch.tensor([1.5, 2.0, 3.0]), torch.tensor([1.0, 2.0, 0.5])), s.gammainc(p, p), s.gammaincc(p, p)]
    out += [torch.lgamma(v), torch.mvlgamma(v + 5, 3), torch.erfinv(torch.tensor([-1., 1., 2.])), torch.digamma(torch.tensor([0., -1.])), torch.i0(v), torch.igamma(p, p), torch.polygamma(3, p)]
    gg = lambda f, t: torch.autograd.grad(f(t1 := t.clone().requires_grad_()).sum(), t1)[0]
    out += [gg(torch.lgamma, v), gg(torch.digamma, p), gg(torch.erf, v), gg(torch.erfc, v), gg(torch.erfinv, p), gg(s.erfcx, v), gg(s.ndtr, v), gg(s.ndtri, p), gg(s.log_ndtr, v), gg(s.entr, p), gg(s.i0, v), gg(s.i0e, v), gg(s.i1, v), gg(s.i1e, v), gg(s.sinc, v), gg(s.expit, v), gg(s.logit, p), gg(lambda t: s.xlogy(t, t), p), gg(lambda t: s.xlog1py(t, t), p), gg(lambda t: s.polygamma(1, t), p), gg(lambda t: s.multigammaln(t, 2), p + 3), gg(lambda t: s.gammainc(torch.tensor(0.5), t), p), gg(lambda t: s.gammaincc(torch.tensor(0.5), t), p)]
    out += [gg(lambda t: s.zeta(torch.tensor(2.0), t), p)]
    out += [torch.signal.windows.gaussian(6, std=2.0), torch.signal.windows.kaiser(5), torch.signal.windows.cosine(4), torch.signal.windows.exponential(5, tau=2.0), torch.signal.windows.hann(5), torch.signal.windows.nuttall(6), torch.signal.windows.general_cosine(5, a=[0.5, 0.5])]
    torch.manual_seed(0)
    C = lambda *s: torch.complex(torch.randn(*s), torch.randn(*s))
    A, B, b = C(3, 3), C(2, 3, 3), C(3, 2)
    H = A @ A.mH + torch.eye(3)
    out += [torch.linalg.inv(A), torch.linalg.solve(A, b), torch.linalg.solve(A, b[:, 0]), torch.linalg.det(A), torch.linalg.det(B), torch.det(A), torch.slogdet(B), torch.matrix_exp(A), torch.linalg.matrix_power(A, 3), torch.linalg.matrix_power(A, -2), torch.inverse(B)]
    out += [torch.linalg.eigvalsh(H), torch.linalg.eigh(H).eigenvalues, torch.linalg.svdvals(b), torch.linalg.svd(b).S, torch.linalg.cholesky(H), torch.linalg.pinv(b), torch.linalg.qr(b)[1].abs()]
    out += [torch.linalg.norm(A), torch.linalg.matrix_norm(A), torch.linalg.matrix_norm(A, 2), torch.linalg.norm(A, 1), torch.linalg.cond(A), torch.linalg.vector_norm(A, 3)]
    V = torch.linalg.eigh(H).eigenvectors
    out += [(V @ torch.diag(torch.linalg.eigvalsh(H)).to(V.dtype) @ V.mH - H).abs().max() < 1e-9]
    out += [torch.linalg.solve_triangular(A, b, upper=True), torch.trace(A), torch.diag(A), torch.outer(b[:, 0], b[:, 1]), torch.kron(A, b).shape, torch.vdot(b[:, 0], b[:, 1]), torch.dot(b[:, 0], b[:, 1]), torch.tensordot(A, b, 1)]
    out += [g(torch.linalg.inv, A)]
    out += [g(torch.linalg.det, A)]
    out += [g(torch.linalg.det, B)]
    out += [g(lambda x: torch.linalg.solve(x, b), A)]
    out += [g(lambda x: torch.linalg.solve(A, x), b)]
    out += [g(torch.matrix_exp, A)]
    out += [g(lambda x: torch.slogdet(x)[1], A)]
    out += [g(lambda x: torch.linalg.matrix_power(x, 2), A)]
    out += [g(torch.linalg.eigvalsh, H, False)]
    out += [g(lambda x: torch.linalg.eigvalsh(x @ x.mH), A, False)]
    out += [g(lambda x: torch.linalg.eigh(x @ x.mH)[1].abs(), A, False)]
    out += [g(torch.linalg.svdvals, b, False)]
    out += [g(lambda t: torch.sqrt(t), A)]
    out += [g(lambda t: torch.sin(t) * torch.cos(t), A)]
    out += [g(lambda t: torch.tanh(t), A)]
    out += [g(lambda t: t.prod(1), A)]
    out += [g(lambda t: torch.sgn(t), A)]
    out += [g(lambda t: torch.where(t.real > 0, t, t * 2), A)]
    out += [g(lambda t: t.masked_fill(t.real > 0, 2j), A)]
    out += [g(lambda t: torch.log2(t) + torch.log10(t) + torch.log1p(t) + torch.exp2(t) + torch.expm1(t), A)]
    out += [g(lambda t: t ** 0.5 + 2 ** t + t ** t, A)]
    out += [g(lambda t: torch.vdot(t[0], t[1]), A)]
    out += [g(lambda t: torch.trace(t @ t), A)]
    out += [g(lambda t: t.cumprod(0), A)]
    out += [g(lambda t: torch.std(t), A)]
    out += [g(lambda t: t.var(0), A)]
    out += [g(lambda t: torch.dot(t[0], t[1]), A)]
    out += [g(lambda t: torch.nn.functional.linear(t, t), A)]
    out += [g(lambda t: torch.nn.functional.mse_loss(torch.view_as_real(t), torch.view_as_real(A * 2)), A)]
    out += [g(lambda t: t.gather(0, torch.tensor([[0, 1, 2]])), A)]
    out += [g(lambda t: torch.conj_physical(t), A)]
    out += [g(lambda t: torch.einsum("ij,jk,kl->il", t, t, t), A)]
    out += [g(lambda t: torch.lerp(t, t * 2, 0.3), A)]
    out += [g(lambda t: torch.atan(t), A)]
    out += [g(lambda t: torch.asin(t) + torch.acos(t), A)]
    out += [g(lambda t: (t * t.conj()).real.sqrt(), A)]
    z = A.clone()
    out += [z]
    out += [torch.isclose(A, A + 1e-9).all(), torch.allclose(A, A), torch.equal(A, A), (A == A).all(), A.isnan().any()]
    out += [A.mean(), A.sum(), A.abs().max(), A.std(), A.var(), A.norm()]
    out += [torch.complex(torch.tensor([1.]), torch.tensor([3.])).mul(torch.tensor([2.]))]
    return out
