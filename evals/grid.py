"""Every chunker with every embedder on the same questions: what each combination retrieves.

Nothing is generated, so a grid costs the embedding of its questions, and of what a corpus was not cut into before.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import product

from django.conf import settings

from costs.ledger import Booking, book
from evals import beir_corpus
from evals.dataset import Dataset, load_dataset
from evals.errors import EvaluationRefused
from evals.lines import DatasetError
from evals.matching import judge
from evals.metrics import RANKING
from evals.questions import EvalQuestion
from evals.retrieving import Retrieved, parts_of, retrieved
from rag import clock, provider_stack, wiring
from rag.building import Progress, VerificationFailed
from rag.embedding import EmbedderSpec
from rag.errors import RagError
from rag.ingest import cut_also, silent
from rag.models import CorpusVersion
from rag.modules import RECIPES, Module, find_module
from rag.providers.metered import Meter
from rag.trace import new_trace_id

CHUNKERS = ("fixed", "structural", "semantic", "hierarchical")
EMBEDDERS = ("voyage", "openai")
DEEPEST = 10
"""places that the measures look at"""
KIND = "eval"


@dataclass(frozen=True, slots=True)
class GridPlan:
    """`module`: whose retrieval is used, its chunker and embedder replaced. `limit`: the first so many questions with gold."""

    dataset: str
    corpus: str | None = None
    module: str = "m2-chunking"
    chunkers: tuple[str, ...] = CHUNKERS
    embedders: tuple[str, ...] = EMBEDDERS
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class GridArm:
    """One combination. `values`: measure -> question id -> value. `sent`: characters of a question's sources, on average."""

    chunker: str
    embedder: str
    model: str
    chunks: int
    values: Mapping[str, Mapping[str, float]]
    sent: float

    @property
    def name(self) -> str:
        return f"{self.chunker} with {self.embedder}"


@dataclass(frozen=True, slots=True)
class Grid:
    """`questions` have gold; the others have no measure. `cost_usd` of asking; None where a price is unknown."""

    dataset: str
    dataset_sha256: str
    corpus: str
    corpus_version: str
    module: str
    simulated: bool
    questions: int
    cost_usd: Decimal | None
    arms: tuple[GridArm, ...]


def measured(plan: GridPlan, *, progress: Progress = silent) -> Grid:
    """Prepares what the corpus lacks, then asks every question of every combination. Raises EvaluationRefused."""
    refuse_unsound(plan)
    try:
        dataset = load_dataset(plan.dataset)
        questions = judged_questions(dataset, plan.limit)
        corpus = prepared(plan, dataset, progress)
        meter = Meter(prices=wiring.latest_prices(), now=clock.now)
        arms = tuple(asked(plan, corpus, questions, meter, progress))
    except (DatasetError, RagError, VerificationFailed) as error:
        raise EvaluationRefused(str(error)) from error
    version = active_version(corpus)
    return Grid(
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        corpus=corpus,
        corpus_version=version.label,
        module=find_module(plan.module).name,
        simulated=any(spec.endpoint.mode != "live" for spec in specs(plan)),
        questions=len(questions),
        cost_usd=meter.total(),
        arms=arms,
    )


def refuse_unsound(plan: GridPlan) -> None:
    if plan.limit is not None and plan.limit < 1:
        raise EvaluationRefused("at least one question must be asked")
    for what, names, known in (("chunker", plan.chunkers, RECIPES), ("embedder", plan.embedders, EMBEDDERS)):
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise EvaluationRefused(f"unknown {what} {', '.join(unknown) or '(none)'}; known: {', '.join(known)}")
    try:
        find_module(plan.module)
    except RagError as error:
        raise EvaluationRefused(str(error)) from error


def judged_questions(dataset: Dataset, limit: int | None) -> tuple[EvalQuestion, ...]:
    """Those with gold, which alone have a ranking to be judged."""
    questions = tuple(question for question in beir_corpus.questions_of(dataset) if question.gold)
    if not questions:
        raise EvaluationRefused(f"{dataset.name} has no question whose place in the documents is known")
    return questions[:limit]


def prepared(plan: GridPlan, dataset: Dataset, progress: Progress) -> str:
    """The corpus, cut by every chunker of the plan."""
    chunkers = tuple(dict.fromkeys(plan.chunkers))
    if dataset.folder is None:
        return cut_also(
            corpus=plan.corpus or settings.DEFAULT_CORPUS,
            chunkers=chunkers,
            why="comparison of chunkers",
            progress=progress,
        ).corpus
    if plan.corpus is not None:
        raise EvaluationRefused(f"{dataset.name} brings its own documents: they cannot be judged on {plan.corpus!r}")
    return beir_corpus.ingested(folder=dataset.folder, chunkers=chunkers, progress=progress).corpus


def specs(plan: GridPlan) -> list[EmbedderSpec]:
    """The embedders of the plan, as questions are embedded."""
    known = (provider_stack.query_embedder(), provider_stack.fallback_embedder(settings.EMBEDDING_TIMEOUT_S))
    return [spec for name in dict.fromkeys(plan.embedders) for spec in known if spec.provider == name]


def asked(
    plan: GridPlan, corpus: str, questions: Sequence[EvalQuestion], meter: Meter, progress: Progress
) -> Iterator[GridArm]:
    version = active_version(corpus)
    chunks = dict(version.chunk_sets.values_list("chunker", "count"))
    for chunker, spec in product(dict.fromkeys(plan.chunkers), specs(plan)):
        module = searching(find_module(plan.module), chunker)
        booker = Booker(meter, Booking(f"grid-{new_trace_id()}", KIND, module.name, corpus), len(meter.attempts))
        parts = parts_of(corpus=corpus, module=module, spec=spec, meter=meter)
        found: dict[str, Retrieved] = {}
        for number, question in enumerate(questions, 1):
            try:
                found[question.id] = retrieved(question.question, parts)
            finally:
                booker.book()
            progress(f"asking ({chunker}, {spec.provider})", number, len(questions))
        values = measures(questions, found)
        sent = sum(each.sent for each in found.values()) / len(found)
        yield GridArm(chunker, spec.provider, spec.model, chunks[chunker], values, sent)


@dataclass(slots=True)
class Booker:
    """Books what was spent since the last call, numbered from 0."""

    meter: Meter
    booking: Booking
    begun: int
    booked: int = 0

    def book(self) -> None:
        fresh = self.meter.attempts[self.begun + self.booked :]
        book(attempts=fresh, booking=self.booking, first=self.booked)
        self.booked += len(fresh)


def searching(module: Module, chunker: str) -> Module:
    """The module with that chunker, and with as many candidates as the measures look at. No provider that fails is replaced:
    another embedder would be measured in its place.
    """
    return replace(
        module,
        chunker=chunker,
        vector_candidates=max(module.vector_candidates, DEEPEST),
        fused_candidates=max(module.fused_candidates, DEEPEST),
        fallbacks=False,
    )


def measures(questions: Sequence[EvalQuestion], found: Mapping[str, Retrieved]) -> dict[str, dict[str, float]]:
    judged = {each.id: judge(question=each, ranked=found[each.id].ranked) for each in questions}
    return {name: {key: measure(each) for key, each in judged.items()} for name, measure in RANKING.items()}


def active_version(corpus: str) -> CorpusVersion:
    return CorpusVersion.objects.get(pk=wiring.current_stamp(corpus).version_id)
