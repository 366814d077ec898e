"""How blocks look in Markdown (CommonMark, the tables of GitHub, the admonitions of MkDocs)."""

import re
from collections.abc import Sequence

from rag.chunking.blocks import Kind, Line, Match, end_of_body, is_blank, list_run, starts_item
from rag.chunking.headings import LONGEST_TITLE

_ATX = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_SETEXT = re.compile(r" {0,3}(?:(=)=+|(-)-+)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_DELIMITERS = re.compile(r"[|: \t-]{3,2000}")
_ADMONITION = re.compile(r"(?:!!!|\?\?\?\+?)[ \t]+\w")
_INDENT = " " * 4


def front_matter(lines: Sequence[Line], at: int) -> Match | None:
    """The metadata between two `---` at the very top."""
    if at > 0 or lines[0].text.rstrip() != "---":
        return None
    closing = (index for index in range(1, len(lines)) if lines[index].text.rstrip() == "---")
    last = next(closing, None)
    return None if last is None else Match(Kind.CODE, last + 1)


def atx_heading(lines: Sequence[Line], at: int) -> Match | None:
    marks = _ATX.match(lines[at].text)
    if marks is None or len(lines[at].text) > LONGEST_TITLE:
        return None
    title = lines[at].text[marks.end() :].strip()
    bare = title.rstrip("#")
    is_closed = bare != title and (not bare or bare[-1] in " \t")
    return Match(Kind.HEADING, at + 1, bare.rstrip() if is_closed else title, marks[1])


def setext_heading(lines: Sequence[Line], at: int) -> Match | None:
    if at + 1 >= len(lines) or len(lines[at].text) > LONGEST_TITLE or _is_code(lines[at]) or starts_item(lines[at]):
        return None
    line = _SETEXT.fullmatch(lines[at + 1].text.rstrip())
    return Match(Kind.HEADING, at + 2, lines[at].text.strip(), "#" if line[1] else "##") if line else None


def fence(lines: Sequence[Line], at: int) -> Match | None:
    """Fenced code up to its closing fence, or to the end of the text where it is never closed."""
    opening = _FENCE.match(lines[at].text)
    if opening is None or (opening[1][0] == "`" and "`" in lines[at].text[opening.end() :]):
        return None
    for index in range(at + 1, len(lines)):
        closing = lines[index].text.strip()
        if closing.startswith(opening[1]) and not closing.strip(opening[1][0]):
            return Match(Kind.CODE, index + 1)
    return Match(Kind.CODE, len(lines))


def table(lines: Sequence[Line], at: int) -> Match | None:
    if "|" not in lines[at].text or at + 1 == len(lines) or not _is_delimiter_row(lines[at + 1].text):
        return None
    stop = at + 2
    while stop < len(lines) and "|" in lines[stop].text:
        stop += 1
    return Match(Kind.TABLE, stop)


def indented_code(lines: Sequence[Line], at: int) -> Match | None:
    return Match(Kind.CODE, end_of_body(lines, at, _INDENT)) if _is_code(lines[at]) else None


def admonition(lines: Sequence[Line], at: int) -> Match | None:
    """`!!! note` with its indented body."""
    return Match(Kind.DIRECTIVE, end_of_body(lines, at + 1)) if _ADMONITION.match(lines[at].text) else None


def bullet_list(lines: Sequence[Line], at: int) -> Match | None:
    """A list, ended also by a heading or a fence at the margin."""
    run = list_run(lines, at)
    if run is None:
        return None
    margin = (index for index in range(at + 1, run.stop) if _ends_list(lines[index]))
    return Match(Kind.LIST, next(margin, run.stop))


def paragraph(lines: Sequence[Line], at: int) -> Match:
    """Lines up to a blank one or to a block that may interrupt a paragraph."""
    stop = at + 1
    while stop < len(lines) and not is_blank(lines[stop]) and not _interrupts(lines, stop):
        stop += 1
    return Match(Kind.PROSE, stop)


INNER = (fence, table, indented_code, admonition, bullet_list, paragraph)
"""What can stand inside another block: everything but headings."""

OUTER = (front_matter, atx_heading, setext_heading, *INNER)


def _is_code(line: Line) -> bool:
    return line.text.startswith((_INDENT, "\t"))


def _is_delimiter_row(text: str) -> bool:
    return "-" in text and "|" in text and _DELIMITERS.fullmatch(text) is not None


def _ends_list(line: Line) -> bool:
    return line.text[:1] in "#`~" and (_ATX.match(line.text) or _FENCE.match(line.text)) is not None


def _interrupts(lines: Sequence[Line], at: int) -> bool:
    line = lines[at]
    return _ends_list(line) or starts_item(line) or table(lines, at) is not None
