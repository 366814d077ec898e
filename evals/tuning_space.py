"""The configurations that a search tries, as data."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rag.modules import AUTO, Module

COARSE_SHARES = (0.3, 0.5, 0.7)
SHARES = tuple(round(share / 10, 1) for share in range(11))
"""of BM25 in the fusion; what remains is the vector index's"""
RRF_K = (2, 10, 60)
CANDIDATES = (20, 50)
DEPTHS = (10, 20, 40)
"""how many candidates are reranked"""
COUNTS = (3, 4, 5)
"""sources"""
FLOORS = (0.0, 0.5, 0.6, 0.7, 0.8)
UNRANKED = 20
"""fused candidates where nothing is reranked: a ranking for the trace"""


def coarse(module: Module) -> Iterator[Module]:
    """A few fusions, to see how a chunker does."""
    yield from fusions(module, shares=COARSE_SHARES, candidates=(50,), ks=(10, 60))


def fusions(
    module: Module,
    *,
    shares: tuple[float, ...] = SHARES,
    candidates: tuple[int, ...] = CANDIDATES,
    ks: tuple[int, ...] = RRF_K,
) -> Iterator[Module]:
    """Nothing transformed and nothing reranked, so that each costs the providers nothing more."""
    plain = replace(module, rerank=False, transform="simple", fused_candidates=UNRANKED)
    for count in candidates:
        for share in shares:
            weighed = replace(
                plain,
                vector_candidates=count,
                bm25_candidates=count,
                dense_weight=round(1 - share, 1),
                lexical_weight=share,
            )
            yield replace(weighed, fusion="scores", rrf_k=60)
            for k in ks:
                yield replace(weighed, fusion="ranks", rrf_k=k)


def reranked(module: Module) -> Iterator[Module]:
    for depth in DEPTHS:
        if depth <= module.vector_candidates:
            yield replace(module, rerank=True, fused_candidates=depth)


def routed(module: Module) -> Iterator[Module]:
    """The question as it stands; transformed as the small model chooses; that only where the two indexes disagree."""
    yield replace(module, transform="simple", sure_overlap=0)
    yield replace(module, transform=AUTO, sure_overlap=0)
    yield replace(module, transform=AUTO, sure_overlap=3)


def sent(module: Module) -> Iterator[Module]:
    """Fewer sources: only the best, and none that the reranker scores far below the best."""
    for count in COUNTS:
        for floor in FLOORS if module.rerank else (module.source_floor,):
            yield replace(module, top_k=count, source_floor=floor)


def price(module: Module) -> tuple[Any, ...]:
    """Of two that find as much the one that is smaller in this costs less: providers first, then work."""
    routing = {"simple": 0, AUTO: 2 if module.sure_overlap == 0 else 1}
    return (
        routing.get(module.transform, 1),
        module.rerank,
        module.vector_candidates + module.bm25_candidates,
        module.fused_candidates,
        module.fusion != "ranks",
        abs(module.lexical_weight - module.dense_weight),
    )
