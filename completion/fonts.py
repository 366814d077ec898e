"""The typefaces of the page, all of them embedded, and what they have glyphs for.

FiraGO covers Latin, Greek, Cyrillic, Georgian, Hebrew, Arabic, Devanagari and Thai. What it lacks is looked for in the files of
ARTIFACT_FONTS, then in two that Debian packages. A character that no typeface has is refused by name: never a silent box.
"""

import io
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import pymupdf_fonts
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont

REGULAR, BOLD, ITALIC, MONO = "FiraGO", "FiraGO-Bold", "FiraGO-Italic", "UbuntuMono"
SHIPPED = {REGULAR: "figo", BOLD: "figbo", ITALIC: "figit", MONO: "ubuntm"}
SYSTEM_FONTS = (
    Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"),
    Path("/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf"),
)
"""Chinese, Japanese and Korean, where Debian's fonts-wqy-microhei or fonts-droid-fallback is installed."""
JOINERS = frozenset("\u200c\u200d")
"""say how their neighbours join and have no glyph of their own"""
HELP = (
    "Install a TrueType font that has them (for Chinese, Japanese and Korean: apt-get install fonts-wqy-microhei), "
    "or name its file in ARTIFACT_FONTS."
)


class FontProblem(Exception):
    """Text that cannot be set: a character without a glyph, or a font file that cannot be used. The message says what to do."""


def shipped(name: str) -> TTFont:
    return registered(name, io.BytesIO(pymupdf_fonts.myfont(SHIPPED[name])))


@lru_cache
def face(name: str, file: Path | None = None) -> TTFont:
    """One of the shipped typefaces by its name, or the first of a file. Raises FontProblem."""
    if file is None:
        return shipped(name)
    try:
        return registered(name, str(file))
    except (TTFError, OSError) as error:
        raise FontProblem(f"{file} cannot be used: {error}. Outlines have to be TrueType (glyf).") from error


def registered(name: str, source: "io.BytesIO | str") -> TTFont:
    font = TTFont(name, source)
    pdfmetrics.registerFont(font)
    return font


def fallbacks(given: Sequence[Path]) -> Iterator[TTFont]:
    """Raises FontProblem for a file of `given` that is not there; the system's may be missing."""
    for number, file in enumerate((*given, *(each for each in SYSTEM_FONTS if each.is_file())), 1):
        yield face(f"Fallback-{number}-{file.stem}", file)


def has(font: TTFont, character: str) -> bool:
    return ord(character) in font.face.charToGlyph or character in JOINERS


def font_runs(text: str, *, name: str, given: Sequence[Path] = ()) -> list[tuple[TTFont, str]]:
    """The text in pieces that one typeface can set. Raises FontProblem that names what none can."""
    runs: list[tuple[TTFont, str]] = []
    missing = []
    for character in text:
        font = font_for(character, name=name, given=given, before=runs[-1][0] if runs else None)
        if font is None:
            missing.append(character)
        elif runs and runs[-1][0] is font:
            runs[-1] = (font, runs[-1][1] + character)
        else:
            runs.append((font, character))
    if missing:
        raise FontProblem(f"No font has a glyph for {', '.join(map(told, dict.fromkeys(missing)))}. {HELP}")
    return runs


def font_for(character: str, *, name: str, given: Sequence[Path], before: TTFont | None) -> TTFont | None:
    """The wanted typeface where it can; else what set the character before, so that words stay together; else any."""
    wanted = face(name)
    if has(wanted, character):
        return wanted
    if before is not None and has(before, character):
        return before
    return next((font for font in fallbacks(given) if has(font, character)), None)


def told(character: str) -> str:
    return f"{character!a} (U+{ord(character):04X} {unicodedata.name(character, 'unnamed')})"
