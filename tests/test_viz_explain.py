"""explain: golden derivations, sums equal the engine's gradient, formulas come from the rules and give their numbers."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.autograd.operator import registry
from tinygrad_edu.viz import formula


def article():
    """The network of the second article: 2-2-1, all weights 1, all biases 0, x = (−2, −1), target 1."""
    w1, w2, w3, w4, w5, w6 = (tg.tensor(1.0, requires_grad=True) for _ in range(6))
    x1, x2 = tg.tensor(-2.0), tg.tensor(-1.0)

    def loss():
        h1 = tg.sigmoid(w1 * x1 + w2 * x2)
        h2 = tg.sigmoid(w3 * x1 + w4 * x2)
        y = tg.sigmoid(w5 * h1 + w6 * h2)
        L = (1 - y) ** 2
        return L

    return loss, w1, w2


ARTICLE = """\
∂L/∂w1 = ∂L/∂y · ∂y/∂h1 · ∂h1/∂w1
       = (−0.9526) · 0.2494 · (−0.09035)
       = 0.02147

  ∂L/∂y = −0.9526
    ^    (1 − y) · 2 = (1 − 0.5237) · 2 = 0.9526
    −    −1
  ∂y/∂h1 = 0.2494
    σ    y · (1 − y) = 0.5237 · (1 − 0.5237) = 0.2494
    +    1
    ×    w5 = 1
  ∂h1/∂w1 = −0.09035
    σ    h1 · (1 − h1) = 0.04743 · (1 − 0.04743) = 0.04518
    +    1
    ×    x1 = −2"""


def test_the_hand_derivation_of_the_second_article():
    loss, w1, _ = article()
    e = tg.explain(loss, w1)
    assert e.text == ARTICLE and str(e) == ARTICLE
    assert abs(e.total - 0.0214) < 1e-4 and e.count == 1
    assert r"\frac{\partial L}{\partial y} \cdot \frac{\partial y}{\partial h_{1}} \cdot \frac{\partial h_{1}}{\partial w_{1}}" in e.latex
    root = ET.fromstring(e.mathml)
    assert "∂L∂w1=∂L∂y·∂y∂h1·∂h1∂w1" in "".join(root.itertext())


def test_paths_of_a_diamond_are_summed():
    a = tg.tensor(2.0, requires_grad=True)

    def f():
        b = a * 3.0
        c = b + a
        return c * b

    e = tg.explain(f, a)
    assert e.count == 3 and sorted(p.product for p in e.paths) == [6.0, 18.0, 24.0] and e.total == e.gradient == 48.0
    assert "path 3 of 3" in e.text and "= 48" in e.text


LATEX = r"""\begin{aligned}
\text{path 1} &= \frac{\partial L}{\partial c} \cdot \frac{\partial c}{\partial b} \cdot \frac{\partial b}{\partial a} \\
&= 6 \cdot 1 \cdot 3 = 18 \\
\text{path 2} &= \frac{\partial L}{\partial c} \cdot \left.\frac{\partial c}{\partial a}\right|_{\text{direct}} \\
&= 6 \cdot 1 = 6 \\
\text{path 3} &= \left.\frac{\partial L}{\partial b}\right|_{\text{direct}} \cdot \frac{\partial b}{\partial a} \\
&= 8 \cdot 3 = 24 \\
\frac{\partial L}{\partial a} &= 18 + 6 + 24 = 48 \\
\frac{\partial L}{\partial c} &= b = 6 \\
\frac{\partial c}{\partial b} &= 1 \\
\frac{\partial b}{\partial a} &= 3 \\
\left.\frac{\partial c}{\partial a}\right|_{\text{direct}} &= 1 \\
\left.\frac{\partial L}{\partial b}\right|_{\text{direct}} &= c = 8
\end{aligned}"""

NAIVE = """\
Naive order: follow the inputs depth first, the last input first, and pass on what has arrived by then.

  c was visited when 1 of its 2 gradients had arrived: it passed on 42 instead of 78
  b was visited when 2 of its 3 gradients had arrived: it passed on 504 instead of 972

  ∂L/∂a = 1008   naive
  ∂L/∂a = 1944   youngest first: a tensor is visited after everything made from it

