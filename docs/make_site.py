"""Build the site, warnings being errors, and check it: `python docs/make_site.py [FOLDER]`. No dead link inside, no request to outside."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

HERE = Path(__file__).parent
FETCHING = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
}
OUTSIDE = re.compile(r"\s*(https?:)?//")


class Page(HTMLParser):
    """The anchors, the links and the fetched addresses of one HTML file."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.fetched = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors.update(found[key] for key in ("id", "name") if found.get(key))
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if (
            tag == "link"
            and found.get("href")
            and found.get("rel") not in ("canonical", "next", "prev", "index", "search", "author")
        ):
            self.fetched.append(found["href"])
        if FETCHING.get(tag) in found:
            self.fetched.append(found[FETCHING[tag]])
        if found.get("srcdoc"):
            self.fetched += re.findall(r"""(?:src|href)=["']([^"']+)["']""", found["srcdoc"])
        if found.get("style"):
            self.fetched += addresses(found["style"])


def addresses(style):
    """What a style sheet fetches."""
    found = re.findall(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""", style)
    return [a or b for a, b in found if not (a or b).startswith(("data:", "#"))]


def problems(site):
    """Dead links inside, and whatever would be fetched from outside, one line each."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        for address in [*page.links, *page.fetched]:
            if OUTSIDE.match(address):
                if address in page.fetched:
                    found.append(f"{name}: fetches {address}")
                continue
            if re.match(r"(mailto|data|javascript):", address):
                continue
            place, anchor = urldefrag(address)
            target = (path.parent / unquote(place.partition("?")[0])).resolve() if place else path
            if not target.exists():
                found.append(f"{name}: there is no {address}")
            elif anchor and target in pages and unquote(anchor) not in pages[target].anchors:
                found.append(f"{name}: {address} names no heading there")
    for path in site.rglob("*.css"):
        found += [f"{path.name}: fetches {a}" for a in addresses(path.read_text(encoding="utf-8")) if OUTSIDE.match(a)]
    return found, len(pages)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "_build" / "site")
    parser.add_argument("--again", action="store_true", help="keep what has not changed since the last build")
    arguments = parser.parse_args()
    began = time.monotonic()
    if not arguments.again:
        shutil.rmtree(arguments.folder, ignore_errors=True)
    jobs = ["-j", "2"] if sys.platform != "win32" else []
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", *jobs, "-b", "html", str(HERE), str(arguments.folder)]
    # OpenBLAS now and then raises the flag for lanes that it does not use: as in pyproject.toml, for the cells of the pages
    flags = ",".join(f"ignore:invalid value encountered in {name}:RuntimeWarning" for name in ("matmul", "dot"))
    build = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, encoding="utf-8", env={**os.environ, "PYTHONWARNINGS": flags})
    for line in build.stderr:
        if "Kernel is running over TCP" not in line:  # ipykernel says so for each page; the kernel listens to this machine alone
            sys.stderr.write(line)
    if build.wait():
        return 1
    found, count = problems(arguments.folder)
    print(
        "\n".join(found)
        if found
        else f"{count} pages in {time.monotonic() - began:.0f} s, no dead link inside, no request to outside"
    )
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
