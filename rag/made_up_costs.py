"""Days of traffic, made up by a seed: the rows of traces and of the ledger, without a call to anybody and without trace lines.

The same seed, settings and moment give the same rows. More is asked by day than by night and in the week than at its end; keys
follow Zipf's law; the prompt is changed twice; Cohere is down for an hour, Anthropic for a quarter of one.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from random import Random
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model

from costs.ledger import load_price_table
from costs.models import LedgerEntry
from costs.prices import PriceTable, cost, saved_by_prompt_cache
from costs.usage import Usage
from rag.models import ApiKey, Corpus, Outage, TraceSummary

AT_ONCE = 2_000
HOUR = timedelta(hours=1)
KEYS = ("intranet", "help desk", "mobile app", "public site", "batch export", "sales team", "legal", "prototype")
MODULES = {"m6-production": 80, "m5-tuned": 8, "m4-transform": 6, "m3-hybrid": 4, "m1-baseline": 2}
TYPES = {"simple": 62, "hyde": 15, "multi_query": 13, "decompose": 10}
REFUSALS = {429: (0.004, "rate_limited"), 402: (0.002, "budget_exceeded"), 400: (0.002, "invalid_request")}
WEEKDAYS = (1.0, 1.1, 1.1, 1.05, 0.9, 0.3, 0.25)
PREFIX, MARK = 2_400, "made-up"
AVOIDED = Decimal("0.01150000")
ZERO = Decimal(0)


class AlreadyThere(Exception):
    """Raised where that seed has been used in this database."""


@dataclass(frozen=True, slots=True)
class Made:
    traces: int
    entries: int


@dataclass(frozen=True, slots=True)
class World:
    """What all made-up requests share. `cohere_down` and `anthropic_down` are moments at which outages began."""

    random: Random
    prices: PriceTable
    keys: Sequence[int]
    corpora: Sequence[str]
    since: datetime
    until: datetime
    cohere_down: datetime
    anthropic_down: datetime

    def picked(self, weights: dict[str, int]) -> str:
        return self.random.choices([*weights], [*weights.values()])[0]

    def took(self, median_ms: float) -> float:
        """Most take about as long as the median, a few several times as long."""
        return round(self.random.lognormvariate(math.log(median_ms), 0.35), 3)

    def version(self, at: datetime) -> str:
        share = (at - self.since) / (self.until - self.since)
        return "v1" if share < 0.4 else "v2" if share < 0.75 else "v3"


def make_up(*, traces: int, days: int, seed: int, until: datetime) -> Made:
    """Write them, in the order of their time. Raises AlreadyThere."""
    if LedgerEntry.objects.filter(trace_id=f"{MARK}-{seed}").exists():
        raise AlreadyThere(f"seed {seed} was used in this database: take another")
    world = world_of(seed, until - timedelta(days=days), until)
    written = Made(0, 0)
    requests = (request_at(world, at, seed, number) for number, at in enumerate(moments(world, traces)))
    while batch := list(islice(requests, AT_ONCE)):
        entries = [entry for _, calls in batch for entry in calls]
        with transaction.atomic():
            store(TraceSummary, [trace for trace, _ in batch])
            store(LedgerEntry, entries)
        written = Made(written.traces + len(batch), written.entries + len(entries))
    return Made(written.traces, written.entries + extras(world, seed))


def store(model: type[Model], rows: Sequence[Model]) -> None:
    """New rows, without their ids. PostgreSQL takes them in as a stream, which is several times as fast."""
    if connection.vendor != "postgresql":
        model._default_manager.bulk_create(rows, batch_size=AT_ONCE)
        return
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    with connection.cursor() as cursor, cursor.copy(f'COPY "{model._meta.db_table}" ({columns}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row([field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields])


def world_of(seed: int, since: datetime, until: datetime) -> World:
    random = Random(seed)  # noqa: S311 - not for secrets
    return World(
        random=random,
        prices=load_price_table(),
        keys=[key_named(name, until).pk for name in KEYS],
        corpora=list(Corpus.objects.order_by("slug").values_list("slug", flat=True))[:2] or [settings.DEFAULT_CORPUS],
        since=since,
        until=until,
        cohere_down=since + (until - since) * random.uniform(0.3, 0.5),
        anthropic_down=since + (until - since) * random.uniform(0.6, 0.9),
    )


def key_named(name: str, now: datetime) -> ApiKey:
    """Revoked from the beginning: nobody knows its secret."""
    found = ApiKey.objects.filter(name=f"{name} ({MARK})").first()
    if found is None:
        found = ApiKey(name=f"{name} ({MARK})", scopes=["ask"], revoked_at=now)
        found.make_secret()
        found.save()
    return found


def moments(world: World, count: int) -> Iterator[datetime]:
    """When requests come, in order."""
    hours = max(1, math.ceil((world.until - world.since) / HOUR))
    starts = [world.since + n * HOUR for n in range(hours)]
    weights = [WEEKDAYS[at.weekday()] * (0.12 + max(0.0, math.sin((at.hour - 5) / 15 * math.pi))) for at in starts]
    by_hour = Counter(world.random.choices(range(hours), weights, k=count))
    for number, start in enumerate(starts):
        room = min(HOUR, world.until - start)
        yield from sorted(start + room * world.random.random() for _ in range(by_hour[number]))


def request_at(world: World, at: datetime, seed: int, number: int) -> tuple[TraceSummary, list[LedgerEntry]]:
    """A trace with its calls."""
    random = world.random
    module = world.picked(MODULES)
    known: dict[str, Any] = {
        "trace_id": f"{random.getrandbits(128):032x}",
        "kind": "ask" if random.random() < 0.94 else "eval",
        "module": module,
        "corpus": random.choices(world.corpora, [4, 1][: len(world.corpora)])[0],
        "api_key_id": random.choices([*world.keys, None], [1 / (n + 1) for n in range(len(world.keys) + 1)])[0],
        "provider_mode": "simulated",
    }
    trace = TraceSummary(
        **known, timestamp=at, query=f"Made-up question {random.randrange(4_000)} of seed {seed}?", status=200
    )
    for status, (part, code) in REFUSALS.items():
        if random.random() < part:
            trace.status, trace.error, trace.total_ms = status, code, world.took(3)
            return trace, []
    if module == "m6-production" and random.random() < 0.35:
        answer_kept(world, trace)
        return trace, []
    return trace, answered(world, trace, known)


def answer_kept(world: World, trace: TraceSummary) -> None:
    trace.answered, trace.answer_cache, trace.total_ms = True, "hit", world.took(6)
    trace.cost_usd, trace.avoided_usd = ZERO, AVOIDED
    trace.model, trace.prompt_version, trace.transform = settings.ANSWER_MODEL, world.version(trace.timestamp), "simple"


def answered(world: World, trace: TraceSummary, known: dict[str, Any]) -> list[LedgerEntry]:
    """Fill the trace in, and book its calls in order."""
    random, at = world.random, trace.timestamp
    caches = trace.module == "m6-production"
    trace.transform = world.picked(TYPES) if trace.module in ("m4-transform", "m5-tuned", "m6-production") else "simple"
    trace.prompt_version, trace.model = world.version(at), settings.ANSWER_MODEL
    trace.answer_cache = "miss" if caches else ""
    trace.embed_ms, trace.vector_ms, trace.bm25_ms = world.took(45), world.took(9), world.took(2)
    booked = Books(world, known | {"prompt_version": trace.prompt_version}, at)
    if trace.module in ("m4-transform", "m5-tuned", "m6-production"):
        booked.call("anthropic", settings.TRANSFORM_MODEL, "transform", Usage(input_tokens=320, output_tokens=24))
    if trace.transform != "simple":
        usage = Usage(input_tokens=260, output_tokens=random.randint(60, 160))
        booked.call("anthropic", settings.TRANSFORM_MODEL, trace.transform, usage)
    booked.call("voyage", settings.EMBEDDING_MODEL, "embed", Usage(input_tokens=random.randint(8, 60)))
    reranks = trace.module not in ("m1-baseline", "m2-chunking")
    if reranks and (world.cohere_down <= at < world.cohere_down + HOUR or random.random() < 0.004):
        trace.degraded = ["rerank_skipped"]
    elif reranks:
        trace.rerank_ms = world.took(110)
        booked.call("cohere", settings.RERANK_MODEL, "rerank", Usage(search_units=1))
    generated(world, trace, booked, reads=caches and random.random() < 0.86)
    trace.cost_usd = sum((entry.cost_usd or ZERO for entry in booked.entries), ZERO)
    stages = (trace.embed_ms, trace.vector_ms, trace.rerank_ms, trace.generate_ms)
    trace.total_ms = round(sum(ms or 0.0 for ms in stages) + world.took(4), 3)
    return booked.entries


def generated(world: World, trace: TraceSummary, booked: "Books", *, reads: bool) -> None:
    """An answer, or a 503 while Anthropic is down; a few take too long."""
    random = world.random
    if world.anthropic_down <= trace.timestamp < world.anthropic_down + HOUR / 4:
        trace.status, trace.error = 503, "provider_unavailable"
        booked.call("anthropic", settings.ANSWER_MODEL, "generate", Usage(), outcome="provider_unavailable")
        return
    sources, output = random.randint(900, 2_800), max(20, round(random.lognormvariate(5.2, 0.5)))
    kept = {"cache_read": PREFIX} if reads else {"cache_write_1h": PREFIX}
    usage = Usage(input_tokens=sources, output_tokens=output, **kept)
    trace.generate_ms, trace.answered = world.took(900 + 9 * output), random.random() < 0.93
    if random.random() < 0.003:
        trace.generate_ms, trace.degraded = 15_000.0, [*trace.degraded, "generation_timeout"]
    trace.tokens_in, trace.tokens_out = usage.prompt_tokens, output
    trace.cache_read, trace.cache_write_1h = usage.cache_read, usage.cache_write_1h
    price = world.prices.find(provider="anthropic", model=settings.ANSWER_MODEL, at=trace.timestamp)
    trace.prompt_saved_usd = saved_by_prompt_cache(usage=usage, price=price) if price else ZERO
    booked.call("anthropic", settings.ANSWER_MODEL, "generate", usage)


class Books:
    """The calls of one trace, each a fraction of a second after the one before."""

    def __init__(self, world: World, known: dict[str, Any], at: datetime) -> None:
        self.entries: list[LedgerEntry] = []
        self._world, self._known, self._at = world, known, at

    def call(self, provider: str, model: str, operation: str, usage: Usage, outcome: str = "ok") -> LedgerEntry:
        at = self._at + timedelta(milliseconds=50 * len(self.entries))
        price = self._world.prices.find(provider=provider, model=model, at=at)
        entry = LedgerEntry(
            **self._known,
            at=at,
            attempt=len(self.entries),
            provider=provider,
            model=model,
            operation=operation,
            outcome=outcome,
            cost_usd=cost(usage=usage, price=price) if price else None,
            price_id=price.id if price else None,
            latency_ms=self._world.took(80),
            **usage.as_dict(),
        )
        self.entries.append(entry)
        return entry


def extras(world: World, seed: int) -> int:
    """What is not a question: a weekly ingest, a judge every night, an adjustment of the first ingest, and the outages."""
    days = max(1, (world.until - world.since).days)
    ingests = [ingest(world, seed, day) for day in range(0, days, 7)]
    judged = [judging(world, seed, day) for day in range(days)]
    entries = [entry for entries in (*ingests, *judged) for entry in entries]
    store(LedgerEntry, entries)
    adjust(ingests[0][0])
    note_outage(world, "cohere", world.cohere_down, HOUR, seed)
    note_outage(world, "anthropic", world.anthropic_down, HOUR / 4, seed)
    return len(entries) + 1


def ingest(world: World, seed: int, day: int) -> list[LedgerEntry]:
    """The trace id of the first says that the seed was used."""
    trace_id = f"{MARK}-{seed}-{day}" if day else f"{MARK}-{seed}"
    known = {"trace_id": trace_id, "kind": "ingest", "corpus": world.corpora[0], "provider_mode": "simulated"}
    books = Books(world, known, world.since + timedelta(days=day))
    for _ in range(12):
        usage = Usage(input_tokens=world.random.randint(50_000, 110_000))
        books.call("voyage", settings.EMBEDDING_MODEL, "embed", usage)
    return books.entries


def judging(world: World, seed: int, day: int) -> list[LedgerEntry]:
    known = {"trace_id": f"{MARK}-judge-{seed}-{day}", "kind": "judge", "module": "m6-production"}
    of = known | {"corpus": world.corpora[0], "provider_mode": "simulated"}
    books = Books(world, of, world.since + timedelta(days=day, hours=2))
    for _ in range(30):
        usage = Usage(input_tokens=world.random.randint(1_500, 2_500), output_tokens=90)
        books.call("anthropic", settings.JUDGE_MODEL, "judge", usage)
    return books.entries


def note_outage(world: World, provider: str, began: datetime, lasted: timedelta, seed: int) -> None:
    ended = began + lasted
    reason, first = "provider_unavailable", f"{MARK}-{seed}"
    times = {"started_at": began, "last_failure_at": ended, "ended_at": ended}
    Outage.objects.create(provider=provider, failures=40, reason=reason, first_trace_id=first, **times)


def adjust(entry: LedgerEntry) -> None:
    """As if its price had been a tenth too high."""
    of = LedgerEntry.objects.get(trace_id=entry.trace_id, attempt=entry.attempt, correction=0)
    call = ("at", "trace_id", "attempt", "provider", "model", "operation", "outcome")
    copied = (*call, "provider_mode", "corpus", "price_id")
    LedgerEntry.objects.create(
        **{name: getattr(of, name) for name in copied},
        kind=LedgerEntry.ADJUSTMENT,
        adjusts=of,
        correction=1,
        latency_ms=0.0,
        cost_usd=-((of.cost_usd or ZERO) / 10).quantize(Decimal("0.00000001")),
    )
