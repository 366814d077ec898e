"""The questions of one data set in two halves, and what configurations find for them, without an answer being written.

Plain Python over `rag.finding`: the same functions find here and when a client asks.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import cast

from evals.asking import final_order
from evals.matching import Span, judge
from evals.metrics import recall_at
from evals.questions import EvalQuestion
from evals.tuning_parts import DEPTH, RememberedReranker, WouldRerank
from rag import clock
from rag.finding import sources_for
from rag.modules import AUTO, Module
from rag.parts import Parts
from rag.providers.contracts import EmbedRequest
from rag.trace import Trace
from rag.values import Passage

K = 5
BATCH = 64
PARALLEL = 4
ALL = 10**6


class Half(StrEnum):
    SEARCH = "search"
    CONFIRM = "confirm"


@dataclass(frozen=True, slots=True)
class Found:
    """Of one question: Recall@5 of the ranking, the same of what would be sent to the model, and how much that is."""

    recall: float
    sent_recall: float
    sent_characters: int


Results = dict[str, Found]
"""by the id of the question"""


def halves(name: str, questions: Iterable[EvalQuestion], limit: int | None) -> dict[Half, tuple[EvalQuestion, ...]]:
    """The questions with gold, at most `limit` of them, dealt in turn to the two halves in the order of a hash of their
    ids: which half a question is in does not depend on its place in the file, nor on a chance.
    """
    judged = sorted(
        (question for question in questions if question.gold),
        key=lambda question: hashlib.sha256(f"{name}/{question.id}".encode()).digest(),
    )
    taken = judged[:limit]
    return {Half.SEARCH: tuple(taken[::2]), Half.CONFIRM: tuple(taken[1::2])}


@dataclass(slots=True)
class Collection:
    """A data set with the corpus that it asks. `parts_of` makes remembered Parts for a recipe."""

    name: str
    sha256: str
    corpus: str
    corpus_version: str
    provider_mode: str
    recipes: tuple[str, ...]
    """by which the corpus is cut"""
    halves: dict[Half, tuple[EvalQuestion, ...]]
    parts_of: Callable[[str], Parts]
    _parts: dict[str, Parts] = field(default_factory=dict)
    _results: dict[tuple[Module, Half], Results] = field(default_factory=dict)

    def results(self, module: Module, half: Half) -> Results:
        """What the configuration finds for each question of the half. Raises ProviderError, IndexUnavailable."""
        key = replace(module, name=""), half
        if key not in self._results:
            parts = replace(self.parts(module.chunker), module=module)
            questions = self.halves[half]
            ask_ahead(questions, parts)
            self._results[key] = {question.id: found(question, parts) for question in questions}
        return self._results[key]

    def parts(self, recipe: str) -> Parts:
        if recipe not in self._parts:
            self._parts[recipe] = self.parts_of(recipe)
        return self._parts[recipe]


def found(question: EvalQuestion, parts: Parts) -> Found:
    ranked, sent = retrieval(question.question, parts)
    spans, kept = list(map(span, ranked)), list(map(span, sent))
    return Found(
        recall_at(judge(question=question, ranked=spans), k=K),
        recall_at(judge(question=question, ranked=kept), k=ALL),
        sum(len(passage.text) for passage in sent),
    )


def retrieval(text: str, parts: Parts) -> tuple[list[Passage], list[Passage]]:
    """The ranking that an evaluation judges, and the sources that the model would be sent."""
    trace = Trace(trace_id="", timestamp=clock.now(), query=text)
    _, sources = sources_for(text, parts, trace)
    keys = final_order(trace)
    live = parts.passages.load(keys)
    return [live[key] for key in keys if key in live], [source.passage for source in sources]


def span(passage: Passage) -> Span:
    return passage.source, passage.start, passage.end


def ask_ahead(questions: Sequence[EvalQuestion], parts: Parts) -> None:
    """Everything of the providers that these questions will need and that is not known: in batches, or several at a time."""
    texts = [question.question for question in questions]
    embed_ahead(texts, parts)
    if parts.module.transform == AUTO:
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="tune") as pool:
            searches = list(pool.map(lambda text: parts.transformer.searches(text, AUTO), texts))
        embed_ahead([text for each in searches for text in each.dense], parts)
    if parts.module.rerank:
        rerank_ahead(texts, parts)


def embed_ahead(texts: Sequence[str], parts: Parts) -> None:
    pending = iter(dict.fromkeys(texts))
    while batch := tuple(islice(pending, BATCH)):
        request = EmbedRequest(parts.models.embedding, batch, "query", parts.models.dimensions)
        parts.dense.search(vectors=parts.embedder.send(request).vectors, limit=DEPTH)


def rerank_ahead(texts: Sequence[str], parts: Parts) -> None:
    reranker = cast(RememberedReranker, parts.reranker)
    would = WouldRerank(reranker)
    for text in texts:
        retrieval(text, replace(parts, reranker=would))
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="tune") as pool:
        list(pool.map(reranker.send, would.wanted.values()))
