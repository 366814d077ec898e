"""The geometry of line charts that are drawn as SVG by a template. Plain Python.

A chart is 100 wide and 100 high, and is stretched to the room it has; y grows downwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

HEADROOM = 1.08


@dataclass(frozen=True, slots=True)
class Series:
    """`lines`: SVG point lists, one for each stretch without a gap; `dots`: every point, as `x,y`.

    `dashed` leads to a last point that is not final yet, and may be empty.
    """

    name: str
    lines: tuple[str, ...]
    dots: tuple[str, ...]
    dashed: str


@dataclass(frozen=True, slots=True)
class Column:
    """The strip of one label: to point at, and to follow."""

    x: float
    width: float
    label: str
    told: str
    url: str


@dataclass(frozen=True, slots=True)
class LineChart:
    title: str
    top: str
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    columns: tuple[Column, ...]


def line_chart(
    *,
    title: str,
    labels: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    form: str,
    urls: Sequence[str],
    last_is_partial: bool = False,
    top: float | None = None,
) -> LineChart:
    """`form`: how a value is written, such as `${:.2f}`. A value of None is a gap. Without `top` the largest fits."""
    known = [value for values in series.values() for value in values if value is not None]
    highest = top or max(known, default=0.0) * HEADROOM or 1.0
    return LineChart(
        title=title,
        top=form.format(highest),
        labels=ends_of(labels),
        series=tuple(drawn(name, values, highest, last_is_partial) for name, values in series.items()),
        columns=columns(labels, series, form, urls),
    )


def drawn(name: str, values: Sequence[float | None], highest: float, last_is_partial: bool) -> Series:
    points = [None if value is None else point(n, len(values), value / highest) for n, value in enumerate(values)]
    dashed = ""
    solid: Sequence[str | None] = points
    if last_is_partial and len(points) > 1:
        solid = points[:-1]
        dashed = " ".join(each for each in points[-2:] if each) if all(points[-2:]) else ""
    return Series(name, stretches(solid), tuple(each for each in points if each), dashed)


def point(n: int, of: int, height: float) -> str:
    """In the middle of the n-th of so many columns; a height of 0 is at the bottom, 1 at the top."""
    return f"{(n + 0.5) * 100 / of:.2f},{100 - min(max(height, 0.0), 1.0) * 100:.2f}"


def stretches(points: Sequence[str | None]) -> tuple[str, ...]:
    gaps = [-1, *(n for n, each in enumerate(points) if each is None), len(points)]
    found = (" ".join(each for each in points[a + 1 : b] if each) for a, b in pairwise(gaps))
    return tuple(line for line in found if " " in line)


def ends_of(labels: Sequence[str]) -> tuple[str, ...]:
    """The first, the middle one and the last."""
    if len(labels) < 3:
        return tuple(labels)
    return (labels[0], labels[len(labels) // 2], labels[-1])


def columns(
    labels: Sequence[str], series: Mapping[str, Sequence[float | None]], form: str, urls: Sequence[str]
) -> tuple[Column, ...]:
    width = 100 / max(len(labels), 1)

    def told(n: int) -> str:
        values = ((name, each[n]) for name, each in series.items())
        return ", ".join(f"{name} {'none' if value is None else form.format(value)}" for name, value in values)

    each = enumerate(zip(labels, urls, strict=True))
    return tuple(Column(round(n * width, 3), round(width, 3), label, told(n), url) for n, (label, url) in each)
