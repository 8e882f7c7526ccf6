"""Fourier transforms, as `torch.fft` spells them, with gradients: a transform is linear, and its adjoint is the inverse one."""

import math

import numpy as np

from .api import functions as public
from .api.complexes import ComplexTensor, split
from .api.create import dtype_of, finished
from .api.spelling import into
from .autograd import dtypes
from .autograd.function import Function
from .autograd.tensor import Tensor, array_of

__all__ = ["fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft",
           "rfft2", "rfftfreq", "rfftn"]  # fmt: skip


class Fourier(Function):
    """Σ x · e^(∓2πi jk/n) over some dimensions, times a factor"""

    @staticmethod
    def forward(ctx, re, im, dims, inverse, factor):
        """The real and the imaginary part of the transform."""
        ctx.options = dims, not inverse, factor
        z = array_of(re) + 1j * array_of(im)
        n = math.prod(z.shape[d] for d in dims)
        out = np.fft.ifftn(z, axes=dims) * (n * factor) if inverse else np.fft.fftn(z, axes=dims) * factor
        kind = np.result_type(re.dtype, im.dtype)
        return Tensor(np.ascontiguousarray(out.real.astype(kind)), None), Tensor(np.ascontiguousarray(out.imag.astype(kind)), None)

    @staticmethod
    def backward(ctx, re, im):
        """The adjoint: the same sum with the other sign."""
        return *Fourier.apply(re, im, *ctx.options), None, None, None


FACTORS = {"backward": (0, 1), "ortho": (0.5, 0.5), "forward": (1, 0)}  # powers of 1/n, for the transform and its inverse


def floats(x):
    """Real numbers as floats; complex ones as they are."""
    return x if x.dtype.kind in "fc" else x.astype(dtypes.default)


def fitted(x, sizes, dims):
    """Each dimension cut, or padded with zeros, to its size (None or −1: as it is)."""
    for n, d in zip(sizes, dims):
        if n is None or n == -1 or n == x.shape[d]:
            continue
        if n < 1:
            raise RuntimeError(f"fft: Invalid number of data points ({n}) specified")
        if n < x.shape[d]:
            x = x.narrow(d, 0, n)
        else:
            more = public["zeros"](*x.shape[:d], n - x.shape[d], *x.shape[d + 1 :], dtype=(x.re if isinstance(x, ComplexTensor) else x).dtype)
            x = public["cat"]([x, more], d)
    return x


def places(x, s, dim):
    """(sizes, dims) as lists, dims counted from 0."""
    s = [s] if isinstance(s, int) else s
    if dim is None:
        dims = list(range(x.ndim)) if s is None else list(range(x.ndim - len(s), x.ndim))
    else:
        dims = [dim] if isinstance(dim, int) else list(dim)
    if any(not -x.ndim <= d < x.ndim for d in dims):
        raise IndexError(f"fft: dimensions {dims} are out of range for a tensor of shape {list(x.shape)}")
    dims = [d % x.ndim for d in dims]
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"fft: dimensions {dims} must be different ones")
    return ([None] * len(dims) if s is None else list(s)), dims


def scale(norm, inverse, n):
    """The factor of a normalisation."""
    norm = "backward" if norm is None else norm
    if norm not in FACTORS:
        raise RuntimeError(f'fft: norm must be "backward", "ortho" or "forward", got {norm!r}')
    return n ** -float(FACTORS[norm][inverse])


def transform(input, s, dim, norm, inverse):
    """fftn, or ifftn."""
    x = floats(input)
    sizes, dims = places(x, s, dim)
    z = split(fitted(split(x) if x.dtype.kind == "c" else x, sizes, dims))
    n = math.prod(z.shape[d] for d in dims)
    re, im = z.re, z.im
    return ComplexTensor(*Fourier.apply(re, im, tuple(dims), inverse, scale(norm, inverse, n)))


