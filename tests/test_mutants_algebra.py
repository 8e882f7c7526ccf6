"""Special functions and linear algebra against exact values: known constants, series in fifty digits, integer matrices, and what rules do at the edges.

Each test here was written for mutants of tests/mutation/run.py that everything else let live.
"""

import itertools
import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import operator_kit as kit
import pytest
from test_mutants_rules import Fixed

import tinygrad_edu as tg
from tinygrad_edu.autograd import Tensor, engine
from tinygrad_edu.autograd.operator import registry
from tinygrad_edu.ops.erf_table import BLOCK, erf_array, erfc_array, erfinv_array, scaled_erfc

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
EULER = Decimal("0.57721566490153286060651209008240243104215933593992")
ZETA_3 = Decimal("1.20205690315959428539973816151144999076498629234049")
CATALAN = Decimal("0.91596559417721901505460351493238411077414937428167")


def forward(name):
    return registry[name].op.forward if hasattr(registry[name], "op") else registry[name].forward


def close(found, exact, rtol, atol=0.0):
    """Equal to numbers of any kind, NaN and infinities included; results of numbers count as arrays."""
    np.testing.assert_allclose(found, np.array([float(e) for e in exact]), rtol=rtol, atol=atol)


def exact(function):
    """A function of a float, computed by `function` from the float's exact value as a Decimal, with fifty digits."""

    def computed(x, *args):
        with localcontext() as context:
            context.prec = 50
            return +function(Decimal(x), *args)

    return lambda xs, *args: [computed(float(x), *args) for x in xs]


# --- the error function's kin --------------------------------------------------------------------------------------------


def erfcx_of(x):
    """e^(x²) · erfc x for x ≥ 0: 1 minus a series of positive terms up to 5, a continued fraction beyond."""
    if x > 5:
        fraction = x
        for k in range(120, 0, -1):
            fraction = x + Decimal(k) / 2 / fraction
        return 1 / fraction / PI.sqrt()
    term = total = x
    k = 0
    while term > Decimal("1e-45"):
        k += 1
        term = term * 2 * x * x / (2 * k + 1)
        total += term
    return (x * x).exp() - 2 * total / PI.sqrt()


@exact
def erfcx(x):
    return erfcx_of(x) if x >= 0 else 2 * (x * x).exp() - erfcx_of(-x)


@exact
def erfc(x):
    return erfcx_of(x) / (x * x).exp() if x >= 0 else 2 - erfcx_of(-x) / (x * x).exp()


@exact
def normal(x):
    y = -x / Decimal(2).sqrt()
    return (erfcx_of(y) / (y * y).exp() if y >= 0 else 2 - erfcx_of(-y) / (y * y).exp()) / 2


@exact
def log_normal(x):
    y = -x / Decimal(2).sqrt()
    upper = erfcx_of(abs(y)) / 2
    return upper.ln() - y * y if y >= 0 else (1 - upper / (y * y).exp()).ln() if y > -7 else -upper / (y * y).exp()


SIZES = np.concatenate([np.linspace(0, 6, 25), np.geomspace(1e-12, 0.2, 5), [0.49, 0.51, 0.999, 1.001, 3.75, 3.93, 6.5, 9.3, 15.0, 22.2, 26.0]])
BOTH_SIDES = np.concatenate([-SIZES[1:], SIZES])


def test_the_error_function_and_its_kin_in_all_places():
    close(scaled_erfc(SIZES), erfcx(SIZES), 1e-15)
    close(erfc_array(SIZES), erfc(SIZES), 1e-13)
    close(erfc_array(SIZES[SIZES < 4]), erfc(SIZES[SIZES < 4]), 4e-15)
    close(erfc_array(-SIZES), erfc(-SIZES), 4e-16)
    close(erf_array(BOTH_SIDES), [1 - e for e in erfc(BOTH_SIDES)], 1e-15)
    close(forward("erfcx")(BOTH_SIDES), erfcx(BOTH_SIDES), 2e-13)
    close(forward("erfcx")(np.array([1e3, 1e8, 1e100, 1e300])), erfcx([1e3, 1e8, 1e100, 1e300]), 1e-15)
    close(forward("ndtr")(BOTH_SIDES), normal(BOTH_SIDES), 2e-13)
    close(forward("log_ndtr")(BOTH_SIDES), log_normal(BOTH_SIDES), 2e-13)
    close(forward("log_ndtr")(np.array([-40.0, -1e3, -1e10, -1e100])), log_normal([-40.0, -1e3, -1e10, -1e100]), 1e-15)


def test_the_error_function_at_the_seams_of_its_formulas():
    for seam in (0.5, 1.0):
        around = np.array([np.nextafter(seam, 0), seam, np.nextafter(seam, 2)])
        close(erf_array(around), [1 - e for e in erfc(around)], 3e-16)
        close(erfc_array(around), erfc(around), 1e-15)
    assert np.diff(erf_array(np.linspace(0.99, 1.01, 20_001))).min() >= 0


