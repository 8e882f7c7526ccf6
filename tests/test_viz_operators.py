"""Every operator with a derivative is drawn, played and explained, and the numbers on the way are the engine's."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from operator_kit import cases_of

import tinygrad_edu as tg
from tinygrad_edu import viz
from tinygrad_edu.autograd.operator import registry
from tinygrad_edu.viz import formula, render

DIFFERENTIABLE = [n for n, op in registry.items() if op.kind == "composite" or op.differentiable]


def program(op):
    """(leaf, function) of the operator's first sample that has a gradient; (None, None) if there is none."""
    for case in list(cases_of(op))[:2]:
        if not case.active:
            continue
        arrays = case.prepare(case.arrays(0))
        inputs = [tg.tensor(x, requires_grad=True) if i in case.active else x for i, x in enumerate(arrays)]

        def f(case=case, inputs=inputs):
            out = op.function(*inputs, **case.params)
            parts = [o for o in (out if isinstance(out, (tuple, list)) else [out]) if o.requires_grad]
            return sum(((o * 1.7).sum() for o in parts), 0.0)

        out, leaf = f(), inputs[case.active[0]]
        if isinstance(out, tg.Tensor) and out.requires_grad and leaf.node in tg.autograd.ancestors(out.node):
            return leaf, f
    return None, None


@pytest.mark.parametrize("name", DIFFERENTIABLE)
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero", "ignore:overflow")
def test_operator(name, float64, monkeypatch):
    monkeypatch.setattr(render, "render_svg", lambda *args: '<svg width="1pt" height="1pt" viewBox="0 0 1 1"></svg>')  # no layout: that is tested elsewhere
    leaf, f = program(registry[name])
    if leaf is None:
        pytest.skip("no sample of it has a gradient of one number")
    (g,) = tg.autograd.grad(f(), leaf)
    g = g.numpy()
    assert "LEAF" in viz.draw(f, names=dict(LEAF=leaf)).source
    player = viz.play(f, names=dict(LEAF=leaf))
    numbers = [s["numbers"]["LEAF"] for s in player.steps if "LEAF" in s.get("numbers", {})]
    np.testing.assert_allclose(numbers[-1], g.reshape(-1)[:36], rtol=1e-10, atol=1e-14)
    for step in player.steps:
        for math in re.findall(r"<math.*?</math>", step["body"], re.DOTALL):
            ET.fromstring(math)
        if step["phase"] != "start":  # every step says a formula: typeset, or in the words of the operator's table
            assert "<math" in step["body"] or "<table" in step["body"]
    explained = tg.explain(f, leaf)
    k = int(np.argmax(np.abs(g)))
    assert abs(explained.total - g.reshape(-1)[k]) <= 1e-12 * max(1, abs(g.reshape(-1)[k]))
    ET.fromstring(explained.mathml), ET.fromstring(tg.explain(f, leaf, order="naive").mathml)


def test_every_rule_has_words():
    """Where a rule gives no symbols, its docstring or its source is shown."""
    for name in DIFFERENTIABLE:
        op = registry[name]
        if op.kind != "composite":
            for i, rule in enumerate(op.rules):
                if rule or op.together:
                    assert formula.rule_in_words(op, i), name


def test_symbols_that_are_changed_in_place_keep_what_they_were():
    x = formula.name("x", np.array([1.0, 2.0]))
    y = np.exp(x)
    total = y.sum()
    y /= total
    assert formula.written(y) == "exp(x) / sum(exp(x))" and np.allclose(y.value, np.exp([1, 2]) / np.exp([1, 2]).sum())
    softmax = registry["softmax"]
    found = formula.forward_on_symbols(softmax, [np.array([1.0, 2.0])], dict(axis=0), {})
    np.testing.assert_allclose(found.value, softmax.forward(np.array([1.0, 2.0]), axis=0))
