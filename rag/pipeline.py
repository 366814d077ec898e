"""The story of one question on one page. Plain Python: no Django, no HTTP, no clock, no settings.

transform -> embed -> vector, BM25 -> fuse -> rerank -> pack -> generate -> check citations. The vector search and BM25 run
one after the other: BM25 takes a fraction of a millisecond, less than handing it to another thread would.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from prompts.texts import PromptText
from rag.errors import AnswerInterrupted, NoEmbedding, ProviderError, ProviderTimeout
from rag.generate import NOTHING_FOUND, Grounds, checked_answer, generation_request, packed
from rag.modules import Module
from rag.providers.contracts import ChatModel, Embedder, EmbedRequest, Reranker, RerankRequest
from rag.retrieval.fusion import reciprocal_rank_fusion
from rag.streaming import AnswerStream
from rag.trace import Trace
from rag.transforms import Transformer, simple
from rag.values import Answer, Conversation, Hit, Outcome, Passage, Searches, Source, indexed_text

log = logging.getLogger(__name__)

TOO_LATE = "I could not generate an answer in time, here are the retrieved sources for reference."


class DenseIndex(Protocol):
    def search(self, *, vectors: Sequence[Sequence[float]], limit: int) -> tuple[tuple[Hit, ...], ...]: ...


class LexicalIndex(Protocol):
    def search(self, *, query: str, limit: int) -> tuple[Hit, ...]: ...


class Passages(Protocol):
    def load(self, keys: Sequence[str]) -> dict[str, Passage]:
        """The live passages among those keys."""
        ...


class Listener(Protocol):
    """Is told of an answer while it is made. What it gets by `delta` adds up to the text of the answer."""

    def opened(self, trace: Trace) -> None: ...
    def sources(self, sources: Sequence[Source]) -> None: ...
    def delta(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Models:
    """Which model does what, and whether it takes a temperature."""

    answer: str
    embedding: str
    dimensions: int
    rerank: str
    max_tokens: int
    temperature: float | None


@dataclass(frozen=True, slots=True)
class Fallback:
    """The second vector space. A query embedded here is searched in its own index and never in the first one's."""

    embedder: Embedder
    model: str
    dimensions: int
    dense: DenseIndex


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that answering one question needs, chosen and connected by `rag.wiring`."""

    module: Module
    models: Models
    prompt: PromptText
    transformer: Transformer
    embedder: Embedder
    dense: DenseIndex
    lexical: LexicalIndex | None
    reranker: Reranker
    chat: ChatModel
    passages: Passages
    fallback: Fallback | None = None
    keep_system: bool = False
    """whether the provider is asked to keep the system prompt"""


def answer(
    question: str,
    parts: Parts,
    trace: Trace,
    listener: Listener | None = None,
    conversation: Conversation | None = None,
) -> Outcome:
    """Answer one question, leaving every step in the trace. Raises ProviderError, IndexUnavailable, IndexOutdated.

    Where the module allows fallbacks, what could not be had is left out or replaced, and the trace says so in `degraded`.
    With a listener the reply is streamed, and one that breaks off after its beginning was shown raises AnswerInterrupted.
    In a conversation the question is first made to stand on its own, and sources that the model has already are not sent again.
    """
    asked = understood(question, conversation, parts, trace)
    searches = transformed(asked, parts, trace)
    fused = retrieved(searches, parts, trace)
    sources = packed(ranked(asked, fused, parts, trace))
    trace.sources = sources
    if listener is not None:
        listener.sources(sources)
    grounds = Grounds(asked, sources, conversation)
    written = generated_for(grounds, parts, trace, listener)
    return finished(written, grounds.shown(written.citations), searches, trace)


def understood(question: str, conversation: Conversation | None, parts: Parts, trace: Trace) -> str:
    if conversation is None or not conversation.questions:
        return question
    try:
        with trace.step("follow_up"):
            trace.standalone = parts.transformer.standalone(question, conversation.questions)
    except ProviderError as error:
        degrade("transform_skipped", error, parts, trace)
        return question
    return trace.standalone


def generated_for(grounds: Grounds, parts: Parts, trace: Trace, listener: Listener | None) -> Answer:
    known = grounds.known()
    stream = AnswerStream((source.passage.key for source in known), listener.delta) if listener else None
    answer = generated(grounds, parts, trace, stream) if known else Answer(NOTHING_FOUND, False, (), 0, None)
    if listener is not None and stream is not None and not stream.begun:
        listener.delta(answer.text)
    return answer


def transformed(question: str, parts: Parts, trace: Trace) -> Searches:
    searches = simple(question) if parts.module.transform == "simple" else searched_as(question, parts, trace)
    trace.transform = searches.transform
    trace.hypothetical = searches.hypothetical
    trace.sub_queries = searches.sub_queries
    return searches


def searched_as(question: str, parts: Parts, trace: Trace) -> Searches:
    try:
        with trace.step("transform"):
            return parts.transformer.searches(question, parts.module.transform)
    except ProviderError as error:
        degrade("transform_skipped", error, parts, trace)
        return simple(question)


def degrade(how: str, error: ProviderError, parts: Parts, trace: Trace) -> None:
    """Go on without what failed, if the module may; otherwise the error goes its way."""
    if not parts.module.fallbacks:
        raise error
    trace.degraded = (*trace.degraded, how)
    log.warning("%s: %s", how, error, extra={"trace_id": trace.trace_id})


def retrieved(searches: Searches, parts: Parts, trace: Trace) -> tuple[Hit, ...]:
    """Candidates of all searches in all indexes, fused by reciprocal rank where there is more than one ranking."""
    module = parts.module
    vectors, index = embedded(searches, parts, trace)
    with trace.step("vector"):
        rankings = list(index.search(vectors=vectors, limit=module.vector_candidates))
    trace.vector_candidates = best_of(rankings)
    if parts.lexical is not None and module.bm25_candidates:
        with trace.step("bm25"):
            lexical = [parts.lexical.search(query=query, limit=module.bm25_candidates) for query in searches.lexical]
        trace.bm25_candidates = best_of(lexical)
        rankings += lexical
    trace.fused = fused(rankings, module)
    return trace.fused


def embedded(searches: Searches, parts: Parts, trace: Trace) -> tuple[Sequence[Sequence[float]], DenseIndex]:
    """The vectors of the searches, and the index of the same space; raises NoEmbedding when neither space can be had."""
    with trace.step("embed"):
        try:
            request = EmbedRequest(parts.models.embedding, searches.dense, "query", parts.models.dimensions)
            return parts.embedder.send(request).vectors, parts.dense
        except ProviderError as error:
            degrade("embedding_fallback", error, parts, trace)
            return embedded_elsewhere(searches, parts, error)


def embedded_elsewhere(
    searches: Searches, parts: Parts, error: ProviderError
) -> tuple[Sequence[Sequence[float]], DenseIndex]:
    second = parts.fallback
    if second is None:
        raise NoEmbedding(f"{error}; the corpus has no second index", provider=error.provider) from error
    try:
        request = EmbedRequest(second.model, searches.dense, "query", second.dimensions)
        return second.embedder.send(request).vectors, second.dense
    except ProviderError as second_error:
        message = f"{error}; and the fallback: {second_error}"
        raise NoEmbedding(message, provider=second_error.provider) from second_error


def fused(rankings: Sequence[Sequence[Hit]], module: Module) -> tuple[Hit, ...]:
    if len(rankings) == 1:
        return tuple(rankings[0])
    order = reciprocal_rank_fusion(
        rankings=[[hit.key for hit in ranking] for ranking in rankings], k=module.rrf_k, limit=module.fused_candidates
    )
    return tuple(Hit(hit.key, round(hit.score, 8)) for hit in order)


def best_of(rankings: Sequence[Sequence[Hit]]) -> tuple[Hit, ...]:
    """All hits of one index, each key once with its best score, best first: what a trace shows."""
    best: dict[str, Hit] = {}
    for hit in (hit for ranking in rankings for hit in ranking):
        if hit.key not in best or hit.score > best[hit.key].score:
            best[hit.key] = hit
    return tuple(sorted(best.values(), key=lambda hit: -hit.score))


def ranked(question: str, candidates: Sequence[Hit], parts: Parts, trace: Trace) -> tuple[Source, ...]:
    """The best `top_k` live passages. An id that an index still holds but the rows do not is dropped here."""
    live = parts.passages.load([hit.key for hit in candidates])
    kept = [hit for hit in candidates if hit.key in live]
    if parts.module.rerank and kept:
        kept = reranked_or_fused(question, kept, live, parts, trace)
    return tuple(Source(live[hit.key], hit.score) for hit in kept[: parts.module.top_k])


def reranked_or_fused(
    question: str, fused: list[Hit], live: dict[str, Passage], parts: Parts, trace: Trace
) -> list[Hit]:
    try:
        with trace.step("rerank"):
            kept = reranked(question, fused, live, parts)
    except ProviderError as error:
        degrade("rerank_skipped", error, parts, trace)
        return fused
    trace.reranked = tuple(kept)
    return kept


def reranked(question: str, hits: Sequence[Hit], live: dict[str, Passage], parts: Parts) -> list[Hit]:
    passages = [live[hit.key] for hit in hits]
    documents = tuple(indexed_text(heading=passage.heading, text=passage.text) for passage in passages)
    top_n = min(parts.module.top_k, len(documents))
    reply = parts.reranker.send(RerankRequest(parts.models.rerank, question, documents, top_n))
    return [Hit(hits[index].key, round(score, 8)) for index, score in reply.ranking]


def generated(grounds: Grounds, parts: Parts, trace: Trace, stream: AnswerStream | None) -> Answer:
    new = [source.passage for source in grounds.new()]
    request = generation_request(
        question=grounds.question,
        passages=new,
        prompt=parts.prompt,
        model=parts.models.answer,
        max_tokens=parts.models.max_tokens,
        temperature=parts.models.temperature,
        keep_system=parts.keep_system,
        conversation=grounds.conversation,
    )
    trace.keep_system = parts.keep_system
    trace.sources_sent = tuple(passage.key for passage in new)
    trace.prompt_length_chars = request.characters()
    trace.request_sha256 = request.fingerprint()
    try:
        with trace.step("generate"):
            reply = parts.chat.send(replace(request, on_text=stream.feed if stream else None))
    except ProviderError as error:
        if stream is not None and stream.begun:
            raise AnswerInterrupted(f"the answer broke off: {error}", provider=error.provider) from error
        if not isinstance(error, ProviderTimeout):
            raise
        degrade("generation_timeout", error, parts, trace)
        return Answer(TOO_LATE, False, (), 0, None)
    if stream is not None:
        stream.finish()
    return checked_answer(reply, sources=grounds.known())


def finished(checked: Answer, sources: tuple[Source, ...], searches: Searches, trace: Trace) -> Outcome:
    note_answer(checked, trace)
    trace.sources = tuple(sources)
    return Outcome(checked, tuple(sources), searches.transform, trace.degraded)


def note_answer(checked: Answer, trace: Trace) -> None:
    trace.final_answer = checked.text
    trace.answered = checked.answered
    trace.citations = checked.citations
    trace.citations_removed = checked.removed
    trace.stop_reason = checked.stop_reason
