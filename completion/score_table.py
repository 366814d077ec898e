"""The scoreboard as a table: one row a module, one column a metric."""

from collections.abc import Sequence
from dataclasses import replace

from completion import fonts
from completion.figures import METRICS, per_query, score, seconds
from completion.lettering import Style, draw, fitted
from completion.manifest import PRODUCTION, ModuleRow
from completion.recall_plot import GOLD, INK, LINE, Box
from completion.tagging import TaggedCanvas

NAME_WIDTH = 80.0
HEAD = ("module", *METRICS.values(), "USD/query", "p95")
TINT = "#faf6ea"
ROW = 13.6


def draw_table(page: TaggedCanvas, box: Box, modules: Sequence[ModuleRow]) -> None:
    """From the top of the box downwards."""
    height = min(ROW, box.height / (len(modules) + 1))
    top = box.y + box.height
    with page.decoration():
        draw_lines(page, box, modules, height)
    with page.group("Table"):
        draw_row(page, box, top - height, "TH", HEAD, Style(fonts.BOLD, 6.8, GOLD), height)
        for number, row in enumerate(modules):
            font = fonts.BOLD if row["module"] == PRODUCTION else fonts.REGULAR
            style = Style(font, min(7.4, height * 0.7), INK)
            draw_row(page, box, top - height * (number + 2), "TD", cells(row), style, height)


def draw_lines(page: TaggedCanvas, box: Box, modules: Sequence[ModuleRow], height: float) -> None:
    canvas = page.canvas
    for number, row in enumerate(modules):
        bottom = box.y + box.height - height * (number + 2)
        if row["module"] == PRODUCTION:
            canvas.setFillColor(TINT)
            canvas.rect(box.x, bottom, box.width, height, stroke=0, fill=1)
        canvas.setStrokeColor(LINE)
        canvas.setLineWidth(0.5)
        canvas.line(box.x, bottom, box.x + box.width, bottom)
    canvas.setStrokeColor(GOLD)
    canvas.setLineWidth(0.8)
    canvas.line(box.x, box.y + box.height - height, box.x + box.width, box.y + box.height - height)


def draw_row(
    page: TaggedCanvas, box: Box, bottom: float, kind: str, texts: Sequence[str], style: Style, height: float
) -> None:
    width = (box.width - NAME_WIDTH) / (len(texts) - 1)
    base = bottom + height * 0.32
    with page.group("TR"):
        for number, text in enumerate(texts):
            room = (NAME_WIDTH if number == 0 else width) - 4
            sized = replace(style, size=fitted(text, style, width=room, smallest=3))
            with page.content(kind):
                if number == 0:
                    draw(page.canvas, box.x + 3, base, text, sized)
                else:
                    draw(page.canvas, box.x + NAME_WIDTH + width * number - 2, base, text, sized, "right")


def cells(row: ModuleRow) -> list[str]:
    return [row["module"], *(score(row, metric) for metric in METRICS), per_query(row), seconds(row)]
