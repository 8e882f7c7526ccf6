"""Short-time Fourier transforms: `stft` cuts a signal into overlapping windows and transforms each, `istft` puts it together again."""

import warnings
from math import prod

import numpy as np

from .api import functions as public
from .api.complexes import ComplexTensor, is_complex, split
from .autograd.tensor import Tensor, array_of
from .fft import fft, ifft, irfft, rfft

__all__ = ["istft", "stft"]


def sizes_of(name, n_fft, hop_length, win_length, window):
    """(hop, window of n_fft numbers as a tensor): defaults a quarter of n_fft and n_fft ones; a short window goes in the middle."""
    hop = n_fft // 4 if hop_length is None else int(hop_length)
    width = n_fft if win_length is None else int(win_length)
    if n_fft <= 0 or hop <= 0 or not 0 < width <= n_fft:
        raise RuntimeError(f"{name}: n_fft={n_fft} and hop_length={hop} must be positive, and win_length={width} between 1 and n_fft")
    if window is None:
        return hop, None if width == n_fft else middle(public["ones"](width), n_fft)
    if window.ndim != 1 or window.shape[0] != width:
        raise RuntimeError(f"{name}: expected a window of win_length={width} numbers, got shape {list(window.shape)}")
    return hop, middle(window, n_fft)


def middle(window, n):
    """The window with as many zeros on both sides as n numbers need."""
    before = (n - window.shape[0]) // 2
    if window.shape[0] == n:
        return window
    return public["cat"]([window.new_zeros(before), window, window.new_zeros(n - before - window.shape[0])])


