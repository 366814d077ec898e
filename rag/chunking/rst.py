"""How blocks look in reStructuredText."""

import re
from collections.abc import Sequence
from itertools import islice

from rag.chunking.blocks import Kind, Line, Match, end_of_body, end_of_paragraph, is_blank, is_indented, list_run
from rag.chunking.headings import LONGEST_TITLE

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1+")
_WORD = re.compile(r"\w")
_EXPLICIT = re.compile(r"\.\.(?=[ \t]|$)")
_DIRECTIVE = re.compile(r"\.\.[ \t]+(?:\|[^|\n]{1,80}\|[ \t]+)?([\w:+.-]{1,80})::")
_LABEL = re.compile(r"\.\.[ \t]+_[^\n]{1,300}:[ \t]*$")
_CITED = re.compile(r"\.\.[ \t]+[_\[|]")
_SIMPLE_BORDER = re.compile(r"={2,}(?: +={2,})+")

_CODE = frozenset(
    ["code", "code-block", "console", "doctest", "literalinclude", "math", "parsed-literal", "prompt", "sourcecode"]
)
_TABLES = frozenset(["csv-table", "list-table", "table"])
_SILENT = frozenset(["currentmodule", "default-domain", "highlight", "index", "module"])


def heading(lines: Sequence[Line], at: int) -> Match | None:
    """A title with an underline, or between two equal lines. `style` is the character, doubled when overlined."""
    return _overlined(lines, at) or _underlined(lines, at)


def explicit_markup(lines: Sequence[Line], at: int) -> Match | None:
    """`.. anything` with its indented body: a directive, a comment, a label, a footnote."""
    if not _EXPLICIT.match(lines[at].text):
        return None
    is_empty = lines[at].text.strip() == ".." and (at + 1 == len(lines) or is_blank(lines[at + 1]))
    stop = at + 1 if is_empty else end_of_body(lines, at + 1)
    return Match(_kind_of_markup(lines[at].text), stop)


def table(lines: Sequence[Line], at: int) -> Match | None:
    if lines[at].text.startswith(("+-", "+=")):
        return Match(Kind.TABLE, end_of_paragraph(lines, at))
    if _is_border(lines[at]):
        return _simple_table(lines, at)
    return None


def indented(lines: Sequence[Line], at: int) -> Match | None:
    """A literal block after a paragraph that ends with `::`, else a quotation."""
    if not is_indented(lines[at]):
        return None
    before = at - 1
    while before >= 0 and is_blank(lines[before]):
        before -= 1
    is_literal = before >= 0 and lines[before].text.rstrip().endswith("::")
    return Match(Kind.CODE if is_literal else Kind.QUOTE, end_of_body(lines, at))


def doctest(lines: Sequence[Line], at: int) -> Match | None:
    return Match(Kind.CODE, end_of_paragraph(lines, at)) if lines[at].text.startswith(">>> ") else None


INNER = (explicit_markup, table, indented, doctest, list_run)
"""What can stand inside another block: everything but headings."""

OUTER = (heading, *INNER)


def _overlined(lines: Sequence[Line], at: int) -> Match | None:
    if at + 2 >= len(lines):
        return None
    over, title, under = (line.text.rstrip() for line in lines[at : at + 3])
    if over != under or not _is_title(title.strip(), over):
        return None
    return Match(Kind.HEADING, at + 3, title.strip(), over[0] * 2)


def _underlined(lines: Sequence[Line], at: int) -> Match | None:
    if at + 1 >= len(lines) or is_indented(lines[at]):
        return None
    title, under = lines[at].text.rstrip(), lines[at + 1].text.rstrip()
    if not _is_title(title, under) or _EXPLICIT.match(title):
        return None
    return Match(Kind.HEADING, at + 2, title, under[0])


def _is_title(title: str, adornment: str) -> bool:
    is_long_enough = len(adornment) >= min(len(title), 4)
    return (
        is_long_enough
        and len(title) <= LONGEST_TITLE
        and _ADORNMENT.fullmatch(adornment) is not None
        and _WORD.search(title) is not None
    )


def _kind_of_markup(text: str) -> Kind:
    directive = _DIRECTIVE.match(text)
    if directive is None:
        return Kind.DIRECTIVE if _CITED.match(text) and not _LABEL.match(text) else Kind.LABEL
    name = directive[1]
    if name in _CODE:
        return Kind.CODE
    if name in _SILENT:
        return Kind.LABEL
    return Kind.TABLE if name in _TABLES else Kind.DIRECTIVE


def _is_border(line: Line) -> bool:
    return line.text.startswith("==") and _SIMPLE_BORDER.fullmatch(line.text.rstrip()) is not None


def _simple_table(lines: Sequence[Line], at: int) -> Match | None:
    """Up to the border before a blank line: the second, or the third where the second closes the header.

    Never looking past the third keeps unclosed tables linear.
    """
    borders = islice((index for index in range(at + 1, len(lines)) if _is_border(lines[index])), 2)
    closing = (index for index in borders if index + 1 == len(lines) or is_blank(lines[index + 1]))
    last = next(closing, None)
    return None if last is None else Match(Kind.TABLE, last + 1)
