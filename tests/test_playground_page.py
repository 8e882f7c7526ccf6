"""The playground in a real browser: clicked, dragged and typed into as a person does; what is shown is what the engine computes."""

import re
import shutil
import threading

import numpy as np
import pytest
from page_runner import ROOT
from test_playground import final_loss
from test_viz_player import FLAGS

from tinygrad_edu.playground import server
from tinygrad_edu.playground.session import Session

# every text within the window, and within its own box unless that scrolls
OVERFLOWING = """() => {
  const wrong = [];
  for (const e of document.querySelectorAll("body *")) {
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (!box.width || e.closest(".hidden, pre, .scroll, option")) continue;
    const what = `${e.tagName}#${e.id} ${e.textContent.trim().slice(0, 30)}`;
    if (box.right > innerWidth + 1 || box.left < -1) wrong.push(`${what} leaves the window`);
    if (style.display !== "inline" && e.clientWidth && e.scrollWidth > e.clientWidth + 1) wrong.push(`${what} overflows`);
    if (e.tagName === "SELECT") {
      const text = document.createElement("span");
      text.style.font = style.font; text.style.position = "absolute"; text.textContent = e.selectedOptions[0]?.textContent;
      document.body.append(text);
      if (text.getBoundingClientRect().width + 24 > box.width) wrong.push(`${what} cuts its choice ${text.textContent}`);
      text.remove();
    }
  }
  return wrong;
}"""
NAMELESS = """() => [...document.querySelectorAll("button, input, select, a, canvas:not([aria-hidden])")].filter(e => {
  const name = e.getAttribute("aria-label") || [...(e.labels || [])].map(l => l.textContent).join("") || e.textContent;
  return !name.trim();
}).map(e => e.outerHTML)"""
KEEP_SOCKET = "window.WebSocket = class extends WebSocket { constructor(...a) { super(...a); window.socket = this; } };"


@pytest.fixture(scope="module")
def playwright_api():
    found = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")
    found.expect.set_options(timeout=15_000)
    return found


@pytest.fixture(scope="module")
def browser(playwright_api):
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on this machine")
    with playwright_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield started
        started.close()


class Running:
    """A server in a thread, which can be stopped and started again on the same port."""

    def __init__(self, port=0):
        self.server = server.listen(port)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs=dict(poll_interval=0.01))
        self.thread.start()

    def stop(self):
        self.server.end_all(), self.server.shutdown(), self.thread.join(), self.server.server_close()


@pytest.fixture(scope="module")
def running(browser):
    started = Running()
    yield started
    started.stop()


