"""From small chunks that were found to the larger ones that are sent in their place. Plain Python.

Where chunks have no parents everything here stays as it is.
"""

from collections.abc import Iterable, Sequence

from rag.chunking.keys import parent_key
from rag.values import Hit


def best_children(ranking: Sequence[Hit], *, limit: int) -> tuple[Hit, ...]:
    """The first hit of each parent, the best `limit` of them: siblings behind it would send the same text again."""
    first: dict[str, Hit] = {}
    for hit in ranking:
        first.setdefault(parent_key(hit.key), hit)
        if len(first) == limit:
            break
    return tuple(first.values())


def as_sent(rankings: Iterable[Sequence[Hit]]) -> tuple[tuple[Hit, ...], ...]:
    """The rankings by what is sent, with the scores of what was found. No parent may be in a ranking twice."""
    return tuple(tuple(Hit(parent_key(hit.key), hit.score) for hit in ranking) for ranking in rankings)


def found_children(rankings: Iterable[Sequence[Hit]]) -> dict[str, str]:
    """Parent -> its child of the best rank in any of the rankings; of equal ranks the one in the earlier ranking."""
    ranked = sorted(
        ((rank, hit.key) for ranking in rankings for rank, hit in enumerate(ranking)), key=lambda pair: pair[0]
    )
    found: dict[str, str] = {}
    for _, key in ranked:
        if (parent := parent_key(key)) != key:
            found.setdefault(parent, key)
    return found
