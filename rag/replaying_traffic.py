"""Replaying a request log through two modules, in simulated time.

Every request goes through `ask` and leaves its line, its row and its ledger entries like any other, under the kind `traffic`:
the sandbox has billed it, so the ledger must know it. What keeps it apart from the requests of others:

- The simulated hours end now: this process's clock is set back before the first and runs forward through them, so nothing is
  dated in the future. The sandbox's clock moves by the same steps, but only ever forward; it stays ahead.
- Each arm has a provider key of its own (the sandbox keeps prompts apart by key) and an answer cache of its own, in this
  process. What the service keeps is neither read nor changed.
- The requests belong to no API key and no user.
"""

import fcntl
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.db import connections
from django.test import override_settings

from costs.models import LedgerEntry
from rag import clock, wiring
from rag.accounts import Arm, Comparison, account_of_bill, account_of_ledger, booked, spent_of
from rag.ask import Answered, ask
from rag.errors import RagError
from rag.modules import find_module
from rag.spending import Request
from rag.trace import new_trace_id
from rag.traffic import Event, Profile, log_of, moments
from rag.values import Caller, Question

KIND = "traffic"
ARMS = ("m4", "m6")
AFTERWARDS = timedelta(minutes=30)
"""between the beginnings of two replays, beyond the hour: room for the last sessions"""
CONTROL_TIMEOUT_S = 5.0
MOST_AT_ONCE = 8


class TrafficRefused(Exception):
    """The replay must not begin, or cannot go on; the message says why."""


def comparisons(
    profiles: Sequence[Profile], *, questions: Sequence[str], corpus: str, seed: int
) -> Generator[Comparison, None, None]:
    """One profile after the other. Raises TrafficRefused. Whatever ends it, this process's clock and settings are put back."""
    refuse_to_replay(corpus, questions)
    replays = len(profiles) * len(ARMS)
    with (
        only_one(Path(settings.DATA_DIR)),
        httpx.Client(base_url=settings.SANDBOX_URL, timeout=CONTROL_TIMEOUT_S) as sandbox,
        simulated_time(sandbox, replays * (timedelta(hours=1) + AFTERWARDS)) as time,
    ):
        for profile in profiles:
            yield compared(profile, questions=questions, corpus=corpus, seed=seed, time=time)


def compared(
    profile: Profile, *, questions: Sequence[str], corpus: str, seed: int, time: "SimulatedTime"
) -> Comparison:
    log = log_of(profile, questions=questions, seed=seed)
    try:
        plain, cached = (replayed(log, module=module, corpus=corpus, time=time) for module in ARMS)
    except httpx.HTTPError as error:
        raise TrafficRefused(f"the sandbox at {settings.SANDBOX_URL} went away: {error}") from error
    price = wiring.answer_price(wiring.latest_prices())
    if price is None:
        raise TrafficRefused(f"there is no price for {settings.ANSWER_MODEL}")
    return Comparison(profile.name, plain, cached, price, settings.ANSWER_CACHE_TTL_S)


def refuse_to_replay(corpus: str, questions: Sequence[str]) -> None:
    """Raises TrafficRefused where a replay would cost money, or has nothing to ask."""
    live = sorted(name for name, provider in settings.PROVIDERS.items() if provider["mode"] == "live")
    if live:
        raise TrafficRefused(
            f"refused: providers are real ({', '.join(live)}); traffic is replayed in the sandbox only"
        )
    try:
        httpx.get(f"{settings.SANDBOX_URL}/healthz", timeout=CONTROL_TIMEOUT_S).raise_for_status()
    except httpx.HTTPError as error:
        raise TrafficRefused(
            f"the sandbox at {settings.SANDBOX_URL} does not answer; start it with `make run`"
        ) from error
    if not questions:
        raise TrafficRefused("there are no questions to ask")
    try:
        for module in ARMS:
            wiring.parts_for(Question(questions[0], corpus, module))
    except RagError as error:
        raise TrafficRefused(f"there is nothing to ask: {error}") from error


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the instance's lock; two replays would move the sandbox's clock under each other."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "traffic.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrafficRefused("another replay of traffic is running on this instance") from error
        yield


@dataclass(slots=True)
class SimulatedTime:
    """The clock of this process and that of the sandbox, moved together."""

    sandbox: httpx.Client
    _moved: timedelta = field(default=timedelta(0))

    def wait_until(self, at: datetime) -> None:
        """Does nothing when it is later already."""
        by = at - clock.now()
        if by > timedelta(0):
            self.sandbox.post("/_control/clock", json={"advance_s": by.total_seconds()}).raise_for_status()
            self.move(by)

    def move(self, by: timedelta) -> None:
        clock.advance(by)
        self._moved += by

    def put_back(self) -> None:
        self.move(-self._moved)