def real_transform(input, s, dim, norm):
    """rfftn: the half of the last dimension that says all about real numbers."""
    if input.dtype.kind == "c":
        raise RuntimeError(f"rfft expects a real input tensor, but got {input.dtype}")
    _, dims = places(input, s, dim)
    out = transform(input, s, dim, norm, False)
    return out.narrow(dims[-1], 0, out.shape[dims[-1]] // 2 + 1)


def real_inverse(input, s, dim, norm, inverse=True):
    """irfftn: the other half is the conjugate of the given one."""
    z = split(floats(input))
    sizes, dims = places(z, s, dim)
    last = dims[-1]
    n = 2 * (z.shape[last] - 1) if sizes[-1] in (None, -1) else sizes[-1]
    if n < 1:
        raise RuntimeError(f"irfft: Invalid number of data points ({n}) specified")
    z = fitted(z, [*sizes[:-1], n // 2 + 1], dims)
    if dims[:-1]:
        count = math.prod(z.shape[d] for d in dims[:-1])
        z = ComplexTensor(*Fourier.apply(z.re, z.im, tuple(dims[:-1]), inverse, scale(norm, inverse, count)))
    other = n - (n // 2 + 1)
    if other:
        z = public["cat"]([z, z.narrow(last, 1, other).flip(last).conj()], last)
    return Fourier.apply(z.re, z.im, (last,), inverse, scale(norm, inverse, n))[0]


def fft(input, n=None, dim=-1, norm=None):
    """Σⱼ xⱼ · e^(−2πi jk/n) along one dimension

    >>> import tinygrad_edu as tg
    >>> tg.fft.fft(tg.tensor([1.0, 0.0, 0.0, 0.0])).real
    tensor([1., 1., 1., 1.])
    """
    return transform(input, None if n is None else [n], dim, norm, False)


def ifft(input, n=None, dim=-1, norm=None):
    """The inverse of fft: Σₖ xₖ · e^(2πi jk/n) / n"""
    return transform(input, None if n is None else [n], dim, norm, True)


def fft2(input, s=None, dim=(-2, -1), norm=None):
    """fft along two dimensions"""
    return transform(input, s, dim, norm, False)


def ifft2(input, s=None, dim=(-2, -1), norm=None):
    """The inverse of fft2"""
    return transform(input, s, dim, norm, True)


def fftn(input, s=None, dim=None, norm=None):
    """fft along all, or the given, dimensions"""
    return transform(input, s, dim, norm, False)


def ifftn(input, s=None, dim=None, norm=None):
    """The inverse of fftn"""
    return transform(input, s, dim, norm, True)


def rfft(input, n=None, dim=-1, norm=None):
    """The first n // 2 + 1 numbers of the fft of real numbers: the others are their conjugates"""
    return real_transform(input, None if n is None else [n], dim, norm)


def irfft(input, n=None, dim=-1, norm=None):
    """The n real numbers whose rfft is given; n is even unless it is said"""
    return real_inverse(input, None if n is None else [n], dim, norm)


def rfft2(input, s=None, dim=(-2, -1), norm=None):
    """rfft along two dimensions"""
    return real_transform(input, s, dim, norm)


def irfft2(input, s=None, dim=(-2, -1), norm=None):
    """The inverse of rfft2"""
    return real_inverse(input, s, dim, norm)


def rfftn(input, s=None, dim=None, norm=None):
    """rfft along all, or the given, dimensions"""
    return real_transform(input, s, dim, norm)


def irfftn(input, s=None, dim=None, norm=None):
    """The inverse of rfftn"""
    return real_inverse(input, s, dim, norm)


def hfft(input, n=None, dim=-1, norm=None):
    """The real fft of a signal whose second half is the conjugate of the first"""
    return real_inverse(input, None if n is None else [n], dim, norm, inverse=False)


def ihfft(input, n=None, dim=-1, norm=None):
    """The inverse of hfft"""
    if input.dtype.kind == "c":
        raise RuntimeError(f"ihfft expects a real input tensor, but got {input.dtype}")
    out = transform(input, None if n is None else [n], dim, norm, True)
    _, dims = places(out, None, dim)
    return out.narrow(dims[0], 0, out.shape[dims[0]] // 2 + 1)


def hfft2(input, s=None, dim=(-2, -1), norm=None):
    """The real fft along two dimensions of a signal whose second half, along the last one, is the conjugate of the first"""
    return real_inverse(input, s, dim, norm, inverse=False)


def hfftn(input, s=None, dim=None, norm=None):
    """hfft2 along all, or the given, dimensions"""
    return real_inverse(input, s, dim, norm, inverse=False)


def ihfftn(input, s=None, dim=None, norm=None):
    """The inverse of hfftn"""
    if input.dtype.kind == "c":
        raise RuntimeError(f"ihfft expects a real input tensor, but got {input.dtype}")
    out = transform(input, s, dim, norm, True)
    _, dims = places(out, s, dim)
    return out.narrow(dims[-1], 0, out.shape[dims[-1]] // 2 + 1)


def ihfft2(input, s=None, dim=(-2, -1), norm=None):
    """The inverse of hfft2"""
    return ihfftn(input, s, dim, norm)


def frequencies(values, dtype, requires_grad, out):
    """Numbers as a new tensor, or in `out`."""
    kind = dtype_of(dtype) if dtype is not None else out.dtype if out is not None else dtypes.default
    result = finished(values.astype(kind), requires_grad)
    return result if out is None else into(out, result)


def fftfreq(n, d=1.0, *, dtype=None, device=None, requires_grad=False, layout=None, out=None):
    """The frequencies of fft's n numbers, for samples d apart"""
    return frequencies(np.fft.fftfreq(n, d), dtype, requires_grad, out)


def rfftfreq(n, d=1.0, *, dtype=None, device=None, requires_grad=False, layout=None, out=None):
    """The frequencies of rfft's numbers, for n samples d apart"""
    return frequencies(np.fft.rfftfreq(n, d), dtype, requires_grad, out)


def fftshift(input, dim=None):
    """Frequency 0 moved to the middle"""
    dims = range(input.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    return input.roll(tuple(input.shape[d] // 2 for d in dims), tuple(dims))


def ifftshift(input, dim=None):
    """The inverse of fftshift"""
    dims = range(input.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    return input.roll(tuple(-(input.shape[d] // 2) for d in dims), tuple(dims))
