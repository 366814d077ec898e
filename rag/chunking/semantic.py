"""Chunks that end where the text turns to something else, by the meaning of its sentences rather than by its headings.

A document is taken as a row of units: sentences, and whole blocks of code, tables and lists. How far apart the few units
before a gap are from the few behind it says how much the text turns there (Hearst 1997, "TextTiling", with sentence
embeddings in the place of word counts). Cut is at the peaks of it that are among the largest fifth of a document's gaps: a
percentile as the threshold follows Kamradt 2023 ("5 Levels of Text Splitting"). Sizes are bounded.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.chunking.blocks import Block, Kind
from rag.chunking.keys import Keys, slug_of
from rag.chunking.packing import SENTENCE_END, Span, parts
from rag.chunking.sections import HEADING_SEPARATOR, common_path, sections_of, tight
from rag.values import ChunkDraft, ChunkRecipe, ParsedDocument, sha256

Embed = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""Texts to their vectors, one for each, in order."""

Distances = Callable[[Sequence[str]], Sequence[float]]
"""The texts of a document's units to the distances at the gaps between them, one fewer."""

Rows = NDArray[np.floating[Any]]

AT_ONCE = 1_000
"""gaps that are measured together: of a wide space some 10 MB"""

WINDOW = 3
"""units on either side of a gap that are compared"""

PERCENTILE = 80.0

FEWEST_GAPS = 10
"""With fewer, none stands out: such a document is cut only where it is larger than a chunk"""

SMALLEST_SHARE = 0.25
"""A chunk is at least this share of the largest, unless what is next to it would not fit."""

SENTENCE = 120
"""Characters; sentences are joined until a unit has so many, because very short ones have no meaning of their own."""

PLACES = 4
"""to which distances are rounded, so that the noise of a floating-point sum never decides where to cut"""


class Unit(NamedTuple):
    """What is never cut. `path` holds the titles above it."""

    start: int
    end: int
    path: tuple[str, ...]


class Gap(NamedTuple):
    """The place between two units: the texts of the few before it and behind it, in their order."""

    before: tuple[str, ...]
    behind: tuple[str, ...]

    @property
    def key(self) -> str:
        """The same for the same texts: their distance need not be measured twice."""
        return sha256("\0".join((*self.before, "", *self.behind)))[:16]


def cut_semantic(document: ParsedDocument, recipe: ChunkRecipe, distances: Distances) -> tuple[ChunkDraft, ...]:
    """Chunks of at most `size` characters, in order, without overlap, together holding all that is not blank."""
    units = units_of(document, recipe.size)
    texts = compared_texts(document, units, recipe.size)
    keys = Keys(document.source)
    drafts = []
    for first, stop in runs(units, distances(texts) if texts else (), recipe.size):
        start, end = tight(document.text, units[first].start, units[stop - 1].end)
        path = path_of(units[first:stop])
        heading = HEADING_SEPARATOR.join(path)
        drafts.append(ChunkDraft(keys.next(slug_of(path[-1])), document.text[start:end], heading, start, end))
    return tuple(drafts)


def by_embedding(embed: Embed) -> Distances:
    """Distances measured by the vectors of the units."""

    def distances(texts: Sequence[str]) -> list[float]:
        return distances_at(gaps_of(texts), dict(zip(texts, embed(texts), strict=True)))

    return distances


def gaps_of(texts: Sequence[str]) -> list[Gap]:
    places = range(1, len(texts))
    return [Gap(tuple(texts[max(0, at - WINDOW) : at]), tuple(texts[at : at + WINDOW])) for at in places]


def distances_at(gaps: Sequence[Gap], vectors: Mapping[str, Sequence[float]]) -> list[float]:
    """1 - cosine between the mean directions of the two sides of each gap: 0 for the same, 2 for opposites, 1 where a side has
    no direction.
    """
    if not gaps:
        return []
    places = {text: place for place, text in enumerate(vectors)}
    directions = unit_length(np.asarray(list(vectors.values()), dtype=np.float32))
    found: list[float] = []
    for first in range(0, len(gaps), AT_ONCE):
        some = gaps[first : first + AT_ONCE]
        before, behind = (side_directions([gap[side] for gap in some], places, directions) for side in (0, 1))
        found += (1.0 - np.einsum("ij,ij->i", before, behind)).round(PLACES).tolist()
    return found


def side_directions(sides: Sequence[Sequence[str]], places: Mapping[str, int], directions: Rows) -> Rows:
    """The mean direction of the texts of each side; those that are fewer than WINDOW are filled up with nothing."""
    total = np.zeros((len(sides), directions.shape[1]))
    for number in range(WINDOW):
        rows = [row for row, side in enumerate(sides) if number < len(side)]
        total[rows] += directions[[places[sides[row][number]] for row in rows]]
    return unit_length(total)


