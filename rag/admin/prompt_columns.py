"""What the page of a prompt tells of its versions, column by column."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from rag.prompt_figures import Calls, Figures

NOTHING = "-"
ToldT = TypeVar("ToldT")


@dataclass(frozen=True, slots=True)
class Column:
    """`cells` holds what is shown for a version, by its label (`v3`); one that is missing has nothing to show."""

    title: str
    hint: str
    cells: Mapping[str, str]

    def cell(self, label: str) -> str:
        return self.cells.get(label, NOTHING)


def column(title: str, hint: str, told: Callable[[ToldT], str], by_version: Mapping[str, ToldT]) -> Column:
    return Column(title, hint, {label: told(each) for label, each in by_version.items()})


def figure_columns(figures: Mapping[str, Figures]) -> tuple[Column, ...]:
    """For the answer prompt."""
    return (
        column(
            "Questions",
            "asked while it served; evaluations, tries and previews are not counted",
            lambda each: counted(each.questions, failed=each.failed),
            figures,
        ),
        column(
            "Cost per query",
            "of all questions, those that the answer cache answered included",
            lambda each: costing(each.cost_per_query_usd, each.unpriced),
            figures,
        ),
        column(
            "p50",
            "half of the answers that the model wrote took at most so long",
            lambda each: time(each.p50_ms),
            figures,
        ),
        column("p95", "of twenty such answers, nineteen took at most so long", lambda each: time(each.p95_ms), figures),
        column(
            "Prompt cache",
            "generations that read the prompt from the provider's cache",
            lambda each: percent(each.prompt_cache_rate),
            figures,
        ),
        column(
            "Answer cache",
            "questions that were answered from our own cache",
            lambda each: percent(each.answer_cache_rate),
            figures,
        ),
        column("Answered", "replies that were not NO_ANSWER", lambda each: percent(each.answered_rate), figures),
    )


def call_columns(calls: Mapping[str, Calls]) -> tuple[Column, ...]:
    """For the other prompts."""
    return (
        column(
            "Calls",
            "that sent this version, retried ones too",
            lambda each: counted(each.calls, failed=each.failed),
            calls,
        ),
        column(
            "Cost per call",
            "of all calls, failed ones included",
            lambda each: costing(each.cost_per_call_usd, each.unpriced),
            calls,
        ),
        column("p50", "half of the calls that succeeded took at most so long", lambda each: time(each.p50_ms), calls),
        column("p95", "of twenty such calls, nineteen took at most so long", lambda each: time(each.p95_ms), calls),
    )


def counted(number: int, *, failed: int) -> str:
    return f"{number:,} ({failed:,} failed)" if failed else f"{number:,}"


def costing(amount: Decimal | None, unpriced: int) -> str:
    return f"{usd(amount)} ({unpriced:,} unpriced)" if unpriced and amount is not None else usd(amount)


def usd(amount: Decimal | None) -> str:
    """To the sixth place: a question costs cents and less."""
    return "unpriced" if amount is None else f"${amount:.6f}"


def time(ms: float | None) -> str:
    if ms is None:
        return NOTHING
    return f"{ms / 1000:,.2f} s" if ms >= 1000 else f"{ms:,.0f} ms"


def percent(rate: float | None) -> str:
    return NOTHING if rate is None else f"{100 * rate:.1f} %"
