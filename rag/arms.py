"""The two arms of a prompt on trial, held against each other.

Askers are divided by chance, so the arms are two independent samples. A difference is called noise unless the 95 % interval of
the difference of the means excludes 0, with at least LEAST questions in each arm (normal approximation, Welch's error).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, median, variance

from costs.models import LedgerEntry
from prompts.models import Activation, PromptVersion
from rag.models import TraceSummary

LEAST = 30
Z = 1.959964
"""the 97.5th percentile of the normal distribution"""


@dataclass(frozen=True, slots=True)
class Question:
    """One answered request of an arm; `cost_usd` None = unpriced."""

    answered: bool
    cost_usd: float | None
    total_ms: float
    degraded: bool


@dataclass(frozen=True, slots=True)
class Arm:
    version: str
    questions: tuple[Question, ...]

    def mean(self, value: Callable[[Question], float | None]) -> float | None:
        values = self.values(value)
        return fmean(values) if values else None

    def values(self, value: Callable[[Question], float | None]) -> list[float]:
        return [each for each in map(value, self.questions) if each is not None]

    @property
    def answered(self) -> float | None:
        return self.mean(answered)

    @property
    def cost_usd(self) -> float | None:
        return self.mean(cost_usd)

    @property
    def median_ms(self) -> float | None:
        return median(each.total_ms for each in self.questions) if self.questions else None


@dataclass(frozen=True, slots=True)
class Difference:
    """Of the means, the trial's less the other's, with its 95 % interval; None where there is too little to tell."""

    what: str
    value: float | None
    interval: tuple[float, float] | None

    @property
    def noise(self) -> bool:
        return self.interval is None or self.interval[0] <= 0 <= self.interval[1]


@dataclass(frozen=True, slots=True)
class Trial:
    serving: Arm
    tried: Arm
    differences: tuple[Difference, ...]


def answered(question: Question) -> float:
    return float(question.answered)


def cost_usd(question: Question) -> float | None:
    return question.cost_usd


def total_ms(question: Question) -> float:
    return question.total_ms


def trial_of(activation: Activation, *, provider_mode: str) -> Trial:
    """How a trial stands. Raises ValueError for an activation that is none."""
    if activation.share == 100 or activation.previous is None:
        raise ValueError(f"{activation} is no trial")
    serving, tried = (
        arm_of(version, activation, provider_mode) for version in (activation.previous, activation.version)
    )
    values = (("answered", answered), ("cost per question", cost_usd), ("time", total_ms))
    differences = (difference(name, serving.values(value), tried.values(value)) for name, value in values)
    return Trial(serving, tried, tuple(differences))


def arm_of(version: PromptVersion, activation: Activation, provider_mode: str) -> Arm:
    """The requests since the trial began that sent this version; kept answers, which send nothing, are left out."""
    sent = LedgerEntry.objects.filter(
        at__gte=activation.at, kind="ask", provider_mode=provider_mode, prompt=f"{version.prompt.name} {version.label}"
    )
    rows = TraceSummary.objects.filter(trace_id__in=sent.values("trace_id"), status=200).values_list(
        "answered", "cost_usd", "total_ms", "degraded"
    )
    return Arm(
        version.label,
        tuple(
            Question(bool(said), None if cost is None else float(cost), ms or 0.0, bool(degraded))
            for said, cost, ms, degraded in rows
        ),
    )


def difference(what: str, before: Sequence[float], after: Sequence[float]) -> Difference:
    if not before or not after:
        return Difference(what, None, None)
    value = fmean(after) - fmean(before)
    if min(len(before), len(after)) < LEAST:
        return Difference(what, value, None)
    error = sqrt(variance(before) / len(before) + variance(after) / len(after))
    return Difference(what, value, (value - Z * error, value + Z * error))
