"""Whether what a search found is better on the questions that the search did not see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from evals.comparison import Arm, Comparison, compare
from evals.comparison import Verdict as Compared
from evals.tuning_questions import Collection, Half
from rag.modules import Module

METRIC = "recall_at_5"
SENT = "recall_of_sources_sent"
LEAST_GOLD = -0.01
"""fewer sources may be sent where the interval keeps the gold in them from being more than this below"""


@dataclass(frozen=True, slots=True)
class Means:
    """Recall@5 of the two on one data set's confirming half."""

    before: float
    after: float
    worse: bool
    """shown to be: the whole interval lies below 0"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The paired comparison over all confirming questions, and the means of each data set."""

    comparison: Comparison
    by_dataset: Mapping[str, Means] = field(default_factory=dict)

    @property
    def wins(self) -> bool:
        """The interval lies above 0, luck is unlikely, and no data set is shown to have got worse."""
        better = self.comparison.verdict is Compared.BETTER
        return better and not any(means.worse for means in self.by_dataset.values())


@dataclass(frozen=True, slots=True)
class Decision:
    """What the search found for every corpus (`corpus` is empty) or for one, and whether it is to be served. `after` is
    `before` where the search found nothing better. `what` was decided: `finding`, or `sources` sent.
    """

    what: str
    corpus: str
    before: Module
    after: Module
    tried: int
    searched: tuple[float, float]
    """the measure of the two on the searching half"""
    verdict: Verdict
    wins: bool
    characters: tuple[float, float] | None = None
    """of the sources that would be sent, a question, on the confirming half; of a decision on `sources`"""


def confirmed(collections: Sequence[Collection], before: Module, after: Module) -> Verdict:
    return Verdict(
        compared(collections, before, after), {each.name: means(each, before, after) for each in collections}
    )


def compared(
    collections: Sequence[Collection], before: Module, after: Module, measure: str = "recall", name: str = METRIC
) -> Comparison:
    arms = [
        Arm(place, values(collections, module, measure)) for place, module in (("before", before), ("after", after))
    ]
    return compare(metric=name, before=arms[0], after=arms[1])


def values(collections: Sequence[Collection], module: Module, measure: str) -> dict[str, float | None]:
    return {
        f"{each.name}/{key}": getattr(found, measure)
        for each in collections
        for key, found in each.results(module, Half.CONFIRM).items()
    }


def means(collection: Collection, before: Module, after: Module) -> Means:
    interval = compared([collection], before, after).interval
    one, other = (mean([collection], module, "recall") for module in (before, after))
    return Means(one, other, worse=interval is not None and interval[1] < 0)


def mean(collections: Sequence[Collection], module: Module, measure: str) -> float:
    return fmean(value for value in values(collections, module, measure).values() if value is not None)


def holds_as_much(comparison: Comparison) -> bool:
    """Whether fewer sources hold the gold as well, within LEAST_GOLD."""
    return comparison.interval is not None and comparison.interval[0] >= LEAST_GOLD
