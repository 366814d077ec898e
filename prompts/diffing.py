"""What is different between two texts: lines side by side, and the words within those that were edited. Plain Python."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby

from prompts.texts import PromptText

WORD = re.compile(r"\w+|\s+|[^\w\s]")
ALIKE = 0.5
"""Two lines with at least this share of words in common are one line that was edited."""
MOST_PAIRS = 40_000
"""Above this many pairs of old and new lines in one place, they are taken as rewritten instead of compared each with each."""
MOST_WORDS = 2_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of words within a line; `changed` ones are not in the other line."""

    text: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Side:
    """One line of one text. `number` counts from 1."""

    number: int
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Row:
    """A line on both sides, the same or edited; or only in the old text (removed), or only in the new one (added)."""

    old: Side | None
    new: Side | None

    @property
    def same(self) -> bool:
        return self.old is not None and self.new is not None and self.old.text == self.new.text


@dataclass(frozen=True, slots=True)
class BlockDiff:
    """`block` is `instructions` or `examples`."""

    block: str
    rows: tuple[Row, ...]

    @property
    def same(self) -> bool:
        return all(row.same for row in self.rows)


def diff_prompts(old: PromptText, new: PromptText) -> tuple[BlockDiff, ...]:
    """Both blocks, whole: what is the same is in it too."""
    return (
        BlockDiff("instructions", diff_texts(old.instructions, new.instructions)),
        BlockDiff("examples", diff_texts(old.examples, new.examples)),
    )


def diff_texts(old: str, new: str) -> tuple[Row, ...]:
    """All lines of both. Joining the sides' texts with LF gives the texts back."""
    old_lines, new_lines = lines_of(old), lines_of(new)
    matcher = SequenceMatcher(None, old_lines, new_lines, autojunk=False)
    rows: list[Row] = []
    for _, a, a_end, b, b_end in matcher.get_opcodes():
        for i, j in pairs(old_lines[a:a_end], new_lines[b:b_end]):
            rows.append(row(old_lines, None if i is None else a + i, new_lines, None if j is None else b + j))
    return tuple(rows)


def lines_of(text: str) -> list[str]:
    return text.split("\n") if text else []


def row(old_lines: Sequence[str], i: int | None, new_lines: Sequence[str], j: int | None) -> Row:
    if i is not None and j is not None:
        old, new = diff_words(old_lines[i], new_lines[j])
        return Row(Side(i + 1, old), Side(j + 1, new))
    return Row(
        None if i is None else Side(i + 1, (Piece(old_lines[i], True),)),
        None if j is None else Side(j + 1, (Piece(new_lines[j], True),)),
    )


def pairs(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int | None, int | None]]:
    """Which old line became which new one, in the order of both; the rest is removed and added."""
    i = j = 0
    for matched_i, matched_j in [*matches(old, new), (len(old), len(new))]:
        yield from ((gone, None) for gone in range(i, matched_i))
        yield from ((None, come) for come in range(j, matched_j))
        if matched_i < len(old):
            yield matched_i, matched_j
        i, j = matched_i + 1, matched_j + 1


def matches(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """The pairs of like lines, never crossing, whose likeness adds up to the most."""
    if list(old) == list(new):
        return [(i, i) for i in range(len(old))]
    if len(old) * len(new) > MOST_PAIRS:
        return []
    bags, others = [word_set(line) for line in old], [word_set(line) for line in new]
    best = [[0.0] * (len(new) + 1) for _ in range(len(old) + 1)]
    gain = [[likeness(bag, other) for other in others] for bag in bags]
    for i in range(len(old) - 1, -1, -1):
        for j in range(len(new) - 1, -1, -1):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], best[i + 1][j + 1] + gain[i][j])
    found, i, j = [], 0, 0
    while i < len(old) and j < len(new):
        if gain[i][j] and best[i][j] == best[i + 1][j + 1] + gain[i][j]:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return found


def word_set(line: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", line.lower())) or frozenset(line.split())


def likeness(a: frozenset[str], b: frozenset[str]) -> float:
    """Dice: the share of words in common, 0 where it is too small to speak of one line."""
    share = 2 * len(a & b) / (len(a) + len(b)) if a or b else 0.0
    return share if share >= ALIKE else 0.0


def diff_words(old: str, new: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """The pieces of both lines. Very long lines are not looked into."""
    if old == new:
        return (Piece(old, False),), (Piece(new, False),)
    a, b = WORD.findall(old), WORD.findall(new)
    if max(len(a), len(b)) > MOST_WORDS:
        return (Piece(old, True),), (Piece(new, True),)
    left, right = [], []
    for changed, i, i_end, j, j_end in runs(a, b):
        left.append(Piece("".join(a[i:i_end]), changed))
        right.append(Piece("".join(b[j:j_end]), changed))
    return tuple(piece for piece in left if piece.text), tuple(piece for piece in right if piece.text)


def runs(a: Sequence[str], b: Sequence[str]) -> Iterator[tuple[bool, int, int, int, int]]:
    """Where words are the same and where they changed, in turn. Space between two changes belongs to one long change."""
    codes = SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    inner = range(1, len(codes) - 1)
    space = {n for n in inner if codes[n][0] == "equal" and "".join(a[codes[n][1] : codes[n][2]]).isspace()}
    kinds = [code[0] != "equal" or n in space for n, code in enumerate(codes)]
    for changed, group in groupby(zip(kinds, codes, strict=True), key=lambda pair: pair[0]):
        members = [code for _, code in group]
        yield changed, members[0][1], members[-1][2], members[0][3], members[-1][4]
