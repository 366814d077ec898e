"""Bytes to text, and what a text tells about itself: its markup and its title."""

import codecs
import re

from rag.chunking import markdown, rst
from rag.chunking.blocks import Kind, Line, Recogniser, is_blank, is_indented, lines_of, parse
from rag.chunking.headings import plain_title
from rag.reading.errors import UnreadableContent

_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_NEWLINES = re.compile(r"\r\n?")
_CONTROL_CHARACTERS = dict.fromkeys(code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n")
_RST_MARKS = re.compile(r"\.\. (?:[\w:+.-]{1,80}::|_[^\n]{1,300}:\s*$)")
_HEAD = 1_000
"""Lines at the top of a text that decide its markup and its title."""

_HEADINGS: dict[str, tuple[Recogniser, ...]] = {"markdown": markdown.OUTER, "rst": rst.OUTER, "plain": ()}


def decode(content: bytes) -> str:
    """Strict UTF-8, or what a byte-order mark announces. Raises UnreadableContent naming the offending byte."""
    mark, encoding = next((pair for pair in _BYTE_ORDER_MARKS if content.startswith(pair[0])), (b"", "utf-8"))
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        offset = len(mark) + error.start
        raise UnreadableContent(f"is not valid {encoding.upper()} at byte {offset}; convert it to UTF-8") from error
    if "\0" in text:
        raise UnreadableContent("holds NUL characters: it is a binary file, not a text")
    return text


def cleaned(text: str) -> str:
    """The canonical text: lines end with a newline alone, and no control characters or lone surrogates remain."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return _NEWLINES.sub("\n", whole).translate(_CONTROL_CHARACTERS)


def looks_like_rst(text: str) -> bool:
    """Whether a `.txt` is reStructuredText: a directive, a label, a literal block or an underlined title at its top."""
    lines = _head(text)
    return any(
        _RST_MARKS.match(line.text) or rst.heading(lines, index) or _opens_literal_block(lines, index)
        for index, line in enumerate(lines)
        if not is_blank(line)
    )


def first_heading(text: str, markup: str) -> str | None:
    """The words of the first heading near the top."""
    blocks = parse(lines=_head(text), recognisers=_HEADINGS[markup])
    titles = (plain_title(block.title) for block in blocks if block.kind is Kind.HEADING)
    return next((title for title in titles if title), None)


def _head(text: str) -> list[Line]:
    return lines_of("\n".join(text.split("\n", _HEAD)[:_HEAD]))


def _opens_literal_block(lines: list[Line], index: int) -> bool:
    has_body = index + 2 < len(lines) and is_blank(lines[index + 1]) and is_indented(lines[index + 2])
    return has_body and lines[index].text.rstrip().endswith("::")
