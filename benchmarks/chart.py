"""Draw what `benchmarks.peer` found: gnomon's speed relative to llama.cpp, a pair of bars a model.

python -m benchmarks.chart OUT.svg FOUND.json...
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from xml.sax.saxutils import escape

LABELS, WIDTH, BAR, GAP, TOP = 190, 430, 11, 9, 46
COLOURS = {
    "prompt t/s": ("#3b6ea5", "prompt, 512 tokens"),
    "generate t/s": ("#e0903c", "generation"),
}
Found = dict[str, dict[str, dict[str, float]]]


def ratios(found: Found) -> dict[str, dict[str, float]]:
    """For each model the quotient of gnomon's and llama.cpp's speeds."""
    return {
        name: {key: pair["gnomon"][key] / pair["llama.cpp"][key] for key in COLOURS}
        for name, pair in found.items()
    }


def draw(rows: dict[str, dict[str, float]]) -> str:
    """The picture: a row of bars per model, a line where both are equally fast."""
    most = math.ceil(max(value for row in rows.values() for value in row.values()))
    step, scale = 2 * BAR + GAP, WIDTH / most
    height = TOP + step * len(rows) + 24
    parts = [_legend(), *_grid(most, scale, height)]
    for index, (name, row) in enumerate(rows.items()):
        y = TOP + step * index
        parts.append(_text(LABELS - 8, y + BAR + 4, name.removesuffix(".gguf"), "end"))
        for line, (key, value) in enumerate(row.items()):
            top, colour = y + line * BAR, COLOURS[key][0]
            parts.append(_bar(LABELS, top, value * scale, BAR - 1, colour))
            parts.append(_text(LABELS + value * scale + 4, top + BAR - 2, f"{value:.2f}", "start"))
    return _page(LABELS + WIDTH + 44, height, parts)


def _legend() -> str:
    parts = []
    for index, (colour, words) in enumerate(COLOURS.values()):
        x = LABELS + 170 * index
        parts += [_bar(x, 12, 10, 10, colour), _text(x + 15, 21, words, "start")]
    return "".join(parts)


def _grid(most: int, scale: float, height: int) -> list[str]:
    """A line and its number for each whole ratio; llama.cpp's own is darker."""
    parts = []
    for tick in range(most + 1):
        x, colour = LABELS + tick * scale, "#555" if tick == 1 else "#ddd"
        parts.append(f'<path d="M{x:.1f} {TOP - 8}V{height - 20}" stroke="{colour}"/>')
        parts.append(_text(x, height - 6, "llama.cpp" if tick == 1 else str(tick), "middle"))
    return parts


def _bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width:.1f}" height="{height}" fill="{colour}"/>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def _page(width: int, height: int, parts: list[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11" fill="#222">'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>\n"])


def main() -> None:
    """Read the command line and write the picture."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("found", nargs="+", type=Path)
    given = parser.parse_args()
    found: Found = {}
    for path in given.found:
        found |= json.loads(path.read_text())
    given.out.write_text(draw(ratios(found)))
    print(f"{given.out}: {len(found)} models")


if __name__ == "__main__":
    main()
