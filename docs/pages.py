"""Read a page of these docs as cells: one reader for the tests, the site and the notebooks. How pages are written: contributing.md."""

import re
import textwrap
from dataclasses import dataclass

FENCE = re.compile(r"(\s*)(`{3,})([^`]*)$")
AN_ERROR = re.compile(r"(?m)^[A-Z]\w*(Error|Exception|Warning|Iteration|Missing|Failed)\b.*:")


@dataclass
class Piece:
    """A fenced block (language, what stands behind it, its text), or a stretch of prose (language None), and its first line's number."""

    language: str | None
    info: str
    text: str
    line: int
    expected: str | None = None

    @property
    def is_cell(self):
        """True for what is run: `python`, with nothing behind it."""
        return self.language == "python" and not self.info

    @property
    def may_fail(self):
        """True if the page shows an error below the block."""
        return bool(self.expected and AN_ERROR.search(self.expected))


def pieces(text):
    """The page's prose and blocks, in order. A fence ends at one as long as it, so a block may hold shorter ones; lists may indent them."""
    found, prose, block, fence = [], [], [], None
    for number, line in enumerate(text.splitlines(), 1):
        match = FENCE.match(line)
        if fence is None and match:
            if prose:
                found.append(Piece(None, "", "\n".join(prose), number - len(prose)))
            language, _, info = match[3].strip().partition(" ")
            fence, prose, block = (match[2], language, info.strip(), number + 1), [], []
        elif fence is None:
            prose.append(line)
        elif match and len(match[2]) >= len(fence[0]) and not match[3].strip():
            found.append(Piece(fence[1], fence[2], textwrap.dedent("\n".join(block)), fence[3]))
            fence = None
        else:
            block.append(line)
    if fence is not None:
        raise AssertionError(f"the block that begins in line {fence[3]} has no end")
    if prose:
        found.append(Piece(None, "", "\n".join(prose), number - len(prose) + 1))
    return found


def cells(text):
    """The pieces, each cell with what the page says it prints: a `text` block below it with nothing but blanks between."""
    made = []
    for piece in pieces(text):
        below = [p for p in made[-2:] if p.language is not None or p.text.strip()]
        if piece.language == "text" and below and below[-1].is_cell and below[-1].expected is None:
            below[-1].expected = piece.text
        else:
            made.append(piece)
    return made


def fenced(piece, language=None):
    """The block as Markdown again."""
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", piece.text)), default=0))
    head = f"{language or piece.language} {piece.info}".strip() if language is None else language
    return f"{ticks}{head}\n{piece.text}\n{ticks}"


def title(text):
    """The page's heading."""
    found = re.search(r"(?m)^# (.+)$", text)
    return found[1].strip() if found else ""