def stft(input, n_fft, hop_length=None, win_length=None, window=None, center=True, pad_mode="reflect", normalized=False, onesided=None,
         return_complex=None, align_to_window=None):  # fmt: skip
    """X[…, k, m] = Σₙ window[n] · x[m·hop + n] · e^(−2πi kn/n_fft), shapes (T) or (B, T) → (…, n_fft // 2 + 1, frames)

    With `center` the signal is padded by n_fft // 2 at both ends, in pad_mode, so that frame m is about time m·hop. `normalized` divides
    by √n_fft. `onesided`, the default for real signals, leaves out the frequencies that are conjugates of others. With
    return_complex=False the real and the imaginary part lie in a last dimension of size 2.

    >>> import tinygrad_edu as tg
    >>> tg.stft(tg.ones(8), 4, window=tg.ones(4), return_complex=True)[:, 0].real
    tensor([4., 0., 0.])
    """
    complex_input = is_complex(input)
    if return_complex is None:
        if not (complex_input or window is not None and is_complex(window)):
            raise RuntimeError("stft: say return_complex=True for a complex result, or return_complex=False for real and imaginary parts")
        return_complex = True
    if input.ndim not in (1, 2):
        raise RuntimeError(f"stft: expected a signal (T) or (B, T), got shape {list(input.shape)}")
    if center and align_to_window is not None:
        raise RuntimeError("stft: align_to_window is for center=False only")
    if window is None:
        warnings.warn("stft: no window was given, so every sample counts the same; to keep frequencies apart pass one, such as "
                      "window=hann_window(n_fft)", UserWarning, stacklevel=2)  # fmt: skip
    hop, window = sizes_of("stft", n_fft, hop_length, win_length, window)
    single, x = input.ndim == 1, input.unsqueeze(0) if input.ndim == 1 else input
    if center:
        x = bordered(x, n_fft // 2, pad_mode)
    if x.shape[1] < n_fft:
        raise RuntimeError(f"stft: expected 0 < n_fft <= {x.shape[1]}, the length of the signal, got n_fft={n_fft}")
    places = np.arange((x.shape[1] - n_fft) // hop + 1)[:, None] * hop + np.arange(n_fft)
    frames = split(x)[:, Tensor(places, None)] if complex_input else x[:, Tensor(places, None)]
    if window is not None:
        frames = frames * window
    both_sides = is_complex(frames)
    onesided = not both_sides if onesided is None else onesided
    if onesided and both_sides:
        raise RuntimeError("stft: onesided=True is for real signals and windows; pass onesided=False")
    out = (rfft if onesided else fft)(frames, norm="ortho" if normalized else None).transpose(1, 2)
    out = out.squeeze(0) if single else out
    return out if return_complex else public["view_as_real"](out)


def bordered(x, n, mode):
    """The signal (B, T) with n more samples at both ends."""
    from .nn.functional import pad

    def longer(part):
        return pad(part.unsqueeze(1), (n, n), mode).squeeze(1)

    if not is_complex(x):
        return longer(x)
    x = split(x)
    return ComplexTensor(longer(x.re), longer(x.im))


def istft(input, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False, onesided=None, length=None,
          return_complex=False):  # fmt: skip
    """The signal (T) or (B, T) whose `stft` is the given one, (…, n_fft // 2 + 1, frames): windows are added up, and divided by Σ window²

    `length` is the signal's own, where it does not follow from the number of frames.

    >>> import tinygrad_edu as tg
    >>> x, window = tg.arange(8.0), tg.hann_window(4)
    >>> tg.istft(tg.stft(x, 4, 2, window=window, return_complex=True), 4, 2, window=window).allclose(x, atol=1e-6)
    True
    """
    if not is_complex(input):
        raise RuntimeError("istft: expected a complex tensor; convert real and imaginary parts with view_as_complex")
    if input.ndim not in (2, 3) or not prod(input.shape):
        raise RuntimeError(f"istft: expected (frequencies, frames) or (B, frequencies, frames), not empty, got shape {list(input.shape)}")
    hop, window = sizes_of("istft", n_fft, hop_length, win_length, window)
    z = split(input)
    single, z = z.ndim == 2, z.unsqueeze(0) if z.ndim == 2 else z
    bins, count = z.shape[1], z.shape[2]
    onesided = bins != n_fft if onesided is None else onesided
    if bins != (n_fft // 2 + 1 if onesided else n_fft):
        raise RuntimeError(f"istft: the transform has {bins} frequencies; n_fft={n_fft} and onesided={onesided} need "
                           f"{n_fft // 2 + 1 if onesided else n_fft}")  # fmt: skip
    if onesided and (return_complex or window is not None and is_complex(window)):
        raise RuntimeError("istft: a one-sided transform is that of a real signal; pass return_complex=False and a real window")
    norm = "ortho" if normalized else None
    frames = z.transpose(1, 2)
    frames = (ifft if return_complex else irfft)(frames if onesided or return_complex else frames[..., : n_fft // 2 + 1], n_fft, norm=norm)
    if window is not None:
        frames = frames * window
    total = n_fft + hop * (count - 1)
    places = (np.arange(count)[:, None] * hop + np.arange(n_fft)).reshape(-1)
    squares = np.ones(n_fft) if window is None else np.abs(array_of(window)) ** 2
    envelope = np.zeros(total)
    np.add.at(envelope, places, np.tile(squares, count))
    begin = n_fft // 2 if center else 0
    end = begin + length if length is not None else total - n_fft // 2 if center else total
    inside = slice(begin, min(end, total))
    if not (envelope[inside] > 1e-11).all():
        raise RuntimeError("istft: the windows leave a gap, Σ window² is 0 at a sample of the signal; use a smaller hop_length or another "
                           "window")  # fmt: skip

    learned = None  # Σ window² in the graph, where the window has a gradient
    if window is not None and window.requires_grad:
        tiled = (window * window).repeat(count)
        learned = tiled.new_zeros(total).index_add(0, Tensor(places, None), tiled)

    def added(part):
        out = part.new_zeros(part.shape[0], total).index_add(1, Tensor(places, None), part.reshape(part.shape[0], -1))[:, inside]
        out = out / (Tensor(envelope[inside].astype(part.dtype), None) if learned is None else learned[inside])
        if end > total:
            out = public["cat"]([out, out.new_zeros(out.shape[0], end - total)], 1)
        return out.squeeze(0) if single else out

    if end > total:
        warnings.warn(f"istft: length={length} is more than the {total - begin} samples of the frames; the rest is zeros", UserWarning,
                      stacklevel=2)  # fmt: skip
    if not is_complex(frames):
        return added(frames)
    signal = ComplexTensor(added(frames.re), added(frames.im))
    if window is None or not is_complex(window):
        return signal
    turned = np.zeros(total, np.complex128)  # a complex window is undone by Σ window², not by Σ |window|²
    np.add.at(turned, places, np.tile(array_of(window) ** 2, count))
    ratio = np.ones(signal.shape[-1], signal.dtype)
    ratio[: len(turned[inside])] = envelope[inside] / turned[inside]
    return signal * Tensor(ratio, None)
