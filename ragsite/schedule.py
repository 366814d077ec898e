"""The schedule of several beats: each thing is sent once, however many of them there are.

Time is cut into slots as long as the entry's interval, and the beat that claims a slot in the shared cache sends for it. So a
second beat may stand by on another host, and there is no leader whose death has to be noticed. What is sent is safe to be
done twice all the same (rows are claimed, files locked): the claim spares work, and correctness does not hang on it.
"""

import logging
from datetime import datetime
from typing import Any

from celery.beat import PersistentScheduler, ScheduleEntry
from django.core.cache import cache

from rag import clock

log = logging.getLogger(__name__)

MINUTE_S = 60.0


def claim(*, name: str, every_s: float, now: datetime) -> bool:
    """Whether the caller is the first to ask for the entry in this slot. The claim is gone one slot later."""
    slot = int(now.timestamp() // every_s)
    return bool(cache.add(f"schedule:{name}:{every_s:g}:{slot}", 1, timeout=max(1, round(2 * every_s))))


class SharedScheduler(PersistentScheduler):  # type: ignore[misc]
    def apply_async(self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Sends the entry, or leaves it to the beat that was first; either way it is due again one interval from now."""
        if claim(name=entry.name, every_s=interval_s(entry), now=clock.now()):
            return super().apply_async(entry, producer=producer, advance=advance, **kwargs)
        log.debug("another beat has sent %s", entry.name)
        return self.reserve(entry) if advance else entry


def interval_s(entry: ScheduleEntry) -> float:
    """Seconds between two runs; of a crontab the shortest that there can be."""
    every = getattr(entry.schedule, "run_every", None)
    return MINUTE_S if every is None else float(every.total_seconds())
