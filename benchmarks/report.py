"""A chart of what ``--json`` has written, as an SVG for the README: each server's share of what a reference does.

Bars of different benchmarks have nothing in common but that: each is its server's median ratio to a reference without
features that was measured in the same run, and the figure itself stands behind it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

__all__ = ["Bar", "Chart", "charts", "draw", "write"]

CHARTS = {
    "room": "Live room of 5,000: rate kept up with",
    "fanout 1": "A message to 5,000, one at a time",
    "fanout 40": "Bursts of 40 messages to 5,000",
    "echo 50 1": "Echo, 50 clients, 1 in flight",
    "echo 500 8": "Echo, 500 clients, 8 in flight",
}
OWN = "Tidegate"
WIDTH, LEFT, RIGHT, TOP = 720, 150, 200, 12
TITLE_HEIGHT, BAR_HEIGHT, STEP, GAP = 26, 14, 20, 18
# Of one element each, so that a page's colours hold wherever the picture is shown as one.
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.note { font-size: 11px; fill: #59636e }
.own { fill: #0969da } .other { fill: #afb8c1 } .reference { fill: #59636e }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .note { fill: #9198a1 }
  .own { fill: #4493f8 } .other { fill: #57606a } .reference { fill: #9198a1 }
}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One server.

    Attributes:
        name: of the server.
        value: its figure, with the unit.
        ratio: to the reference.
        kind: "own", "other" or "reference".
    """

    name: str
    value: str
    ratio: float
    kind: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Servers under one load, the reference among them."""

    title: str
    bars: Sequence[Bar]


def write(files: Sequence[str], svg: str) -> None:
    """Draw what is in files; what is in several is taken from the last.

    Raises:
        OSError: a file can't be read or written.
        ValueError: a file is not of a benchmark, or there is nothing to draw.
    """
    rows: list[dict[str, Any]] = []
    for file in files:
        try:
            found = json.loads(Path(file).read_text())
            rows += [row for benchmark in found["benchmarks"].values() for row in benchmark["rows"]]
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"{file} is not what --json writes: {error}") from error
    drawn = charts(rows)
    if not drawn:
        raise ValueError("nothing to draw: measure fanout, room, echo or peers, with --json")
    Path(svg).write_text(draw(drawn))


def charts(rows: Sequence[dict[str, Any]]) -> list[Chart]:
    """What is to be drawn, the best server first."""
    found = []
    for key, title in CHARTS.items():
        mine = {row["server"]: row for row in rows if row["chart"] == key and "ratio" in row}
        if not mine:
            continue
        bars = [
            Bar(
                server,
                describe(row["figure"]["median"], row["unit"]),
                row["ratio"],
                "own" if server == OWN else "other",
            )
            for server, row in mine.items()
        ]
        reference = mine.get(OWN, next(iter(mine.values())))["reference"]
        unit = next(iter(mine.values()))["unit"]
        bars.append(Bar(reference["label"], describe(reference["median"], unit), 1.0, "reference"))
        found.append(Chart(title, sorted(bars, key=lambda bar: -bar.ratio)))
    return found


def describe(value: float, unit: str) -> str:
    """A figure, short."""
    short = f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1000:.0f} k" if value >= 10_000 else f"{value:,.0f}"
    return f"{short} {unit.removesuffix(' to each').replace(' a second', '/s')}"


def draw(drawn: Sequence[Chart]) -> str:
    """The picture."""
    height = TOP + sum(TITLE_HEIGHT + STEP * len(chart.bars) + GAP for chart in drawn) + STEP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="What Tidegate and other servers reach, as a share of a reference without features">',
        f"<style>{STYLE}</style>",
    ]
    y = TOP
    for chart in drawn:
        y = draw_chart(parts, chart, y)
    note = "Bars: share of the reference, measured in the same run on the same core. Each row has its own scale."
    parts += [f'<text class="note" x="{TOP}" y="{y + 8}">{note.replace("row", "chart")}</text>', "</svg>"]
    return "\n".join(parts) + "\n"


def draw_chart(parts: list[str], chart: Chart, y: int) -> int:
    """One chart; gives where the next begins."""
    most = max(bar.ratio for bar in chart.bars)
    parts.append(f'<text class="title" x="{TOP}" y="{y + BAR_HEIGHT}">{escape(chart.title)}</text>')
    y += TITLE_HEIGHT
    for bar in chart.bars:
        length = max(bar.ratio / most * (WIDTH - LEFT - RIGHT), 1)
        middle = y + BAR_HEIGHT - 3
        parts += [
            f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(bar.name)}</text>',
            f'<rect class="{bar.kind}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR_HEIGHT}" rx="2"/>',
            f'<text class="note" x="{LEFT + length + 6:.1f}" y="{middle}">{bar.ratio:.2f} · {escape(bar.value)}</text>',
        ]
        y += STEP
    return y + GAP
