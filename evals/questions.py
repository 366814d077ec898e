"""Questions with what a good retriever finds for them and correct answers: the measure of every pipeline.

Plain Python. A set of our own is a JSON Lines file, described in `evals/datasets/README.md`; `evals.beir` reads folders
in BEIR layout into the same values.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from evals.lines import DatasetError, filled, located, objects, require, shown, typed

KINDS = frozenset({"short", "vocabulary_mismatch", "multi_hop", "lookup", "comparison"})
QUOTE_CHARS = 40

_GOLD_KEYS = {"source", "start", "end", "quote_start"}
_QUESTION_KEYS = {"id", "question", "kind", "answerable", "gold", "reference"}


@dataclass(frozen=True, slots=True)
class GoldPassage:
    """A passage that holds (a part of) the answer.

    `start` and `end` are character offsets, end exclusive, into the document's text with "\\n" line ends;
    `quote_start` repeats its first 40 characters, so that a changed document is noticed.
    """

    source: str
    start: int
    end: int
    quote_start: str

    grade: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class GoldDocument:
    """A document that is relevant as a whole, with its grade from 1 up."""

    source: str
    grade: int


Gold = tuple[GoldPassage, ...] | tuple[GoldDocument, ...]


@dataclass(frozen=True, slots=True)
class EvalQuestion:
    """A question, what a good retriever finds for it, and correct answers.

    `gold` is empty for an unanswerable question, and for an answerable one whose place in the corpus nobody marked.
    `kind` is None where the set does not sort its questions; `references` are alternatives, possibly none.
    """

    id: str
    question: str
    kind: str | None
    answerable: bool
    gold: Gold
    references: tuple[str, ...]


def load_questions(path: Path) -> tuple[EvalQuestion, ...]:
    """Read a set of our own, in the order of its lines.

    Raises DatasetError, naming the file and the line, for the first line that breaks a rule of the format.
    """
    questions: dict[str, EvalQuestion] = {}
    for number, row in objects(path):
        with located(path, number):
            question = _parse_question(row)
            require(question.id not in questions, f"id {question.id!r} is used twice")
        questions[question.id] = question
    if not questions:
        raise DatasetError(f"{shown(path)}: no questions")
    return tuple(questions.values())


def _parse_question(row: dict[str, object]) -> EvalQuestion:
    _require_keys(row, _QUESTION_KEYS)
    kind, answerable = filled(row, "kind"), typed(row, "answerable", bool)
    gold = tuple(_parse_gold(item) for item in typed(row, "gold", list))
    _check(kind=kind, answerable=answerable, gold=gold)
    return EvalQuestion(
        id=filled(row, "id"),
        question=filled(row, "question"),
        kind=kind,
        answerable=answerable,
        gold=gold,
        references=(filled(row, "reference"),),
    )


def _parse_gold(item: object) -> GoldPassage:
    if not isinstance(item, dict):
        raise ValueError(f"expected an object, not {type(item).__name__}")
    _require_keys(item, _GOLD_KEYS)
    gold = GoldPassage(
        source=filled(item, "source"),
        start=typed(item, "start", int),
        end=typed(item, "end", int),
        quote_start=filled(item, "quote_start"),
    )
    require(0 <= gold.start < gold.end, f"gold span {gold.start} to {gold.end} in {gold.source!r} is empty or negative")
    require(len(gold.quote_start) == QUOTE_CHARS, f"'quote_start' must have {QUOTE_CHARS} characters")
    return gold


def _check(*, kind: str, answerable: bool, gold: tuple[GoldPassage, ...]) -> None:
    require(kind in KINDS, f"unknown kind {kind!r}, expected one of {', '.join(sorted(KINDS))}")
    require(len(set(gold)) == len(gold), "the same gold passage is listed twice")
    if not answerable:
        require(not gold, "an unanswerable question has gold passages")
        return
    require(bool(gold), "an answerable question has no gold passage")
    documents = {passage.source for passage in gold}
    require(kind != "multi_hop" or len(documents) >= 2, "a multi_hop question needs gold in two documents")


def _require_keys(row: dict[str, object], keys: set[str]) -> None:
    require(row.keys() >= keys, f"missing {', '.join(sorted(keys - row.keys()))}")
    require(row.keys() <= keys, f"unknown {', '.join(sorted(row.keys() - keys))}")
