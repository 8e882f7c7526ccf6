"""Random numbers: the same ones as PyTorch's CPU generator gives for the same seed.

Why the same: a program that was written for PyTorch then starts from the same weights, drops the same neurons and visits
the same examples in the same order, so its results can be compared number by number and not only on average.

The stream. All numbers come from one sequence of 32-bit words w₀ w₁ w₂ …, the Mersenne Twister MT19937 (Matsumoto and
Nishimura 1998), which NumPy has too. A 64-bit number takes two words, W = 2³²·w + w′. From these:

    uniform on [0, 1)    float32  u = (w mod 2²⁴) / 2²⁴;  float64  u = (W mod 2⁵³) / 2⁵³
    uniform on [a, b)    u·(b − a) + a, rounded once
    integers             a + w mod (b − a), or W in place of w where b − a ≥ 2²⁸
    normal               Box and Muller 1958: √(−2 ln(1 − u))·cos 2πu′ and √(−2 ln(1 − u))·sin 2πu′, both are used.
                         From 16 numbers on, in blocks of 16: u is element j and u′ element j + 8 of 16 uniform numbers;
                         if the last block is not full, the last 16 numbers are drawn again. Fewer than 16 come from
                         float64 pairs (u′, u), and the generator keeps the second of a pair for the next call.
    1 with probability p     u < p
    exponential              −ln(1 − u) / λ
    geometric                ⌈ln u / ln(1 − p)⌉
    Cauchy                   m + σ·tan(π(u − ½))
    log-normal               e to the power of a normal number
    permutation              Fisher and Yates: for i = 0, 1, …: swap element i with element i + w mod (n − i)
    multinomial              with replacement: the first class whose cumulative probability reaches u;
                             without: the classes with the largest pᵢ / eᵢ, where the eᵢ are exponential numbers

Uniform numbers, integers, permutations and masks agree bit for bit, and so do float32 normal numbers, where PyTorch has
AVX2 (see cephes.py); other numbers that go through ln, sin, cos or tan agree up to the last digits of those functions.
Only float32 and float64 have formulas: other float types are drawn as float32. Memory is filled in the order of the
elements; views of memory in the usual order are filled as they lie in memory: `x.t()` as `x` is.
"""

import contextlib
import functools
import math
import threading

import numpy as np

from ..autograd import dtypes, memory, modes
from ..autograd.tensor import Tensor, array_of, as_memory
from . import cephes
from .create import check_device, checked_size, cpu, dtype_of, finished
from .spelling import both, ints, methods, only_function
from .twister import PIECE, Twister, Way

DEFAULT_SEED = 67280421310721  # PyTorch's, for programs that set none

# The layout of PyTorch's generator state, so that states can be saved by one library and continued by the other.
STATE = np.dtype(
    [("seed", "u8"), ("left", "i4"), ("seeded", "i4"), ("next", "u8"), ("words", "u8", 624), ("unused", "f8"),
     ("normal", "f8"), ("unused_too", "f8"), ("has_normal", "i4"), ("rest", "V12")]
)  # fmt: skip


