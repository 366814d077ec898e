"""How long answers took: overall, by stage, and by how an answer came about. Plain Python."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from rag.sketches import Bins, percentiles

STAGES = ("total", "embed", "vector", "bm25", "rerank", "generate")
WAYS = ("hit", "degraded", "full")
"""`hit`: from the answer cache; `degraded`: a part of it was missing; `full`: neither."""
ALL = "all"
"""mixes the three"""

Found = Mapping[tuple[str, str], Bins]


def way_of(*, degraded: bool, answer_cache: str) -> str:
    if degraded:
        return "degraded"
    return "hit" if answer_cache == "hit" else "full"


def latency_table(found: Found) -> list[dict[str, Any]]:
    """One row for each way and stage, in ms. Without a measurement there is no row, except for the total of all."""
    every = with_all(found)
    return [
        {"answers": way, "stage": stage, "count": every[way, stage].total()} | percentiles(every[way, stage])
        for way in (ALL, *WAYS)
        for stage in STAGES
        if every[way, stage] or (way, stage) == (ALL, "total")
    ]


def with_all(found: Found) -> dict[tuple[str, str], Bins]:
    """Also the ways together."""
    every: dict[tuple[str, str], Bins] = defaultdict(Bins, {place: Bins(bins) for place, bins in found.items()})
    for (_, stage), bins in found.items():
        every[ALL, stage].update(bins)
    return every
