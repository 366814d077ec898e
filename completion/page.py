"""The one page: drawn from the manifest alone, A4, vector, every font embedded."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from threading import Lock

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from completion import fonts
from completion.figures import (
    SIMULATED,
    cost_note,
    counted,
    day,
    dollars,
    gate_told,
    hours,
    left_out,
    production,
    score,
    simulated,
)
from completion.lettering import Style, draw, fitted, line_width, needs_shaping, wrapped
from completion.manifest import PRODUCTION, Manifest
from completion.page_foot import draw_foot
from completion.recall_plot import GOLD, INK, LINE, QUIET, Box, draw_plot
from completion.score_table import draw_table
from completion.tagging import Element, TaggedCanvas

WIDTH, HEIGHT = A4
LEFT, RIGHT = 50.0, WIDTH - 50.0
MIDDLE = WIDTH / 2
LARGEST_NAME, LARGEST_TALL_NAME, SMALLEST_NAME, BREAKS_WORDS = 33.0, 27.0, 9.0, 15.0
NAME_HEIGHT, LEADING = 46.0, 1.18
NOTICE = "#8a4b08"
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
_drawing = Lock()  # ReportLab's typefaces keep what they have set: one page at a time


class NameTooLong(Exception):
    """A name that does not fit on the page at a size that can be read."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The page as a PDF that is neither tagged nor signed yet, and the tree of what is on it."""

    pdf: bytes
    tree: Element


def draw_page(manifest: Manifest, *, manifest_sha256: str, font_files: Sequence[Path] = ()) -> Drawn:
    """Raises FontProblem, NameTooLong."""
    with _drawing:
        for each in fonts.SHIPPED:
            fonts.face(each)
        output = io.BytesIO()
        canvas = Canvas(output, pagesize=A4, initialFontName=fonts.REGULAR, pageCompression=1)
        page = TaggedCanvas(canvas)
        draw_frame(page)
        draw_head(page, manifest, tuple(font_files))
        draw_figures(page, manifest)
        draw_scores(page, manifest)
        draw_gate(page, manifest)
        draw_foot(page, manifest, manifest_sha256)
        canvas.showPage()
        canvas.save()
    return Drawn(output.getvalue(), page.tree)


def draw_frame(page: TaggedCanvas) -> None:
    canvas = page.canvas
    with page.decoration():
        canvas.setStrokeColor(INK)
        canvas.setLineWidth(1.4)
        canvas.rect(22, 22, WIDTH - 44, HEIGHT - 44)
        canvas.setStrokeColor(GOLD)
        canvas.setLineWidth(0.5)
        canvas.rect(27, 27, WIDTH - 54, HEIGHT - 54)
        canvas.setFillColor("#ffffff")
        for x in (27, WIDTH - 27):
            for y in (27, HEIGHT - 27):
                canvas.rect(x - 3.5, y - 3.5, 7, 7, stroke=1, fill=1)


def draw_head(page: TaggedCanvas, manifest: Manifest, font_files: tuple[Path, ...]) -> None:
    canvas = page.canvas
    with page.content("H1"):
        draw(canvas, MIDDLE, 787, "COMPLETION ARTIFACT", Style(fonts.BOLD, 11, GOLD, tracking=4.2), "centre")
    with page.content("P"):
        draw(canvas, MIDDLE, 772, f"No. {manifest['id']}", Style(fonts.MONO, 8.5, QUIET, tracking=0.6), "centre")
    with page.content("P"):
        draw(canvas, MIDDLE, 747, "This records that", Style(fonts.ITALIC, 11, QUIET), "centre")
    draw_name(page, manifest["name"], font_files)
    with page.decoration():
        draw_divider(canvas, 692)
    with page.content("P", says=" ".join(statement(manifest))):
        for number, line in enumerate(statement(manifest)):
            draw(canvas, MIDDLE, 672 - 14 * number, line, Style(size=10.3, colour=INK), "centre")


