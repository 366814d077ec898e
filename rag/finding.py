"""From a question to the sources for its answer: transform, embed, search, fuse, rerank, pack. Plain Python.

The vector search and BM25 run one after the other: BM25 takes a fraction of a millisecond, less than handing it to another
thread would. Where a module says so, what would hardly change the result is not paid for; the trace lists it in `economies`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rag.errors import NoEmbedding, ProviderError
from rag.generate import packed
from rag.modules import AUTO, RECIPES, Module
from rag.parts import DenseIndex, Parts, degrade
from rag.providers.contracts import EmbedRequest, RerankRequest
from rag.retrieval.fusion import reciprocal_rank_fusion, relative_score_fusion
from rag.retrieval.parents import as_sent, best_children, found_children
from rag.trace import Trace
from rag.transforms import simple
from rag.values import Hit, Passage, Searches, Source, indexed_text

COMPARED = 5
"""how many of the best of two rankings are compared"""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What the searches found: a ranking for each in each index, and all of them fused.

    Where chunks have parents, `dense` and `lexical` hold the best child of each, and `fused` the parents, which are sent.
    """

    searches: Searches
    dense: tuple[tuple[Hit, ...], ...]
    lexical: tuple[tuple[Hit, ...], ...]
    fused: tuple[Hit, ...]
    of_children: bool = False
    """whether `dense` and `lexical` are of chunks that have parents"""

    def agreement(self) -> int:
        """How many of the best COMPARED both indexes found by the first search. Where there is hardly more to find than is
        compared, that they found the same says nothing: 0.
        """
        if not self.dense or not self.lexical or len(self.dense[0]) < 2 * COMPARED:
            return 0
        vectors, words = as_sent((self.dense[0], self.lexical[0]))
        return len(best_keys(vectors) & best_keys(words))

    def found(self) -> dict[str, str]:
        """What is sent -> the smaller chunk that was found in its place; empty where chunks have no parents."""
        return found_children((*self.dense, *self.lexical)) if self.of_children else {}


def best_keys(ranking: Sequence[Hit]) -> set[str]:
    return {hit.key for hit in ranking[:COMPARED]}


def sources_for(question: str, parts: Parts, trace: Trace) -> tuple[str, tuple[Source, ...]]:
    """The transform that was used, and what was found."""
    retrieval = best_retrieval(question, parts, trace)
    note(retrieval, trace)
    return retrieval.searches.transform, packed(ranked(question, retrieval, parts, trace))


def best_retrieval(question: str, parts: Parts, trace: Trace) -> Retrieval:
    """Where the module is sure of the question as it stands, no transform is asked for."""
    module = parts.module
    if module.transform != AUTO or not module.sure_overlap:
        return retrieved(transformed(question, parts, trace), parts, trace)
    plain = retrieved(simple(question), parts, trace)
    if plain.agreement() >= module.sure_overlap or "embedding_fallback" in trace.degraded:
        trace.economies = (*trace.economies, "transform")
        return plain
    searches = transformed(question, parts, trace)
    return plain if searches.transform == "simple" else retrieved(searches, parts, trace)


def transformed(question: str, parts: Parts, trace: Trace) -> Searches:
    return simple(question) if parts.module.transform == "simple" else searched_as(question, parts, trace)


def searched_as(question: str, parts: Parts, trace: Trace) -> Searches:
    try:
        with trace.step("transform"):
            return parts.transformer.searches(question, parts.module.transform)
    except ProviderError as error:
        degrade("transform_skipped", error, parts, trace)
        return simple(question)


def retrieved(searches: Searches, parts: Parts, trace: Trace) -> Retrieval:
    """Candidates of all searches in all indexes, fused where there is more than one ranking."""
    module = parts.module
    note_searches(searches, trace)
    siblings = RECIPES[module.chunker].children_per_parent
    vectors, index = embedded(searches, parts, trace)
    with trace.step("vector"):
        wanted = module.vector_candidates
        dense = candidates(index.search(vectors=vectors, limit=wanted * siblings), wanted, siblings)
    lexical: tuple[tuple[Hit, ...], ...] = ()
    if parts.lexical is not None and module.bm25_candidates:
        with trace.step("bm25"):
            wanted = module.bm25_candidates
            words = tuple(parts.lexical.search(query=each, limit=wanted * siblings) for each in searches.lexical)
            lexical = candidates(words, wanted, siblings)
    if siblings == 1:
        return Retrieval(searches, dense, lexical, fused(dense, lexical, module))
    return Retrieval(searches, dense, lexical, fused(as_sent(dense), as_sent(lexical), module), of_children=True)