class Opened:
    """An open page, and what a person does there."""

    def __init__(self, browser, running, expect, width=1600, height=1000, scheme="light"):
        self.context = browser.new_context(viewport=dict(width=width, height=height), color_scheme=scheme)
        self.page, self.expect = self.context.new_page(), expect
        self.errors, self.requests = [], []
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("console", lambda m: self.errors.append(m.text))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.add_init_script(KEEP_SOCKET)
        self.address = running.server.address
        self.page.goto(self.address)
        self.has(200)
        expect(self.page.locator("#at-loss")).not_to_have_text("—")

    def shows(self, where, text):
        """Wait until a part of the page says this."""
        (
            self.expect(self.page.locator(where)).to_have_text
            if isinstance(text, re.Pattern)
            else self.expect(self.page.locator(where)).to_contain_text
        )(text)

    def has(self, count):
        """Wait until there are so many points."""
        self.expect(self.page.locator("#how-many")).to_have_text(f"{count} point{'s' * (count != 1)}")

    def text(self, where):
        return self.page.inner_text(where)

    def number(self, where):
        return float(self.text(where).replace("−", "-").replace(" %", ""))

    def place(self, x, y):
        """Where in the window a place of the plane is."""
        box = self.page.locator("#dots").bounding_box()
        return box["x"] + 28 + (x + 2) / 4 * (box["width"] - 36), box["y"] + 8 + (2 - y) / 4 * (box["height"] - 30)

    def click(self, x, y, **options):
        self.page.mouse.click(*self.place(x, y), **options)

    def points(self):
        """The points, as the code has them."""
        self.page.evaluate("document.getElementById('code-card').open = true; document.getElementById('code').textContent = ''")
        self.page.evaluate("document.getElementById('fresh').click()")  # a mouse would scroll the plane away
        self.shows("#code", "final:")
        rows = re.findall(r"\[(-?[\d.]+), (-?[\d.]+)(?:, (\d))?\]", self.text("#code"))
        return [tuple(float(v) for v in row if v) for row in rows]

    def steps(self, count, hundred=False):
        """Press Step some times, one step or a hundred each."""
        self.page.select_option("#count", "100" if hundred else "1")
        before = int(self.number("#at-step"))
        for k in range(count):
            self.page.click("#step")
            self.shows("#at-step", re.compile(f"^{before + (k + 1) * (100 if hundred else 1)}$"))

    def colour(self, canvas, x, y):
        """The pixel of a canvas at a place of the plane."""
        return self.page.evaluate(
            """([id, x, y]) => { const c = document.getElementById(id), r = c.width / c.clientWidth;
               const px = (28 + (x + 2) / 4 * (c.clientWidth - 36)) * r, py = (8 + (2 - y) / 4 * (c.clientHeight - 30)) * r;
               const copy = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
               copy.drawImage(c, -Math.round(px), -Math.round(py));
               return [...copy.getImageData(0, 0, 1, 1).data]; }""",
            [canvas, x, y],
        )


@pytest.fixture
def opened(browser, running, playwright_api):
    """Opens pages, and looks afterwards that none of them complained or asked for anything elsewhere."""
    pages = []

    def open_page(**options):
        pages.append(Opened(browser, running, playwright_api.expect, **options))
        return pages[-1]

    yield open_page
    for page in pages:
        page.context.close()
        assert page.errors == []
        assert all(url.startswith((page.address, "data:")) for url in page.requests)


def test_train_pause_step_reset(opened):
    """The numbers on the page are those of a session in this process."""
    person = opened()
    expected = Session()
    assert person.number("#at-loss") == pytest.approx(expected.loss(), abs=1e-4)
    person.steps(3)
    for _ in range(3):
        expected.step()
    assert person.number("#at-loss") == pytest.approx(expected.loss(), abs=1e-4)
    person.page.select_option("#speed", "0")
    person.page.click("#train")
    person.shows("#train", "Pause")
    person.shows("#at-accuracy", re.compile(r"^(9\d\.\d|100) %$"))
    person.page.click("#train")
    person.shows("#train", "Train")
    person.shows("#status", "Paused at step")
    assert person.number("#at-loss") < 0.3 and person.number("#at-step") > 50
    inside, outside = person.colour("field", 0.0, 0.0), person.colour("field", -1.9, 1.9)
    assert inside[2] > inside[0] + 40 and outside[0] > outside[2] + 40, "blue where class 1 is, orange elsewhere"
    person.page.click("#reset")
    person.shows("#at-step", re.compile("^0$"))


def test_line_through_clicked_points(opened):
    """Article 4: click points, press the button, the line moves until it is that of least squares."""
    person = opened()
    person.page.select_option("#lesson", label="A line through points")
    person.has(0)
    assert not person.page.is_visible("#tool-1"), "a curve has no classes"
    clicked = [(-1.5, -1.0), (-0.5, 0.2), (0.5, 0.3), (1.5, 1.4)]
    for k, (x, y) in enumerate(clicked):
        person.click(x, y)
        person.has(k + 1)
    points = np.array(person.points())
    np.testing.assert_allclose(points, clicked, atol=0.02)
    person.page.click("#step")
    person.shows("#at-step", re.compile("^1$"))
    first = person.text("#equation")
    person.steps(2, hundred=True)
    slope, offset = np.polyfit(*points.T, 1)
    shown = person.text("#equation")
    assert first != shown
    np.testing.assert_allclose(
        [float(v) for v in re.fullmatch(r"y = (\S+) · x \+ (\S+)", shown).groups()], [slope, offset], atol=0.0051
    )
    assert person.colour("field", -1.0, offset - slope)[2] > 120 > person.colour("field", -1.0, offset - slope)[0], (
        "the line is there"
    )
    person.click(0.0, 1.8)
    person.has(5)
    person.page.click("#train")
    person.expect(person.page.locator("#equation")).not_to_have_text(shown)


