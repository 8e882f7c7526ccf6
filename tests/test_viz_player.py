"""The player's page: every step's numbers are the engine's; read back from a real browser where there is one."""

import json
import re
import shutil

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from test_viz_explain import compute, programs

import tinygrad_edu as tg
from tinygrad_edu import nn, viz
from tinygrad_edu.viz import text, trace

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; .ci/run installs one."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield started
        started.close()


class Opened:
    """A page with everything it complained about, and everything it asked for."""

    def __init__(self, browser, path, width=1200, height=800, scheme="light"):
        self.page = browser.new_page(viewport=dict(width=width, height=height), color_scheme=scheme)
        self.errors, self.requests = [], []
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("console", lambda m: self.errors.append(m.text))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.goto(path.as_uri())


def network():
    model = nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 1), nn.Sigmoid())
    x, t = tg.tensor([[1.0, 0.0]]), tg.tensor([[1.0]])

    def step():
        y = model(x)
        loss = nn.functional.mse_loss(y, t)
        return loss

    return model, step


def data_of(player):
    return json.loads(re.search(r'id="data">(.*?)</script>', player.html, re.DOTALL)[1].replace("<\\/", "</"))


def final(player):
    """{name: gradient} after the last step."""
    found = {}
    for step in data_of(player)["steps"]:
        found.update(step.get("numbers", {}))
    return found


def test_accumulation_is_written_out():
    w, x = tg.tensor(3.0, requires_grad=True), tg.tensor(2.0)

    def f():
        a = w * x
        L = a * w
        return L

    logs = [s["log"] for s in viz.play(f).steps]
    assert logs[1] == "a = w · x = 3 · 2 = 6" and logs[2] == "L = a · w = 6 · 3 = 18"
    assert "∂L/∂w = ∂L/∂L · ∂L/∂w = 1 · 6 = 6" in logs
    assert "∂L/∂w = old + upstream · local = 6 + 3 · 2 = 12" in logs
    assert logs[-1].startswith("Done: ∂L/∂w = 12. Finite differences agree")


def test_network_page_is_small_and_right():
    model, step = network()
    player = viz.play(step)
    assert len(player.html) < 200_000
    step().backward()
    grads = final(player)
    for name, p in model.named_parameters():
        np.testing.assert_allclose(grads[name], p.grad.numpy().reshape(-1), rtol=1e-6)
    assert "where the transpose comes from" in player.html and "finite difference" in player.html
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", player.html)


def test_broadcast_sum_and_matrices_are_explained():
    b, X = tg.zeros(3, requires_grad=True), tg.ones(4, 3)
    player = viz.play(lambda: (X + b).sum())
    assert any("stretched axis 0 ×4" in s["body"] and "[4, 3] → [3]" in s["body"] for s in player.steps)


def test_random_functions_have_no_finite_differences():
    w = tg.ones(3, requires_grad=True)
    player = viz.play(lambda: (w * tg.rand(3)).sum())
    assert "no finite differences" in player.steps[-1]["log"]


class Twice(tg.autograd.Function):
    """x²"""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        """g · x, which forgets the 2"""
        return g * ctx.saved_tensors[0]


def test_a_wrong_rule_is_told_beside_finite_differences():
    w = tg.tensor(3.0, dtype=tg.float64, requires_grad=True)
    steps = viz.play(lambda: Twice.apply(w)).steps
    assert "Finite differences differ by up to" in steps[-1]["log"] and "gradcheck" in steps[-1]["log"]
    assert any("Twice: x².  Its rule for x: g · x, which forgets the 2" in s["body"] for s in steps)


def test_rules_without_symbols_are_said_in_words():
    x = tg.rand(2, 1, 6, 6, requires_grad=True)
    steps = viz.play(lambda: nn.functional.max_pool2d(x, 2).sum()).steps
    assert any("Each window gives its gradient to its largest element" in s["body"] for s in steps)


