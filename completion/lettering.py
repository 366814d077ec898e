"""Setting a line of text in any of the scripts that the typefaces cover: joined letters, right to left, shrunk to fit."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfbase.ttfonts import shapeStr
from reportlab.pdfgen.canvas import Canvas

from completion.fonts import REGULAR, font_runs

SHAPED = ("ARABIC", "DEVANAGARI", "HEBREW", "THAI")
"""scripts whose letters join, stack or take marks, by the first word of their characters' names"""
RIGHT_TO_LEFT = ("R", "AL")
TAKES_A_SIDE = ("L", *RIGHT_TO_LEFT)
DIGITS = ("EN", "AN")


@dataclass(frozen=True, slots=True)
class Style:
    """`size` in points. `tracking` is space between letters, in points; joined scripts are never tracked."""

    font: str = REGULAR
    size: float = 10
    colour: str = "#1b2433"
    tracking: float = 0
    fallbacks: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """What is drawn in one go. `text` is a str, or a shaped one of ReportLab's."""

    font: str
    text: Any
    width: float


def line_width(text: str, style: Style) -> float:
    return sum(piece.width for piece in pieces(text, style))


def draw(canvas: Canvas, x: float, y: float, text: str, style: Style, align: str = "left") -> None:
    """One line; `y` is the base line and `x` its left end, middle or right end. Raises FontProblem."""
    set_pieces = pieces(text, style)
    width = sum(piece.width for piece in set_pieces)
    x -= {"left": 0, "centre": width / 2, "right": width}[align]
    canvas.setFillColor(style.colour)
    for piece in set_pieces:
        canvas.setFont(piece.font, style.size)
        canvas.drawString(x, y, piece.text, charSpace=style.tracking)
        x += piece.width


def pieces(text: str, style: Style) -> list[Piece]:
    """From left to right as they stand on the page."""
    set_pieces: list[Piece] = []
    for run, backwards in directed_runs(text):
        parts = [
            piece_of(font.fontName, part, style)
            for font, part in font_runs(run, name=style.font, given=style.fallbacks)
        ]
        set_pieces += reversed(parts) if backwards else parts
    return set_pieces


def piece_of(font: str, text: str, style: Style) -> Piece:
    if any(needs_shaping(character) for character in text):
        shaped = shapeStr(text, font, style.size, force=True)
        return Piece(font, shaped, shaped_width(shaped, style.size))
    return Piece(font, text, stringWidth(text, font, style.size) + style.tracking * len(text))


def shaped_width(shaped: Any, size: float) -> float:
    return float(sum(each.x_advance for each in shaped.__shapeData__) * size / 1_000)


def needs_shaping(character: str) -> bool:
    return unicodedata.name(character, "").startswith(SHAPED)


def directed_runs(text: str) -> list[tuple[str, bool]]:
    """Runs of one direction in visual order, with True for right to left. What takes no side goes with what it stands between,
    or with the line, whose direction is that of its first letter."""
    sides = [unicodedata.bidirectional(character) for character in text]
    strong = [side in RIGHT_TO_LEFT for side in sides if side in TAKES_A_SIDE]
    line = bool(strong) and strong[0]
    runs: list[tuple[str, bool]] = []
    for at, character in enumerate(text):
        backwards = sides[at] in RIGHT_TO_LEFT if sides[at] in TAKES_A_SIDE else between(text, sides, at, line)
        if runs and runs[-1][1] == backwards:
            runs[-1] = (runs[-1][0] + character, backwards)
        else:
            runs.append((character, backwards))
    return runs[::-1] if line else runs


def between(text: str, sides: Sequence[str], at: int, line: bool) -> bool:
    """Digits run forwards. Marks go with what is before them, brackets with what they hold, the rest with both neighbours
    where these agree and else with the line: what names need of the Unicode bidirectional algorithm."""
    if sides[at] in DIGITS:
        return False
    before = next((side in RIGHT_TO_LEFT for side in reversed(sides[:at]) if side in TAKES_A_SIDE), line)
    after = next((side in RIGHT_TO_LEFT for side in sides[at + 1 :] if side in TAKES_A_SIDE), line)
    if sides[at] == "NSM" or unicodedata.category(text[at]) == "Pe":
        return before
    if unicodedata.category(text[at]) == "Ps":
        return after
    return before if before == after else line


def fitted(text: str, style: Style, *, width: float, smallest: float) -> float:
    """The largest size up to the style's at which the line fits; `smallest` where none does."""
    natural = line_width(text, style)
    return max(smallest, min(style.size, style.size * width / natural)) if natural else style.size


def wrapped(text: str, style: Style, *, width: float) -> list[str]:
    """Lines that fit, broken at spaces, and within a word that alone is too long."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if line_width(longer, style) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
        while line_width(lines[-1], style) > width and len(lines[-1]) > 1:
            head = longest_head(lines[-1], style, width)
            lines[-1:] = [lines[-1][:head], lines[-1][head:]]
    return lines


def longest_head(text: str, style: Style, width: float) -> int:
    return next((at for at in range(len(text) - 1, 1, -1) if line_width(text[:at], style) <= width), 1)
