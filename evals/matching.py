"""What a ranking found: the one rule by which retrieved chunks, of any chunker, are held against the gold.

A gold passage is found by a chunk that overlaps it enough (`passage_found`); a chunk that finds nothing new still takes
up its rank. A gold document is found by any chunk of it; a document counts once, at its best chunk, and ranks are counted
over distinct documents, as in BEIR.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from evals.questions import EvalQuestion, GoldDocument, GoldPassage

MIN_OVERLAP_CHARS = 100

Span = tuple[str, int, int]
"""(source, start, end) of a chunk, in characters, end exclusive. The source of a BEIR document is its `_id`."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`found`: (rank, grade) of the gold that the ranking found, ranks from 1, ascending. `grades`: of all gold, descending."""

    found: tuple[tuple[int, int], ...]
    grades: tuple[int, ...]

    def binary(self) -> "Judgement":
        """The same with every grade taken as 1."""
        return Judgement(tuple((rank, 1) for rank, _ in self.found), (1,) * len(self.grades))


def judge(*, question: EvalQuestion, ranked: Sequence[Span]) -> Judgement:
    """Hold the retrieved chunks, best first, against the question's gold.

    Raises ValueError for a question without gold: it has no ranking metrics, leave it out of a mean.
    """
    if not question.gold:
        raise ValueError(f"{question.id} has no gold, so its ranking cannot be judged")
    places = ranked if isinstance(question.gold[0], GoldPassage) else _best_of_each_document(ranked)
    ranks = [(_rank(gold, places), gold.grade) for gold in question.gold]
    found = sorted(((rank, grade) for rank, grade in ranks if rank is not None), key=lambda pair: (pair[0], -pair[1]))
    return Judgement(tuple(found), tuple(sorted((gold.grade for gold in question.gold), reverse=True)))


def finds(*, gold: GoldPassage | GoldDocument, chunk: Span) -> bool:
    source, start, end = chunk
    if isinstance(gold, GoldDocument):
        return source == gold.source
    return passage_found(gold=gold, source=source, start=start, end=end)


def passage_found(*, gold: GoldPassage, source: str, start: int, end: int) -> bool:
    """Whether the chunk `source[start:end]` counts as having found the gold passage.

    It does when the two share at least half of the shorter one, and at least 100 characters (or half of a passage
    that is shorter than 200). So a chunk much longer than the passage must hold half of it, a chunk much shorter must
    lie half inside it, whichever chunker cut it; a passage cut in two is found by its longer half; and a lone heading
    or a sentence fragment inside the passage finds nothing.
    """
    if source != gold.source:
        return False
    overlap = min(end, gold.end) - max(start, gold.start)
    gold_chars = gold.end - gold.start
    half_of_shorter = min(gold_chars, end - start) / 2
    return overlap >= max(half_of_shorter, min(MIN_OVERLAP_CHARS, gold_chars / 2))


def _best_of_each_document(ranked: Sequence[Span]) -> list[Span]:
    best: dict[str, Span] = {}
    for chunk in ranked:
        best.setdefault(chunk[0], chunk)
    return list(best.values())


def _rank(gold: GoldPassage | GoldDocument, places: Sequence[Span]) -> int | None:
    return next((rank for rank, chunk in enumerate(places, start=1) if finds(gold=gold, chunk=chunk)), None)
