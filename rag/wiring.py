"""From settings, the active prompt versions and the active corpus version to the Parts of one question.

What is looked up is cached in the process under a stamp that one query reads for every question, so an activation is seen by
all processes at once: nothing here expires by time.
"""

import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection

from costs.ledger import load_price_table
from costs.models import Budget, ModelPrice
from costs.prices import Price, PriceTable
from prompts import versions as prompt_versions
from prompts.models import Activation
from prompts.texts import PromptText
from rag import clock, provider_stack, warming
from rag.cache import answer_key
from rag.embedding import EmbedderSpec
from rag.errors import CorpusNotReady, IndexOutdated, UnknownCorpus, UnknownPromptVersion
from rag.models import ChunkSet, Corpus, Forgetting, Outage, VectorIndex
from rag.modules import RECIPES, Module, module_for, with_request
from rag.parts import Fallback, Models, Parts, never
from rag.providers.contracts import ChatModel, prefix_of
from rag.providers.metered import Meter
from rag.retrieval.analyzer import Analyzer
from rag.retrieval.lexical import LexicalIndex
from rag.retrieval.lexical_files import open_or_build
from rag.retrieval.passages import StoredPassages
from rag.retrieval.persistent import PersistentCollection
from rag.trace_files import TraceFiles
from rag.transforms import Transformer
from rag.values import Question
from rag.warming import Uses, Warming

if TYPE_CHECKING:
    from rag.retrieval.dense import VectorStore

ANALYZER = Analyzer()
ANSWERED_WITH = ("answer", "choose", "hyde", "multi_query", "decompose")
"""the prompts that have a part in an answer"""
STAMP = f"""
    SELECT active_version_id, url_template, (SELECT MAX(id) FROM {Activation._meta.db_table}),
           (SELECT MAX(id) FROM {ModelPrice._meta.db_table}), (SELECT MAX(id) FROM {Forgetting._meta.db_table}),
           (SELECT COUNT(*) FROM {Outage._meta.db_table} WHERE ended_at IS NULL),
           (SELECT COUNT(*) FROM {Budget._meta.db_table} WHERE hard AND active)
    FROM {Corpus._meta.db_table} WHERE slug = %s
"""  # noqa: S608 - table names of our own models


@dataclass(frozen=True, slots=True)
class Serving:
    """Where the active version of a corpus is found, for one chunker."""

    corpus: str
    version: str
    chunk_set_id: int
    chunker: str
    url_template: str
    collections: Mapping[str, tuple[str, str]]
    """provider -> (collection, identity of the embedder that filled it)"""


@dataclass(frozen=True, slots=True)
class Wired:
    module: Module
    models: Models
    prompt: PromptText
    """that answers"""
    serving: Serving
    meter: Meter
    provider_mode: str
    open_outages: int
    hard_limits: int
    """how many there are on spending, whomever they concern"""
    answer_key: str | None
    """under which the answer is kept; None where the module keeps none"""
    made: Callable[[], Parts]

    @property
    def parts(self) -> Parts:
        """Connected when they are first needed: a kept answer needs none of them."""
        return self.made()


@dataclass(frozen=True, slots=True)
class Stamp:
    """Changes whenever something that answers depend on was activated. The last two are told along and key no cache."""

    version_id: int
    url_template: str
    prompts: int | None
    prices: int | None
    forgettings: int | None
    open_outages: int
    hard_limits: int


def parts_for(question: Question, *, asker: str = "", module: Module | None = None) -> Wired:
    """`asker` decides, always alike, whether a prompt on trial is used. `module`: instead of the one that the question names.

    Raises UnknownCorpus, UnknownModule, UnknownTransform, UnknownPromptVersion, CorpusNotReady, IndexOutdated.
    """
    named = module or module_for(question.module, question.corpus)
    module = with_request(named, transform=question.transform, top_k=question.top_k)
    stamp = current_stamp(question.corpus)
    serving = serving_for(question.corpus, stamp.version_id, module.chunker, stamp.url_template)
    prompts = prompts_for(question, stamp, asker or question.text)
    meter = Meter(prices=cached_prices(stamp.prices), now=clock.now)
    usable_collection(serving, provider_stack.query_embedder())
    answering, mode = models(meter.prices), provider_stack.provider_mode(module)
    key = cache_key(question.text, module, answering, stamp, prompts, mode) if module.answer_cache else None
    return Wired(
        module=module,
        models=answering,
        prompt=prompts["answer"],
        serving=serving,
        meter=meter,
        provider_mode=mode,
        open_outages=stamp.open_outages,
        hard_limits=stamp.hard_limits,
        answer_key=key,
        made=cache(partial(connected, module, answering, serving, prompts, meter)),
    )


