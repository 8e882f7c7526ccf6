"""A Sphinx extension that writes formulas as MathML: browsers show it by themselves, without a script and without a network."""

from html import escape

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

logger = logging.getLogger(__name__)


def mathml(node, display):
    """The formula of a math node; one that cannot be read is a warning, hence an error of the build."""
    source = node.astext()
    try:
        return convert(source, display=display)
    except Exception as error:
        logger.warning("the formula cannot be read: %s (%s: %s)", source, type(error).__name__, error, location=node)
        return f"<code>{escape(source)}</code>"


def inline(translator, node):
    """$ … $ within a line."""
    translator.body.append(mathml(node, "inline"))
    raise nodes.SkipNode


def block(translator, node):
    """$$ … $$ on lines of its own."""
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    translator.body.append(mathml(node, "block"))
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
