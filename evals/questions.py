"""Questions with gold passages: the measure of every retrieval and answering pipeline.

Plain Python. A data set is a JSON Lines file, described in `evals/datasets/README.md`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

KINDS = frozenset({"short", "vocabulary_mismatch", "multi_hop", "lookup", "comparison"})
QUOTE_CHARS = 40
MIN_OVERLAP_CHARS = 100

_GOLD_KEYS = {"source", "start", "end", "quote_start"}
_QUESTION_KEYS = {"id", "question", "kind", "answerable", "gold", "reference"}
_T = TypeVar("_T")


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


@dataclass(frozen=True, slots=True)
class EvalQuestion:
    """A question, the passages that a good retriever finds for it, and a correct answer.

    `gold` is empty exactly when the corpus does not hold the answer (`answerable` is False).
    """

    id: str
    question: str
    kind: str
    answerable: bool
    gold: tuple[GoldPassage, ...]
    reference: str


def load_questions(path: Path) -> tuple[EvalQuestion, ...]:
    """Read a data set, in the order of its lines.

    Raises ValueError, naming the file and the line, for the first line that breaks a rule of the format.
    """
    questions: dict[str, EvalQuestion] = {}
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                question = _parse_question(line.decode("utf-8"))
                _require(question.id not in questions, f"id {question.id!r} is used twice")
            except ValueError as error:
                raise ValueError(f"{path.name}, line {number}: {error}") from error
            questions[question.id] = question
    _require(bool(questions), f"{path.name}: no questions")
    return tuple(questions.values())


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


def recall_at(*, question: EvalQuestion, ranked: Sequence[tuple[str, int, int]], k: int) -> float:
    """Recall@k: the share of the gold passages found among the first k chunks, each counted once.

    `ranked` holds (source, start, end) of the retrieved chunks, best first; fewer than k are allowed. One chunk may
    find several passages. Raises ValueError when k is below 1, and for a question without gold passages, whose
    recall is undefined: leave unanswerable questions out of a mean.
    """
    _require(k >= 1, f"k must be at least 1, not {k}")
    _require(bool(question.gold), f"{question.id} has no gold passages, so it has no recall")
    found = [
        any(passage_found(gold=gold, source=source, start=start, end=end) for source, start, end in ranked[:k])
        for gold in question.gold
    ]
    return sum(found) / len(found)


def _parse_question(line: str) -> EvalQuestion:
    row = _object(_parse_json(line), keys=_QUESTION_KEYS)
    question = EvalQuestion(
        id=_text(row, "id"),
        question=_text(row, "question"),
        kind=_text(row, "kind"),
        answerable=_typed(row, "answerable", bool),
        gold=tuple(_parse_gold(item) for item in _typed(row, "gold", list)),
        reference=_text(row, "reference"),
    )
    _check_question(question)
    return question


def _parse_json(line: str) -> object:
    try:
        value: object = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    return value


def _parse_gold(item: object) -> GoldPassage:
    row = _object(item, keys=_GOLD_KEYS)
    gold = GoldPassage(
        source=_text(row, "source"),
        start=_typed(row, "start", int),
        end=_typed(row, "end", int),
        quote_start=_text(row, "quote_start"),
    )
    _require(
        0 <= gold.start < gold.end, f"gold span {gold.start} to {gold.end} in {gold.source!r} is empty or negative"
    )
    _require(len(gold.quote_start) == QUOTE_CHARS, f"'quote_start' must have {QUOTE_CHARS} characters")
    return gold


def _check_question(question: EvalQuestion) -> None:
    _require(question.kind in KINDS, f"unknown kind {question.kind!r}, expected one of {', '.join(sorted(KINDS))}")
    _require(len(set(question.gold)) == len(question.gold), "the same gold passage is listed twice")
    if not question.answerable:
        _require(not question.gold, "an unanswerable question has gold passages")
        return
    _require(bool(question.gold), "an answerable question has no gold passage")
    documents = {gold.source for gold in question.gold}
    _require(question.kind != "multi_hop" or len(documents) >= 2, "a multi_hop question needs gold in two documents")


def _object(value: object, *, keys: set[str]) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, not {type(value).__name__}")
    _require(value.keys() >= keys, f"missing {', '.join(sorted(keys - value.keys()))}")
    _require(value.keys() <= keys, f"unknown {', '.join(sorted(value.keys() - keys))}")
    return value


def _typed(row: dict[str, object], name: str, expected: type[_T]) -> _T:
    value = row[name]
    # bool is a subclass of int, and `true` is no offset.
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise ValueError(f"{name!r} must be {expected.__name__}, not {type(value).__name__}")
    return value


def _text(row: dict[str, object], name: str) -> str:
    value = _typed(row, name, str)
    _require(bool(value.strip()), f"{name!r} is empty")
    return value


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)
