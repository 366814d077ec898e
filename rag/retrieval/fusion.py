"""One ranking out of several, by the ranks alone: scores of different searches cannot be compared."""

import math
from collections.abc import Sequence

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
    # fsum is exact, so that equal ranks in another order of the rankings are a tie and not a rounding error.
    hits = [Hit(key, math.fsum(each)) for key, each in shares.items()]
    return tuple(sorted(hits, key=lambda hit: -hit.score)[:limit])