def unit_length(vectors: Rows) -> Rows:
    clean: Rows = np.nan_to_num(vectors, posinf=0.0, neginf=0.0)
    norms = np.linalg.norm(clean, axis=1, keepdims=True)
    unit: Rows = np.divide(clean, norms, out=np.zeros_like(clean), where=norms > 0)
    return unit


def unit_texts(document: ParsedDocument, recipe: ChunkRecipe) -> list[str]:
    """The texts whose distances `cut_semantic` will ask for; none where they could change nothing."""
    return compared_texts(document, units_of(document, recipe.size), recipe.size)


def compared_texts(document: ParsedDocument, units: Sequence[Unit], size: int) -> list[str]:
    fits = not units or units[-1].end - units[0].start <= size
    if len(units) < 2 or (fits and len(units) <= FEWEST_GAPS):
        return []
    return [document.text[unit.start : unit.end] for unit in units]


def units_of(document: ParsedDocument, size: int) -> list[Unit]:
    """The units in order, of at most `size` characters each. What introduces a unit (a heading, a label, a sentence that ends
    with a colon) is part of it where both fit.
    """
    units: list[Unit] = []
    held: Unit | None = None
    for unit, leads in _pieces(document, size):
        if held is not None and unit.end - held.start <= size:
            unit = unit._replace(start=held.start)
        elif held is not None:
            units.append(held)
        held = unit if leads else None
        if not leads:
            units.append(unit)
    return [*units, held] if held is not None else units


def _pieces(document: ParsedDocument, size: int) -> Iterator[tuple[Unit, bool]]:
    """Each piece with whether it introduces the next one."""
    for section in sections_of(document):
        for block in section.blocks:
            spans = list(_spans(document, block, size))
            for start, end in spans:
                yield Unit(start, end, section.path), block.leads and end == spans[-1][1]


def _spans(document: ParsedDocument, block: Block, size: int) -> Iterator[Span]:
    for part in parts(document.text, block, document.markup, size):
        if block.kind is Kind.PROSE:
            yield from _sentences(document.text, part.start, part.end)
        else:
            yield part.start, part.end


def _sentences(text: str, start: int, end: int) -> Iterator[Span]:
    for found in SENTENCE_END.finditer(text, start, end):
        if found.end() - start >= SENTENCE and text[start : found.end()].strip():
            yield start, found.end()
            start = found.end()
    if text[start:end].strip():
        yield start, end


def runs(units: Sequence[Unit], distances: Sequence[float], size: int) -> list[tuple[int, int]]:
    """(first unit, the one after the last) of each chunk. Without `distances` there is one chunk."""
    if not distances:
        return [(0, len(units))] if units else []
    turns = turns_of(distances)
    found = [(0, _end_of_run(units, distances, turns, 0, size))]
    while (first := found[-1][1]) < len(units):
        found.append((first, _end_of_run(units, distances, turns, first, size)))
    return _without_short_tail(units, found, size)


def turns_of(distances: Sequence[float]) -> frozenset[int]:
    """The gaps that stand out, numbered from 0: peaks at or above the threshold, of equals in a row the first. A gap beside a
    peak is wide too, because the units around them are nearly the same.
    """
    if len(distances) < FEWEST_GAPS:
        return frozenset()
    threshold = float(np.percentile(distances, PERCENTILE))
    padded = [-1.0, *distances, -1.0]
    return frozenset(
        gap
        for gap, (before, here, behind) in enumerate(zip(padded, padded[1:], padded[2:], strict=False))
        if here >= threshold and before < here >= behind
    )


def _without_short_tail(units: Sequence[Unit], found: list[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """The last two joined where the last one is short and both fit."""
    if len(found) < 2:
        return found
    (before, first), end = found[-2], units[-1].end
    is_short = end - units[first].start < SMALLEST_SHARE * size
    if is_short and end - units[before].start <= size:
        return [*found[:-2], (before, len(units))]
    return found


def _end_of_run(units: Sequence[Unit], distances: Sequence[float], turns: frozenset[int], first: int, size: int) -> int:
    """At the first gap that stands out; where the chunk is full before, at the widest gap that it could end at."""
    widest: int | None = None
    for stop in range(first + 1, len(units)):
        if units[stop - 1].end - units[first].start >= SMALLEST_SHARE * size:
            if stop - 1 in turns:
                return stop
            if widest is None or distances[stop - 1] > distances[widest - 1]:
                widest = stop
        if units[stop].end - units[first].start > size:
            return widest or stop
    return len(units)


def path_of(units: Sequence[Unit]) -> tuple[str, ...]:
    """The titles that all of them are under."""
    path = units[0].path
    for unit in units[1:]:
        path = common_path(path, unit.path)
    return path
