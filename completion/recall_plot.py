"""Recall@5 of every module with its 95 % interval, drawn from lines and circles."""

from collections.abc import Sequence
from dataclasses import dataclass

from completion import fonts
from completion.figures import interval, score
from completion.lettering import Style, draw
from completion.manifest import PRODUCTION, ModuleRow
from completion.tagging import TaggedCanvas

METRIC = "recall_at_5"
INK, QUIET, LINE, GOLD = "#14213d", "#5a6478", "#dfe3ea", "#9a7420"
AXIS = 26
"""points left of the plot, for the numbers"""
LABELS = 16
"""points below it, for the names"""
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
RADIUS, CAP = 3.2, 5.0


@dataclass(frozen=True, slots=True)
class Box:
    """In points; `x`, `y` is the lower left corner."""

    x: float
    y: float
    width: float
    height: float


def draw_plot(page: TaggedCanvas, box: Box, modules: Sequence[ModuleRow]) -> None:
    inner = Box(box.x + AXIS, box.y + LABELS, box.width - AXIS, box.height - LABELS)
    with page.content("Figure", alt=described(modules)):
        draw_grid(page, inner)
        for number, row in enumerate(modules):
            middle = inner.x + inner.width * (number + 0.5) / len(modules)
            draw_module(page, inner, middle, row)
            colour = GOLD if row["module"] == PRODUCTION else INK
            draw(page.canvas, middle, box.y + 3, row["module"], Style(fonts.BOLD, 7.5, colour), "centre")


def draw_grid(page: TaggedCanvas, inner: Box) -> None:
    canvas = page.canvas
    canvas.setStrokeColor(LINE)
    canvas.setLineWidth(0.5)
    for step in STEPS:
        y = inner.y + inner.height * step
        canvas.line(inner.x, y, inner.x + inner.width, y)
        draw(canvas, inner.x - 5, y - 2.4, f"{step:.2f}", Style(size=6.6, colour=QUIET), "right")


def draw_module(page: TaggedCanvas, inner: Box, middle: float, row: ModuleRow) -> None:
    canvas, found = page.canvas, row["metrics"][METRIC]
    if found["value"] is None:
        draw(canvas, middle, inner.y + 8, "not measured", Style(fonts.ITALIC, 7, QUIET), "centre")
        return
    colour = GOLD if row["module"] == PRODUCTION else INK
    canvas.setStrokeColor(colour)
    canvas.setFillColor(colour)
    canvas.setLineWidth(1.1)
    if found["low"] is not None and found["high"] is not None:
        low, high = height_of(inner, found["low"]), height_of(inner, found["high"])
        canvas.line(middle, low, middle, high)
        for end in (low, high):
            canvas.line(middle - CAP, end, middle + CAP, end)
    y = height_of(inner, found["value"])
    canvas.circle(middle, y, RADIUS, stroke=0, fill=1)
    draw(canvas, middle + RADIUS + 4, y - 2.8, score(row, METRIC), Style(fonts.BOLD, 8, colour))


def height_of(inner: Box, value: float) -> float:
    return inner.y + inner.height * min(1.0, max(0.0, value))


def described(modules: Sequence[ModuleRow]) -> str:
    told = [f"{row['module']} {score(row, METRIC)} ({interval(row, METRIC) or 'no interval'})" for row in modules]
    return f"Plot of Recall@5 by module, with 95 % intervals: {'; '.join(told)}."
