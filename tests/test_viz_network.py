"""Neurons and synapses: numbers equal the model's, labels never meet, signs are not told by colour alone."""

import re
import xml.etree.ElementTree as ET
from math import cos, radians, sin

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, viz
from tinygrad_edu.viz import text
from tinygrad_edu.viz.neurons import LETTER, RADIUS, SIZE, overlap


def parsed(picture):
    return ET.fromstring(picture.svg)


def elements(picture, kind):
    return parsed(picture).findall(f".//{{*}}*[@class='{kind}']")


def model_of(*sizes):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.Sigmoid()]
    return nn.Sequential(*layers)


def boxes_of_labels(picture):
    """(x, y, half width, half height, angle) of each weight's number."""
    found = []
    for t in elements(picture, "weight"):
        x, y, angle = map(float, re.match(r"translate\((\S+) (\S+)\) rotate\((\S+)\)", t.get("transform")).groups())
        found.append((x, y, len(t.text) * LETTER / 2, SIZE / 2, radians(angle)))
    return found


def test_the_neuron_of_the_first_article():
    picture = viz.network([([[7.0, 3.0]], [-2.0], "sigmoid")], x=[1, 0])
    words = [t.text for t in parsed(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert {"7", "3", "1", "0", "bias −2", "sum 5 → σ", "0.9933"} <= set(words)


@pytest.mark.parametrize("sizes", [(2, 3, 1), (4, 5, 3), (3, 6, 2), (1, 1), (2, 2, 2, 2)])
def test_numbers_are_the_models_and_labels_never_meet(sizes):
    model = model_of(*sizes)
    x = tg.rand(sizes[0])
    picture = viz.network(model, x)
    assert len(elements(picture, "neuron")) == sum(sizes)
    assert len(elements(picture, "synapse")) == sum(a * b for a, b in zip(sizes, sizes[1:]))
    drawn = [t.text for t in elements(picture, "activation")]
    expected, h = [text.number(v, 4 if 0.001 <= abs(v) < 10000 else 2) for v in x.tolist()], x
    for layer in model:
        h = layer(h)
        if isinstance(layer, nn.Sigmoid):
            expected += [text.number(v, 4) for v in h.tolist()]
    assert drawn == expected
    numbers = [text.number(float(v), 3) for m in model if isinstance(m, nn.Linear) for v in m.weight.detach().numpy().reshape(-1)]
    titles = [t.text for t in parsed(picture).findall(".//{*}line/{*}title")]
    assert sorted(titles) == sorted(text.number(float(v)) for m in model if isinstance(m, nn.Linear) for v in m.weight.detach().numpy().reshape(-1))
    boxes = boxes_of_labels(picture)
    assert len(boxes) >= 0.75 * len(numbers)
    circles = [(float(c.get("cx")), float(c.get("cy"))) for c in elements(picture, "neuron")]
    for i, a in enumerate(boxes):
        assert not any(overlap(a, b) for b in boxes[:i])
        corners = [(a[0] + sx * a[2] * cos(a[4]) - sy * a[3] * sin(a[4]), a[1] + sx * a[2] * sin(a[4]) + sy * a[3] * cos(a[4]))
                   for sx in (-1, 0, 1) for sy in (-1, 0, 1)]  # fmt: skip
        assert all((x - cx) ** 2 + (y - cy) ** 2 > RADIUS**2 for x, y in corners for cx, cy in circles)


def test_sign_is_told_by_dash_too_and_width_by_magnitude():
    picture = viz.network([([[4.0, -2.0, 0.0]], None, "tanh")], x=[1.0, 1.0, 1.0])
    plus, minus, zero = elements(picture, "synapse")
    assert plus.get("stroke-dasharray") is None and minus.get("stroke-dasharray") is not None
    assert plus.get("stroke") != minus.get("stroke")
    assert float(plus.get("stroke-width")) > float(minus.get("stroke-width")) > float(zero.get("stroke-width"))


def test_gradients_of_a_sample_are_the_engines():
    model = model_of(2, 2, 1)
    x, t = tg.tensor([0.3, -0.7]), tg.tensor([1.0])
    picture = viz.network(model, x, show="gradients", target=t, loss=nn.functional.mse_loss)
    nn.functional.mse_loss(model(x), t).backward()
    titles = sorted(e.text for e in parsed(picture).findall(".//{*}line/{*}title"))
    assert titles == sorted(text.number(float(v)) for m in model if isinstance(m, nn.Linear) for v in m.weight.grad.numpy().reshape(-1))
    assert viz.network(model, show="gradients").svg.count('class="synapse"') == 6


def test_large_layers_are_abbreviated():
    picture = viz.network(model_of(64, 20, 3), tg.rand(64))
    assert "57 more" in picture.svg and "13 more" in picture.svg
    assert len(elements(picture, "neuron")) == 7 + 7 + 3


def test_a_picture_without_a_sample_and_with_names(tmp_path):
    picture = viz.network(model_of(2, 3, 1), names=["weight", "height"], outputs=["<sex> & more"])
    assert [t.text for t in elements(picture, "name")] == ["weight", "height", "<sex> & more"]
    assert [t.text for t in elements(picture, "activation")] == ["x1", "x2", "h1", "h2", "h3", "y1"]
    assert picture.save(tmp_path / "net.svg").read_text() == picture.svg


def test_the_model_is_left_alone():
    model = model_of(2, 2, 1)
    before = [p.detach().clone() for p in model.parameters()]
    viz.network(model, [0.1, 0.2], show="gradients", target=[1.0], loss=nn.functional.mse_loss)
    assert all(p.grad is None for p in model.parameters())
    assert all(np.array_equal(a.numpy(), b.detach().numpy()) for a, b in zip(before, model.parameters()))


ERRORS = [
    (lambda: viz.network(nn.ReLU()), "no Linear layers"),
    (lambda: viz.network(nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 1))), "not a plain stack"),
    (lambda: viz.network(model_of(2, 1), show="all"), "'values' or 'gradients'"),
    (lambda: viz.network(model_of(2, 1), show="gradients"), "backward()"),
    (lambda: viz.network([([[1.0, 2.0]], [0.0], "sigmoid")], x=[1.0]), "takes 2 inputs"),
    (lambda: viz.network([([[1.0]], [0.0], "nothing")], x=[1.0]), "no operator"),
    (lambda: viz.network([]), "at least one layer"),
    (lambda: viz.network(model_of(2, 1)).save("x.bmp"), "saved as .svg"),
]


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors(case):
    call, words = ERRORS[case]
    with pytest.raises(ValueError, match=re.escape(words)):
        call()
