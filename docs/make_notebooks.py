"""Write the chapters of Learn as Jupyter notebooks: `python docs/make_notebooks.py [--run] [FOLDER]`; --run also runs them (needs nbclient)."""

import argparse
import ast
import json
import re
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from pages import cells, fenced, pieces  # noqa: E402

FOLDERS = ("start", "learn", "zh")
KERNEL = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}
SEED = "import tinygrad_edu as tg\n\ntg.manual_seed(0);"


def is_chapter(docname):
    """Whether a page of the site also is a notebook: every page with cells of Start, Learn and their translation."""
    path = HERE / f"{docname}.md"
    if docname.partition("/")[0] not in FOLDERS or not path.exists():
        return False
    return any(piece.is_cell for piece in pieces(path.read_text(encoding="utf-8")))


def chapters():
    """All of them, as names of pages."""
    found = (
        p.relative_to(HERE).with_suffix("").as_posix() for folder in FOLDERS for p in sorted((HERE / folder).glob("**/*.md"))
    )
    return [name for name in found if is_chapter(name)]


def quoted(piece, folder):
    """The code that a literalinclude points to."""
    path = (folder / piece.info).resolve()
    source = path.read_text(encoding="utf-8")
    wanted = re.search(r":pyobject:\s*(\S+)", piece.text)
    if not wanted:
        return source
    lines, place = source.splitlines(), ast.parse(source)
    for name in wanted[1].split("."):
        place = next((n for n in place.body if getattr(n, "name", None) == name), None)
        if place is None:
            raise AssertionError(f"{piece.info} has no {wanted[1]}")
    start = min([place.lineno, *(d.lineno for d in place.decorator_list)])
    return textwrap.dedent("\n".join(lines[start - 1 : place.end_lineno]))


def as_jupyter_reads(text, name):
    """Prose for a plain Jupyter: boxes as quotations, links to chapters as links to their notebooks."""

    def box(match):
        kind, heading, body = match[1], match[2].strip(), match[3].strip()
        lines = [f"**{heading or kind.capitalize()}**", "", *body.splitlines()]
        return "\n".join(f"> {line}".rstrip() for line in lines)

    text = re.sub(r"(?ms)^:{3,}\{(\w+)\}(.*?)\n(.*?)^:{3,}$", box, text)

    def link(match):
        words, target = match[1], match[2]
        if re.match(r"\w+:|#", target):
            return match[0]
        place, _, anchor = target.partition("#")
        page = (HERE / name).parent.joinpath(place).resolve()
        inside = page.is_relative_to(HERE) and is_chapter(page.relative_to(HERE).with_suffix("").as_posix())
        return f"[{words}]({place.removesuffix('.md')}.ipynb)" if inside and place.endswith(".md") else words

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", link, text)


def notebook(name):
    """One chapter as the dictionary that an .ipynb file holds. Solutions come closed, as code that one opens by a click."""
    path = HERE / f"{name}.md"
    made, prose, folded = [], [], ""

    def flush():
        text = as_jupyter_reads("\n".join(prose), name).strip()
        if text:  # a fold ends with its cell; what follows it in the fold is folded anew
            text = f"<details>{folded}\n\n{text}\n\n</details>" if folded else text
            made.append({"cell_type": "markdown", "metadata": {}, "source": text})
        prose.clear()

    page = cells(path.read_text(encoding="utf-8"))
    made.append(code(SEED))
    for piece in page:
        if piece.is_cell:
            flush()
            if folded and made[-1]["cell_type"] == "markdown" and not made[-1]["source"].startswith("<details>"):
                made.append({"cell_type": "markdown", "metadata": {}, "source": re.sub(r"</?summary>", "**", folded)})
            made.append(code(piece.text, bool(folded), piece.may_fail))
        elif piece.language == "{toctree}":
            continue
        elif piece.language == "{literalinclude}":
            prose.append(f"```python\n{quoted(piece, path.parent)}\n```")
        elif piece.language == "python":
            prose.append(fenced(piece, "python"))
        elif piece.language is None:
            for part in re.split(r"(<details>.*?</summary>|</details>)", piece.text):
                if part.startswith(("<details>", "</details>")):
                    flush()
                    folded = part.removeprefix("<details>") if part.startswith("<details>") else ""
                else:
                    prose.append(part)
        else:
            prose.append(fenced(piece))
    flush()
    for number, cell in enumerate(made):
        cell["id"] = f"cell-{number}"
    heading = next(i for i, cell in enumerate(made) if cell["cell_type"] == "markdown")
    made.insert(0, made.pop(heading))
    return {"cells": made, "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5}


def code(text, folded=False, may_fail=False):
    """A code cell; of a folded one Jupyter shows a bar to click, and another for what it prints."""
    tags = ["hide-input"] * folded + ["raises-exception"] * may_fail
    metadata = {
        **({"tags": tags} if tags else {}),
        **({"jupyter": {"source_hidden": True, "outputs_hidden": True}} if folded else {}),
    }
    return {"cell_type": "code", "metadata": metadata, "execution_count": None, "outputs": [], "source": text}


def write(folder):
    """Write all notebooks below the folder; returns their paths."""
    made = []
    for name in chapters():
        path = Path(folder) / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(notebook(name), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        made.append(path)
    return made


def run(path):
    """Run one as a plain Jupyter does; an error in a cell is raised."""
    import tempfile

    import nbformat
    from nbclient import NotebookClient

    with tempfile.TemporaryDirectory() as place:
        NotebookClient(nbformat.read(path, 4), timeout=240, resources={"metadata": {"path": place}}).execute()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=HERE / "_build" / "notebooks")
    parser.add_argument("--run", action="store_true", help="run each notebook in a Jupyter kernel")
    parser.add_argument("--only", nargs="+", metavar="PAGE", help="run these alone, as in learn/neuron")
    arguments = parser.parse_args()
    for path in write(arguments.folder):
        name = path.relative_to(arguments.folder).with_suffix("").as_posix()
        if arguments.run and (not arguments.only or name in arguments.only):
            run(path)
        print(path)


if __name__ == "__main__":
    main()