def draw_name(page: TaggedCanvas, name: str, font_files: tuple[Path, ...]) -> None:
    largest = LARGEST_TALL_NAME if any(map(needs_shaping, name)) else LARGEST_NAME
    style, lines = set_name(name, Style(fonts.BOLD, largest, INK, fallbacks=font_files))
    step = LEADING * style.size
    base = 720 + step * (len(lines) - 1) / 2 - style.size * 0.36
    with page.content("H2", says=name):
        for number, line in enumerate(lines):
            draw(page.canvas, MIDDLE, base - step * number, line, style, "centre")


def set_name(name: str, style: Style) -> tuple[Style, list[str]]:
    """The largest size, up to the style's, at which it fits, and its lines. Words are broken only when letters are small."""
    for half_points in range(round(2 * style.size), round(2 * SMALLEST_NAME) - 1, -1):
        sized = replace(style, size=half_points / 2)
        lines = wrapped(name, sized, width=RIGHT - LEFT - 20)
        whole = " ".join(lines) == name or sized.size < BREAKS_WORDS
        if whole and len(lines) * sized.size * LEADING <= NAME_HEIGHT:
            return sized, lines
    raise NameTooLong("The name does not fit on the page: give a shorter one.")


def draw_divider(canvas: Canvas, y: float) -> None:
    canvas.setStrokeColor(GOLD)
    canvas.setFillColor(GOLD)
    canvas.setLineWidth(0.7)
    canvas.line(MIDDLE - 90, y, MIDDLE - 8, y)
    canvas.line(MIDDLE + 8, y, MIDDLE + 90, y)
    diamond = canvas.beginPath()
    diamond.moveTo(MIDDLE - 3.5, y)
    for x, up in ((MIDDLE, y + 3.5), (MIDDLE + 3.5, y), (MIDDLE, y - 3.5)):
        diamond.lineTo(x, up)
    diamond.close()
    canvas.drawPath(diamond, stroke=0, fill=1)


def statement(manifest: Manifest) -> tuple[str, str]:
    modules = len(manifest["scoreboard"]["modules"])
    number = NUMBERS[modules] if modules < len(NUMBERS) else f"{modules}"
    return (
        f"built a question-answering service with retrieval in {number} modules, measured each of them,",
        f"and passed the ship gate on {day(manifest['scoreboard']['made_at'])}.",
    )


def draw_figures(page: TaggedCanvas, manifest: Manifest) -> None:
    """Four numbers in a row, then the rule that the first follows."""
    cells, width = figure_cells(manifest), (RIGHT - LEFT) / 4
    for number, (figure, label, note) in enumerate(cells):
        middle = LEFT + width * (number + 0.5)
        style = Style(fonts.BOLD, 19, INK)
        with page.content("P", says=f"{figure} {label}: {note}"):
            size = fitted(figure, style, width=width - 14, smallest=6)
            draw(page.canvas, middle, 623, figure, replace(style, size=size), "centre")
            draw(page.canvas, middle, 611, label, Style(fonts.BOLD, 7.4, GOLD), "centre")
            quiet = Style(size=6.6, colour=QUIET)
            size = fitted(note, quiet, width=width - 8, smallest=4)
            draw(page.canvas, middle, 601.5, note, replace(quiet, size=size), "centre")
    with page.decoration():
        page.canvas.setStrokeColor(LINE)
        page.canvas.setLineWidth(0.6)
        for number in range(1, 4):
            page.canvas.line(LEFT + width * number, 600, LEFT + width * number, 638)
    style = Style(fonts.ITALIC, 6.6, QUIET)
    rule = f"Hours: {manifest['work']['rule']} {left_out(manifest)}"
    with page.content("P", says=rule):
        for number, line in enumerate(wrapped(rule, style, width=RIGHT - LEFT - 10)[:3]):
            draw(page.canvas, MIDDLE, 586 - 8.4 * number, line, style, "centre")