def test_playing_leaves_everything_as_it_was():
    model, step = network()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    viz.play(step)
    assert all(np.array_equal(before[k].numpy(), v.numpy()) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_hostile_names_stay_text():
    w = tg.tensor(2.0, requires_grad=True)
    html = viz.play(lambda: w * 3.0, names={"</script><b>&": w}).html
    assert "</script><b>" not in html


def test_notebook_form_is_a_frame():
    bundle = viz.play(network()[1])._repr_mimebundle_()
    assert bundle["text/html"].startswith("<iframe srcdoc=")


ERRORS = [
    (lambda: viz.play(3), TypeError, "a function"),
    (lambda: viz.play(lambda: tg.ones(3, requires_grad=True) * 2), ValueError, "single number"),
    (lambda: viz.play(lambda: tg.tensor(1.0)), ValueError, "requires_grad"),
    (lambda: viz.play(tg.tensor(1.0, requires_grad=True) * 2), ValueError, "recording"),
    (lambda: viz.play(lambda: sum(tg.tensor(1.0, requires_grad=True) * i for i in range(99))), ValueError, "120"),
]


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors(case):
    call, kind, words = ERRORS[case]
    with pytest.raises(kind, match=words):
        call()


@given(program=programs(), shape=st.sampled_from([(), (2,), (2, 2)]))
def test_every_gradient_of_generated_programs(program, shape):
    tensors, out = compute(*program, shape)
    if not out.requires_grad:
        return
    with tg.recording():
        tensors, out = compute(*program, shape)
    names = {f"leaf{i}": t for i, t in enumerate(tensors)}
    grads = final(viz.play(out, names=names))
    out.backward()
    for name, t in names.items():
        if t.grad is not None:
            np.testing.assert_allclose(grads.get(name, np.zeros(t.grad.shape).reshape(-1)), t.grad.numpy().reshape(-1), rtol=1e-10, atol=1e-13)


READ = """() => Object.fromEntries(Object.entries(player.data.boxes).map(([id, box]) =>
    [box.name, [...boxes[id].querySelectorAll('text')].map(t => t.textContent)]))"""


def test_the_page_in_a_browser(browser, tmp_path):
    model, step = network()
    opened = Opened(browser, viz.play(step).save(tmp_path / "play.html"))
    page = opened.page
    last = page.evaluate("player.data.steps.length - 1")
    assert page.inner_text("#count") == f"0 of {last}"
    assert "grad —" in page.evaluate(READ)["0.weight"]
    for _ in range(last):  # by keyboard to the end
        page.keyboard.press("ArrowRight")
    assert page.inner_text("#count") == f"{last} of {last}" and page.is_disabled("#next")
    step().backward()
    shown = page.evaluate(READ)
    for name, p in model.named_parameters():
        lines = text.array(p.grad.numpy()).split("\n")
        assert shown[name][-len(lines)].removeprefix("grad ") == lines[0]
    page.keyboard.press("Home")
    assert "grad —" in page.evaluate(READ)["0.weight"]
    assert page.get_attribute("#fit", "aria-pressed") == "false"
    page.click("#fit")
    assert page.evaluate("document.querySelector('#picture svg').getBoundingClientRect().width <= find('picture').clientWidth")
    page.click("#fit")
    page.click("#next")
    page.fill("#slider", "4")
    assert page.inner_text("#count").startswith("4 of")
    page.click("#play")
    assert page.inner_text("#play") == "Pause"
    page.click("#play")
    assert opened.errors == [] and len(opened.requests) == 1


OVERFLOWS = """() => {
  const found = [];
  for (const group of document.querySelectorAll('#picture g.node')) {
    const shape = group.querySelector('ellipse, polygon, path').getBBox();
    for (const t of group.querySelectorAll('text')) {
      const b = t.getBBox();
      if (b.width && (b.x < shape.x - 1 || b.x + b.width > shape.x + shape.width + 1)) found.push(t.textContent);
    }
  }
  const texts = [...document.querySelectorAll('#picture text:not(.hidden)')].filter(t => t.textContent.trim()).map(t => [t.textContent, t.getBBox()]);
  for (let i = 0; i < texts.length; i++) for (let j = 0; j < i; j++) {
    const [a, b] = [texts[i][1], texts[j][1]];
    const x = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x), y = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
    if (x > 2 && y > 4) found.push(texts[i][0] + ' over ' + texts[j][0]);
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push('the page is wider than the window');
  return found;
}"""


@pytest.mark.parametrize("width, scheme", [(1400, "light"), (900, "dark"), (400, "light")])
def test_no_text_leaves_its_box_or_covers_another(browser, tmp_path, width, scheme):
    opened = Opened(browser, viz.play(network()[1]).save(tmp_path / "play.html"), width, 800, scheme)
    opened.page.add_style_tag(content="#picture.fit svg{max-width:none}")  # as large as it is, for pixels are counted
    for k in range(opened.page.evaluate("player.data.steps.length")):
        opened.page.evaluate(f"player.go({k})")
        assert opened.page.evaluate(OVERFLOWS) == [], f"step {k}"


EVERY_STEP = """() => data.steps.map((step, k) => { player.go(k); return [step.phase, document.getElementById("log").textContent,
    Object.entries(data.boxes).map(([id, box]) => [box.name, [...boxes[id].querySelectorAll("text")].map(t => t.textContent)])]; })"""


@pytest.fixture(scope="module")
def reused(browser, tmp_path_factory):
    """One page for many contents, the file they are read from, and what it complains about or asks for."""
    path = tmp_path_factory.mktemp("pages") / "play.html"
    page = browser.new_page(viewport=dict(width=1200, height=800))
    complaints = []
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.on("console", lambda m: complaints.append(m.text))
    page.on("request", lambda r: complaints.append(r.url) if r.url != path.as_uri() else None)
    return page, path, complaints


@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])  # to shrink a failure would open a thousand pages
@given(program=programs(), shape=st.sampled_from([(), (), (2,), (2, 2)]))
def test_every_step_of_generated_programs_in_a_browser(reused, program, shape):
    """Values, gradients and what is not yet known, at every step, read back from the page; 300 programs in the nightly profile."""
    with tg.recording():
        leaves, out = compute(*program, shape)
    if not out.requires_grad or out.node.op is None:
        return
    html = viz.play(out, names={"L": out, **{f"leaf{i}": t for i, t in enumerate(leaves)}}).html
    out.backward()  # the engine's gradients, of results too, for the graph was recorded
    order = tg.autograd.ancestors(out.node)
    engine = {n: trace.array_of(n.grad if n.op is None else n.note.gradient) for n in order}
    values = {**{t.node: t.detach().numpy() for t in leaves}, **{n: n.note.value for n in order if n.op is not None}}
    page, path, complaints = reused
    path.write_text(html, encoding="utf-8")
    page.goto(path.as_uri())
    steps = page.evaluate(EVERY_STEP)
    assert complaints == []
    computed = [n for n in order if n.op is not None]
    uses = {n: sum(p is n for m in computed for p in m.parents) for n in order}
    arrived = dict.fromkeys(order, 0)
    assert len({name for name, _ in steps[0][2]}) == len(order), "two tensors have the same name"
    for k, (phase, log, shown) in enumerate(steps):
        for node, (name, rows) in zip(order, shown, strict=True):
            wanted = text.array(values[node]).split("\n")
            if node.op is None or computed.index(node) < k:
                assert rows[1 : 1 + len(wanted)] == wanted
            else:
                assert rows[1] == "…"
            arrived[node] += phase == "backward" and log.startswith(f"∂L/∂{name} = ")
            grads = [row for row in rows[1 + len(wanted) :] if row]
            if phase in ("start", "forward"):
                assert grads == ["grad —"]
            elif arrived[node] == uses[node] and node is not out.node:
                assert grads == gradient_rows(engine[node]), (k, name)
    assert all(arrived[n] == uses[n] for n in order if n is not out.node)