def test_points_by_mouse(opened):
    person = opened()
    person.page.click("#clear")
    person.has(0)
    assert person.page.is_disabled("#clear")
    person.click(-1, 1)
    person.has(1)
    person.page.get_by_text("Add ▲ class 1").click()
    person.click(1, 1)
    person.click(1, -1, button="right")  # the other class
    person.page.keyboard.down("Shift")
    person.click(-1, -1)
    person.page.keyboard.up("Shift")
    person.has(4)
    np.testing.assert_allclose(person.points(), [(-1, 1, 0), (1, 1, 1), (1, -1, 0), (-1, -1, 0)], atol=0.02)
    person.page.mouse.move(*person.place(1, 1))
    person.page.mouse.down()
    person.page.mouse.move(*person.place(0.5, 0.8), steps=4)
    person.page.mouse.move(*person.place(0.2, 0.5), steps=4)
    person.page.mouse.up()
    person.shows("#status", "")
    np.testing.assert_allclose(person.points()[1], (0.2, 0.5, 1), atol=0.02)
    person.page.click("#undo")
    np.testing.assert_allclose(person.points()[1], (1, 1, 1), atol=0.02)
    person.page.get_by_text("Delete", exact=True).click()
    person.click(-0.3, 0.3)
    person.shows("#status", "no point here")
    person.click(-1, 1)
    person.has(3)
    for left in (4, 3, 2, 1, 0, 200):
        person.page.click("#undo")
        person.has(left)
    assert person.page.is_disabled("#undo")


def test_click_is_drawn_before_python_answers(opened):
    """Hollow at first, and gone again if Python refuses the point."""
    person = opened()
    person.page.evaluate("window.socket.send = text => { window.kept = text; }")
    before = person.colour("dots", 1.9, -1.9)
    person.click(1.9, -1.9)
    hollow = [person.colour("dots", 1.9 + d / 80, -1.9) for d in range(-7, 8)]
    assert person.text("#how-many") == "200 points" and before[3] == hollow[7][3] == 0 and max(c[3] for c in hollow) > 150
    person.page.evaluate('delete window.socket.send; window.socket.send(window.kept.replace(/"x":[^,]+/, \'"x":9\'))')
    person.shows("#problem", "x: expected a number from -2 to 2, got 9")
    assert person.colour("dots", 1.9 + 5 / 80, -1.9) == person.colour("dots", 1.9, -1.9)
    person.page.evaluate("window.socket.send(window.kept)")
    person.has(201)
    assert person.colour("dots", 1.9, -1.9)[3] == 255, "solid"


def test_points_by_keyboard(opened):
    person = opened()
    person.page.click("#clear")
    person.page.wait_for_selector("#undo:enabled")
    person.page.focus("#undo")
    person.page.keyboard.press("Shift+Tab")  # over the tools …
    person.page.keyboard.press("Shift+Tab")  # … to the plane
    assert person.page.evaluate("document.activeElement.id") == "dots"
    for key in ("ArrowRight", "Shift+ArrowUp", "ArrowUp"):
        person.page.keyboard.press(key)
    person.shows("#status", "0.10, 0.60")
    person.page.keyboard.press("Enter")
    person.has(1)
    assert person.points() == [(0.1, 0.6, 0.0)]
    person.page.focus("#dots")
    person.page.keyboard.press("s")
    person.shows("#status", "Chose the point at 0.10, 0.60")
    person.page.keyboard.press("Delete")
    person.has(0)
    person.page.keyboard.press("Control+z")
    person.has(1)