def figure_cells(manifest: Manifest) -> list[tuple[str, str, str]]:
    """(figure, label, note) each."""
    work, cost, row = manifest["work"], manifest["cost"], production(manifest, PRODUCTION)
    recall = score(row, "recall_at_5") if row else "-"
    questions = counted(manifest["scoreboard"]["dataset"]["questions"], "question")
    return [
        (
            f"{hours(manifest)} h",
            "of work",
            f"{counted(work['commits'], 'commit')}, {counted(work['sessions'], 'session')}",
        ),
        (dollars(Decimal(cost["live_usd"])), "spent, real providers", cost_note(cost, "live")),
        (dollars(Decimal(cost["simulated_usd"])), "simulated, nobody paid it", cost_note(cost, "simulated")),
        (recall, "Recall@5 in production", f"{PRODUCTION}, {questions}"),
    ]


def draw_scores(page: TaggedCanvas, manifest: Manifest) -> None:
    board = manifest["scoreboard"]
    heading = Style(fonts.BOLD, 9, INK)
    with page.content("H3"):
        draw(page.canvas, LEFT, 552, "Recall@5 by module, with 95 % intervals", heading)
    with page.content("P"):
        told = f"{board['dataset']['name']}, corpus {board['corpus']['name']} {board['corpus']['version']}"
        style = Style(size=7.2, colour=QUIET)
        draw(page.canvas, RIGHT, 552, cut(told, style, room=270), style, "right")
    draw_plot(page, Box(LEFT, 412, RIGHT - LEFT, 130), board["modules"])
    with page.content("H3"):
        draw(page.canvas, LEFT, 392, "The final scoreboard", heading)
    if simulated(manifest):
        with page.content("P"):
            draw(page.canvas, RIGHT, 392, SIMULATED, Style(fonts.ITALIC, 7, NOTICE), "right")
    draw_table(page, Box(LEFT, 287, RIGHT - LEFT, 96), board["modules"])


def draw_gate(page: TaggedCanvas, manifest: Manifest) -> None:
    """The lines of the ship gate in three columns."""
    gate = manifest["scoreboard"]["gate"]
    with page.content("H3"):
        draw(page.canvas, LEFT, 264, f"Ship gate: {gate_told(manifest)}", Style(fonts.BOLD, 9, INK))
    width = (RIGHT - LEFT) / 3
    with page.group("L"):
        for number, line in enumerate(gate["lines"][:12]):
            x, y = LEFT + width * (number % 3), 250 - 12.5 * (number // 3)
            label = line["name"].replace("_", " ")
            told = f"{label}: {line['measured']}"
            with page.content("LI", says=f"{told} ({'passed' if line['passed'] else 'failed'})"):
                draw_tick(page.canvas, x + 1, y, passed=line["passed"])
                draw(page.canvas, x + 11, y, label, Style(fonts.BOLD, 7, INK))
                at = x + 11 + line_width(label + "  ", Style(fonts.BOLD, 7))
                style = Style(size=6.6, colour=QUIET)
                draw(page.canvas, at, y, cut(line["measured"], style, room=x + width - 6 - at), style)


def cut(text: str, style: Style, *, room: float) -> str:
    """As much of the text as fits; the whole of it stands in the manifest."""
    if line_width(text, style) <= room:
        return text
    return f"{wrapped(text, style, width=max(10.0, room - 6))[0]} …"


def draw_tick(canvas: Canvas, x: float, y: float, *, passed: bool) -> None:
    canvas.setStrokeColor("#2d7a46" if passed else "#b42318")
    canvas.setLineWidth(1.3)
    if passed:
        canvas.lines([(x, y + 2.4, x + 2.3, y), (x + 2.3, y, x + 6.5, y + 5.6)])
    else:
        canvas.lines([(x, y, x + 5.5, y + 5.5), (x, y + 5.5, x + 5.5, y)])