def connected(
    module: Module, answering: Models, serving: Serving, prompts: Mapping[str, PromptText], meter: Meter
) -> Parts:
    uses = cache(partial(uses_of, prompts["answer"]))
    return Parts(
        module=module,
        models=answering,
        prompt=prompts["answer"],
        transformer=transformer(meter, prompts),
        embedder=provider_stack.embedder_for_questions(provider_stack.query_embedder(), meter),
        dense=collection(serving, provider_stack.query_embedder()),
        lexical=lexical_index(serving.chunk_set_id) if module.bm25_candidates else None,
        reranker=provider_stack.reranker(meter),
        chat=answering_model(module, meter, uses),
        keep_system=partial(keeping_pays, uses, meter.prices) if module.prompt_cache else never,
        passages=StoredPassages(
            chunk_set_id=serving.chunk_set_id,
            url_template=serving.url_template,
            with_parents=RECIPES[serving.chunker].children_per_parent > 1,
        ),
        fallback=fallback_space(serving, module, meter),
    )


def answering_model(module: Module, meter: Meter, uses: Callable[[], Uses | None]) -> ChatModel:
    chat = provider_stack.chat(meter, "generate", settings.GENERATION_TIMEOUT_S)
    if not module.prompt_cache:
        return chat
    price = answer_price(meter.prices)
    minimum = price.min_cacheable_tokens if price else None
    return Warming(chat, minimum=minimum, warn=meter.warnings.append, uses=uses)


def keeping_pays(uses: Callable[[], Uses | None], prices: PriceTable) -> bool:
    """Whether the provider is to keep the system prompt, by its price and by when it was last used."""
    return warming.pays(uses(), answer_price(prices), clock.now())


def uses_of(prompt: PromptText) -> Uses | None:
    return warming.uses_of(prefix_of(settings.ANSWER_MODEL, prompt.system_blocks()))


def answer_price(prices: PriceTable) -> Price | None:
    return prices.find(provider="anthropic", model=settings.ANSWER_MODEL, at=clock.now())


def cache_key(
    text: str, module: Module, answering: Models, stamp: Stamp, prompts: Mapping[str, PromptText], mode: str
) -> str:
    """Everything that the answer to a question depends on, and the links of its sources."""
    told = configuration(module, answering) | {
        "corpus_version": stamp.version_id,
        "url_template": stamp.url_template,
        "forgettings": stamp.forgettings,  # which of the older answers holds the words that went, nobody knows
        "answer_model": answering.answer,
        "transform_model": settings.TRANSFORM_MODEL,
        "prompts": {name: prompts[name].content_hash for name in ANSWERED_WITH},
        "mode": mode,
    }
    return answer_key(text, configuration=told)


def configuration(module: Module, answering: Models) -> dict[str, Any]:
    """The knobs behind an answer, as plain values: what a replay compares."""
    return knobs(module) | {
        "embedding_model": answering.embedding,
        "rerank_model": answering.rerank,
        "max_tokens": answering.max_tokens,
        "temperature": answering.temperature,
    }


@lru_cache(maxsize=64)
def knobs(module: Module) -> dict[str, Any]:
    """Not to be changed by who gets it."""
    return module.config()


def current_stamp(corpus: str) -> Stamp:
    """One query, in plain SQL because every question asks it; raises UnknownCorpus, CorpusNotReady."""
    with connection.cursor() as cursor:
        cursor.execute(STAMP, [corpus])
        row = cursor.fetchone()
    if row is None:
        raise UnknownCorpus(f"there is no corpus {corpus!r}; GET /api/corpora lists them")
    version_id, url_template, *told = row
    if version_id is None:
        raise CorpusNotReady(f"the corpus {corpus!r} has no active version yet: ingest documents into it first")
    return Stamp(version_id, url_template, *told)


def prompts_for(question: Question, stamp: Stamp, asker: str) -> Mapping[str, PromptText]:
    """The active prompts; for answering the version that the question names, if it names one."""
    active = {name: each.text_for(asker) for name, each in cached_prompts(stamp.prompts).items()}
    if question.prompt_version is None or question.prompt_version == active["answer"].version:
        return active
    try:
        return active | {"answer": prompt_versions.text_of(name="answer", version=question.prompt_version)}
    except prompt_versions.UnknownPromptVersion as error:
        raise UnknownPromptVersion(f"{error}; `manage.py prompts list` shows them") from error


@lru_cache(maxsize=4)
def cached_prompts(stamp: int | None) -> dict[str, prompt_versions.Serving]:
    return prompt_versions.serving()


