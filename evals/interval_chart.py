"""The geometry of a chart of means with intervals, drawn as SVG by a template. Plain Python.

A chart is 100 wide and 100 high, and is stretched to the room it has; y grows downwards. Values are from 0 to 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

CAP = 1.4
"""half the width of the strokes that end an interval"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One mean at `x`: `dot` as `x,y`; `whisker` is an SVG path, empty where there is no interval. `told` says it in words."""

    label: str
    short: str
    dot: str
    whisker: str
    told: str


@dataclass(frozen=True, slots=True)
class IntervalChart:
    """`line` joins the means, as an SVG point list. `levels` are (y in per cent from the top, text)."""

    title: str
    bars: tuple[Bar, ...]
    line: str
    levels: tuple[tuple[float, str], ...]


def interval_chart(
    *, title: str, values: Sequence[tuple[str, float | None, float | None, float | None]]
) -> IntervalChart:
    """`values` holds (name, mean, low, high); what has no mean is left out, its place stays free."""
    bars = tuple(
        bar(name, n, len(values), mean, low, high)
        for n, (name, mean, low, high) in enumerate(values)
        if mean is not None
    )
    levels = tuple((100.0 - level, f"{level / 100:.2f}") for level in (100, 75, 50, 25, 0))
    return IntervalChart(title, bars, " ".join(each.dot for each in bars), levels)


def bar(name: str, n: int, of: int, mean: float, low: float | None, high: float | None) -> Bar:
    known = low is not None and high is not None
    told = f"{mean:.3f}" + (f", 95 % interval {low:.2f} to {high:.2f}" if known else "")
    whisker = whiskers(n, of, low, high) if low is not None and high is not None else ""
    return Bar(name, name.partition("-")[0], point(n, of, mean), whisker, told)


def point(n: int, of: int, height: float) -> str:
    """In the middle of the n-th of so many columns; a height of 0 is at the bottom, 1 at the top."""
    return f"{(n + 0.5) * 100 / of:.2f},{100 - min(max(height, 0.0), 1.0) * 100:.2f}"


def whiskers(n: int, of: int, low: float, high: float) -> str:
    bottom, top = point(n, of, low), point(n, of, high)
    caps = "".join(f"M{end}m{-CAP},0h{2 * CAP}" for end in (bottom, top))
    return f"M{bottom}L{top}{caps}"
