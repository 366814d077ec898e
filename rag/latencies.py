"""Percentiles of how long answers took, exact by nearest rank: overall, by stage, and by how an answer came about."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

STAGES = ("total", "embed", "vector", "bm25", "rerank", "generate")
WAYS = ("all", "hit", "degraded", "full")
"""`hit`: from the answer cache; `degraded`: a part of it was missing; `full`: neither. `all` mixes the three."""
PERCENTS = (50, 95, 99)

Row = Mapping[str, Any]


def latency_table(answers: Iterable[Row]) -> list[dict[str, Any]]:
    """One row for each way and stage, in ms, from rows with `answer_cache`, `degraded` and `<stage>_ms`.

    Without a measurement there is no row, except for the total of all.
    """
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in answers:
        for stage in STAGES:
            if (ms := row[f"{stage}_ms"]) is not None:
                found["all", stage].append(ms)
                found[way_of(row), stage].append(ms)
    found["all", "total"]  # noqa: B018 - the row that is always there
    keys = [(way, stage) for way in WAYS for stage in STAGES if (way, stage) in found]
    return [
        {"answers": way, "stage": stage, "count": len(found[way, stage])} | percentiles(found[way, stage])
        for way, stage in keys
    ]


def way_of(row: Row) -> str:
    if row["degraded"]:
        return "degraded"
    return "hit" if row["answer_cache"] == "hit" else "full"


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """By nearest rank: each is a value that was measured; None without values."""
    ranked = sorted(values)
    return {
        f"p{percent}": round(ranked[-(-len(ranked) * percent // 100) - 1], 3) if ranked else None
        for percent in PERCENTS
    }