@lru_cache(maxsize=4)
def cached_prices(stamp: int | None) -> PriceTable:
    return load_price_table()


@lru_cache(maxsize=64)
def serving_for(corpus: str, version_id: int, chunker: str, url_template: str) -> Serving:
    chunk_set = ChunkSet.objects.filter(version_id=version_id, chunker=chunker).select_related("version").first()
    if chunk_set is None:
        raise CorpusNotReady(
            f"the corpus {corpus!r} has no {chunker!r} chunks: ingest it again with --chunker {chunker}"
        )
    indexes = VectorIndex.objects.filter(chunk_set=chunk_set)
    return Serving(
        corpus=corpus,
        version=chunk_set.version.label,
        chunk_set_id=chunk_set.pk,
        chunker=chunker,
        url_template=url_template,
        collections={row.provider: (row.collection, row.identity()) for row in indexes},
    )


def collection(serving: Serving, spec: EmbedderSpec) -> PersistentCollection:
    name = usable_collection(serving, spec)
    return PersistentCollection(vector_store(), name, sleep=time.sleep, draw=random.random)


def usable_collection(serving: Serving, wanted: EmbedderSpec) -> str:
    """The collection that this very embedder filled; raises IndexOutdated when another one did."""
    collection, identity = serving.collections.get(wanted.provider, ("", "nothing"))
    if identity != wanted.identity():
        raise IndexOutdated(
            f"the corpus {serving.corpus!r} was embedded with {identity}, but the settings name {wanted.identity()}: "
            "ingest it again"
        )
    return collection


def fallback_space(serving: Serving, module: Module, meter: Meter) -> Fallback | None:
    """The second vector space, where the module may fall back and the corpus has it."""
    spec = provider_stack.fallback_embedder(settings.EMBEDDING_TIMEOUT_S)
    if not module.fallbacks or serving.collections.get(spec.provider, ("", ""))[1] != spec.identity():
        return None
    dense = collection(serving, spec)
    return Fallback(provider_stack.embedder_for_questions(spec, meter), spec.model, spec.dimensions, dense)


def models(prices: PriceTable) -> Models:
    return Models(
        answer=settings.ANSWER_MODEL,
        embedding=settings.EMBEDDING_MODEL,
        dimensions=settings.EMBEDDING_DIMENSIONS,
        rerank=settings.RERANK_MODEL,
        max_tokens=settings.ANSWER_MAX_TOKENS,
        temperature=temperature(prices, settings.ANSWER_MODEL),
    )


def temperature(prices: PriceTable, model: str) -> float | None:
    """0 where the model takes a temperature; a model that the table does not know is not given one."""
    price = prices.find(provider="anthropic", model=model, at=clock.now())
    return 0.0 if price is not None and price.accepts_sampling else None


def transformer(meter: Meter, prompts: Mapping[str, PromptText]) -> Transformer:
    return Transformer(
        chat=provider_stack.chat(meter, "transform", settings.TRANSFORM_TIMEOUT_S),
        model=settings.TRANSFORM_MODEL,
        temperature=temperature(meter.prices, settings.TRANSFORM_MODEL),
        prompts=prompts,
    )


def vector_store() -> "VectorStore":
    return _vector_store(settings.CHROMA_URL, settings.CHROMA_TIMEOUT_S)


def build_store() -> "VectorStore":
    """The store with the patience that writing thousands of vectors takes."""
    return _vector_store(settings.CHROMA_URL, settings.INGEST_TIMEOUT_S)


def warm_up() -> None:
    """Import and make whatever takes long, so that no question waits for it."""
    provider_stack.warm_up()
    vector_store().prepare()


def latest_prices() -> PriceTable:
    """The price table as it is now, for work outside a question."""
    return load_price_table()


@lru_cache(maxsize=4)
def _vector_store(url: str, timeout_s: float) -> "VectorStore":
    """The SDK takes 25 MB and half a second: a worker that only sends alerts does without it."""
    from rag.retrieval.dense import VectorStore

    return VectorStore(url=url, timeout_s=timeout_s)


def lexical_index(chunk_set_id: int) -> LexicalIndex:
    return _lexical_index(os.getpid(), chunk_set_id)


@lru_cache(maxsize=16)
def _lexical_index(pid: int, chunk_set_id: int) -> LexicalIndex:
    return open_or_build(root=Path(settings.BM25_DIR), chunk_set_id=chunk_set_id, analyzer=ANALYZER)


def trace_files() -> TraceFiles:
    return _trace_files(str(settings.TRACE_DIR))


@lru_cache(maxsize=4)
def _trace_files(folder: str) -> TraceFiles:
    return TraceFiles(Path(folder))
