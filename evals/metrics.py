"""Measures of one question, and their means. Pure functions; what has no value is None, never 0.

Ranking metrics exist for questions with gold, citation metrics likewise, refusals for all. A mean tells how many
questions it stands on and how many were left out.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from evals.matching import Judgement, Span, finds, judge
from evals.questions import EvalQuestion


def recall_at(judgement: Judgement, *, k: int) -> float:
    """The share of the gold that the first k places found, each counted once. The places are chunks for gold passages, and
    distinct documents for gold documents."""
    _require_positive(k)
    return sum(rank <= k for rank, _ in judgement.found) / len(judgement.grades)


def reciprocal_rank_at(judgement: Judgement, *, k: int) -> float:
    """1 / rank of the first place that found any gold, 0 when none of the first k did. Its mean is MRR@k (Voorhees 1999)."""
    _require_positive(k)
    first = min((rank for rank, _ in judgement.found), default=k + 1)
    return 1 / first if first <= k else 0.0


def ndcg_at(judgement: Judgement, *, k: int) -> float:
    """Normalised discounted cumulative gain: sum of grade / log2(rank + 1) over the first k ranks, divided by the same for
    all gold in the best order.

    Järvelin and Kekäläinen 2002, with the grade itself as the gain, as trec_eval's `ndcg_cut` and BEIR compute it (not
    2^grade - 1). Passages that one chunk found at once take that rank and the free ones behind it, best grade first, so that
    no two share a rank and 1 is the most.
    """
    _require_positive(k)
    gained = _discounted((rank, grade) for rank, grade in _apart(judgement.found) if rank <= k)
    return gained / _discounted(enumerate(judgement.grades[:k], start=1))


RANKING: Mapping[str, Callable[[Judgement], float]] = {
    "recall_at_5": partial(recall_at, k=5),
    "recall_at_10": partial(recall_at, k=10),
    "mrr": partial(reciprocal_rank_at, k=10),
    "ndcg_at_10": partial(ndcg_at, k=10),
}


def citation_precision(*, question: EvalQuestion, cited: Sequence[Span]) -> float | None:
    """The share of the cited chunks that find gold. None where nothing was cited or the question has no gold."""
    if not cited or not question.gold:
        return None
    return sum(any(finds(gold=gold, chunk=chunk) for gold in question.gold) for chunk in cited) / len(cited)


def citation_recall(*, question: EvalQuestion, cited: Sequence[Span]) -> float | None:
    """The share of the gold that the cited chunks find: 0 where nothing was cited, None for a question without gold."""
    if not question.gold:
        return None
    return sum(any(finds(gold=gold, chunk=chunk) for chunk in cited) for gold in question.gold) / len(question.gold)


def question_scores(
    *, question: EvalQuestion, ranked: Sequence[Span], cited: Sequence[Span], answered: bool
) -> dict[str, float | None]:
    """Every measure of one answered or refused question, by name. `ranked` best first; `cited` without repetition."""
    judgement = judge(question=question, ranked=ranked) if question.gold else None
    return {
        **{name: measure(judgement) if judgement else None for name, measure in RANKING.items()},
        "citation_precision": citation_precision(question=question, cited=cited),
        "citation_recall": citation_recall(question=question, cited=cited),
        "refusal_right": float(answered == question.answerable),
    }


@dataclass(frozen=True, slots=True)
class Refusals:
    """How many questions were refused rightly (not answerable), refused wrongly (answerable), and answered although not
    answerable."""

    rightly: int
    wrongly: int
    missed: int

    @property
    def precision(self) -> float | None:
        """The share of the refusals that were right; None where nothing was refused."""
        return _share(self.rightly, self.rightly + self.wrongly)

    @property
    def recall(self) -> float | None:
        """The share of the unanswerable questions that were refused; None where there were none."""
        return _share(self.rightly, self.rightly + self.missed)


def refusals(outcomes: Iterable[tuple[bool, bool]]) -> Refusals:
    """`outcomes` holds (answerable, answered) of each question."""
    pairs = list(outcomes)
    return Refusals(
        rightly=pairs.count((False, False)), wrongly=pairs.count((True, False)), missed=pairs.count((False, True))
    )


@dataclass(frozen=True, slots=True)
class Mean:
    """`value` is None where no question has one. `questions` have a value, `left_out` have none."""

    value: float | None
    questions: int
    left_out: int


def mean(values: Iterable[float | None]) -> Mean:
    listed = list(values)
    known = [value for value in listed if value is not None]
    return Mean(math.fsum(known) / len(known) if known else None, len(known), len(listed) - len(known))


def means(rows: Sequence[Mapping[str, float | None]]) -> dict[str, Mean]:
    """The mean of each measure over the `question_scores` of a run."""
    return {name: mean(row[name] for row in rows) for name in (rows[0] if rows else ())}


def _apart(found: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    last = 0
    for rank, grade in found:
        last = max(rank, last + 1)
        yield last, grade


def _discounted(graded: Iterable[tuple[int, int]]) -> float:
    return math.fsum(grade / math.log2(rank + 1) for rank, grade in graded)


def _require_positive(k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