def test_network_is_built_and_read(opened):
    person = opened()
    person.page.fill("#units-0", "3")
    person.page.press("#units-0", "Enter")
    person.shows("#shape", "2-3-4-1")
    person.page.click("#add-layer")
    person.shows("#shape", "2-3-4-4-1")
    person.page.get_by_label("Remove hidden layer 2").click()
    person.shows("#shape", "2-3-4-1")
    person.page.get_by_label("Remove hidden layer 2").click()
    person.shows("#shape", re.compile("^2-3-1$"))
    assert person.page.locator(".neuron").count() == 6
    person.steps(5)
    person.click(*person_point(person))
    person.shows("#neuron", "For the chosen point")
    person.page.get_by_role("button", name="hidden layer 1, neuron 2").click()
    person.shows("#neuron caption", "Hidden layer 1, neuron 2")
    rows = [[float(v.replace("−", "-")) for v in row.split("\t")[1:]] for row in person.text("#neuron tbody").splitlines()]
    total, value = (float(v.replace("−", "-")) for v in re.search(r"sum (\S+), .* = (\S+)", person.text("#neuron p")).groups())
    assert total == pytest.approx(sum(w * x for w, x, _ in rows), abs=0.01) == pytest.approx(sum(p for *_, p in rows), abs=0.01)
    assert value == pytest.approx(np.tanh(total), abs=0.002)
    person.page.keyboard.press("ArrowRight")
    person.shows("#neuron caption", "Output")
    person.page.get_by_text("Show gradients").click()
    person.shows("#neuron thead", "∂loss/∂weight")
    person.shows("#by-layer", "hidden 1")
    maps = person.page.evaluate("[...document.querySelectorAll('.neuron canvas')].map(c => c.toDataURL())")
    assert len(set(maps)) == 6, "every neuron shows a map of its own"


def person_point(person):
    """A point of the data that stands alone enough to be clicked."""
    points = np.array([p[:2] for p in Session().board.points])
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1) + 9 * np.eye(len(points))
    return tuple(points[distance.min(axis=1).argmax()])


def test_settings_reach_the_code_and_the_code_runs(opened):
    """Choose everything, train, copy the code, run it: the loss on the page comes out."""
    person = opened()
    person.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for where, label in {"#activation": "ReLU", "#loss": "squared error", "#optimizer": "SGD, momentum 0.9", "#rate": "0.1", "#batch": "20",
                         "#decay": "0.001", "#preset": "moons", "#points": "100", "#noise": "0.2"}.items():  # fmt: skip
        person.page.select_option(where, label=label)
    person.page.fill("#seed", "7")
    person.page.press("#seed", "Enter")
    person.has(100)
    person.steps(1, hundred=True)
    person.page.click("#code-card summary")
    person.shows("#code", "range(100)")
    person.page.click("#copy")
    person.shows("#copy", "Copied")
    code = person.page.evaluate("navigator.clipboard.readText()")
    for part in ("nn.ReLU()", "nn.Sigmoid()", "nn.MSELoss()", "optim.SGD(", "lr=0.1, momentum=0.9, weight_decay=0.001", "split(20)", "moons(100, 0.2)",
                 "torch.manual_seed(7)", "import tinygrad_edu as torch"):  # fmt: skip
        assert part in code, part
    assert final_loss(code) == pytest.approx(person.number("#at-loss"), abs=1e-4)
    person.page.click("#dice")
    person.expect(person.page.locator("#seed")).not_to_have_value("7")


