"""One ranking out of several: by the ranks alone, or by the scores, each search's stretched to the same scale."""

import math
from collections.abc import Mapping, Sequence

from rag.values import Hit


def reciprocal_rank_fusion(
    *,
    rankings: Sequence[Sequence[str]],
    k: int = 60,
    weights: Sequence[float] | None = None,
    limit: int | None = None,
) -> tuple[Hit, ...]:
    """The keys of all rankings (best first) by descending `sum(weight / (k + rank))`, ranks counted from 1.

    Source: Cormack, Clarke, Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
    Methods", SIGIR 2009; there k = 60 and all weights are 1. A key that a ranking repeats counts at its best rank, and
    the keys behind move up. A ranking of weight 0 is left out. Ties keep the order in which the keys first appear,
    reading the rankings one after another. Raises ValueError for a negative k or weight, or another number of weights
    than of rankings.
    """
    weights = [1.0] * len(rankings) if weights is None else weights
    if k < 0 or any(not weight >= 0 for weight in weights):
        raise ValueError("k and weights of a fusion cannot be negative")
    shares: dict[str, list[float]] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, key in enumerate(dict.fromkeys(ranking) if weight else (), start=1):
            shares.setdefault(key, []).append(weight / (k + rank))
    return _summed(shares, limit)


def relative_score_fusion(
    *, rankings: Sequence[Sequence[Hit]], weights: Sequence[float], limit: int | None = None
) -> tuple[Hit, ...]:
    """The keys of all rankings (best first) by descending `sum(weight * (score - least) / (most - least))`, where least and
    most are those of the ranking; a ranking of equal scores gives each of its keys the whole weight.

    Source: the convex combination with min-max scaling of Bruch, Gai, Ingber, "An Analysis of Fusion Functions for Hybrid
    Retrieval", ACM TOIS 42(1), 2023. It keeps how much better one candidate is than the next, which ranks forget. Repeated
    keys, weights of 0, ties and errors as with `reciprocal_rank_fusion`.
    """
    if any(not weight >= 0 for weight in weights):
        raise ValueError("weights of a fusion cannot be negative")
    shares: dict[str, list[float]] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for key, share in _stretched(ranking if weight else ()).items():
            shares.setdefault(key, []).append(weight * share)
    return _summed(shares, limit)


def _stretched(ranking: Sequence[Hit]) -> dict[str, float]:
    """Each key's first score on a scale from the ranking's least, 0, to its most, 1."""
    scores = [hit.score for hit in ranking]
    least, spread = min(scores, default=0.0), max(scores, default=0.0) - min(scores, default=0.0)
    shares: dict[str, float] = {}
    for hit in ranking:
        shares.setdefault(hit.key, (hit.score - least) / spread if spread else 1.0)
    return shares


def _summed(shares: Mapping[str, Sequence[float]], limit: int | None) -> tuple[Hit, ...]:
    # fsum is exact, so that equal ranks in another order of the rankings are a tie and not a rounding error.
    hits = [Hit(key, math.fsum(each)) for key, each in shares.items()]
    return tuple(sorted(hits, key=lambda hit: -hit.score)[:limit])
