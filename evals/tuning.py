"""Tuning: what `m5-tuned` and `m6-production` do is searched for on one half of the questions and confirmed on the other.

Nothing is generated. `rag/tuned.json` is written when something wins on the confirming half, and not touched otherwise.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from evals.comparison import read_together
from evals.errors import EvaluationRefused
from evals.lines import DatasetError
from evals.planning import DEFAULT_DATASET
from evals.tuning_collections import collected, spending
from evals.tuning_file import written
from evals.tuning_questions import Collection
from evals.tuning_search import Search
from evals.tuning_verdict import SENT, Decision, Verdict, compared, confirmed, holds_as_much, mean
from rag import tuned
from rag.building import Progress, VerificationFailed
from rag.errors import RagError
from rag.ingest import silent
from rag.modules import M5, RECIPES, TUNED, Module

LIMIT = 600


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """`datasets` are shipped sets or files, asked of the default corpus; `folders` are in BEIR layout and bring their own.
    `recipes`: chunkers to be tried beside those that the corpora have. `limit`: questions of each data set, at most.
    `incumbent`: what has to be beaten. `dry_run`: nothing is written.
    """

    datasets: tuple[str, ...] = (DEFAULT_DATASET,)
    folders: tuple[Path, ...] = ()
    recipes: tuple[str, ...] = ()
    limit: int | None = LIMIT
    incumbent: Module = M5
    dry_run: bool = False
    file: Path = tuned.FILE


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was decided, whether the file was written, and what the providers cost, USD (None: a price is unknown)."""

    collections: tuple[Collection, ...]
    decisions: tuple[Decision, ...]
    written: bool
    spent_usd: Decimal | None


def tune(plan: TuningPlan, *, progress: Progress = silent) -> Tuning:
    """Search, confirm, and write what won. Raises EvaluationRefused; what was spent until then is booked."""
    refuse_unsound(plan)
    try:
        with spending() as spent:
            collections = collected(
                datasets=plan.datasets,
                folders=plan.folders,
                recipes=plan.recipes,
                base=plan.incumbent,
                limit=plan.limit,
                meter=spent.meter,
                progress=progress,
            )
            decisions = tuple(decided(collections, plan.incumbent, progress))
    except (DatasetError, RagError, VerificationFailed) as error:
        raise EvaluationRefused(str(error)) from error
    winners = [decision for decision in decisions if decision.wins]
    if winners and not plan.dry_run:
        written(plan.file, winners, collections)
    return Tuning(collections, decisions, bool(winners) and not plan.dry_run, spent.meter.total())


def refuse_unsound(plan: TuningPlan) -> None:
    if not plan.datasets and not plan.folders:
        raise EvaluationRefused("name a data set or a folder in BEIR layout")
    if plan.limit is not None and plan.limit < 4:
        raise EvaluationRefused("at least four questions are needed: two to search with, two to confirm with")
    for name in plan.recipes:
        if name not in RECIPES:
            raise EvaluationRefused(f"there is no chunker {name!r}; known: {', '.join(RECIPES)}")


def decided(collections: Sequence[Collection], incumbent: Module, progress: Progress) -> Iterator[Decision]:
    """How candidates are found, for all; which sources are sent; and what single corpora get instead."""
    general = decided_for_all(collections, incumbent, progress)
    yield general
    served = general.after if general.wins else incumbent
    sources = decided_on_sources(collections, served, progress)
    yield sources
    yield from decided_for_each(collections, sources.after if sources.wins else served, progress)


def decided_for_all(collections: Sequence[Collection], incumbent: Module, progress: Progress) -> Decision:
    search = Search(collections, incumbent, progress)
    recipes = [name for name in RECIPES if all(name in each.recipes for each in collections)]
    return decision_of("", search, search.whole(recipes))


def decided_on_sources(collections: Sequence[Collection], served: Module, progress: Progress) -> Decision:
    search = Search(collections, served, progress)
    fewer = search.sources()
    comparison = compared(collections, served, fewer, "sent_recall", SENT)
    sent = mean(collections, served, "sent_characters"), mean(collections, fewer, "sent_characters")
    return Decision(
        what="sources",
        corpus="",
        before=served,
        after=fewer,
        tried=len(search.tried),
        searched=(search.mean(served, measure="sent_recall"), search.mean(fewer, measure="sent_recall")),
        verdict=Verdict(comparison),
        wins=sent[1] < sent[0] and holds_as_much(comparison),
        characters=sent,
    )


def decided_for_each(collections: Sequence[Collection], served: Module, progress: Progress) -> list[Decision]:
    """Where another way to find is shown to be better for a corpus. The p-values are read together."""
    decisions = []
    for each in collections:
        search = Search([each], replace(served, **TUNED.corpora.get(each.corpus, {})), progress)
        decisions.append(decision_of(each.corpus, search, search.for_one_corpus()))
    adjusted = read_together([decision.verdict.comparison for decision in decisions])
    verdicts = [replace(one.verdict, comparison=other) for one, other in zip(decisions, adjusted, strict=True)]
    return [replace(one, verdict=verdict, wins=verdict.wins) for one, verdict in zip(decisions, verdicts, strict=True)]


def decision_of(corpus: str, search: Search, chosen: Module) -> Decision:
    verdict = confirmed(search.collections, search.incumbent, chosen)
    return Decision(
        what="finding",
        corpus=corpus,
        before=search.incumbent,
        after=chosen,
        tried=len(search.tried),
        searched=(search.mean(search.incumbent), search.mean(chosen)),
        verdict=verdict,
        wins=verdict.wins,
    )
