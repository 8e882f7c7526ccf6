"""Complex rotations as in LLaMA, Fourier transforms with gradients, spectral layers."""

import math
import torch
import torch.nn as nn
import torch.nn.functional as F


def llama_rope():
    def precompute_freqs_cis(dim, end, theta=10000.0):
        freqs = 1.0 / (theta ** (torch.arange(0, dim, 2)[: (dim // 2)].float() / dim))
        t = torch.arange(end, device=freqs.device)
        freqs = torch.outer(t, freqs).float()
        return torch.polar(torch.ones_like(freqs), freqs)

    def reshape_for_broadcast(freqs_cis, x):
        ndim = x.ndim
        shape = [d if i == 1 or i == ndim - 1 else 1 for i, d in enumerate(x.shape)]
        return freqs_cis.view(*shape)

    def apply_rotary_emb(xq, xk, freqs_cis):
        xq_ = torch.view_as_complex(xq.float().reshape(*xq.shape[:-1], -1, 2))
        xk_ = torch.view_as_complex(xk.float().reshape(*xk.shape[:-1], -1, 2))
        freqs_cis = reshape_for_broadcast(freqs_cis, xq_)
        xq_out = torch.view_as_real(xq_ * freqs_cis).flatten(3)
        xk_out = torch.view_as_real(xk_ * freqs_cis).flatten(3)
        return xq_out.type_as(xq), xk_out.type_as(xk)

    q, k = torch.randn(2, 5, 2, 8, requires_grad=True), torch.randn(2, 5, 2, 8, requires_grad=True)
    fc = precompute_freqs_cis(8, 10)
    fc = fc[:5]
    a, b = apply_rotary_emb(q, k, fc)
    loss = (a * b).sum() + a.pow(3).sum()
    loss.backward()
    return a, b, q.grad, k.grad


def fft():
    x = torch.randn(3, 8, requires_grad=True)
    out = []
    w = torch.arange(24.0).reshape(3, 8)
    for f in (
        lambda x: torch.fft.rfft(x),
        lambda x: torch.fft.rfft(x, n=6),
        lambda x: torch.fft.rfft(x, n=11, dim=0),
        lambda x: torch.fft.fft(x, norm="ortho"),
        lambda x: torch.fft.ifft(x),
        lambda x: torch.fft.fft2(x),
        lambda x: torch.fft.rfft2(x, norm="forward"),
        lambda x: torch.fft.fftn(x),
        lambda x: torch.fft.fftshift(torch.fft.fft(x)),
        lambda x: torch.fft.ihfft(x),
    ):
        z = f(x)
        l = (z.abs() ** 2 * torch.arange(1.0, z.numel() + 1).reshape(z.shape)).sum() + z.real.sin().sum() + z.imag.cos().sum()
        out += [z.real * 1, z.imag * 1, z.abs(), torch.autograd.grad(l, x)]
    for f in (
        lambda x: torch.fft.irfft(torch.fft.rfft(x)),
        lambda x: torch.fft.irfft(torch.fft.rfft(x), n=7),
        lambda x: torch.fft.irfft2(torch.fft.rfft2(x), s=(3, 8)),
        lambda x: torch.fft.ifft(torch.fft.fft(x)).real * 1,
        lambda x: torch.fft.irfft(x),
        lambda x: torch.fft.fft(torch.fft.fft(x, dim=-1), dim=-2).real * 1,
        lambda x: torch.fft.hfft(x, 9),
    ):
        y = f(x)
        out += [y, torch.autograd.grad((y * torch.arange(y.numel() * 1.0).reshape(y.shape)).sin().sum(), x)]
    out += [
        torch.fft.fftfreq(5, 0.1),
        torch.fft.rfftfreq(6),
        torch.fft.fftshift(torch.arange(5)),
        torch.fft.ifftshift(torch.arange(5)),
    ]
    z = torch.complex(x, w * 0.1)
    u = z * z.conj() / (z + 1) - 2j * z
    out += [
        u.real * 1,
        u.imag * 1,
        torch.view_as_real(u),
        u.abs(),
        u.angle(),
        torch.autograd.grad(u.abs().sum() + u.exp().real.sum(), x, retain_graph=True),
        (z @ z.mT).real * 1,
        torch.autograd.grad((z @ z.mT).imag.sum(), x),
    ]
    return out


def fnet_fno():
    class SpectralConv1d(nn.Module):
        def __init__(self, i, o, modes):
            super().__init__()
            self.o, self.modes = o, modes
            self.wr, self.wi = (nn.Parameter(torch.rand(i, o, modes) / (i * o)) for _ in range(2))

        def forward(self, x):
            xf = torch.fft.rfft(x)
            of = torch.zeros(x.shape[0], self.o, x.size(-1) // 2 + 1 - self.modes)
            y = torch.einsum("bix,iox->box", xf[:, :, : self.modes], torch.complex(self.wr, self.wi))
            y = torch.cat([y, torch.complex(of, of)], -1)
            return torch.fft.irfft(y, n=x.size(-1))

    class FNetBlock(nn.Module):
        def forward(self, x):
            return torch.fft.fft(torch.fft.fft(x, dim=-1), dim=-2).real

    net = nn.Sequential(SpectralConv1d(2, 3, 3), nn.GELU(), FNetBlock(), nn.Linear(8, 1))
    opt = torch.optim.Adam(net.parameters(), 1e-2)
    x = torch.randn(4, 2, 8)
    out = []
    for _ in range(3):
        l = net(x).pow(2).mean()
        opt.zero_grad()
        l.backward()
        opt.step()
        out.append(l)
    sig = torch.sin(2 * math.pi * 3 * torch.arange(64) / 64)
    mag = torch.fft.rfft(sig).abs()
    out += [mag.argmax(), torch.fft.rfft(sig).abs().pow(2).sum()]
    A = torch.randn(5, 5)
    ev = torch.linalg.eigvals(A)
    out += [ev.abs().max(), ev.real.sum(), (ev.imag**2).sum()]
    return out