def gradient_rows(g):
    """What the page writes as a gradient."""
    rows = text.array(g).split("\n")
    return ["grad", *rows] if len(rows) > 1 else [f"grad {rows[0]}"]


def product_model():
    W, x = tg.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]], requires_grad=True), tg.tensor([[1.0, 2.0], [3.0, -1.0], [0.0, 4.0], [2.0, 2.0]])
    return W, x, lambda: (x @ W).tanh().sum()


def test_a_matrix_product_is_shown_entry_by_entry(browser, tmp_path):
    W, x, f = product_model()
    player = viz.play(f, names=dict(W=W, x=x))
    opened = Opened(browser, player.save(tmp_path / "play.html"))
    page = opened.page
    forward = next(k for k, s in enumerate(player.steps) if "matmul" in s["title"])
    backward = next(k for k, s in enumerate(player.steps) if s["title"] == "backward: through matmul to W")
    page.evaluate(f"player.go({forward})")
    products = (x @ W).tolist()
    for i, j in ((0, 0), (3, 2), (1, 1)):
        page.click(f"button[data-at='{i},{j}']")
        terms = " + ".join(f"{bracket(a)} · {bracket(b)}" for a, b in zip(x.tolist()[i], [row[j] for row in W.tolist()]))
        assert page.inner_text(".entry").startswith(f"entry [{i}, {j}] = row {i} times column {j} = {terms} = {text.number(products[i][j])}")
        marked = page.evaluate("[...document.querySelectorAll('.product .on')].map(e => e.textContent)")
        assert marked == [text.number(v) for v in [*x.tolist()[i], *(row[j] for row in W.tolist()), products[i][j]]]
        assert page.get_attribute(f"button[data-at='{i},{j}']", "aria-pressed") == "true"
    page.evaluate(f"player.go({backward})")
    assert "column i of x and column j of ∂L/∂" in page.inner_text("#body") and "so x is turned" in page.inner_text("#body")
    f().backward()
    page.click("button[data-at='1,2']")
    assert page.inner_text("button[data-at='1,2']") == text.number(W.grad[1, 2].item())
    assert page.text_content("#say").startswith("entry [1, 2] = row 1 times column 2")
    assert opened.errors == [] and len(opened.requests) == 1


