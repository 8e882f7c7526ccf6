"""ln, sin and cos in float32 by the polynomials of the Cephes library, for normal numbers that equal PyTorch's to the last bit.

PyTorch draws float32 normal numbers eight at a time with the polynomials of Moshier's Cephes library (1989), each step of
which is one fused multiply-add of the processor. NumPy's own functions are as good, but every seventh number would end in
another digit. Read random.py first.
"""

import math

import numpy as np

single, double = np.float32, np.float64

def constants(*values):
    """Numbers of float32's precision, as float64: in this type a product of two float32 numbers is exact."""
    return tuple(double(single(value)) for value in values)


# ln(1 + x) = x − x²/2 + x³·P(x) for √½ ≤ 1 + x < √2; sin and cos of |x| ≤ π/4 in powers of x²; highest powers first
LOG = constants(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
                2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)  # fmt: skip
SIN = constants(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
COS = constants(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
QUARTER_PI = constants(0.78515625, 2.4187564849853515625e-4, 3.77489497744594108e-8)  # a sum: products with it stay exact
LN2 = single(0.693359375), single(-2.12194440e-4)  # as well


def fma(x, y, z):
    """x·y + z rounded once to float32, where y is float64."""
    return (x * y + z).astype(single)


def polynomial(coefficients, x):
    """A polynomial of the float64 array x by Horner's scheme, every step rounded once."""
    value = fma(x, coefficients[0], coefficients[1])
    for c in coefficients[2:]:
        value = fma(value, x, c)
    return value


def log(x):
    """ln x for positive float32 numbers: the exponent times ln 2, plus ln of the rest."""
    rest, exponent = np.frexp(x)
    small = rest < single(math.sqrt(0.5))
    rest, exponent = rest + rest * small - single(1), (exponent - small).astype(single)
    square = rest * rest
    tail = fma(polynomial(LOG, rest.astype(double)) * rest, square.astype(double), exponent * LN2[1])
    return rest + (tail - single(0.5) * square) + exponent * LN2[0]


def cos_and_sin(x):
    """cos x and sin x for float32 numbers from 0 to 2π: reduced by a multiple of π/2 to between −π/4 and π/4."""
    octant = ((x * single(4 / math.pi)).astype(np.int32) + 1) & ~1
    for part in QUARTER_PI:
        x = fma(octant, -part, x)
    square = x * x
    wide = square.astype(double)
    cosine = fma(polynomial(COS, wide) * square, wide, single(-0.5) * square) + single(1)
    sine = fma(polynomial(SIN, wide) * square, x.astype(double), x)
    swapped = octant & 2 != 0
    cosine, sine = np.where(swapped, sine, cosine), np.where(swapped, cosine, sine)
    return np.where((octant + 2) & 4, -cosine, cosine), np.where(octant & 4, -sine, sine)
