"""Hand a page to MyST-NB as a notebook, so that Sphinx runs each of its cells and shows what really comes out."""

import nbformat
from pages import cells, fenced

# set-up that no reader sees: errors in one line, and the seed that contributing.md promises
PREPARE = """%xmode Minimal
import tinygrad_edu
tinygrad_edu.manual_seed(0)
del tinygrad_edu"""


def notebook(text):
    """The page as a notebook of nbformat 4. Text blocks below cells are left out: what the cell prints takes their place."""
    made, lines, prose = [], [], []
    page = cells(text)

    def flush():
        if prose:
            made.append(nbformat.v4.new_markdown_cell("\n".join(p for p, _ in prose)))
            lines.append(prose[0][1])
            prose.clear()

    if any(piece.is_cell for piece in page):
        made.append(nbformat.v4.new_code_cell(PREPARE, metadata={"tags": ["remove-cell"]}))
        lines.append(0)
    for piece in page:
        if piece.is_cell:
            flush()
            tags = ["raises-exception"] if piece.may_fail else []
            made.append(nbformat.v4.new_code_cell(piece.text, metadata={"tags": tags}))
            lines.append(piece.line - 1)
        elif piece.language == "python":  # a quotation
            prose.append((fenced(piece, "python"), piece.line - 2))
        elif piece.language == "{literalinclude}":
            piece.text = f":language: python\n:dedent:\n{piece.text}"
            prose.append((fenced(piece), piece.line - 2))
        elif piece.language is None:
            prose.append((piece.text, piece.line - 1))
        else:
            prose.append((fenced(piece), piece.line - 2))
    flush()
    whole = nbformat.v4.new_notebook(cells=made)
    whole.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    whole.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    whole.metadata["source_map"] = lines
    if not any(cell.cell_type == "code" for cell in made):
        whole.metadata["mystnb"] = {"execution_mode": "off"}
    return whole
