"""Run docs/gallery.md and write its pictures: `python docs/make_gallery.py [FOLDER]`. Each cell that ends in a picture names its file beneath."""

import ast
import re
import sys
from pathlib import Path

import pages

import tinygrad_edu as tg

HERE = Path(__file__).parent
FILE = re.compile(r"\s*\[[^]]+\]\(pictures/gallery/([\w.]+)\)")


def run(text):
    """{file name: picture} of a page: the value of the last line of each cell that a link to a file follows."""
    scope, found, waiting = {"__name__": "__main__", "print": lambda *words: None}, {}, None
    tg.manual_seed(0)
    for piece in pages.cells(text):
        if piece.is_cell:
            tree = ast.parse("\n" * (piece.line - 1) + piece.text)  # as the page has it: names come from its lines
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, str(HERE / "gallery.md"), "exec"), scope)
            waiting = eval(compile(ast.Expression(last.value), str(HERE / "gallery.md"), "eval"), scope) if last is not None else None
        elif piece.language is None and waiting is not None:
            link = FILE.match(piece.text)
            if link is None:
                raise ValueError(f"gallery.md, line {piece.line}: the picture above has no link to a file beneath it")
            found[link[1]], waiting = waiting, None
    return found


def save(picture, path):
    """Write one picture, whatever made it."""
    if hasattr(picture, "savefig"):
        picture.savefig(path, dpi=150, metadata={"Software": None} if path.suffix == ".png" else None)
    else:
        picture.save(path)


def main(folder=HERE / "pictures" / "gallery"):
    """Write all pictures into a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made = run((HERE / "gallery.md").read_text(encoding="utf-8"))
    for old in folder.iterdir():
        if old.name not in made:
            old.unlink()
    for name, picture in made.items():
        save(picture, folder / name)
        print(f"{name:20} {(folder / name).stat().st_size:>9,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