def bracket(v):
    words = text.number(v)
    return f"({words})" if words.startswith("−") else words


def test_the_page_serves_those_who_do_not_see_it_or_print_it(browser, tmp_path):
    W, x, f = product_model()
    opened = Opened(browser, viz.play(f, names=dict(W=W, x=x)).save(tmp_path / "play.html"))
    page = opened.page
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached[:4] == ["picture", "play", "next", "last"] and "slider" in reached  # First and Back have nothing to do yet
    assert page.get_attribute("#say", "aria-live") == "polite"
    page.evaluate("player.go(1)")
    assert page.text_content("#say").startswith("forward: matmul. v1 = x @ W = ")
    dashes = "getComputedStyle(document.querySelector('.edge.now path')).strokeDasharray"
    assert page.evaluate(dashes) == "none"
    page.evaluate("player.go(player.data.steps.length - 2)")
    assert page.evaluate(dashes) != "none"  # backward differs from forward without its colour
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not page.is_visible("#controls") and page.locator("#all li").count() == len(page.evaluate("data.steps"))
    assert page.is_visible("#all li:last-child")
    assert page.evaluate("document.querySelector('#picture svg').getBoundingClientRect().width <= innerWidth")
    assert opened.errors == []


def xor_film():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1), nn.Sigmoid())
    x, t = tg.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), tg.tensor([[0.0], [1.0], [1.0], [0.0]])
    return model, viz.train(model, tg.optim.SGD(model.parameters(), lr=1.0), nn.MSELoss(), x, t, steps=300, frames=20, sample=1)


def test_a_film_holds_what_the_training_was():
    model, film = xor_film()
    first, last = film.frames[0], film.frames[-1]
    assert (first["step"], last["step"], len(film.frames)) == (0, 299, 20)
    assert last["loss"] < first["loss"] and len(first["grid"]) == 28 * 28
    assert np.shape(first["layers"][0]["w"]) == (3, 2) and np.shape(first["layers"][0]["gw"]) == (3, 2)
    film.shoot(0.0)  # the parameters as they are now
    np.testing.assert_allclose(film.frames[-1]["layers"][1]["w"], model[2].weight.detach().numpy(), rtol=1e-4)
    assert len(film.html) < 400_000


def test_film_limits():
    big = nn.Linear(100, 100)
    with pytest.raises(ValueError, match="2,000 are the limit"):
        viz.Film(big, tg.rand(2, 100), tg.rand(2, 100))
    with pytest.raises(ValueError, match="1 to 300"):
        viz.train(big, None, None, None, None, frames=301)
    small = nn.Linear(2, 1)
    film = viz.Film(small, tg.rand(3, 2), tg.rand(3, 1))
    with pytest.raises(ValueError, match="empty"):
        film.save("film.html")
    with pytest.raises(ValueError, match="limit"):
        for _ in range(301):
            film.shoot(1.0)


def test_the_film_in_a_browser(browser, tmp_path):
    _, film = xor_film()
    opened = Opened(browser, film.save(tmp_path / "film.html"))
    page = opened.page
    page.keyboard.press("End")
    assert "step 299: loss" in page.inner_text("#log")
    read = "[...document.querySelectorAll('line.synapse title')].map(t => t.textContent)"
    assert page.evaluate(read)[0] == text.number(film.frames[-1]["layers"][0]["w"][0][0])
    page.click("#mode")
    assert float(page.evaluate(read)[0].replace("−", "-")) == pytest.approx(film.frames[-1]["layers"][0]["gw"][0][0], rel=1e-3)
    assert opened.errors == [] and len(opened.requests) == 1
    for width in (1400, 400):
        page.set_viewport_size(dict(width=width, height=800))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