Nodes are numbered at birth, and a result is always younger than its inputs: going from the youngest
to the oldest, every gradient is complete before it is passed on."""


def test_golden_latex_and_mathml():
    a = tg.tensor(2.0, requires_grad=True)

    def f():
        b = a * 3.0
        c = b + a
        return c * b

    e = tg.explain(f, a)
    assert e.latex == LATEX
    table = ET.fromstring(e.mathml)[0]
    rows = ["".join(row.itertext()) for row in table]
    assert rows == ["path 1=∂L∂c·∂c∂b·∂b∂a", "=6·1·3=18", "path 2=∂L∂c·∂c∂a|direct", "=6·1=6", "path 3=∂L∂b|direct·∂b∂a", "=8·3=24", "∂L∂a=18 + 6 + 24=48",
                    "∂L∂c=b=6", "∂c∂b=1", "∂b∂a=3", "∂c∂a|direct=1", "∂L∂b|direct=c=8"]  # fmt: skip
    assert e._repr_mimebundle_()["text/latex"] == f"$${LATEX}$$"


TWICE = """\
∂L/∂a = ∂L/∂p · ∂p/∂a
      = 14 · 3
      = 42

  ∂L/∂p = 6 + 6 + 2 = 14, over 3 ways
   way 1:
    −    1
    ×    p = 6
   way 2:
    −    1
    ×    p = 6
   way 3:
    −    −1
    ×    −2
  ∂p/∂a = 3
    ×    3"""


def test_ways_between_two_names_are_one_factor():
    a = tg.tensor(2.0, requires_grad=True)

    def f():
        p = a * 3.0
        return p * p - p * -2.0

    e = tg.explain(f, a)
    assert e.text == TWICE and e.count == 1 and e.total == e.gradient == 42
    assert r"\frac{\partial L}{\partial p} &= p + p + 2 = 6 + 6 + 2 = 14" in e.latex
    (path,) = e.paths
    assert [f.value for f in path.factors] == [3, 14] and [f.count for f in path.factors] == [1, 3] and not any(f.direct for f in path.factors)
    html = e._repr_mimebundle_()["text/html"]
    assert html.count("<math") == 1 and "<details>" in html and "over 3 ways" in html

    def squared():
        p = a * 1.0
        q = p
        for _ in range(3):
            q = q * 1.0 * q
        return q

    e = tg.explain(squared, a, names={})
    assert e.count == 1 and e.total == e.gradient == 8 * 2**7 and "over 2 ways" in e.text


def test_a_factor_that_leaves_other_paths_out_says_so():
    x = tg.tensor(2.0, requires_grad=True)
    e = tg.explain(lambda: x * x * x, x)
    assert e.count == 2 and e.total == 12
    assert "path 2 of 2:  ∂L/∂x (direct)\n            = 4\n" in e.text and "∂v1/∂x = 2 + 2 = 4, over 2 ways" in e.text


def test_slopes_of_products_name_the_element_they_are():
    tg.manual_seed(0)
    model, data = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)), tg.rand(2, 2)
    assert "linear data[1, 0] = " in tg.explain(lambda: model(data).sum(), model[0].weight, index=(2, 0), model=model).text
    assert "linear 2.weight[0, 2] = " in tg.explain(lambda: model(data).sum(), model[0].bias, index=2, model=model).text
    table, v = tg.rand(2, 4, 3), tg.rand(3, requires_grad=True)
    assert "@    table[1, 2, 1] = " in tg.explain(lambda: (table @ v)[1, 2], v, index=1).text
    turned = tg.rand(3, 4)
    assert "@    turned[1, 2] = " in tg.explain(lambda: (v @ turned)[2], v, index=1).text


def test_golden_naive_order():
    a = tg.tensor(3.0, requires_grad=True)

    def f():
        b = a + a
        c = b * b
        d = c + b
        return d * c

    assert tg.explain(f, a, order="naive").text == NAIVE


MATRICES = [lambda x, w: tg.tanh(x @ w), lambda x, w: tg.sigmoid(w.T @ x.T).T, lambda x, w: (x @ w).softmax(1), lambda x, w: (x @ w).sum(0, keepdim=True) * x[:, :2],
            lambda x, w: tg.cat([x @ w, x @ w * 2.0]), lambda x, w: (x @ w).cumsum(0), lambda x, w: tg.relu(x @ w) + w[:1]]  # fmt: skip


@given(st.sampled_from(range(len(MATRICES))), st.integers(0, 10**6), st.integers(0, 5))
def test_the_sum_is_the_engines_gradient_for_matrices(which, seed, element):
    rng = np.random.default_rng(seed)
    x, w = tg.tensor(rng.normal(size=(4, 3)), dtype=tg.float64), tg.tensor(rng.normal(size=(3, 2)), dtype=tg.float64, requires_grad=True)

    def f():
        return (MATRICES[which](x, w) ** 2).mean()

    f().backward()
    place = np.unravel_index(element, (3, 2))
    e = tg.explain(f, w, index=tuple(map(int, place)), most=5)
    right = w.grad.numpy()[place]
    assert abs(e.total - right) <= 1e-12 * max(1, abs(right)) and abs(e.gradient - right) <= 1e-12 * max(1, abs(right))


def test_a_variable_that_is_assigned_again_and_again_gets_an_index():
    w = tg.tensor(0.5, requires_grad=True)

    def f():
        h = w * 2.0
        for _ in range(2):
            h = tg.tanh(h * w)
        return h

    e = tg.explain(f, w)
    assert e.count == 3 and "∂h₃/∂h₂ · ∂h₂/∂h₁ · ∂h₁/∂w" in e.text
    assert r"\frac{\partial h_{3}}{\partial h_{2}}" in e.latex and "<msub><mi>h</mi><mn>3</mn></msub>" in e.mathml


def test_naive_order_is_shown_to_be_wrong():
    a = tg.tensor(3.0, requires_grad=True)

    def f():
        b = a + a
        c = b * b
        d = c + b
        return d * c

    e = tg.explain(f, a, order="naive")
    assert e.gradient == 1944 and e.total == 1008
    assert "1 of its 2 gradients had arrived" in e.text and "1008   naive" in e.text and "1944   youngest first" in e.text


def test_where_a_path_died():
    z = tg.tensor(-1.0, requires_grad=True)
    e = tg.explain(lambda: tg.relu(z) * 3.0, z)
    assert e.total == 0 and "died at relu" in e.text
    assert e.paths[0].died.node.op.name == "relu"


def test_many_paths_are_grouped_and_still_sum_up():
    x = tg.tensor(0.5, requires_grad=True, dtype=tg.float64)
    y = x * 1.0
    for _ in range(40):
        y = y + y * 0.01  # 2^40 paths
    e = tg.explain(y, x)
    assert e.count == 2**40 and abs(e.total - e.gradient) < 1e-12 and "1,099,511,627,776 paths" in e.text


def test_elements_of_matrices(float64):
    layer, X = nn.Linear(3, 2), tg.rand(4, 3)

    def f():
        return (tg.tanh(layer(X)) ** 2).mean()

    f().backward()
    for index in ((0, 0), (1, 2), (1, -1)):
        e = tg.explain(f, layer.weight, index=index)
        assert abs(e.total - layer.weight.grad.numpy()[index]) < 1e-12
        assert e.count == 4
    best = tg.explain(f, layer.weight)
    assert abs(abs(best.total) - np.abs(layer.weight.grad.numpy()).max()) < 1e-12 and "index= chooses another" in best.text


def test_large_tensors_fall_back_to_the_uses():
    W, X = tg.rand(60, 50, requires_grad=True), tg.rand(30, 60)
    e = tg.explain((X @ W).tanh().sum() + W.sum(), W, index=(3, 4))
    (X @ W).tanh().sum().backward()
    assert abs(e.total - (W.grad.numpy()[3, 4] + 1)) < 1e-3


def test_recorded_graphs_can_be_explained_after_backward_and_others_say_what_to_do():
    w, x = tg.tensor(3.0, requires_grad=True), tg.tensor(2.0)
    with tg.recording():
        y = (w * x) ** 2
    y.backward()
    assert tg.explain(y, w).total == 24
    z = (w * x) ** 2
    z.backward()
    with pytest.raises(RuntimeError, match="recording"):
        tg.explain(z, w)


def test_explaining_changes_nothing():
    loss, w1, w2 = article()
    tg.explain(loss, w1)
    assert w1.grad is None and w2.grad is None


ERRORS = [
    (lambda w: tg.explain(w * 2, 3.0), TypeError, "w must be a Tensor"),
    (lambda w: tg.explain(w * 2, tg.tensor(1.0)), ValueError, "does not require grad"),
    (lambda w: tg.explain(w * tg.ones(3), w), ValueError, "single number"),
    (lambda w: tg.explain(tg.tensor(1.0, requires_grad=True) * 2, w), ValueError, "does not depend"),
    (lambda w: tg.explain(w * 2, w, order="random"), ValueError, "youngest first"),
    (lambda w: tg.explain(w * 2, w, index=(0,)), IndexError, "one number per dimension"),
]


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors(case):
    call, kind, words = ERRORS[case]
    with pytest.raises(kind, match=words):
        call(tg.tensor(1.0, requires_grad=True))


UNARY = [tg.tanh, tg.sigmoid, tg.exp, tg.sin, tg.relu, lambda x: x * x, lambda x: -x, lambda x: x / 3.0, tg.square]
BINARY = [lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x * tg.sigmoid(y), tg.maximum]


@st.composite
def programs(draw):
    """(leaves, steps): each step is an operator and which former results it takes."""
    leaves = draw(st.lists(st.floats(-1.5, 1.5), min_size=1, max_size=3))
    steps, n = [], len(leaves)
    for _ in range(draw(st.integers(1, 9))):
        if draw(st.booleans()):
            steps.append((draw(st.sampled_from(UNARY)), (draw(st.integers(0, n - 1)),)))
        else:
            steps.append((draw(st.sampled_from(BINARY)), (draw(st.integers(0, n - 1)), draw(st.integers(0, n - 1)))))
        n += 1
    return leaves, steps


def compute(leaves, steps, shape=()):
    tensors = [tg.full(shape, v, dtype=tg.float64, requires_grad=True) for v in leaves]
    values = list(tensors)
    for f, inputs in steps:
        values.append(f(*(values[i] for i in inputs)))
        assume(np.abs(values[-1].array).max() < 300)  # an exponential of exponentials is no number
    total = values[-1]
    for v in values[len(leaves) : -1]:
        total = total + v
    return tensors, total.sum() if shape else total


@pytest.mark.parametrize("shape", [(), (2,)])
@given(program=programs())
def test_the_sum_is_the_engines_gradient(shape, program):
    tensors, out = compute(*program, shape)
    if out.requires_grad:
        found = [(t, tg.explain(out, t, most=10)) for t in tensors if t.node in set(tg.autograd.node.ancestors(out.node))]
        out.backward()
        for t, e in found:
            g = t.grad.numpy().reshape(-1) if t.grad is not None else np.zeros(1)
            right = g[np.argmax(np.abs(g))]
            assert abs(e.total - right) <= 1e-12 * max(1, abs(right))
            assert abs(e.gradient - right) <= 1e-12 * max(1, abs(right))


@pytest.mark.parametrize("name", [n for n, op in registry.items() if op.kind == "elementwise" and any(op.rules)])
def test_formulas_give_what_the_rules_give(name):
    op = registry[name]
    rng = np.random.default_rng(1)
    domain = op.domain if isinstance(op.domain, dict) else {x: op.domain or (0.3, 0.9) for x in op.inputs}
    arrays = [rng.uniform(*domain.get(x, (0.3, 0.9)), 4) for x in op.inputs]
    if name in ("ldexp_integer", "where"):
        arrays[1 if name == "ldexp_integer" else 0] = np.array([1, 0, 1, 1], np.int64 if name == "ldexp_integer" else bool)
    params = {**op.params, **next((s for s in op.samples if isinstance(s, dict)), {})}
    out = op.forward(*arrays, **params)
    saved = op.save([1] * len(arrays), out, *arrays, **params)
    g = rng.uniform(0.5, 1, np.shape(out))
    for i, rule in enumerate(op.rules):
        found = formula.rule_on_symbols(op, i, saved[i], g=g) if rule else None
        if found is not None:
            np.testing.assert_allclose(formula.value_of(found), rule(g, *saved[i]), rtol=1e-12)
            assert formula.written(found) and formula.latex(found)
            ET.fromstring(f"<math>{formula.mathml(found)}</math>")


def test_formulas_read_well():
    x = formula.name("x", np.array(0.5))
    assert formula.written(x * (1 - x)) == "x · (1 − x)"
    assert formula.written((x + 1) ** 2) == "(x + 1)²"
    assert formula.written(x - (1 - x)) == "x − (1 − x)"
    assert formula.written(-(x + 1)) == "−(x + 1)"
    assert formula.written(1 / (x * 2)) == "1 / (x · 2)"
    assert formula.written(np.where(x > 0, x, 0)) == "(x if x > 0 else 0)"
    a, b = formula.name("A", np.ones((2, 3))), formula.name("B", np.ones((3, 4)))
    assert formula.written((a @ b).swapaxes(0, 1)) == "Bᵀ @ Aᵀ"
    assert formula.written(1.0 * x) == "x" and formula.written(x + 0.0) == "x"
    assert formula.latex(x / (1 + x)) == r"\frac{x}{1 + x}"