def test_link_brings_everything_to_another_tab(opened):
    person = opened()
    person.context.grant_permissions(["clipboard-read", "clipboard-write"])
    person.page.select_option("#lesson", label="The spiral")
    person.has(300)
    assert [person.page.input_value(where) for where in ("#preset", "#points", "#noise")] == ["spiral", "300", "0.05"]
    person.click(0, 1.9)
    person.has(301)
    person.page.click("#share")
    person.shows("#share", "Copied")
    link = person.page.evaluate("navigator.clipboard.readText()")
    other = opened()
    other.page.goto("about:blank")
    other.page.goto(link)
    other.has(301)
    other.shows("#shape", "2-8-8-1")
    assert other.points() == person.points()
    other.page.goto("about:blank")
    other.page.goto(link[:-30])
    other.shows("#problem", "cut off on its way")
    other.has(200)
    other.page.goto("about:blank")
    other.page.goto(link.replace("tanh", "cosh"))
    other.shows("#problem", "activation: expected one of")


def test_too_large_a_step_is_explained(opened):
    person = opened()
    person.page.select_option("#lesson", label="Too large a step")
    person.has(20)
    person.steps(2, hundred=True)
    while not person.text("#problem"):
        before = person.text("#at-step")
        person.page.click("#step")
        person.expect(person.page.locator("#at-step")).not_to_have_text(before)
    person.shows("#problem", "Press Reset, and choose a smaller learning rate")
    person.shows("#at-loss", "not a number")
    person.page.click("#train")
    person.shows("#problem", "the weights are no numbers any more")
    person.page.click("#reset")
    person.shows("#problem", re.compile("^$"))
    person.page.select_option("#rate", "0.1")
    person.steps(2, hundred=True)
    assert person.number("#at-loss") < 0.05


BAD = {
    "'nonsense'": "not JSON",
    """'{"do": "add", "x": NaN, "y": 0, "label": 0}'""": "no number in JSON",
    "'x'.repeat(70000)": "longer than 65536 bytes",
    "JSON.stringify({do: 'set', values: {rate: 'fast'}})": "rate: expected a number",
    "JSON.stringify({do: 'delete', index: 400})": "there is no point 400",
    "JSON.stringify({do: '<img src=x onerror=alert(1)>'})": "<img src=x",
}


def test_bad_messages_are_shown(opened):
    """In words, as text; and the page goes on."""
    person = opened()
    for message, words in BAD.items():
        person.page.evaluate(f"window.socket.send({message})")
        person.shows("#problem", words)
        assert person.page.locator("#problem img").count() == 0
        person.page.get_by_label("Dismiss this message").click()
        person.shows("#problem", re.compile("^$"))
    person.steps(1)
    person.has(200)


def test_out_of_sight_out_of_work(opened, running):
    """A hidden page neither trains nor is sent pictures; shown again, it goes on."""
    person = opened()
    person.page.click("#train")
    person.shows("#train", "Pause")
    worker = list(running.server.workers.values())[-1]
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true}); document.dispatchEvent(new Event('visibilitychange'))"
    person.page.evaluate(hide % "true")
    person.points()  # the answer to a later question: the message has been read
    assert not worker.looking and worker.session.training and worker.picture_due() == float("inf")
    before = person.text("#at-step")
    person.page.evaluate(hide % "false")
    person.expect(person.page.locator("#at-step")).not_to_have_text(before)


def test_new_points(opened):
    person = opened()
    first = person.page.evaluate("document.getElementById('dots').toDataURL()")
    person.page.click("#more")
    person.expect(person.page.locator("#undo")).to_be_enabled()
    assert (
        person.page.evaluate("document.getElementById('dots').toDataURL()") != first
        and person.page.input_value("#preset") == "circles"
    )
    person.click(1.9, 1.9)  # no circle comes near a corner, whatever its random points: a click on a point would choose it
    person.has(201)
    assert person.page.is_disabled("#more"), "these points are one's own now"
    person.page.select_option("#noise", "0.4")
    person.has(201)


