"""Sphinx's settings: MyST-NB runs the pages, furo shows them, nothing is fetched from anywhere. Build with docs/make_site.py."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import make_notebooks  # noqa: E402
from pages import title  # noqa: E402

project = "tinygrad_edu"
author = "the authors of tinygrad_edu"
copyright = "the authors of tinygrad_edu, MIT license"
html_title = "tinygrad_edu"
language = "en"
highlight_language = "none"

extensions = ["myst_nb", "formulas", "api"]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
suppress_warnings = ["misc.highlighting_failure"]  # errors that show the source's line are no traceback that Pygments knows
nitpicky = True

# pages: see contributing.md
nb_custom_formats = {".md": ["reader.notebook", {}, False]}
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 240
nb_merge_streams = True
nb_output_stderr = "warn"
nb_ipywidgets_js = {}
nb_mime_priority_overrides = [("html", "text/html", 0), ("html", "image/svg+xml", 10), ("html", "image/png", 20)]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist", "attrs_block"]
myst_heading_anchors = 3

# what it looks like
html_theme = "furo"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
pygments_style = "tango"
pygments_dark_style = "github-dark"
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}


def notebook_link(app, docname, source):
    """Under the heading of a chapter that also is a notebook: where to get it."""
    if make_notebooks.is_chapter(docname):
        depth = "../" * docname.count("/")
        words = "下载本章的 Jupyter notebook" if docname.startswith("zh/") else "Download this chapter as a notebook"
        link = f'\n\n<p class="notebook"><a href="{depth}notebooks/{docname}.ipynb" download>{words}</a></p>\n'
        heading = f"# {title(source[0])}"
        source[0] = source[0].replace(heading, heading + link, 1)


def language_of_page(app, docname, template, context, doctree):
    """Chinese pages say so to browsers and screen readers."""
    if docname.startswith("zh/"):
        context["language"] = "zh-CN"


def write_notebooks(app, exception):
    """The notebooks lie beside the pages that link to them."""
    if exception is None and app.builder.format == "html":
        make_notebooks.write(Path(app.outdir) / "notebooks")


def setup(app):
    app.connect("source-read", notebook_link)
    app.connect("html-page-context", language_of_page)
    app.connect("build-finished", write_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
