"""Answers kept for the next one who asks the same.

An answer is fresh for ANSWER_CACHE_TTL_S seconds. It is kept for STALE_ANSWER_TTL_S, to be given, marked as stale, when the
question cannot be embedded at all. The key names the corpus version, the prompts, the configuration and the newest
forgetting, so an activation, and the forgetting of anybody's words, make every older answer unreachable at once, in every
process.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.cache import caches

from rag import clock
from rag.values import Answer, Outcome, Passage, Source

FORMAT = "answer:1:"


@dataclass(frozen=True, slots=True)
class Kept:
    """A whole, undegraded answer, the trace that made it, when (UTC), and what it cost (USD; None = unpriced)."""

    outcome: Outcome
    trace_id: str
    at: datetime
    cost_usd: Decimal | None

    def age(self) -> timedelta:
        return clock.now() - self.at


def fresh(key: str) -> Kept | None:
    kept = recent(key)
    return kept if kept is not None and kept.age() < timedelta(seconds=settings.ANSWER_CACHE_TTL_S) else None


def recent(key: str) -> Kept | None:
    """The kept answer, however old; what another version of the code has written and this one cannot read is not there."""
    found = caches["answers"].get(FORMAT + key)
    return None if found is None else parsed(found)


def drop_all() -> None:
    """All that this process can reach: its own memory, or Redis, which keeps other things as well."""
    cache = caches["answers"]
    if hasattr(cache, "delete_pattern"):
        cache.delete_pattern(FORMAT + "*")
    else:
        cache.clear()


def keep(key: str, kept: Kept) -> None:
    told = {
        "outcome": asdict(kept.outcome),
        "trace_id": kept.trace_id,
        "at": kept.at.isoformat(),
        "cost_usd": None if kept.cost_usd is None else str(kept.cost_usd),
    }
    caches["answers"].set(FORMAT + key, json.dumps(told, separators=(",", ":")), timeout=settings.STALE_ANSWER_TTL_S)


def may_be_kept(outcome: Outcome) -> bool:
    """Not what was degraded, and not `the sources do not hold it`: the next try may do better."""
    return outcome.answer.answered and not outcome.degraded


def parsed(text: str) -> Kept | None:
    try:
        told = json.loads(text)
        cost = told["cost_usd"]
        return Kept(
            outcome=outcome_of(told["outcome"]),
            trace_id=told["trace_id"],
            at=datetime.fromisoformat(told["at"]),
            cost_usd=None if cost is None else Decimal(cost),
        )
    except (ValueError, TypeError, KeyError):
        return None


def outcome_of(told: dict[str, Any]) -> Outcome:
    answer = told["answer"]
    return Outcome(
        answer=Answer(**answer | {"citations": tuple(answer["citations"])}),
        sources=tuple(
            Source(Passage(**source["passage"]), source["score"], source.get("found")) for source in told["sources"]
        ),
        transform=told["transform"],
        degraded=tuple(told["degraded"]),
    )
