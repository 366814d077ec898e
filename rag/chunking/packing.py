"""Packing blocks into spans of at most `size` characters, each block whole where it can be."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rag.chunking import markdown, rst
from rag.chunking.blocks import Block, Kind, Line, Recogniser, content_of, dedented, is_blank, items_of, parse

Span = tuple[int, int]


class Part(NamedTuple):
    """What is packed: a block, or a piece of one. It is bare when it is a heading or a label, without a text."""

    start: int
    end: int
    leads: bool
    is_bare: bool


_DEEPEST = 8
"""Blocks nested deeper than this are split at line ends."""

_SHARDS = 4
"""What must be split is split into parts of at most a quarter of a chunk, so that they pack well."""

_CONTAINERS = (Kind.LIST, Kind.ITEM, Kind.DIRECTIVE, Kind.QUOTE)
SENTENCE_END = re.compile(r"[.!?][\"')\]]{0,3}\s")
_INNER: dict[str, Sequence[Recogniser]] = {"markdown": markdown.INNER, "rst": rst.INNER, "plain": ()}


def pack(*, text: str, blocks: Iterable[Block], markup: str, size: int) -> list[Span]:
    """Spans in order, without overlap, covering every block. A block that leads stays with the next where both fit."""
    spans: list[Span] = []
    run: list[Part] = []
    for block in blocks:
        for part in parts(text, block, markup, _room(run, block, size)):
            if run and part.end - run[0].start > size:
                kept = _leading_tail(run, part, size)
                spans.append((run[0].start, run[-len(kept) - 1].end))
                run = kept
            run.append(part)
    if run:
        spans.append((run[0].start, run[-1].end))
    return spans


def split(*, text: str, span: Span, size: int, prose: bool) -> Iterator[Span]:
    """Spans of at most `size` characters, ending after a sentence (prose only) or a line, else at a space."""
    start, end = span
    while end - start > size:
        stop = _cut(text, start, start + size, prose)
        if text[start:stop].strip():
            yield start, stop
        start = stop
    if text[start:end].strip():
        yield start, end


def _room(run: list[Part], block: Block, size: int) -> int:
    """How large `block` may be to stay whole: less after a bare heading, which should not be left alone in a chunk."""
    if not run or not all(part.is_bare for part in run) or block.kind in (Kind.CODE, Kind.TABLE):
        return size
    return max(size - (block.start - run[0].start), size // 2, 1)


def _leading_tail(run: list[Part], part: Part, size: int) -> list[Part]:
    """The parts at the end of a run that introduce `part` and fit with it; what they leave must hold some text."""
    first = len(run)
    while first > 1 and run[first - 1].leads and part.end - run[first - 1].start <= size:
        first -= 1
    return [] if all(part.is_bare for part in run[:first]) else run[first:]


def parts(text: str, block: Block, markup: str, size: int, depth: int = 0) -> Iterator[Part]:
    """The block whole, or taken apart into parts of at most `size` characters, in order, that hold all of it."""
    if block.end - block.start <= size:
        yield Part(block.start, block.end, block.leads, block.kind in (Kind.HEADING, Kind.LABEL))
    elif depth < _DEEPEST and block.kind in _CONTAINERS:
        for inner in _inside(block, markup):
            yield from parts(text, inner, markup, size, depth + 1)
    else:
        limit = max(size // _SHARDS, 1)
        shards = split(text=text, span=(block.start, block.end), size=limit, prose=block.kind is Kind.PROSE)
        yield from (Part(start, end, leads=False, is_bare=False) for start, end in shards)


def _inside(block: Block, markup: str) -> Iterable[Block]:
    if block.kind is Kind.LIST:
        return items_of(block)
    if block.kind is Kind.ITEM:
        return parse(lines=content_of(block), recognisers=_INNER[markup])
    if block.kind is Kind.QUOTE:
        return parse(lines=dedented(block.lines), recognisers=_INNER[markup])
    return _inside_directive(block.lines, markup)


def _inside_directive(lines: Sequence[Line], markup: str) -> list[Block]:
    """The line of the directive with its options, then its body."""
    body = next((index for index, line in enumerate(lines) if is_blank(line)), 1)
    head = Block(Kind.PROSE, lines[:body], leads=True)
    return [head, *parse(lines=dedented(lines[body:]), recognisers=_INNER[markup])]


def _cut(text: str, start: int, limit: int, prose: bool) -> int:
    """Where to cut in `start..limit`: always after `start`."""
    if prose and (sentence := _last_sentence_end(text, start, limit)) is not None:
        return sentence
    line = text.rfind("\n", start + 1, limit)
    if line >= 0:
        return line + 1
    space = text.rfind(" ", start + (limit - start) // 2, limit) if prose else -1
    return space + 1 if space >= 0 else limit


def _last_sentence_end(text: str, start: int, limit: int) -> int | None:
    ends = [found.end() for found in SENTENCE_END.finditer(text, start, limit)]
    return ends[-1] if ends else None