class Generator:
    """A source of random numbers with a seed of its own.

    >>> import tinygrad_edu as tg
    >>> g = tg.Generator().manual_seed(0)
    >>> tg.randperm(4, generator=g)
    tensor([0, 1, 3, 2])
    """

    device = cpu

    def __init__(self, device="cpu"):
        check_device(device)
        self.lock = threading.RLock()
        self.first_seed = DEFAULT_SEED
        self.twister = None  # made at the first use: importing this library draws nothing
        self.spare_normal = None

    def manual_seed(self, seed):
        """Start again from `seed`, between −2⁶³ and 2⁶⁴ − 1; returns the generator."""
        seed = int(seed)
        if not -(2**63) <= seed < 2**64:
            raise RuntimeError(f"manual_seed({seed}): the seed must be between -2**63 and 2**64 - 1")
        with self.lock:
            self.first_seed, self.spare_normal = seed % 2**64, None
            if self.twister is not None:
                self.twister.seed(seed % 2**32)
        return self

    def initial_seed(self):
        """The seed it started from."""
        return self.first_seed

    def seed(self):
        """Start again from a seed that the operating system chooses, and return it."""
        return self.manual_seed(np.random.SeedSequence().entropy % 2**64).initial_seed()

    def started(self):
        """The stream of words, at the next one."""
        if self.twister is None:
            self.twister = Twister()
            self.twister.seed(self.first_seed % 2**32)
        return self.twister

    def get_state(self):
        """What `set_state` needs to continue from here: a tensor of 5056 bytes, PyTorch's format."""
        with self.lock:
            (words, position), state = self.started().state(), np.zeros(1, STATE)
            state["seed"], state["seeded"], state["words"] = self.first_seed, 1, words
            state["next"], state["left"] = position, 625 - position
            if self.spare_normal is not None:
                state["normal"], state["has_normal"] = self.spare_normal, 1
        return Tensor(state.view(np.uint8), None)

    def set_state(self, state):
        """Continue from where `get_state` was called; returns the generator."""
        state = np.asarray(array_of(state))
        if state.dtype != np.uint8 or state.size != STATE.itemsize:
            raise RuntimeError(f"set_state: expected the {STATE.itemsize} bytes (uint8) that get_state() returned, "
                               f"got {state.dtype}{list(state.shape)}")  # fmt: skip
        state = np.frombuffer(state.tobytes(), STATE)[0]
        position = 624 if state["left"] == 1 else int(state["next"])
        if not state["seeded"] or not 0 <= position <= 624:
            raise RuntimeError("set_state: these bytes are not the state of a generator; pass what get_state() returned")
        with self.lock:
            self.started().set_state(state["words"], position)
            self.first_seed = int(state["seed"])
            self.spare_normal = float(state["normal"]) if state["has_normal"] else None
        return self

    def clone_state(self):
        """Another generator that will draw the same numbers from here on."""
        return Generator().set_state(self.get_state())

    def __reduce__(self):
        return restored, (self.get_state().array,)

    def words(self, n):
        """The next n words, as uint64."""
        with self.lock:
            return self.started().words(n)

    def numbers(self, way, n):
        """What a way of making numbers makes of the next n groups of words."""
        with self.lock:
            return self.started().numbers(way, n)

    def double_words(self, n):
        """The next n 64-bit numbers; each takes two words, the higher half first."""
        return joined(self.words(2 * n))

    def doubles(self, n):
        """n float64 numbers, uniform on [0, 1)."""
        return self.numbers(DOUBLES, n)

    def singles(self, n):
        """n float32 numbers, uniform on [0, 1)."""
        return self.numbers(SINGLES, n)

    def normals(self, n):
        """n standard normal float64 numbers one after the other; the spare one of the last pair is kept."""
        with self.lock:
            spare = [self.spare_normal] if self.spare_normal is not None and n else []
            values = self.numbers(PAIRS, (n - len(spare) + 1) // 2)
            if spare:
                values, self.spare_normal = np.concatenate([spare, values]), None
            if values.size > n:
                values, self.spare_normal = values[:n], float(values[n])
            return values

    def blocks_of_normals(self, n, kind):
        """n ≥ 16 standard normal numbers, made from blocks of 16 uniform ones; float32 unless float64 is wanted."""
        way, whole = DOUBLE_BLOCKS if kind == np.float64 else SINGLE_BLOCKS, n // 16
        with self.lock:
            values = self.numbers(way, whole)
            if n % 16:
                self.words((n % 16) * way.words // 16 if kind in (np.float32, np.float64) else 0)
                values = np.concatenate([values[: n - 16], self.numbers(way, 1)])
        return values


def restored(state):
    """A generator from its state: how copy and pickle make one."""
    return Generator().set_state(state)


default_generator = Generator()


class Drawing(threading.local):
    """The generator that this thread draws from, if it has one of its own; and those of a call in which they are noted, with their states."""
    generator = None
    noted = None


drawing = Drawing()  # a thread may draw from a generator of its own, as the DataLoader's workers do


def source(generator=None):
    """The generator to draw from: the given one, or the default."""
    if generator is None:
        return drawing.generator or default_generator
    if not isinstance(generator, Generator):
        raise TypeError(f"generator=: expected a Generator, got {type(generator).__name__}; "
                        "make one with Generator().manual_seed(0)")  # fmt: skip
    if drawing.noted is not None and generator not in drawing.noted:
        drawing.noted[generator] = generator.get_state()  # for vmap, which answers for what its function draws
    return generator


# --- numbers as flat arrays ------------------------------------------------------------------------------------------


def fused(x, factor, term):
    """x·factor + term, rounded once, as the processor's fused multiply-add gives it."""
    if x.size > PIECE:
        return np.concatenate([fused(x[i : i + PIECE], factor, term) for i in range(0, x.size, PIECE)])
    if x.dtype != np.float64:  # float64 holds the product of two float32 numbers exactly
        return (x.astype(np.float64) * np.float64(factor) + np.float64(term)).astype(x.dtype)
    product = x * factor
    if not term or not abs(factor) < 2.0**960:  # halving larger factors would overflow
        return product + term
    # Dekker 1971: the exact product is product + error, from factors split into halves of 26 bits
    high, factor_high = halved(x), halved(np.float64(factor))
    low, factor_low = x - high, factor - factor_high
    error = ((high * factor_high - product) + high * factor_low + low * factor_high) + low * factor_low
    total = product + term
    shown = total - product  # the part of the term that total shows (Knuth 1969)
    return total + (((product - (total - shown)) + (term - shown)) + error)


def halved(x):
    """The leading 26 bits of float64 numbers."""
    scaled = 134217729.0 * x  # 2²⁷ + 1
    return scaled - (scaled - x)


def box_muller(logarithm, angle):
    """√(−2·logarithm)·cos 2π·angle, and the same with sin: two independent normal numbers of two uniform ones."""
    kind = angle.dtype.type
    radius, angle = np.sqrt(kind(-2) * logarithm), kind(2 * math.pi) * angle
    cosine, sine = cephes.cos_and_sin(angle) if kind == np.float32 else (np.cos(angle), np.sin(angle))
    return radius * cosine, radius * sine


def box_muller_blocks(u):
    """Turn blocks of 16 uniform numbers into normal ones, in place."""
    block = u.reshape(-1, 2, 8)
    rest = 1 - block[:, 0]
    block[:, 0], block[:, 1] = box_muller(cephes.log(rest) if u.dtype == np.float32 else np.log(rest), block[:, 1])
    return u


def box_muller_pairs(u):
    """Turn pairs of uniform numbers (angle, radius) into normal ones."""
    pairs = u.reshape(-1, 2)
    return np.stack(box_muller(np.log1p(-pairs[:, 1]), pairs[:, 0]), -1).reshape(-1)


def joined(words):
    """64-bit numbers from pairs of words, the higher half first."""
    return (words[::2] << 32) | words[1::2]


def doubles_of(words):
    """float64 numbers, uniform on [0, 1), from pairs of words."""
    return (joined(words) & (2**53 - 1)).astype(np.int64) * 2.0**-53


def singles_of(words):
    """float32 numbers, uniform on [0, 1), from words."""
    return (words.astype(np.int32) & (2**24 - 1)).astype(np.float32) * np.float32(2.0**-24)


SINGLES, DOUBLES = Way(1, 1, singles_of), Way(2, 1, doubles_of)
PAIRS = Way(4, 2, lambda words: box_muller_pairs(doubles_of(words)))
SINGLE_BLOCKS = Way(16, 16, lambda words: box_muller_blocks(singles_of(words)))
DOUBLE_BLOCKS = Way(32, 16, lambda words: box_muller_blocks(doubles_of(words)))


def uniform_numbers(generator, n, kind):
    """n numbers, uniform on [0, 1): float64 if that is the type, else float32."""
    return generator.doubles(n) if kind == np.float64 else generator.singles(n)


def uniform_between(generator, n, kind, low, high):
    """n numbers of a float type, uniform on [low, high)."""
    wide = np.float64 if kind == np.float64 else np.float32
    if low == 0 and high == 1 and kind == wide:
        return uniform_numbers(generator, n, wide)
    if not low <= high or not max(-low, high, high - low) <= largest(kind):
        raise RuntimeError(f"uniform_({low}, {high}): expected from <= to, and a range that {kind} can hold")
    low, high = wide(low), wide(high)
    values = fused(uniform_numbers(generator, n, wide), high - low, low).astype(kind, copy=False)
    values[values == kind.type(high)] = kind.type(low)  # rounding may reach the upper end, which is not in the range
    return values


@functools.cache
def largest(kind):
    """The largest number of a float type."""
    return float(np.finfo(kind).max)


def normal_numbers(generator, n, kind, mean=0.0, std=1.0, contiguous=True):
    """n normal numbers of a float type; memory with gaps is filled one by one however much there is of it."""
    if not std >= 0:
        raise RuntimeError(f"normal: the standard deviation must be at least 0, got {std}")
    if n >= 16 and contiguous:
        values = generator.blocks_of_normals(n, kind)
        mean, std = values.dtype.type(mean), values.dtype.type(std)
    else:
        values = generator.normals(n)
    return (values if mean == 0 and std == 1 else fused(values, std, mean)).astype(kind, copy=False)


def integers(generator, n, kind, low, high):
    """n integers from low up to but not including high, as numbers of any type."""
    if not low < high:
        raise RuntimeError(f"random integers from {low} up to {high}: there is none, the first must be less than the second")
    least, most = bounds_of(kind)
    if low < least or high - 1 > most:
        raise RuntimeError(f"random integers from {low} up to {high}: {kind} holds every integer only from {least} to {most}; "
                           "use a larger dtype")  # fmt: skip
    count = high - low
    drawn = generator.double_words(n) if count >= 2**28 else generator.words(n)
    if count < 2**64:
        drawn = drawn % np.uint64(count) + np.uint64(low % 2**64)  # wraps around, as 64-bit integers do
    return drawn.view(np.int64).astype(kind, copy=False)


def all_integers(generator, n, kind):
    """n integers from 0 to the largest of a type (2ᵈ for float types with d digits), as numbers of that type."""
    drawn = generator.double_words(n) if kind in (np.int64, np.float64) else generator.words(n)
    count = bounds_of(kind)[1] + 1
    return (drawn % np.uint64(count) if count < 2**64 else drawn).astype(kind)


@functools.cache
def bounds_of(kind):
    """The least and the greatest of the consecutive integers that a type can hold: −2²⁴ and 2²⁴ for float32."""
    if kind.kind == "b":
        return 0, 1
    if kind.kind == "f":
        return -(2 ** (np.finfo(kind).nmant + 1)), 2 ** (np.finfo(kind).nmant + 1)
    return int(np.iinfo(kind).min), int(np.iinfo(kind).max)


def below(generator, n, chance):
    """True with probability `chance` (a number, or n of them): a mask of n elements."""
    several = isinstance(chance, np.ndarray)
    if not (((chance >= 0) & (chance <= 1)).all() if several else 0 <= chance <= 1):
        raise RuntimeError("bernoulli: every probability must be between 0 and 1")
    return (generator.singles(n) if several and chance.dtype != np.float64 else generator.doubles(n)) < chance


def positive(name, value, what):
    """`value` if it is greater than 0, else an error."""
    if not value > 0:
        raise RuntimeError(f"{name}: {what} must be greater than 0, got {value}")
    return value


def exponential_numbers(generator, n, kind, rate=1.0):
    """n exponential numbers, float64 until they are stored."""
    return (-1 / positive("exponential_", rate, "the rate") * np.log1p(-generator.doubles(n))).astype(kind, copy=False)


def floating(name, kind):
    """`kind` if it is a float type, else an error."""
    if kind.kind != "f":
        raise RuntimeError(f"{name}: only float types can hold such numbers, got {kind}; use dtype=float32 or float64")
    return kind


# --- the default generator -------------------------------------------------------------------------------------------


@only_function()
def manual_seed(seed):
    """Seed the generator that every random function uses by default; returns it.

    >>> import tinygrad_edu as tg
    >>> _ = tg.manual_seed(0)
    >>> tg.rand(2)
    tensor([0.4963, 0.7682])
    """
    return source().manual_seed(seed)


@only_function()
def seed():
    """Seed the default generator from the operating system, and return the seed."""
    return source().seed()


@only_function()
def initial_seed():
    """The seed of the default generator."""
    return source().initial_seed()


@only_function()
def get_rng_state():
    """The state of the default generator, for `set_rng_state`."""
    return source().get_state()


@only_function()
def set_rng_state(new_state):
    """Continue the default generator from a state that `get_rng_state` returned."""
    source().set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices=(), enabled=True):
    """Leave the default generator, on exit, as if nothing had been drawn inside.

    >>> import tinygrad_edu as tg
    >>> with tg.random.fork_rng():
    ...     x = tg.rand(2)
    >>> bool((tg.rand(2) == x).all())
    True
    """
    state = source().get_state() if enabled else None
    try:
        yield
    finally:
        if enabled:
            source().set_state(state)


# --- new tensors -----------------------------------------------------------------------------------------------------


def layout_of(x):
    """The order of the dimensions in the memory of a view like x, or None for the order of the elements.

    Other memory that is not in the usual order was laid out by us, for speed, and PyTorch's would be in the usual order.
    """
    array = x.array
    if isinstance(array, np.ndarray) and not array.flags.c_contiguous and x.base is not None and as_usual(x.base.array):
        order = sorted(range(array.ndim), key=lambda d: -abs(array.strides[d]))
        return None if order == list(range(array.ndim)) else order
    return None


def as_usual(array):
    """True for memory in which the last index runs fastest."""
    return isinstance(array, np.ndarray) and array.flags.c_contiguous


def arranged(flat, shape, order):
    """Flat numbers as an array of a shape whose dimensions lie in memory in the given order."""
    if order is None:
        return flat.reshape(shape)
    return flat.reshape([shape[d] for d in order]).transpose(np.argsort(order))


def random_filled(name, description, draw_real):
    """The functions tg.name(*size) and tg.name_like(input); `draw_real(generator, n, dtype, contiguous)` gives the numbers."""

    def draw(generator, n, kind, contiguous):
        """Complex numbers have pairs of them; those of randn have variance 1 together."""
        if kind.kind != "c":
            return draw_real(generator, n, kind, contiguous)
        one = np.empty(0, kind).real.dtype
        pairs = normal_numbers(generator, 2 * n, one, 0, math.sqrt(0.5), contiguous) if name == "randn" else draw_real(generator, 2 * n, one, contiguous)
        return pairs.view(kind)

    def of_size(*size, generator=None, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False,
                names=None, **more):  # fmt: skip
        check_device(device)
        size = checked_size(name, ints(size) if size else ints((more.pop("size", ()),)))
        if more:
            raise TypeError(f"{name}: unknown arguments {sorted(more)}")
        kind = dtype_of(dtype) if dtype is not None else dtypes.default if out is None else out.dtype
        if kind.kind != "c":
            floating(name, kind)
        return finished(draw(source(generator), math.prod(size), kind, True).reshape(size), requires_grad, out)

    def like(input, *, generator=None, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None):
        check_device(device)
        kind = input.dtype if dtype is None else dtype_of(dtype)
        if kind.kind != "c":
            floating(name + "_like", kind)
        order = layout_of(input)
        numbers = draw(source(generator), math.prod(input.shape), kind, order is None)
        return finished(arranged(numbers, input.shape, order), requires_grad)

    of_size.__name__, like.__name__ = name, name + "_like"
    of_size.__doc__ = f"{description}, of a size given as ints or as one tuple."
    like.__doc__ = f"{description}, of the shape and dtype of `input`."
    only_function(name)(of_size)
    only_function(name + "_like")(like)
    return of_size


rand = random_filled(
    "rand",
    "Random numbers from the uniform distribution on [0, 1)",
    lambda generator, n, kind, contiguous: uniform_between(generator, n, kind, 0, 1),
)
randn = random_filled(
    "randn",
    "Random numbers from the standard normal distribution",
    lambda generator, n, kind, contiguous: normal_numbers(generator, n, kind, 0, 1, contiguous),
)


@only_function()
def randint(low=None, high=None, size=None, *, generator=None, dtype=None, device=None, requires_grad=False, out=None, layout=None,
            pin_memory=False):  # fmt: skip
    """Random integers from low (0 if left out) up to but not including high.

    >>> import tinygrad_edu as tg
    >>> _ = tg.manual_seed(0)
    >>> tg.randint(10, (3,))
    tensor([4, 9, 3])
    """
    check_device(device)
    if low is None:
        low, high = high, None
        if low is None or size is None:
            raise TypeError("randint: high and size are missing, as in randint(10, (3,))")
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    size = ints((size,))
    kind = dtype_of(dtype) if dtype is not None else np.dtype(np.int64) if out is None else out.dtype
    return finished(integers(source(generator), math.prod(size), kind, int(low), int(high)).reshape(size), requires_grad, out)


@only_function()
def randint_like(input, low, high=None, *, generator=None, dtype=None, layout=None, device=None, requires_grad=False,
                 memory_format=None):  # fmt: skip
    """Random integers of the shape and dtype of `input`."""
    low, high = (0, low) if high is None else (low, high)
    kind, order = input.dtype if dtype is None else dtype_of(dtype), layout_of(input)
    numbers = integers(source(generator), math.prod(input.shape), kind, int(low), int(high))
    return finished(arranged(numbers, input.shape, order), requires_grad)


@only_function()
def randperm(n, *, generator=None, out=None, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """The numbers 0 … n−1 in random order."""
    check_device(device)
    n, generator = int(n), source(generator)
    if n < 0:
        raise RuntimeError(f"randperm({n}): the number of elements must be at least 0")
    order = list(range(n))
    if n < (2**32 - 1) // 20:
        ahead = generator.words(max(n - 1, 0)) % np.arange(n, min(n, 1), -1, dtype=np.uint64)
        for i, j in enumerate((ahead.astype(np.int64) + np.arange(len(ahead))).tolist()):
            order[i], order[j] = order[j], order[i]
    else:  # so many that w mod n would prefer some: 64-bit numbers, and the shuffle that builds its list as it goes
        for i, j in enumerate((generator.double_words(n) % np.arange(1, n + 1, dtype=np.uint64)).tolist()):
            order[i], order[j] = order[j], i
    return finished(np.array(order, np.int64 if dtype is None else dtype_of(dtype)), requires_grad, out)


@only_function()
def normal(mean=0.0, std=1.0, size=None, *, generator=None, dtype=None, layout=None, device=None, requires_grad=False, out=None):
    """Random numbers from normal distributions; mean and std are numbers (then with a size) or tensors.

    >>> import tinygrad_edu as tg
    >>> tg.normal(tg.zeros(2, 3), tg.tensor([1.0, 2.0, 3.0])).shape
    Size([2, 3])
    """
    check_device(device)
    generator = source(generator)
    kinds = [t.dtype for t in (mean, std) if isinstance(t, Tensor)]
    kind = floating("normal", dtype_of(dtype) if dtype is not None else kinds[0] if kinds else dtypes.default)
    if not kinds:
        size = ints(() if size is None else (size,))
        numbers = normal_numbers(generator, math.prod(size), kind, float(mean), float(std)).reshape(size)
    else:
        mean, std = array_of(mean), array_of(std)
        if np.size(std) and not np.min(std) >= 0:
            raise RuntimeError(f"normal: every standard deviation must be at least 0, got {np.min(std)}")
        try:
            shape = np.broadcast_shapes(np.shape(mean), np.shape(std)) if size is None else ints((size,))
        except ValueError:
            raise RuntimeError(f"normal: mean {list(np.shape(mean))} and std {list(np.shape(std))} do not fit together") from None
        shared = float(std) if not np.shape(std) and len(kinds) == 1 and np.shape(mean) else None
        numbers = normal_numbers(generator, math.prod(shape), kind, 0.0, 1.0 if shared is None else shared).reshape(shape)
        numbers = ((numbers if shared is not None else numbers * std) + mean).astype(kind, copy=False)
    return finished(numbers, requires_grad, out)


@both()
def bernoulli(input, p=None, *, generator=None):
    """1 with probability `input` (or p), else 0.

    >>> import tinygrad_edu as tg
    >>> tg.bernoulli(tg.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    if p is None:
        floating("bernoulli", input.dtype)
        chances = np.asarray(input.array).reshape(-1)
    else:
        chances = float(array_of(p))
    return Tensor(below(source(generator), math.prod(input.shape), chances).astype(input.dtype).reshape(input.shape), None)


def mask_like(x, p, generator=None):
    """A boolean array of the shape of the tensor x, True with probability p: what dropout keeps.

    The same as `empty_like(x).bernoulli_(p)`, without the tensor.
    """
    return arranged(below(source(generator), math.prod(x.shape), float(p)), x.shape, layout_of(x))


@both()
def multinomial(input, num_samples, replacement=False, *, generator=None):
    """Indices drawn with probabilities proportional to the rows of `input`, shape (…, classes) → (…, num_samples).

    >>> import tinygrad_edu as tg
    >>> tg.multinomial(tg.tensor([0.0, 3.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    weights, generator = np.asarray(array_of(input)), source(generator)
    if weights.ndim not in (1, 2) or weights.dtype.kind != "f" or num_samples < 1:
        raise RuntimeError("multinomial: expected one or two dimensions of float weights and at least one sample, got "
                           f"{weights.dtype}{list(weights.shape)} and num_samples={num_samples}")  # fmt: skip
    rows = np.atleast_2d(weights).astype(np.float64 if weights.dtype == np.float64 else np.float32, copy=False)
    if (rows < 0).any() or not np.isfinite(rows).all() or (rows.sum(-1) <= 0).any():
        raise RuntimeError("multinomial: the weights must be finite and at least 0, and each row needs one greater than 0")
    if replacement and num_samples > 1:
        cumulative = np.cumsum(rows, -1)
        cumulative /= cumulative[:, -1:]
        cumulative[:, -1] = 1
        u = generator.doubles(len(rows) * num_samples).reshape(len(rows), num_samples)
        drawn = np.stack([np.searchsorted(c, r) for c, r in zip(cumulative, u)]) if len(rows) else u
    else:
        if not replacement and num_samples > rows.shape[-1]:  # classes of weight 0 come last, as in PyTorch
            raise RuntimeError(f"multinomial: {num_samples} samples without replacement need as many classes; pass replacement=True or fewer samples")
        with np.errstate(divide="ignore", invalid="ignore"):
            keys = rows / exponential_numbers(generator, rows.size, rows.dtype).reshape(rows.shape)
        drawn = keys.argmax(-1) if num_samples == 1 else np.argsort(-keys, -1, kind="stable")[:, :num_samples]
    return Tensor(drawn.astype(np.int64).reshape((*weights.shape[:-1], num_samples)), None)


@only_function()
def poisson(input, generator=None):
    """Random counts with the given rates: the distribution that counts rare events."""
    rates, generator = np.asarray(array_of(input), np.float64), source(generator)
    if not (rates >= 0).all():
        raise RuntimeError("poisson: every rate must be at least 0")
    counts = one_by_one(generator, [(rate,) for rate in rates.reshape(-1).tolist()], poisson_number)
    return Tensor(np.array(counts, input.dtype).reshape(rates.shape), None)


@both("binomial", method=False)
def binomial(count, prob, generator=None):
    """Random numbers of successes in `count` attempts that each succeed with probability `prob`"""
    attempts, chances = np.broadcast_arrays(np.asarray(array_of(count), np.float64), np.asarray(array_of(prob), np.float64))
    pairs = list(zip(attempts.reshape(-1).tolist(), chances.reshape(-1).tolist()))
    return Tensor(np.array(one_by_one(source(generator), pairs, binomial_number), count.dtype).reshape(attempts.shape), None)


def one_by_one(generator, parameters, number):
    """`number(*parameters, uniform)` for each, where only the number itself knows how often it draws."""
    with generator.lock:  # how many numbers a count takes is only known afterwards: look ahead, then go on from the last one
        before, taken, chunk, ahead = generator.get_state(), 0, 2 * len(parameters) + 64, []

        def uniform():
            nonlocal taken
            if taken == len(ahead):
                ahead.extend(generator.doubles(chunk).tolist())
            taken += 1
            return ahead[taken - 1]

        drawn = [number(*given, uniform) for given in parameters]
        generator.set_state(before)
        generator.words(2 * taken)
    return drawn


def binomial_number(count, prob, uniform):
    """One count: by the gaps between successes below 10 expected, else by transformed rejection (Hörmann 1993, BTRS)."""
    if math.isnan(count) or math.isnan(prob):
        return math.nan
    if count <= 0 or prob <= 0:
        return 0
    if prob >= 1:
        return count
    if prob > 0.5:
        return count - binomial_number(count, 1 - prob, uniform)
    if count * prob < 10:
        log, total, found = math.log1p(-prob), 0, 0
        while True:
            u = uniform()
            total += math.ceil(math.log(u) / log) if u else math.inf
            if total > count:
                return found
            found += 1
    spread = math.sqrt(count * prob * (1 - prob))
    b = 1.15 + 2.53 * spread
    a, c, odds = -0.0873 + 0.0248 * b + 0.01 * prob, count * prob + 0.5, prob / (1 - prob)
    middle, alpha = math.floor((count + 1) * prob), (2.83 + 5.1 / b) * spread
    while True:
        u, v = uniform() - 0.5, uniform()
        distance = 0.5 - abs(u)
        k = math.floor((2 * a / distance + b) * u + c) if distance else -1
        if distance >= 0.07 and v <= 0.92 - 4.2 / b:
            return k
        if k < 0 or k > count:
            continue
        accepted = math.log(v * alpha / (a / distance**2 + b)) if v else -math.inf
        bound = math.lgamma(middle + 1) + math.lgamma(count - middle + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        if accepted <= bound + (k - middle) * math.log(odds):
            return k


def poisson_number(rate, uniform):
    """One count: by multiplying uniform numbers (Knuth 1969) below 10, else by transformed rejection (Hörmann 1993, PTRS)."""
    if rate == 0:
        return 0
    if rate < 10:
        count, product, end = 0, uniform(), math.exp(-rate)
        while product > end:
            count, product = count + 1, product * uniform()
        return count
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    while True:
        u, v = uniform() - 0.5, uniform()
        distance = 0.5 - abs(u)
        count = math.floor((2 * a / distance + b) * u + rate + 0.43) if distance else -1
        if distance >= 0.07 and v <= 0.9277 - 3.6224 / (b - 2):
            return count
        if count < 0 or distance < 0.013 and v > distance:
            continue
        accepted = math.log(v * inverse_alpha / (a / distance**2 + b)) if v else -math.inf
        if accepted <= -rate + count * math.log(rate) - math.lgamma(count + 1):
            return count


# --- in place --------------------------------------------------------------------------------------------------------


def overwriting(draw):
    """Enter `draw(generator, n, dtype, contiguous, …)` as the method of Tensor that overwrites it with those numbers."""
    name = draw.__name__
    argument = aligned if name == "bernoulli_" else lambda a, array, order: a.item() if isinstance(a, Tensor) else a

    @functools.wraps(draw)
    def method(self, *args, generator=None, **kwargs):
        in_graph = modes.state.grad and memory.in_graph(self)
        if in_graph:
            memory.check_update(self, name)
        array, order = as_memory(self), layout_of(self)
        contiguous = array.flags.c_contiguous or self.base is None or not as_usual(self.base.array)
        args, kwargs = [argument(a, array, order) for a in args], {key: argument(a, array, order) for key, a in kwargs.items()}
        with np.errstate(over="ignore", divide="ignore"):  # float16 soon reaches inf, as it does in PyTorch
            numbers = draw(source(generator), array.size, array.dtype, contiguous, *args, **kwargs)
            numbers = arranged(numbers, array.shape, order).astype(array.dtype, copy=False)
        if in_graph:
            return methods["copy_"](self, Tensor(numbers, None))
        memory.fill(self, Ellipsis, numbers, name)
        return self

    methods[name] = method
    return draw


def aligned(x, array, order):
    """A tensor as flat numbers in the order in which `array` is filled; anything else as it is."""
    if not isinstance(x, Tensor):
        return x
    values = np.broadcast_to(x.array, array.shape)
    return (values if order is None else values.transpose(order)).reshape(-1)


@overwriting
def uniform_(generator, n, kind, contiguous, low=0.0, high=1.0, **names):
    """Overwrite with random numbers from the uniform distribution on [from, to)."""
    return uniform_between(generator, n, floating("uniform_", kind), names.get("from", low), names.get("to", high))


@overwriting
def normal_(generator, n, kind, contiguous, mean=0.0, std=1.0):
    """Overwrite with random numbers from a normal distribution."""
    return normal_numbers(generator, n, floating("normal_", kind), mean, std, contiguous)


@overwriting
def log_normal_(generator, n, kind, contiguous, mean=1.0, std=2.0):
    """Overwrite with e to the power of random numbers from a normal distribution."""
    return np.exp(fused(generator.normals(n), positive("log_normal_", std, "the standard deviation"), mean))


@overwriting
def exponential_(generator, n, kind, contiguous, lambd=1.0):
    """Overwrite with random numbers from an exponential distribution of rate `lambd`."""
    return exponential_numbers(generator, n, floating("exponential_", kind), lambd)


@overwriting
def geometric_(generator, n, kind, contiguous, p):
    """Overwrite with the number of trials up to the first success, each of probability p."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_: the probability must be greater than 0 and less than 1, got {p}")
    return np.ceil(np.log(generator.doubles(n)) / math.log1p(-p))


@overwriting
def cauchy_(generator, n, kind, contiguous, median=0.0, sigma=1.0):
    """Overwrite with random numbers from a Cauchy distribution."""
    nearly = np.finfo(np.float64).eps
    u = np.clip(generator.doubles(n), nearly, 1 - nearly)
    return fused(np.tan(math.pi * (u - 0.5)), positive("cauchy_", sigma, "the scale"), median)


@overwriting
def random_(generator, n, kind, contiguous, *bounds, **names):
    """Overwrite with random integers: `random_(from, to)`, `random_(to)`, or without bounds any that the dtype can hold."""
    if not bounds and not names:
        return all_integers(generator, n, kind)
    low, high = (0, *bounds) if len(bounds) == 1 and "to" not in names else (*bounds, None)[:2] if bounds else (0, None)
    low, high = int(names.get("from", low)), names.get("to", high)
    if high is None:
        high = bounds_of(kind)[1] + 1
    return integers(generator, n, kind, low, int(high))


@overwriting
def bernoulli_(generator, n, kind, contiguous, p=0.5):
    """Overwrite with 1 with probability p (a number or a tensor), else 0."""
    return below(generator, n, p)


__all__ = ["Generator", "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]
