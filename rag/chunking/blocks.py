"""Lines and blocks: the parts of a text that a reader takes in whole."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What a block is, which decides how it may be taken apart when it is larger than a chunk."""

    HEADING = "heading"
    PROSE = "prose"
    CODE = "code"
    TABLE = "table"
    LIST = "list"
    ITEM = "item"
    DIRECTIVE = "directive"
    QUOTE = "quote"
    LABEL = "label"


class Line(NamedTuple):
    """A line without its newline. `text` may be dedented; `start` and `end` are offsets into the document."""

    text: str
    start: int
    end: int


class Match(NamedTuple):
    """What a recogniser found: a block that ends before line `stop`."""

    kind: Kind
    stop: int
    title: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive lines that belong together; the first and the last are not blank.

    `leads` says that the block introduces the next one and should not end a chunk. `title` and `style` (how its level
    is drawn) are set on headings only.
    """

    kind: Kind
    lines: Sequence[Line]
    leads: bool = False
    title: str = ""
    style: str = ""

    @property
    def start(self) -> int:
        return self.lines[0].start

    @property
    def end(self) -> int:
        return self.lines[-1].end


Recogniser = Callable[[Sequence[Line], int], Match | None]
"""Says which block starts at a line that is not blank. It must answer None without looking far ahead."""

_LIST_ITEM = re.compile(r"(?:[-*+\u2022]|\d{1,9}[.)]|#[.)])(?=[ \t]|$)")


def lines_of(text: str, *, start: int = 0) -> list[Line]:
    """Only a newline ends a line: other separators of Unicode are characters of the text. `start`: where in the document the
    text begins.
    """
    lines = []
    for piece in text.split("\n"):
        lines.append(Line(piece, start, start + len(piece)))
        start += len(piece) + 1
    return lines


def parse(*, lines: Sequence[Line], recognisers: Sequence[Recogniser]) -> list[Block]:
    """Blocks in order, covering every line that is not blank. The first recogniser to match wins."""
    blocks = []
    at = 0
    while at < len(lines):
        if is_blank(lines[at]):
            at += 1
            continue
        match = _first_match(lines, at, recognisers) or Match(Kind.PROSE, end_of_paragraph(lines, at))
        blocks.append(_block(match, _without_blank_tail(lines[at : match.stop])))
        at = match.stop
    return blocks


def is_blank(line: Line) -> bool:
    return not line.text or line.text.isspace()


def is_indented(line: Line) -> bool:
    return line.text[:1] in (" ", "\t")


def dedented(lines: Sequence[Line]) -> list[Line]:
    """The same lines as recognisers should see them: without the indentation common to all."""
    margin = min((_indentation(line) for line in lines if not is_blank(line)), default=0)
    return [line._replace(text=line.text[margin:]) for line in lines]


def end_of_paragraph(lines: Sequence[Line], at: int) -> int:
    stop = at + 1
    while stop < len(lines) and not is_blank(lines[stop]):
        stop += 1
    return stop


def end_of_body(lines: Sequence[Line], at: int, margin: str = " ") -> int:
    """Where the run of blank lines and of lines indented by `margin` (or a tab) ends."""
    stop = at
    while stop < len(lines) and (lines[stop].text.startswith((margin, "\t")) or is_blank(lines[stop])):
        stop += 1
    return stop


def starts_item(line: Line) -> bool:
    return _LIST_ITEM.match(line.text) is not None


def list_run(lines: Sequence[Line], at: int) -> Match | None:
    """A list with everything inside its items: it ends at unindented text after a blank line."""
    if not starts_item(lines[at]):
        return None
    stop = at + 1
    while stop < len(lines) and _continues_list(lines, stop):
        stop += 1
    return Match(Kind.LIST, stop)


def items_of(block: Block) -> Iterator[Block]:
    """The top items of a list."""
    first = 0
    for index in range(1, len(block.lines) + 1):
        if index == len(block.lines) or starts_item(block.lines[index]):
            yield Block(Kind.ITEM, _without_blank_tail(block.lines[first:index]))
            first = index


def content_of(item: Block) -> list[Line]:
    """The lines of a list item with its marker blanked out, so that they can be parsed as a text of their own."""
    head = item.lines[0]
    bare = _LIST_ITEM.sub(lambda marker: " " * len(marker[0]), head.text, count=1)
    return dedented([head._replace(text=bare), *item.lines[1:]])


def _first_match(lines: Sequence[Line], at: int, recognisers: Sequence[Recogniser]) -> Match | None:
    return next((match for recognise in recognisers if (match := recognise(lines, at))), None)


def _block(match: Match, lines: Sequence[Line]) -> Block:
    introduces = match.kind is Kind.PROSE and lines[-1].text.rstrip().endswith(":")
    leads = introduces or match.kind in (Kind.HEADING, Kind.LABEL)
    return Block(match.kind, lines, leads, match.title, match.style)


def _without_blank_tail(lines: Sequence[Line]) -> Sequence[Line]:
    last = len(lines)
    while last > 1 and is_blank(lines[last - 1]):
        last -= 1
    return lines[:last]


def _indentation(line: Line) -> int:
    return len(line.text) - len(line.text.lstrip(" \t"))


def _continues_list(lines: Sequence[Line], at: int) -> bool:
    line = lines[at]
    return is_blank(line) or is_indented(line) or starts_item(line) or not is_blank(lines[at - 1])