def test_player_opens_on_the_present_step(opened):
    person = opened()
    person.steps(4)
    with person.context.expect_page() as waiting:
        person.page.click("#player")
    player = waiting.value
    errors = []
    player.on("pageerror", lambda e: errors.append(str(e)))
    player.wait_for_load_state()
    assert "after 4 steps" in player.inner_text("h1")
    before = player.inner_text("#title")
    player.click("#next")
    assert player.inner_text("#title") != before
    assert errors == []


def test_two_tabs_and_a_server_that_ends(browser, playwright_api):
    """Each tab has its own network; when the server is gone, the page says so, and keeps the points for the next one."""
    running = Running()
    person, other = (Opened(browser, running, playwright_api.expect) for _ in range(2))
    person.page.click("#clear")
    person.click(1, 1)
    person.has(1)
    person.page.fill("#units-0", "2")
    person.page.press("#units-0", "Enter")
    person.shows("#shape", "2-2-4-1")
    other.steps(1)
    assert other.text("#shape") == "2-4-4-1" and other.text("#how-many") == "200 points"
    workers = list(running.server.workers.values())
    other.context.close()
    workers[1].join(10)
    assert not workers[1].is_alive() and workers[0].is_alive()
    running.stop()
    person.shows("#problem", "The connection to Python has ended: the server was stopped")
    person.page.click("#step")  # nothing happens, and nothing breaks
    running = Running(running.server.port)
    person.page.get_by_role("button", name="Reconnect").click()
    person.shows("#problem", re.compile("^$"))
    person.has(1)
    person.shows("#shape", "2-2-4-1")
    assert person.errors == []
    person.context.close()
    running.stop()


@pytest.mark.parametrize(("width", "height", "scheme"), [(1600, 1000, "light"), (1024, 768, "dark"), (390, 844, "light")])
def test_everything_fits_and_has_a_name(opened, width, height, scheme):
    """No text outside of its box, in the states with the most on the page."""
    person = opened(width=width, height=height, scheme=scheme)
    assert person.page.evaluate(OVERFLOWING) == []
    assert person.page.evaluate(NAMELESS) == []
    for lesson in ("Gradients that vanish", "A curve of kinks", "Too large a step"):
        person.page.select_option("#lesson", label=lesson)
        person.shows("#at-step", re.compile("^0$"))
        person.steps(1, hundred=True)
        assert person.page.evaluate(OVERFLOWING) == [], lesson
        assert person.page.evaluate(NAMELESS) == [], lesson
    person.page.evaluate("window.socket.send(JSON.stringify({do: 'x'.repeat(60000)}))")
    person.shows("#problem", "expected one of")
    assert person.page.evaluate(OVERFLOWING) == []


def test_dark_and_light(opened):
    person = opened(scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = person.page.evaluate(paper)
    corner = person.colour("field", -1.9, 1.9)
    person.page.select_option("#theme", "light")
    assert sum(map(int, re.findall(r"\d+", person.page.evaluate(paper)))) > 600 > 150 > sum(map(int, re.findall(r"\d+", dark)))
    assert person.colour("field", -1.9, 1.9) != corner, "the pictures change with the page"


def test_contrast():
    """WCAG: 4.5 : 1 for every text colour on every ground, light and dark."""
    css = (ROOT / "tinygrad_edu" / "playground" / "page" / "style.css").read_text(encoding="utf-8")

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    themes = [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r"\{([^{}]*--ink:[^{}]*)\}", css)]
    assert len(themes) == 3 and themes[1] == themes[2]
    for theme in themes:
        for text, ground in [*((t, g) for t in ("ink", "faint", "blue", "orange") for g in ("page", "card")), ("ink", "shade"), ("on-accent", "accent"),
                             ("alarm", "alarm-page")]:  # fmt: skip
            light, dark = sorted((luminance(theme[text]), luminance(theme[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{text} on {ground}: {theme[text]} on {theme[ground]}"