def test_inverses_lead_back():
    p = np.concatenate([np.geomspace(1e-300, 0.4, 40), [0.5, 0.6, 0.9, 0.99, 0.999999]])
    np.testing.assert_allclose(np.array([float(v) for v in normal(forward("ndtri")(p))]), p, 2e-12)
    np.testing.assert_allclose(erf_array(erfinv_array(2 * p[p > 1e-8] - 1)), 2 * p[p > 1e-8] - 1, 1e-14, 1e-15)
    assert forward("ndtri")(np.array([0.0, 0.5, 1.0])).tolist() == [-np.inf, 0, np.inf] and np.isnan(forward("ndtri")(np.array([-0.1, 1.1, np.nan]))).all()
    assert erfinv_array(np.array([-1.0, 1.0])).tolist() == [-np.inf, np.inf] and np.isnan(erfinv_array(np.array([1.1, -1.1, np.nan]))).all()


@pytest.mark.parametrize("f, known", [(erf_array, math.erf), (erfc_array, math.erfc)])
def test_error_functions_of_numbers_and_of_arrays_in_any_order(f, known):
    for number in (0.5, -2.0, 1):
        assert abs(f(float(number)) - known(number)) < 1e-15 and abs(f(np.float64(number)) - known(number)) < 1e-15
    x = np.random.default_rng(1).normal(size=(2, BLOCK // 2 + 3, 3))
    expected = np.vectorize(known)(x)
    for axes in itertools.permutations(range(3)):
        for cut in (np.s_[:], np.s_[:, ::-1], np.s_[:, ::2, ::-1], np.s_[::-1, 1:]):
            np.testing.assert_allclose(f(x.transpose(axes)[cut]), expected.transpose(axes)[cut], 1e-13)
    one_row = np.broadcast_to(x[0, :, :1].T, (3, x.shape[1])).T
    np.testing.assert_allclose(f(one_row), np.repeat(expected[0, :, :1], 3, 1), 1e-13)
    np.testing.assert_allclose(f(x.astype(np.float32)), expected, 3e-6)
    assert f(x.astype(np.float32)).dtype == np.float32 and f(np.float16(0.5)).dtype == np.float16


# --- the gamma function's kin --------------------------------------------------------------------------------------------


@exact
def trigamma_beside(x, n):
    """ψ′(x + n) from ψ′(x) at ¼, ½, ¾ or 1, by ψ′(x + 1) = ψ′(x) − 1 / x²."""
    known = {"0.25": PI**2 + 8 * CATALAN, "0.5": PI**2 / 2, "0.75": PI**2 - 8 * CATALAN, "1": PI**2 / 6}[str(x)]
    steps = sum((1 / (x + k) ** 2 for k in range(n)), Decimal(0)) if n > 0 else -sum((1 / (x - k) ** 2 for k in range(1, 1 - n)), Decimal(0))
    return known - steps


def test_trigamma_from_known_constants():
    trigamma = lambda x: forward("polygamma_of")(np.asarray(x, float), n=1)  # noqa: E731
    for x in (0.25, 0.5, 0.75):
        for n in (-30, -12, -2, -1, 0, 1, 5, 11, 12, 13, 40):
            close([trigamma(x + n)], trigamma_beside([x], n), 1e-15)
    close(trigamma(np.arange(1, 60)), [trigamma_beside([1.0], n)[0] for n in range(59)], 1e-15)
    far = np.array([-20_000.5, -1e6 - 0.5, -20_000.25])  # ψ′(x) = π² / sin² πx − ψ′(1 − x)
    np.testing.assert_allclose(trigamma(far), np.pi**2 / np.array([1, 1, 0.5]) - 1 / (0.5 - far), 1e-12)
    np.testing.assert_array_equal(trigamma(np.array([0.0, -0.0, -3.0, np.inf, np.nan])), [np.inf, np.inf, np.inf, 0, np.nan])


def test_polygamma_from_known_constants():
    higher = lambda n, x: forward("polygamma_of")(np.asarray(x, float), n=n)  # noqa: E731
    known = {2: {1.0: -2 * ZETA_3, 0.5: -14 * ZETA_3, 0.25: -2 * PI**3 - 56 * ZETA_3, 0.75: 2 * PI**3 - 56 * ZETA_3}, 3: {1.0: PI**4 / 15, 0.5: PI**4}}
    known[5] = {1.0: 120 * PI**6 / 945, 0.5: 63 * 120 * PI**6 / 945}
    for n, values in known.items():
        for start, value in values.items():
            for k in (-25, -13, -12, -2, -1, 0, 1, 2, 11, 12, 13, 25):  # ψⁿ(x + 1) = ψⁿ(x) + (−1)ⁿ n! / xⁿ⁺¹
                if start + k != int(start + k) or start + k > 0:
                    x = Fraction(start)
                    moved = sum((1 / (x + j) ** (n + 1) for j in range(k)), Fraction(0)) if k > 0 else -sum((1 / (x - j) ** (n + 1) for j in range(1, 1 - k)), Fraction(0))
                    exact = value + (-1) ** n * math.factorial(n) * Decimal(moved.numerator) / Decimal(moved.denominator)
                    np.testing.assert_allclose(higher(n, start + k), float(exact), 1e-14)
    np.testing.assert_allclose(higher(3, [-20_000.5, -1e6 - 0.5]), 2 * np.pi**4, 1e-10)  # 6 · Σ 1 / (k + ½)⁴ over nearly all integers k
    np.testing.assert_allclose(higher(2, [-20_000.5]), -1 / 20_001.0**2, 1e-8)  # which cancel each other here
    assert higher(4, 0.3).dtype == np.float64 and forward("polygamma_of")(np.float32([0.3, -2.3]), n=4).dtype == np.float32
    assert forward("polygamma_of")(np.float32([0.3]), n=1).dtype == np.float32 and not higher(1, []).size
    for n in (1, 2, 3, 4):
        value = 120.0 if n == 4 else 1.0
        assert value and np.isinf(higher(n, [0.0, -3.0])).all() and (higher(n, [0.0]) > 0) == (n % 2 == 1) and (higher(n, [np.inf]) == 0).all()


def test_zeta_from_known_constants():
    zeta = lambda s, q: forward("zeta")(np.asarray(s, float), np.asarray(q, float))  # noqa: E731
    with localcontext() as context:
        context.prec = 50
        known = {2: PI**2 / 6, 3: ZETA_3, 4: PI**4 / 90, 6: PI**6 / 945, 8: PI**8 / 9450, 12: 691 * PI**12 / 638512875}
    for s, value in known.items():
        for half in (False, True):  # ζ(s, ½) = (2ˢ − 1) · ζ(s)
            with localcontext() as context:
                context.prec = 50
                rest, exact, q = value * (2**s - 1 if half else 1), [], Decimal("0.5") if half else Decimal(1)
                for k in range(14):
                    exact.append(rest)
                    rest = rest - 1 / (q + k) ** s
            close(zeta(s, float(q) + np.arange(14)), exact, 2e-15)
    for s in (5.0, 7.5, 30.0, 64.0, 70.0, 100.0, 300.0):  # nearly all comes from the first terms; the rest by an integral
        for q in (0.3, 1.0, 7.0, 12.0, 40.0, 72.0):
            whole = math.fsum((q + k) ** -s for k in range(20_000)) + (q + 20_000) ** (1 - s) / (s - 1) + 0.5 * (q + 20_000) ** -s
            np.testing.assert_allclose(zeta(s, q), whole, 1e-13)
    many = np.array([-7.3, -1.5, -0.5, 0.2, 3.7, 80.0])  # far and near ones in one array
    np.testing.assert_allclose(zeta(3, many), [zeta(3, q) for q in many], 1e-15)
    np.testing.assert_array_equal(zeta([2.5, 2.5, 2.5, 1, 2, 2], [0, -1, -3, -2.5, -1, -np.inf]), [np.inf] * 6)
    np.testing.assert_allclose([zeta(2, -1e-20), zeta(3, 1e-20)], [1e40, 1e60], 1e-15)
    assert zeta(2, [[0.5], [1.0]]).shape == (2, 1) and zeta([2, 3], [[0.5], [1.0]]).shape == (2, 2)
    single = np.float32([0.3, 1.7, 5.3, 11.9, 77.7, 31.3, 63.7, 63.8, 63.9, 127.3, 127.9])  # close below powers of 2, where adding rounds
    for s in (2, 8, 16):
        found = forward("zeta")(np.float32(s), single)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, zeta(s, single), 6.1e-8)
    for s in (1.001, 1.5, 2.0, 3.0, 10.0, 40.0, 100.0):  # ζ(s, q) = q⁻ˢ + ζ(s, q + 1)
        for q in (-0.9, -0.1, 0.2, 0.9, 3.3, 10.0, 31.0, 75.0, 99.0):
            if q > 0 or s == int(s):
                np.testing.assert_allclose(zeta(s, q), q**-s + zeta(s, q + 1.0), 4e-15)
    np.testing.assert_array_equal(zeta([1, 0.5, 2, 2, 2.5, 3, 2, np.nan], [2, 2, 0, -3, -2.5, np.inf, np.nan, 2]), [np.inf, np.nan, np.inf, np.inf, np.nan, 0, np.nan, np.nan])
    np.testing.assert_allclose(zeta([2, 3], [-0.5, -0.5]), [float(PI**2 / 2) + 4, float(7 * ZETA_3) - 8], 1e-15)


def test_gamma_and_digamma_from_harmonic_numbers():
    harmonic = list(itertools.accumulate((Fraction(1, k) for k in range(1, 60)), initial=Fraction(0)))
    whole = np.arange(1.0, 61)
    close(forward("digamma")(whole), [Decimal(h.numerator) / h.denominator - EULER for h in harmonic], 2e-15)
    odd = list(itertools.accumulate((Fraction(2, 2 * k - 1) for k in range(1, 60)), initial=Fraction(0)))
    halves = [Decimal(h.numerator) / h.denominator - EULER - 2 * Decimal(2).ln() for h in odd]
    close(forward("digamma")(whole - 0.5), halves, 2e-15, 4e-16)
    close(forward("digamma")(1.5 - whole), halves, 2e-14, 4e-16)  # ψ(½ − n) = ψ(½ + n)
    close(forward("lgamma")(whole), [Decimal(math.factorial(n - 1)).ln() for n in range(1, 61)], 1e-15, 4e-15)
    recorded = {0.3: 1.0957979948180756, 0.76: 0.19254856099359, 0.9: 0.06637623973474295, 1.1: -0.049872441259839764, 1.7: -0.09580769740706588, 1.99: -0.004195529088791668, 2.01: 0.004260022907098346, 2.24: 0.11917416744286168, 2.26: 0.1306249955278385, 7.7: 7.926541356269005, 9.99: 12.779315214350193, 10.01: 12.824350262448247, -0.4: 1.31452458994339, -3.3: -0.8243558050174264, 55.5: 166.32150615984037, 100000.0: 1051287.7089736569, 1e+300: 6.897755278982137e+302}  # computed with thirty digits
    close(forward("lgamma")(np.array(list(recorded))), recorded.values(), 1e-15, 4e-15)
    close(forward("lgamma")(np.array([0.5])), [PI.ln() / 2], 5e-15)
    near_zero = {1.0000000009313226: -5.375739784311044e-10, 1.24: -0.09593721217408394, 1.76: -0.08188828470817029, 1.9999999990686774: -3.9374859519130207e-10, 0.76: 0.19254856099359, 0.9: 0.06637623973474295, 1.1: -0.049872441259839764, 1.99: -0.004195529088791668, 2.01: 0.004260022907098346, 2.24: 0.11917416744286168}
    close(forward("lgamma")(np.array(list(near_zero))), near_zero.values(), 1e-14)
    negative = {-2.9999999998835847: 21.08209748939637, -30.3: -74.32837301253049, -4.000000000931323: 17.61636158504773}
    close(forward("lgamma")(np.array(list(negative))), negative.values(), 3e-15)
    tiny = np.array([5e-324, 1e-310, 9e-291, 1e-289, 1e-100, 1e-17])  # Γ(x) is 1 / x there
    for x in (tiny, -tiny):
        np.testing.assert_allclose(forward("lgamma")(x), -np.log(tiny), 1e-15)
    np.testing.assert_array_equal(forward("lgamma")(np.array([np.inf, -np.inf, 0.0, -3.0, np.nan, 1e308])), [np.inf, np.inf, np.inf, np.inf, np.nan, np.inf])
    negative = {-2.9999999998835847: -8589934590.743882, -7.000000953674316: 1048578.0156384674, -0.25: 2.9141391202135276, 0.25: -4.2274535333762655, -0.75: -2.894120200042932, -30.25: 6.567526705172748, 0.1: -10.423754940411076, -0.1: 9.245073050052948}
    close(forward("digamma")(np.array(list(negative))), negative.values(), 1e-14)
    np.testing.assert_array_equal(forward("digamma")(np.array([np.inf, 0.0, -0.0, -3.0, -1.0, np.nan])), [np.inf, -np.inf, np.inf, np.nan, np.nan, np.nan])


@exact
def bessel(x, order):
    """Iₙ(x) by its series, whose terms have one sign."""
    term = total = (x / 2) ** order if order else Decimal(1)
    k = 0
    while abs(term) > abs(total) * Decimal("1e-30"):
        k += 1
        term = term * x * x / (4 * k * (k + order))
        total += term
    return total


def test_bessel_functions_by_their_series():
    x = np.array([1e-8, 0.01, 0.5, 1, 2.7, 7.3, 15, 22.2, 29.5, 29.999, 30, 30.001, 33, 45.6, 70.1, 130, 500, 700])
    x = np.concatenate([-x, x])
    for order in (0, 1):
        series = bessel(x, order)
        close(forward(f"i{order}")(x), series, 3e-15)
        close(forward(f"i{order}e")(x), [i * (-abs(Decimal(v))).exp() for i, v in zip(series, x.tolist())], 3e-15)
    endless = np.array([np.inf, -np.inf, np.nan, 1e300])
    np.testing.assert_array_equal(forward("i0e")(endless)[:3], [0, 0, np.nan])
    np.testing.assert_array_equal(forward("i1e")(endless)[:3], [0, -0.0, np.nan])
    close(forward("i1e")(endless)[3:], [1 / math.sqrt(2 * math.pi) / 1e150], 1e-15)
    signed = np.array([np.inf, -np.inf, 1e4, -1e4, 0.0, -0.0, np.nan])
    np.testing.assert_array_equal(forward("i0")(signed), [np.inf, np.inf, np.inf, np.inf, 1, 1, np.nan])
    np.testing.assert_array_equal(forward("i1")(signed), [np.inf, -np.inf, np.inf, -np.inf, 0, -0.0, np.nan])
    single = np.float32([0.3, 5, 90, -90])  # e⁹⁰ is more than float32 can hold, I₀(90) is not
    for order in (0, 1):
        found = forward(f"i{order}")(single)
        assert found.dtype == np.float32
        close(found, bessel(single, order), 6e-8)


@pytest.mark.parametrize("a", [1, 2, 5, 20])
def test_incomplete_gamma_functions_of_whole_numbers(a):
    """Q(a, x) = e⁻ˣ · Σ xᵏ / k! over k < a."""

    @exact
    def upper(x):
        return (-x).exp() * sum(x**k / math.factorial(k) for k in range(a))

    x = np.array([0.01, 0.3, 0.99, 1.0, 2.0, 2.9, 6.0, 6.1, 20.0, 21.0, 22.0, 60.0])
    q = upper(x)
    close(forward("gamma_upper")(np.array(float(a)), x), q, 4e-13, 1e-16)
    close(forward("gamma_lower")(np.array(float(a)), x), [1 - v for v in q], 4e-13, 1e-16)
    np.testing.assert_allclose(forward("gamma_lower")(np.array(0.5), x), erf_array(np.sqrt(x)), 4e-14)


def test_rules_of_bessel_functions_at_zero():
    """i0″(0) = ½, i0e′(0) = 0 by convention, and i1e′(0) = i1′(0) = ½: the limit of I₁(x) / x."""
    zero = tg.tensor(np.array([0.0, 5e-324, 1.0]), requires_grad=True)  # I₁ of the second is 0 as well
    for name, slope, bend in (("i0", 0, 0.5), ("i1", 0.5, 0), ("i0e", 0, None), ("i1e", 0.5, None)):
        (g,) = engine.grad(registry[name].function(zero).sum(), zero, create_graph=True)
        assert g.detach().numpy()[:2].tolist() == [slope, -1 if name == "i0e" else slope]  # e^(−|x|) has a kink
        if bend is not None:
            assert engine.grad(g.sum(), zero)[0].numpy()[0] == bend


def test_slopes_of_scaled_bessel_functions_on_both_sides():
    """i1e′(x) = e^(−|x|) · (I₀ − I₁ / x) − sign(x) · i1e(x)."""
    x = np.array([-40.0, -3.0, -0.2, 0.2, 3.0, 40.0])
    i0e, i1e = forward("i0e")(x), forward("i1e")(x)
    t = tg.tensor(x, requires_grad=True)
    np.testing.assert_allclose(engine.grad(registry["i1e"].function(t).sum(), t)[0].numpy(), i0e - i1e / x - np.sign(x) * i1e, 1e-11)
    np.testing.assert_allclose(engine.grad(registry["i0e"].function(t).sum(), t)[0].numpy(), i1e - np.sign(x) * i0e, 1e-11)


# --- matrices --------------------------------------------------------------------------------------------------------------


def slope(name, x, g=None, **params):
    """The gradient of an operator of one array."""
    t = tg.tensor(x, requires_grad=True)
    out = registry[name].function(t, **params)
    return engine.grad(out, t, Tensor(np.ones(out.shape, out.dtype) if g is None else g, None))[0].numpy()


def minors_of(x):
    """The cofactors of a matrix of fractions, by Leibniz's formula."""

    def det(m):
        return sum(((-1) ** j * m[0][j] * det([row[:j] + row[j + 1 :] for row in m[1:]]) for j in range(len(m))), Fraction(0)) if m else Fraction(1)

    m = [[Fraction(v) for v in row] for row in np.asarray(x).tolist()]
    return [[(-1) ** (i + j) * det([row[:j] + row[j + 1 :] for k, row in enumerate(m) if k != i]) for j in range(len(m))] for i in range(len(m))]


TINY = 1e-200
SPECIAL_MATRICES = [
    np.diag([TINY, TINY, 1]), np.diag([-TINY, -TINY, 1]), -np.diag([TINY, TINY, 1]), -np.diag([1e-310, 1, 2]), np.diag([0.0, 1, 2]), np.zeros((3, 3)), np.ones((2, 2)),
    np.diag([1e-100, 1e-100]), np.diag([1e300, 1e-5]), np.diag([1e160, 1e148, 10]), np.array([[0, TINY, 0], [TINY, 0, 0], [0, 0, 1]]), np.array([[0, -TINY, 0], [-TINY, 0, 0], [0, 0, -1]]),
    1e-3 * np.eye(3), -1e-9 * np.eye(2), np.array([[2.0]]), np.array([[0.0]]), np.array([[1.0, 2], [3, 4]]), np.array([[2.0, -1, 0, 3], [1, 0, 5, -2], [4, 4, 1, 1], [0, 2, -3, 1]]),
]  # fmt: skip


@pytest.mark.parametrize("x", SPECIAL_MATRICES, ids=range(len(SPECIAL_MATRICES)))
@pytest.mark.filterwarnings("ignore:overflow encountered in (det|inv)", "ignore:underflow")
def test_the_slope_of_a_determinant_is_made_of_minors(x):
    expected = np.array([[float(v) for v in row] for row in minors_of(x)])
    np.testing.assert_allclose(slope("det", x), expected, 1e-12, 1e-15 * np.abs(expected).max())
    small = np.abs(expected) < 1e-100 * np.abs(expected).max()
    assert (np.abs(slope("det", x)[small]) <= 1e-100 * np.abs(expected).max()).all()


def test_determinants_of_stacks_of_matrices_and_of_none():
    stack = np.random.default_rng(2).normal(size=(2, 2, 3, 3))
    stack[0, 0] = 0  # the determinants themselves are a regular matrix
    expected = [[[[float(v) for v in row] for row in minors_of(x)] for x in xs] for xs in stack]
    np.testing.assert_allclose(slope("det", stack), expected, 1e-11, 1e-13)
    assert slope("det", np.zeros((0, 0))).shape == (0, 0) and slope("det", np.zeros((0, 3, 3))).shape == (0, 3, 3) and slope("det", np.zeros((2, 0, 0))).shape == (2, 0, 0)


def test_gradients_of_factors_of_symmetric_matrices_are_symmetric():
    rng = np.random.default_rng(5)
    for shape in ((3, 3), (2, 1, 4, 4)):
        x = rng.normal(size=shape)
        x = x @ x.swapaxes(-1, -2) + np.eye(shape[-1])
        for name in ("cholesky", "eigh_packed", "eigvalsh"):
            g = slope(name, x, rng.normal(size=registry[name].function(x).shape))
            np.testing.assert_allclose(g, g.swapaxes(-1, -2), 1e-12, 1e-13)
    l = np.tril(rng.normal(size=(3, 3))) + 3 * np.eye(3)
    np.testing.assert_allclose(slope("cholesky", l @ l.T, np.diag(1 / np.diag(l))), np.linalg.inv(l @ l.T) / 2, 1e-12, 1e-13)  # of ln det / 2


def test_a_quotient_by_no_gap_is_nothing_only_if_nothing_is_divided():
    from tinygrad_edu.ops.linalg import quotient

    numerators, gaps = np.array([0, 1, -2, 0, 6, 0, np.inf, 3]), np.array([0, 0, 0, 2.0, 3, np.nan, np.inf, np.nan])
    np.testing.assert_array_equal(quotient(numerators, gaps), [0, np.inf, -np.inf, 0, 2, np.nan, np.nan, np.nan])
    ts = [tg.tensor(a, requires_grad=True) for a in (np.array([0, 0.0, 6]), np.array([0, 2.0, 3]))]
    up, down = engine.grad(quotient(*ts).sum(), ts)
    np.testing.assert_allclose(up.numpy(), [0, 0.5, 1 / 3])
    np.testing.assert_allclose(down.numpy(), [0, 0, -2 / 3])


def test_eigenvectors_of_equal_eigenvalues_have_no_slope():
    """Unless the result treats them alike, a gradient would be made up: it is not finite."""
    x = tg.tensor(np.diag([2.0, 2.0, 5.0]), requires_grad=True)
    w, v = tg.linalg.eigh(x)
    third = (v[:, 2] * tg.tensor([1.0, 2.0, 3.0], dtype=tg.float64)).sum()
    np.testing.assert_allclose(engine.grad(third * third, x, retain_graph=True)[0].numpy(), [[0, 0, 1], [0, 0, 2], [1, 2, 0]], 1e-12, 1e-13)
    assert not np.isfinite(engine.grad(v[0, 0] + 2 * v[0, 1] + 3 * v[1, 0], x)[0].numpy()).all()


@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (3, 4), (2, 4, 3)])
def test_singular_values_of_a_matrix_without_full_rank_have_slopes(shape):
    """∂s₀/∂x = u₀·v₀ᵀ however small the last singular value is; so have vectors of a square matrix."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(*shape[:-1], 2)) @ rng.normal(size=(2, shape[-1]))
    t = tg.tensor(x, requires_grad=True)
    u, s, vh = tg.linalg.svd(t, full_matrices=False)
    found = engine.grad((s[..., :2] * tg.tensor([1.0, 10.0], dtype=tg.float64)).sum(), t, retain_graph=True)[0].numpy()
    a, b = u.detach().numpy(), vh.detach().numpy()
    np.testing.assert_allclose(found, (a[..., :2] * [1, 10]) @ b[..., :2, :], 1e-10, 1e-11)
    exact = np.zeros(shape)
    exact[..., 0, 0], exact[..., 1, 1] = 3, 1  # the last singular value is 0 exactly
    t = tg.tensor(exact, requires_grad=True)
    packed = registry["svd_packed"].function(t)
    g = np.zeros(packed.shape)
    g[..., 0, shape[-2]] = 1
    np.testing.assert_array_equal(engine.grad(packed, t, Tensor(g, None), retain_graph=True)[0].numpy(), (exact == 3) * 1.0)
    if shape == (3, 3):
        for k, place in itertools.product((0, 2), (0, 1, 2, 4, 5, 6)):  # the elements of u₀, v₀, u₂ and v₂
            g = np.zeros(packed.shape)
            g[k, place] = 1
            nearly = tg.tensor(np.diag([3, 1, 1e-12]), requires_grad=True)
            slopes = [engine.grad(registry["svd_packed"].function(y), y, Tensor(g, None))[0].numpy() for y in (t, nearly)]
            np.testing.assert_allclose(*slopes, 1e-9, 1e-11)


MATRIX_CASES = [
    Fixed("solve", np.eye(3) * 3 + np.arange(9.0).reshape(3, 3) % 4, np.arange(6.0).reshape(3, 2)),
    Fixed("affine_sigmoid", *(np.random.default_rng(3).normal(size=s) for s in ((4, 3), (2, 3), (2,)))),
    Fixed("affine_sigmoid", *(np.random.default_rng(4).normal(size=s) for s in ((2, 4, 3), (2, 3)))),
    Fixed("rms_normalize", *(np.random.default_rng(5).normal(size=s) for s in ((4, 3), (3,))), axes=(-1,)),
    Fixed("normalize", *(np.random.default_rng(6).normal(size=s) for s in ((4, 3), (3,), (3,))), axes=(-1,)),
    Fixed("normalize", *(np.random.default_rng(7).normal(size=s) for s in ((4, 3), (1, 3), (1, 3))), axes=(0,)),
]


@pytest.mark.parametrize("case", MATRIX_CASES, ids=range(len(MATRIX_CASES)))
def test_a_rule_for_several_inputs_serves_each_alone(case):
    arrays = case.arrays(0)
    weights = np.random.default_rng(0).uniform(0.5, 1.5, kit.result_shape(case, arrays))
    _, together = kit.gradients(case, arrays, weights)
    for wanted in itertools.product((False, True), repeat=len(case.active)):
        chosen = [i for i, w in zip(case.active, wanted) if w]
        if chosen:
            xs = case.tensors(arrays, chosen)
            for i, g in zip(chosen, engine.grad(case(*xs), [xs[i] for i in chosen], Tensor(weights, None))):
                np.testing.assert_allclose(g.numpy(), together[case.active.index(i)].numpy(), 1e-13, 1e-13)


def test_exponentials_of_turns():
    """exp([[0, −t], [t, 0]]) turns by t: for one or many at once, small and large."""
    exponential = registry["matrix_exp"].op.forward if hasattr(registry["matrix_exp"], "op") else registry["matrix_exp"].forward

    def turn(t):
        return np.stack([np.stack([0 * t, -t], -1), np.stack([t, 0 * t], -1)], -2)

    for t in (np.array([0.0]), np.array([0.1, 1e-3]), np.linspace(-3, 3, 4000), np.array([5.36, -5.37, 5.38]), np.array([10.5]), np.array([11.6]), np.array([20.0, 1.0])):
        expected = np.stack([np.stack([np.cos(t), -np.sin(t)], -1), np.stack([np.sin(t), np.cos(t)], -1)], -2)
        np.testing.assert_allclose(exponential(turn(t)), expected, 1e-14, 6e-15)
    for t in (300.0, 5000.0):
        np.testing.assert_allclose(exponential(turn(np.array(t)))[0], [np.cos(t), -np.sin(t)], 0, 4e-16 * t)
    for n in (3, 10):  # all rows are alike: exp(c · 1) = 1 + (eᶜⁿ − 1) / n
        np.testing.assert_allclose(exponential(np.full((n, n), 5.0)), np.eye(n) + np.expm1(5.0 * n) / n, 1e-13)
    np.testing.assert_allclose(exponential(np.diag([2.0, -1.0, 0.5]).astype(np.float32)), np.diag(np.exp(np.float32([2.0, -1.0, 0.5]))), 1e-6)
    assert exponential(turn(np.float32([1]))).dtype == np.float32


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_exponentials_of_what_is_not_finite_are_nan(bad):
    for x in (np.full((2, 2), bad), np.array([[0, bad], [0, 0]]), np.array([[[1.0, 0], [0, bad]]])):
        assert np.isnan(registry["matrix_exp"].function(x)).any()


def test_exponentials_of_empty_matrices_are_new():
    for shape in ((0, 0), (0, 2, 2), (3, 0, 0)):
        x = np.zeros(shape, np.float32)
        out = registry["matrix_exp"].function(x)
        assert out.shape == shape and out.dtype == np.float32 and out is not x


# --- normalisation with moments that are known already -----------------------------------------------------------------------


@pytest.mark.parametrize("shape, weights, axes", [((3, 4), (4,), (-1,)), ((3, 2, 4), (1, 2, 1), (0, 2)), ((2, 3, 4), None, (1, 2)), ((4, 3), (1, 3), (0,))])
def test_known_moments_change_no_derivative(shape, weights, axes):
    rng = np.random.default_rng(1)
    x, g, h = rng.normal(2, 3, shape), rng.normal(size=shape), rng.normal(size=shape)
    mean = x.mean(axis=axes, keepdims=True)
    known = dict(mean=mean, scale=1 / np.sqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + 1e-5))
    ts = [tg.tensor(a, requires_grad=True) for a in (x, *((rng.normal(1, 1, weights),) * 2 if weights else ()))]
    found = []
    for given in ({}, known):
        out = registry["normalize"].function(*ts, axes=axes, **given)
        first = engine.grad(out, ts, Tensor(g, None), create_graph=True)
        second = engine.grad((first[0] * Tensor(h, None)).sum(), ts, allow_unused=True, materialize_grads=True)
        plain = engine.grad(registry["normalize"].function(*ts, axes=axes, **given), ts, Tensor(g, None))
        found.append([a.detach().numpy() for a in (out, *first, *second, *plain)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, 1e-10, 1e-12)


@pytest.mark.parametrize("wanted", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("graph", [False, True])
def test_a_bias_without_a_weight(wanted, graph):
    rng = np.random.default_rng(2)
    x, b, g = rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=(3, 4))
    for given in (b, np.ones((1, 4)), np.float64(2), np.ones((3, 1))):
        xs = [tg.tensor(v, requires_grad=w) for v, w in zip((x, given), wanted)]
        ones = tg.tensor(np.ones_like(given), requires_grad=True)
        out, same = registry["normalize"].function(xs[0], None, xs[1], axes=(-1,)), registry["normalize"].function(xs[0], ones, xs[1], axes=(-1,))
        np.testing.assert_allclose(out.detach().numpy(), same.detach().numpy(), 1e-14)
        chosen = [t for t in xs if t.requires_grad]
        for a, c in zip(engine.grad(out, chosen, Tensor(g, None), create_graph=graph), engine.grad(same, chosen, Tensor(g, None))):
            np.testing.assert_allclose(a.detach().numpy(), c.numpy(), 1e-13, 1e-14)


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_slopes_of_incomplete_gamma_functions_of_a_number(dtype, graph):
    """xᵃ⁻¹e⁻ˣ / Γ(a), with all places of the tensor's type: a Python number has none of its own."""
    x = tg.tensor(np.array([0.4, 1.3, 7.0], dtype), requires_grad=True)
    exact = np.exp(np.log(x.detach().numpy().astype(float)) * 1.7 - x.detach().numpy().astype(float) - math.lgamma(2.7))
    for name, sign in (("gamma_lower", 1), ("gamma_upper", -1)):
        for a in (2.7, np.array([2.7], dtype)):
            (g,) = engine.grad(registry[name].function(a, x).sum(), x, create_graph=graph)
            assert g.dtype == dtype
            np.testing.assert_allclose(g.detach().numpy(), sign * exact, 1e-14 if dtype == np.float64 else 1e-6)
        (g,) = engine.grad(registry[name].function(3, x).sum(), x)
        np.testing.assert_allclose(g.numpy(), sign * x.detach().numpy() ** 2 * np.exp(-x.detach().numpy()) / 2, 1e-14 if dtype == np.float64 else 1e-6)