def candidates(rankings: tuple[tuple[Hit, ...], ...], limit: int, siblings: int) -> tuple[tuple[Hit, ...], ...]:
    """The candidates: of chunks with a parent the best of each."""
    return rankings if siblings == 1 else tuple(best_children(ranking, limit=limit) for ranking in rankings)


def note_searches(searches: Searches, trace: Trace) -> None:
    trace.transform = searches.transform
    trace.hypothetical = searches.hypothetical
    trace.sub_queries = searches.sub_queries


def note(retrieval: Retrieval, trace: Trace) -> None:
    note_searches(retrieval.searches, trace)
    trace.vector_candidates = best_of(retrieval.dense)
    trace.bm25_candidates = best_of(retrieval.lexical)
    trace.fused = retrieval.fused


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


def fused(dense: Sequence[Sequence[Hit]], lexical: Sequence[Sequence[Hit]], module: Module) -> tuple[Hit, ...]:
    """One ranking of the `fused_candidates` best; the only ranking there is stays as it is."""
    rankings = (*dense, *lexical)
    if len(rankings) == 1:
        return tuple(rankings[0])
    weights = [module.dense_weight] * len(dense) + [module.lexical_weight] * len(lexical)
    order = by_fusion(rankings, weights, module)
    return tuple(Hit(hit.key, round(hit.score, 8)) for hit in order)


def by_fusion(rankings: Sequence[Sequence[Hit]], weights: Sequence[float], module: Module) -> tuple[Hit, ...]:
    if module.fusion == "scores":
        return relative_score_fusion(rankings=rankings, weights=weights, limit=module.fused_candidates)
    keys = [[hit.key for hit in ranking] for ranking in rankings]
    return reciprocal_rank_fusion(rankings=keys, k=module.rrf_k, weights=weights, limit=module.fused_candidates)


def best_of(rankings: Sequence[Sequence[Hit]]) -> tuple[Hit, ...]:
    """All hits of one index, each key once with its best score, best first: what a trace shows."""
    best: dict[str, Hit] = {}
    for hit in (hit for ranking in rankings for hit in ranking):
        if hit.key not in best or hit.score > best[hit.key].score:
            best[hit.key] = hit
    return tuple(sorted(best.values(), key=lambda hit: -hit.score))


def ranked(question: str, retrieval: Retrieval, parts: Parts, trace: Trace) -> tuple[Source, ...]:
    """The best `top_k` live passages. An id that an index still holds but the rows do not is dropped here."""
    module = parts.module
    live = parts.passages.load([hit.key for hit in retrieval.fused])
    kept = [hit for hit in retrieval.fused if hit.key in live]
    if module.rerank and kept:
        if module.agreed_overlap and retrieval.agreement() >= module.agreed_overlap:
            trace.economies = (*trace.economies, "rerank")
        else:
            kept = reranked_or_fused(question, kept, live, parts, trace)
    found = retrieval.found()
    return tuple(Source(live[hit.key], hit.score, found.get(hit.key)) for hit in kept[: module.top_k])


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
    return relevant(kept, parts.module, trace)


def relevant(reranked: list[Hit], module: Module, trace: Trace) -> list[Hit]:
    """Without the tail that scores less than the module's share of the best."""
    floor = module.source_floor * max((hit.score for hit in reranked), default=0.0)
    kept = [hit for hit in reranked if hit.score >= floor]
    if len(kept) < len(reranked):
        trace.economies = (*trace.economies, "sources")
    return kept


def reranked(question: str, hits: Sequence[Hit], live: dict[str, Passage], parts: Parts) -> list[Hit]:
    passages = [live[hit.key] for hit in hits]
    documents = tuple(indexed_text(heading=passage.heading, text=passage.text) for passage in passages)
    top_n = min(parts.module.top_k, len(documents))
    reply = parts.reranker.send(RerankRequest(parts.models.rerank, question, documents, top_n))
    return [Hit(hits[index].key, round(score, 8)) for index, score in reply.ranking]
