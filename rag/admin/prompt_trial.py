"""The panel of a prompt on trial: both arms side by side, and whether their differences are more than chance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings

from prompts.models import Activation
from rag import provider_stack
from rag.admin.prompt_columns import percent, time, usd
from rag.arms import LEAST, Arm, Difference, Question, Trial, answered, cost_usd, total_ms, trial_of
from rag.modules import find_module


@dataclass(frozen=True, slots=True)
class Row:
    """`chance`: whether the difference may be chance; None where the row has no difference."""

    title: str
    serving: str
    tried: str
    verdict: str = ""
    interval: str = ""
    chance: bool | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """What a difference of `rag.arms` is called on the page, and how a mean and an amount of it are written."""

    what: str
    title: str
    value: Callable[[Question], float | None]
    mean: Callable[[float | None], str]
    amount: Callable[[float], str]


def dollars(amount: float | None) -> str:
    return "-" if amount is None else usd(Decimal(amount))


def points(rate: float) -> str:
    return f"{100 * rate:.1f} points"


MEASURES = (
    Measure("answered", "Answered", answered, percent, points),
    Measure("cost per question", "Cost per question", cost_usd, dollars, dollars),
    Measure("time", "Time, mean", total_ms, time, time),
)


def trial_panel(activation: Activation | None) -> dict[str, Any]:
    """For the template: `trial` and what it has shown, of traffic in the mode that the service is in now."""
    if activation is None:
        return {"trial": None}
    mode = usual_mode()
    return {
        "trial": activation,
        "trial_rest": 100 - activation.share,
        "trial_mode": mode,
        "trial_rows": rows_of(trial_of(activation, provider_mode=mode)),
    }


def usual_mode() -> str:
    return provider_stack.provider_mode(find_module(settings.DEFAULT_MODULE))


def rows_of(trial: Trial) -> Sequence[Row]:
    serving, tried = trial.serving, trial.tried
    return (
        Row("Questions", f"{len(serving.questions):,}", f"{len(tried.questions):,}"),
        *(compared(measure, trial) for measure in MEASURES),
        Row("Time, median", time(serving.median_ms), time(tried.median_ms)),
        Row("Degraded", percent(serving.mean(degraded)), percent(tried.mean(degraded))),
    )


def degraded(question: Question) -> float:
    return float(question.degraded)


def compared(measure: Measure, trial: Trial) -> Row:
    (found,) = (each for each in trial.differences if each.what == measure.what)
    return Row(
        measure.title,
        measure.mean(trial.serving.mean(measure.value)),
        measure.mean(trial.tried.mean(measure.value)),
        verdict(measure, found, (trial.serving, trial.tried)),
        interval(measure, found),
        found.noise,
    )


def verdict(measure: Measure, found: Difference, arms: Sequence[Arm]) -> str:
    if found.value is None or found.interval is None:
        told, asked = min((len(arm.values(measure.value)), len(arm.questions)) for arm in arms)
        return f"too few {'priced ' if told < asked else ''}questions yet ({told} of {LEAST} in the smaller arm)"
    if found.noise:
        return "the difference is noise"
    return f"{'lower' if found.value < 0 else 'higher'} by {measure.amount(abs(found.value))}, more than chance"


def interval(measure: Measure, found: Difference) -> str:
    if found.interval is None:
        return ""
    low, high = (f"{sign(end)}{measure.amount(abs(end))}" for end in found.interval)
    return f"{low} to {high}"


def sign(amount: float) -> str:
    return "−" if amount < 0 else "+" if amount > 0 else ""
