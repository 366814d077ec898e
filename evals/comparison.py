"""Two runs over the same questions, question by question: what changed, and whether it is more than luck."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from evals.metrics import mean
from evals.significance import ALPHA, detectable, fewest_wins, holm, mcnemar, mean_interval, sign_flip


class Verdict(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    NOT_SHOWN = "no difference shown"
    NOTHING_TO_COMPARE = "nothing to compare"


class PairedTest(StrEnum):
    MCNEMAR = "exact McNemar test"
    SIGN_FLIP = "sign-flip test"


@dataclass(frozen=True, slots=True)
class Arm:
    """One run's values of one metric, by question id; None where the question has none."""

    name: str
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Pair:
    question_id: str
    before: float
    after: float

    @property
    def difference(self) -> float:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference` and `interval` (95 %) are after minus before, in the metric's unit, whichever way is better.

    `pairs` are in the order of their ids. `left_out` counts questions without a value in both arms, `one_sided` those with
    a value in one arm only. `p_adjusted` is the p-value, or Holm's where several comparisons are read together.
    `detectable` is the smallest true difference that these questions show four times in five; None where unknown.
    """

    metric: str
    before: str
    after: str
    higher_is_better: bool
    pairs: tuple[Pair, ...]
    left_out: int
    one_sided: int
    interval: tuple[float, float] | None
    test: PairedTest
    p_value: float
    p_adjusted: float
    detectable: float | None

    @property
    def mean_before(self) -> float | None:
        return mean(pair.before for pair in self.pairs).value

    @property
    def mean_after(self) -> float | None:
        return mean(pair.after for pair in self.pairs).value

    @property
    def difference(self) -> float | None:
        return mean(pair.difference for pair in self.pairs).value

    @property
    def wins(self) -> tuple[Pair, ...]:
        """The questions on which the second arm is better, the largest change first."""
        return self._changed(upwards=self.higher_is_better)

    @property
    def losses(self) -> tuple[Pair, ...]:
        return self._changed(upwards=not self.higher_is_better)

    @property
    def ties(self) -> int:
        return sum(pair.difference == 0 for pair in self.pairs)

    @property
    def wins_needed(self) -> int | None:
        """The fewest wins that a test could tell from luck (against the losses, where each change counts the same); None
        when there are too few questions for them."""
        losses = len(self.losses) if self.test is PairedTest.MCNEMAR else 0
        wins = fewest_wins(losses=losses)
        return wins if wins + losses <= len(self.pairs) else None

    @property
    def interval_excludes_zero(self) -> bool:
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]

    @property
    def verdict(self) -> Verdict:
        """A difference is claimed only where the interval excludes 0 and the test, too, tells it from luck."""
        if not self.pairs:
            return Verdict.NOTHING_TO_COMPARE
        if self.interval is None or not self.interval_excludes_zero or self.p_adjusted > ALPHA:
            return Verdict.NOT_SHOWN
        return Verdict.BETTER if (self.interval[0] > 0) == self.higher_is_better else Verdict.WORSE

    def _changed(self, *, upwards: bool) -> tuple[Pair, ...]:
        changed = (pair for pair in self.pairs if pair.difference and (pair.difference > 0) == upwards)
        return tuple(sorted(changed, key=lambda pair: (-abs(pair.difference), pair.question_id)))


def compare(*, metric: str, before: Arm, after: Arm, higher_is_better: bool = True) -> Comparison:
    """Raises ValueError when the arms did not ask the same questions, and for a value that is no number."""
    _require_same_questions(before, after)
    pairs, one_sided = _paired(before.values, after.values)
    differences = [pair.difference for pair in pairs]
    test, p_value = _tested(pairs)
    return Comparison(
        metric=metric,
        before=before.name,
        after=after.name,
        higher_is_better=higher_is_better,
        pairs=pairs,
        left_out=len(before.values) - len(pairs) - one_sided,
        one_sided=one_sided,
        interval=mean_interval(differences),
        test=test,
        p_value=p_value,
        p_adjusted=p_value,
        detectable=detectable(differences),
    )


def read_together(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The same comparisons with p-values adjusted (Holm) for there being several."""
    adjusted = holm({str(place): comparison.p_value for place, comparison in enumerate(comparisons)})
    return tuple(replace(comparison, p_adjusted=adjusted[str(place)]) for place, comparison in enumerate(comparisons))


def _require_same_questions(before: Arm, after: Arm) -> None:
    strangers = sorted(before.values.keys() ^ after.values.keys())
    if strangers:
        named = ", ".join(strangers[:5]) + (" and more" if len(strangers) > 5 else "")
        raise ValueError(
            f"{before.name} and {after.name} did not ask the same questions; {len(strangers)} are in one only: {named}"
        )
    for arm in (before, after):
        wrong = [key for key, value in arm.values.items() if value is not None and not math.isfinite(value)]
        if wrong:
            raise ValueError(f"{arm.name} has a value that is not a number for {wrong[0]}")


def _paired(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> tuple[tuple[Pair, ...], int]:
    """The pairs, and how many questions have a value in one arm only."""
    pairs, one_sided = list[Pair](), 0
    for question_id in sorted(before):
        first, second = before[question_id], after[question_id]
        if first is not None and second is not None:
            pairs.append(Pair(question_id, first, second))
        elif first is not None or second is not None:
            one_sided += 1
    return tuple(pairs), one_sided


def _tested(pairs: Sequence[Pair]) -> tuple[PairedTest, float]:
    if all({pair.before, pair.after} <= {0.0, 1.0} for pair in pairs):
        ups = sum(pair.difference > 0 for pair in pairs)
        downs = sum(pair.difference < 0 for pair in pairs)
        return PairedTest.MCNEMAR, mcnemar(wins=ups, losses=downs)
    return PairedTest.SIGN_FLIP, sign_flip([pair.difference for pair in pairs])
