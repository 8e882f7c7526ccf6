"""The legend of a drawn graph: one line of examples beneath the picture, as wide as it, where the layout cannot be disturbed."""

import re
from html import escape

FONT, LETTER, SWATCH, GAP, ROW = 8, 4.9, 24, 14, 19  # points
SIZES = re.compile(r'width="([\d.]+)pt" height="([\d.]+)pt"\s+viewBox="([-\d.]+) ([-\d.]+) ([\d.]+) ([\d.]+)"')


def with_legend(svg, looks, ink):
    """The SVG of Graphviz, made taller by the rows of a legend. `looks`: (shape, style, fill, border, words) of each kind."""
    found = SIZES.search(svg)
    if found is None or not looks:
        return svg
    width, height = float(found[5]), float(found[6])
    rows, x = [[]], 4.0
    for look in looks:
        wide = SWATCH + 5 + len(look[4]) * LETTER
        if rows[-1] and x + wide > max(width, 250):
            rows.append([])
            x = 4.0
        rows[-1].append((x, look))
        x += wide + GAP
    right = max(x + SWATCH + 5 + len(look[4]) * LETTER + 4 for row in rows for x, look in row)
    parts = []
    for k, row in enumerate(rows):
        y = height + 6 + ROW * k
        for x, (shape, style, fill, border, words) in row:
            parts.append(f'<g class="legend">{swatch(shape, style, fill, border, x, y)}<text x="{x + SWATCH + 5:.1f}" y="{y + 9.5:.1f}" '
                         f'font-size="{FONT}" fill="{ink}">{escape(words)}</text></g>')  # fmt: skip
    width, height = max(width, right), height + 8 + ROW * len(rows)
    head = f'width="{width:.0f}pt" height="{height:.0f}pt"\n viewBox="{found[3]} {found[4]} {width:.2f} {height:.2f}"'
    return svg[: found.start()] + head + svg[found.end() : svg.rindex("</svg>")] + "\n".join(parts) + "\n</svg>\n"


def swatch(shape, style, fill, border, x, y, w=SWATCH, h=13.0):
    """A small box of one shape."""
    paint = f'fill="{fill}" stroke="{border}" stroke-width="{1.8 if "bold" in style else 1}"' + (' stroke-dasharray="3 2"' if "dashed" in style else "")
    if shape == "ellipse":
        return f'<ellipse cx="{x + w / 2:.1f}" cy="{y + h / 2:.1f}" rx="{w / 2}" ry="{h / 2}" {paint}/>'
    if shape == "octagon":
        return polygon([(5, 0), (w - 5, 0), (w, 4), (w, h - 4), (w - 5, h), (5, h), (0, h - 4), (0, 4)], x, y, paint)
    if shape == "tab":
        return polygon([(0, 0), (8, 0), (8, 3), (w, 3), (w, h), (0, h)], x, y, paint) + polygon([(0, 3), (8, 3)], x, y, paint)
    if shape == "note":
        return polygon([(0, 0), (w - 4, 0), (w, 4), (w, h), (0, h)], x, y, paint) + polygon([(w - 4, 0), (w - 4, 4), (w, 4)], x, y, paint)
    if shape == "box3d":
        return (polygon([(3, 0), (w, 0), (w, h - 3), (w - 3, h), (0, h), (0, 3)], x, y, paint)
                + polygon([(0, 3), (w - 3, 3), (w, 0), (w - 3, 3), (w - 3, h), (w - 3, 3)], x, y, f'fill="none" stroke="{border}"'))  # fmt: skip
    round_ = ' rx="4"' if shape == "Mrecord" else ""
    out = f'<rect x="{x:.1f}" y="{y:.1f}" width="{w}" height="{h}"{round_} {paint}/>'
    return out + f'<rect x="{x + 2:.1f}" y="{y + 2:.1f}" width="{w - 4}" height="{h - 4}" fill="none" stroke="{border}"/>' if shape == "box" else out


def polygon(points, x, y, paint):
    """A polygon moved to its place."""
    return f'<polygon points="{" ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in points)}" {paint}/>'
