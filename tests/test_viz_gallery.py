"""The gallery: every picture of docs/gallery.md is made, its file is there, and in a browser no text leaves its box or meets another."""

import importlib.util
import re
import shutil
import xml.etree.ElementTree as ET

import pytest
from page_runner import ROOT  # puts docs on the path

import tinygrad_edu as tg
from tinygrad_edu import nn, viz

DOCS = ROOT / "docs"
FILES = re.findall(r"\]\(pictures/gallery/([\w.]+)\)", (DOCS / "gallery.md").read_text(encoding="utf-8"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="module")
def script():
    """docs/make_gallery.py as a module."""
    specification = importlib.util.spec_from_file_location("make_gallery", DOCS / "make_gallery.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pictures(script):
    """{file name: picture} of one run of the page."""
    pytest.importorskip("matplotlib", reason="curves and weights are drawn with it")
    return script.run((DOCS / "gallery.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page():
    """A page of a headless Chromium; .ci/run installs one."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield started.new_page(viewport=dict(width=1600, height=1000))
        started.close()


def words_of(svg):
    """All words of an SVG text."""
    return sorted(" ".join((t.text or "").split()) for t in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"))


def test_every_picture_has_its_file_and_the_files_show_what_the_page_makes(pictures):
    assert list(pictures) == FILES and len(FILES) == len(set(FILES)) >= 15
    assert {p.name for p in (DOCS / "pictures" / "gallery").iterdir()} == set(FILES), "run  python docs/make_gallery.py"
    for name, picture in pictures.items():
        if name.endswith(".svg") and not name.startswith("xor"):  # trained numbers may differ in the last digit from machine to machine
            written = (DOCS / "pictures" / "gallery" / name).read_text(encoding="utf-8")
            assert words_of(written) == words_of(picture.svg), f"{name}: run  python docs/make_gallery.py"


def test_a_picture_without_a_file_is_an_error(script):
    with pytest.raises(ValueError, match="no link"):
        script.run("# Page\n\n```python\n3\n```\n\nwords\n")


def test_pages_are_small_and_fetch_nothing(pictures):
    for name, limit in (("player.html", 100_000), ("xor_training.html", 300_000)):
        assert len(pictures[name].html) < limit
        assert not re.search(r"(src|href)=[\"']?(https?:)?//", pictures[name].html)


FAULTS = """() => {
  const found = [], close = 1.5;
  for (const group of document.querySelectorAll('g.node')) {
    const boxes = [...group.querySelectorAll('ellipse, polygon, path')].map(s => s.getBoundingClientRect());
    const left = Math.min(...boxes.map(b => b.left)), right = Math.max(...boxes.map(b => b.right));
    const top = Math.min(...boxes.map(b => b.top)), bottom = Math.max(...boxes.map(b => b.bottom));
    for (const t of group.querySelectorAll('text')) {
      const b = t.getBoundingClientRect();
      if (t.textContent.trim() && (b.left < left - close || b.right > right + close || b.top < top - 3 || b.bottom > bottom + 3)) found.push('outside: ' + t.textContent);
    }
  }
  for (const c of document.querySelectorAll('circle.neuron')) {
    const a = c.getBoundingClientRect();
    for (const t of document.querySelectorAll('text.weight, text.name')) if (meet(corners(t), [[a.left + 4, a.top + 4], [a.right - 4, a.top + 4], [a.right - 4, a.bottom - 4], [a.left + 4, a.bottom - 4]])) found.push(t.textContent + ' in a circle');
    for (const t of document.querySelectorAll('text.activation')) {
      const b = t.getBoundingClientRect();
      if (Math.abs((b.left + b.right - a.left - a.right) / 2) < 3 && Math.abs((b.top + b.bottom - a.top - a.bottom) / 2) < 3 && b.width > a.width) found.push('wider than its circle: ' + t.textContent);
    }
  }
  const texts = [...document.querySelectorAll('text')].filter(t => t.textContent.trim()).map(t => [t.textContent, corners(t)]);
  for (let i = 0; i < texts.length; i++) for (let j = 0; j < i; j++) if (meet(texts[i][1], texts[j][1])) found.push(texts[i][0] + ' over ' + texts[j][0]);
  const frame = document.querySelector('svg').getBoundingClientRect();
  for (const t of document.querySelectorAll('text')) {
    const b = t.getBoundingClientRect();
    if (t.textContent.trim() && (b.left < frame.left - 1 || b.right > frame.right + 1 || b.top < frame.top - 1 || b.bottom > frame.bottom + 1)) found.push('cut off: ' + t.textContent);
  }
  return found;
  function corners(t) {  // the letters' own box, turned as they are: a line's box has room above and below
    const b = t.getBBox(), m = t.getScreenCTM(), cut = b.height * 0.22, p = (x, y) => { const q = new DOMPoint(x, y).matrixTransform(m); return [q.x, q.y]; };
    return [p(b.x + 1, b.y + cut), p(b.x + b.width - 1, b.y + cut), p(b.x + b.width - 1, b.y + b.height - cut), p(b.x + 1, b.y + b.height - cut)];
  }
  function meet(a, b) {  // two turned rectangles: no axis separates them
    for (const r of [a, b]) for (let k = 0; k < 2; k++) {
      const n = [r[k + 1][1] - r[k][1], r[k][0] - r[k + 1][0]], project = q => q.map(([x, y]) => x * n[0] + y * n[1]);
      const [p, q] = [project(a), project(b)];
      if (Math.max(...p) <= Math.min(...q) || Math.max(...q) <= Math.min(...p)) return false;
    }
    return true;
  }
}"""


def faults(page, svg):
    """Texts that leave their box, cover another or are cut off."""
    page.set_content(f"<!doctype html><body style='margin:20px'>{svg}</body>")
    return page.evaluate(FAULTS)


@pytest.mark.parametrize("name", [f for f in FILES if f.endswith(".svg")])
def test_no_text_leaves_its_box_or_meets_another(pictures, page, name):
    assert faults(page, pictures[name].svg) == []


def stack(*sizes):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers)


STACKS = [(1, 1), (3, 1), (2, 2, 2, 2, 2), (4, 5, 3), (6, 6, 6), (8, 8), (64, 20, 3), (1, 8, 1)]


@pytest.mark.parametrize("sizes, scale", [*((s, 1.0) for s in STACKS), *((s, k) for s in STACKS[1:4] for k in (1e-6, 12345.678))], ids=str)
def test_labels_of_networks_never_meet(page, sizes, scale):
    model = stack(*sizes)
    with tg.no_grad():
        for p in model.parameters():
            p *= scale
    names = [f"quantity {k}" for k in range(sizes[0])]
    assert faults(page, viz.network(model, tg.rand(sizes[0]) * scale, names=names, outputs=["a long output name"]).svg) == []
    picture = viz.network(model, tg.rand(sizes[0]), show="gradients", target=tg.rand(sizes[-1]), loss=nn.functional.mse_loss)
    assert faults(page, picture.svg) == []


def test_the_checks_find_what_is_wrong(page):
    svg = viz.network(stack(2, 1), names=["x", "y"]).svg
    assert faults(page, svg) == []
    assert faults(page, re.sub(r'class="name" x="[^"]+"', 'class="name" x="-30"', svg))[0].startswith("cut off")
    assert any(" over " in f for f in faults(page, re.sub(r'class="name" x="[^"]+" y="[^"]+"', 'class="name" x="60" y="60"', svg)))
    drawn = viz.draw(lambda: tg.ones(2, requires_grad=True) * 2.0).svg
    assert faults(page, drawn) == []
    assert any(f.startswith("outside") for f in faults(page, drawn.replace(">grad —<", ">a gradient that nobody knows<")))