@contextmanager
def simulated_time(sandbox: httpx.Client, span: timedelta) -> Iterator[SimulatedTime]:
    """Time that begins `span` ago; afterwards this process's clock is right again."""
    time = SimulatedTime(sandbox)
    time.move(-span)
    try:
        yield time
    finally:
        time.put_back()


def replayed(log: Sequence[Event], *, module: str, corpus: str, time: SimulatedTime) -> Arm:
    key, began = f"traffic-{module}-{secrets.token_hex(8)}", clock.now()
    billed_before = bill(time.sandbox)["count"]
    replay = Replay(find_module(module).name, corpus)
    with apart(key):
        for at_s, events in moments(log):
            time.wait_until(began + timedelta(seconds=at_s))
            replay.take(events)
    time.wait_until(began + timedelta(hours=1) + AFTERWARDS)
    ledger = booked(replay.asked)
    return Arm(
        module=module,
        requests=tuple(replay.request(trace_id, ledger[trace_id]) for trace_id in replay.asked),
        hits=sum(answered.trace.answer_cache == "hit" for answered in replay.answered.values()),
        codes=tuple(replay.codes),
        booked=account_of_ledger(entry for entries in ledger.values() for entry in entries),
        billed=account_of_bill(bill(time.sandbox, since=billed_before)["entries"], key),
    )


@contextmanager
def apart(key: str) -> Iterator[None]:
    """Providers that know us by another key, and empty caches that live as long as this process."""
    own = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 10_000}}
    providers = {name: provider | {"api_key": key} for name, provider in settings.PROVIDERS.items()}
    with override_settings(
        PROVIDERS=providers, CACHES={name: own | {"LOCATION": f"{key} {name}"} for name in settings.CACHES}
    ):
        yield


@dataclass(slots=True)
class Talk:
    """What a session has said so far, as the blocks that its prompts are made of."""

    session_id: str | None = None
    blocks: tuple[str, ...] = ()
    sources: set[str] = field(default_factory=set)

    def told(self, text: str, answered: Answered) -> tuple[str, ...]:
        """Remembers the turn, and returns what its prompt said up to the last mark: the new sources, or what was before."""
        self.session_id, outcome = answered.trace.session_id, answered.outcome
        new = [source.passage.key for source in outcome.sources if source.passage.key not in self.sources]
        marked = (*self.blocks, " ".join(new)) if new else self.blocks
        if outcome.sources and not outcome.degraded:
            self.blocks = (*marked, f"{answered.trace.standalone or text}\n{outcome.answer.text}")
            self.sources.update(new)
        return marked


@dataclass(slots=True)
class Replay:
    """Asks, and remembers under which trace. Requests of the same moment are asked at the same time."""

    module: str
    corpus: str
    asked: dict[str, Event] = field(default_factory=dict)
    answered: dict[str, Answered] = field(default_factory=dict)
    blocks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    talks: dict[int, Talk] = field(default_factory=dict)
    codes: list[str] = field(default_factory=list)

    def take(self, events: Sequence[Event]) -> None:
        if len(events) == 1:
            self.ask(events[0])
            return
        with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
            list(pool.map(closing_connections(self.ask), events))

    def ask(self, event: Event) -> None:
        trace_id = new_trace_id()
        self.asked[trace_id] = event
        try:
            answered = ask(question=self.question(event), caller=Caller(), trace_id=trace_id, kind=KIND)
        except RagError as error:
            self.codes.append(error.code)
            return
        self.answered[trace_id] = answered
        if event.session is not None:
            self.blocks[trace_id] = self.talks.setdefault(event.session, Talk()).told(event.text, answered)

    def question(self, event: Event) -> Question:
        talk = self.talks.get(event.session or 0)
        if event.session is None or talk is None:
            return Question(event.text, self.corpus, self.module, opens_session=event.session is not None)
        return Question(event.text, self.corpus, self.module, session_id=talk.session_id)

    def request(self, trace_id: str, entries: Iterable[LedgerEntry]) -> Request:
        answered = self.answered.get(trace_id)
        held = answered is None or answered.outcome.answer.answered
        return Request(self.asked[trace_id], spent_of(entries), held, self.blocks.get(trace_id, ()))


def closing_connections(ask: Callable[[Event], None]) -> Callable[[Event], None]:
    """For threads that end: their database connections end with them."""

    def asked(event: Event) -> None:
        try:
            ask(event)
        finally:
            connections.close_all()

    return asked


def bill(sandbox: httpx.Client, *, since: int = 10**12) -> dict[str, Any]:
    """The sandbox's bill, with the entries from number `since` on."""
    shown: dict[str, Any] = sandbox.get("/_bill", params={"since": since}).raise_for_status().json()
    return shown
