"""From data sets to collections that a search can work on: corpora ingested, questions in halves, parts with a memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from uuid import uuid4

from django.conf import settings

from costs.ledger import Booking, book
from evals import beir_corpus
from evals.dataset import Dataset, load_dataset
from evals.errors import EvaluationRefused
from evals.planning import refuse_trials
from evals.tuning_parts import (
    RememberedChat,
    RememberedDense,
    RememberedEmbedder,
    RememberedLexical,
    RememberedPassages,
    RememberedReranker,
)
from evals.tuning_questions import Collection, halves
from prompts.versions import active_texts
from rag import clock, provider_stack, wiring
from rag.building import Progress
from rag.ingest import cut_also
from rag.models import ChunkSet
from rag.modules import M5, RECIPES, Module
from rag.parts import Parts
from rag.providers import factory
from rag.providers.metered import Meter
from rag.providers.retry import RetryPolicy
from rag.transforms import Transformer
from rag.values import Question

PATIENCE = RetryPolicy(attempts=6, base_s=1.0, cap_s=30.0, patience_s=60.0)
KIND = "tune"


@dataclass(slots=True)
class Spending:
    """What one tuning asked of the providers, booked as it goes."""

    meter: Meter
    trace_id: str = field(default_factory=lambda: f"tune-{uuid4().hex}")
    booked: int = 0

    def book(self) -> None:
        fresh = self.meter.attempts[self.booked :]
        book(attempts=fresh, booking=Booking(trace_id=self.trace_id, kind=KIND, module=M5.name), first=self.booked)
        self.booked += len(fresh)

    def total(self) -> Decimal | None:
        return self.meter.total()


@contextmanager
def spending() -> Iterator[Spending]:
    """Whatever ends the work, what was spent is in the ledger."""
    spent = Spending(Meter(prices=wiring.latest_prices(), now=clock.now))
    try:
        yield spent
    finally:
        spent.book()


@dataclass(frozen=True, slots=True)
class Providers:
    """The paid ones, with a memory that all corpora share, and with all the time that they need."""

    embedder: RememberedEmbedder
    reranker: RememberedReranker
    transformer: Transformer


def providers(meter: Meter) -> Providers:
    seconds, spec = settings.INGEST_TIMEOUT_S, provider_stack.query_embedder()
    embedder = factory.embedder(replace(spec.endpoint, timeout_s=seconds))
    reranker = factory.reranker(provider_stack.endpoint("cohere", seconds))
    chat = provider_stack.chat_model(seconds)
    return Providers(
        RememberedEmbedder(provider_stack.metered(embedder, meter, spec.provider, "embed", policy=PATIENCE)),
        RememberedReranker(provider_stack.metered(reranker, meter, "cohere", "rerank", policy=PATIENCE)),
        Transformer(
            chat=RememberedChat(provider_stack.metered(chat, meter, "anthropic", "transform", policy=PATIENCE)),
            model=settings.TRANSFORM_MODEL,
            temperature=wiring.temperature(meter.prices, settings.TRANSFORM_MODEL),
            prompts=active_texts(),
        ),
    )


def collected(
    *,
    datasets: Sequence[str],
    folders: Sequence[Path],
    recipes: Sequence[str],
    base: Module,
    limit: int | None,
    meter: Meter,
    progress: Progress,
) -> tuple[Collection, ...]:
    """Corpora are cut by `recipes` too where they are not yet. Raises EvaluationRefused, DatasetError, and what an ingest
    raises.
    """
    refuse_trials(base.name)
    sets = [load_dataset(str(each)) for each in (*datasets, *folders)]
    if len({each.name for each in sets}) < len(sets):
        raise EvaluationRefused("a data set was named twice")
    wanted, shared = tuple(dict.fromkeys((base.chunker, *recipes))), providers(meter)
    return tuple(collection(each, ready_corpus(each, wanted, progress), base, limit, shared) for each in sets)


def ready_corpus(dataset: Dataset, recipes: Sequence[str], progress: Progress) -> str:
    """The name of the corpus that the data set asks, cut by those recipes."""
    if dataset.folder is not None:
        return beir_corpus.ingested(folder=dataset.folder, chunkers=recipes, progress=progress).corpus
    return cut_also(corpus=settings.DEFAULT_CORPUS, chunkers=recipes, why="tuning", progress=progress).corpus


def collection(dataset: Dataset, corpus: str, base: Module, limit: int | None, shared: Providers) -> Collection:
    dealt = halves(dataset.name, beir_corpus.questions_of(dataset), limit)
    if min(map(len, dealt.values())) < 2:
        raise EvaluationRefused(f"{dataset.name} has too few questions with gold to be halved")
    wired = wiring.parts_for(tuned_question(corpus, base), module=base)
    return Collection(
        name=dataset.name,
        sha256=dataset.sha256,
        corpus=corpus,
        corpus_version=wired.serving.version,
        provider_mode=wired.provider_mode,
        recipes=held_recipes(corpus),
        halves=dealt,
        parts_of=partial(remembered, corpus, base, shared),
    )


def held_recipes(corpus: str) -> tuple[str, ...]:
    """The recipes by which the active version is cut, in the order of RECIPES."""
    version = wiring.current_stamp(corpus).version_id
    held = set(ChunkSet.objects.filter(version_id=version).values_list("chunker", flat=True))
    return tuple(name for name in RECIPES if name in held)


def remembered(corpus: str, base: Module, shared: Providers, recipe: str) -> Parts:
    """The parts that would answer from those chunks, with a memory."""
    module = replace(base, chunker=recipe, bm25_candidates=max(1, base.bm25_candidates))
    parts = wiring.parts_for(tuned_question(corpus, base), module=module).parts
    assert parts.lexical is not None  # noqa: S101 - the module above asks for it
    return replace(
        parts,
        embedder=shared.embedder,
        dense=RememberedDense(parts.dense),
        lexical=RememberedLexical(parts.lexical),
        reranker=shared.reranker,
        transformer=shared.transformer,
        passages=RememberedPassages(parts.passages),
    )


def tuned_question(corpus: str, module: Module) -> Question:
    return Question("What is tuned?", corpus, module.name)
