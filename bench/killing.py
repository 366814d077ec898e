"""`kill -9` of one process after the other, and how long it takes until it is back and somebody has an answer again."""

import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from bench.asking import Load
from bench.editions import Ingests
from bench.own_site import Site
from bench.whole_service import answers_over_tls
from ragsite.processes import answers

BREAKER_S = 10.0
"""The sandbox stands for the providers: while they are gone breakers open, for 15 s in all, by design (docs/failures.md)."""
WHOLE_START_S = 50.0
"""A new supervisor stops what the one before has left, prepares, and starts everything anew."""
PATIENCE_S = 90.0
LOOK_EVERY_S = 0.2
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 6.0
PING_S = 0.5


@dataclass(frozen=True, slots=True)
class Victim:
    """`find`: process ids of which one is killed, none where nothing of the kind runs. `is_back(killed)`: another serves."""

    name: str
    find: Callable[[], list[int]]
    is_back: Callable[[int], bool]
    again: Callable[[], None] | None = None
    """what starts it, where nobody watches over it"""
    extra_s: float = 0.0
    """so much longer than any other may it take"""
    takes_all_down: bool = False
    """not at once, but before it is back: answers count from then on"""


@dataclass(frozen=True, slots=True)
class Blow:
    """One kill or outage, times in Unix seconds; `back_s` and `answer_s` None: not within PATIENCE_S."""

    name: str
    at: float
    back_s: float | None
    answer_s: float | None
    extra_s: float = 0.0

    def within(self, limit_s: float) -> bool:
        return all(wait is not None and wait <= limit_s + self.extra_s for wait in (self.back_s, self.answer_s))

    def told(self) -> str:
        back, answer = ("never" if wait is None else f"{wait:.1f} s" for wait in (self.back_s, self.answer_s))
        return f"{self.name} at {time.strftime('%H:%M:%S', time.gmtime(self.at))}: back {back}, an answer {answer}"


class Victims:
    """All that runs of a site, by name."""

    def __init__(self, site: Site, ingests: Ingests) -> None:
        self._site, self._ingests = site, ingests
        self._celery = Celery(broker=site.redis.url)
        self._beats_seen = 0

    def all(self) -> dict[str, Victim]:
        listed = [
            Victim(
                "gunicorn, a worker", lambda: self._children("web"), lambda killed: self._children_again("web", killed)
            ),
            self._part("gunicorn, the master", "web", self._web_answers),
            self._part("Celery, the worker", "worker", lambda: self._pongs("worker")),
            self._part("Celery, the ingest worker", "ingests", lambda: self._pongs("ingests")),
            Victim("beat", self._beat, self._beat_again),
            self._part("Chroma", "chroma", self._chroma_answers),
            self._part("nginx, the master", "nginx", self._site_answers),
            Victim(
                "nginx, a worker", lambda: self._children("nginx"), lambda killed: self._children_again("nginx", killed)
            ),
            Victim("the sandbox", self._sandbox, self._sandbox_again, self._site.start_sandbox, BREAKER_S),
            Victim("manage.py ingest", self._ingest, lambda killed: True),
            Victim("the supervisor", self._supervisor, self._all_back, self._site.start_service, WHOLE_START_S, True),
        ]
        return {victim.name: victim for victim in listed}

    def _part(self, name: str, part: str, serves: Callable[[], bool]) -> Victim:
        return Victim(name, lambda: self._pid(part), lambda killed: self._pid(part) not in ([killed], []) and serves())

    def _pid(self, part: str) -> list[int]:
        parts = self._site.parts()
        return [parts[part]["pid"]] if part in parts else []

    def _children(self, part: str) -> list[int]:
        return [child for pid in self._pid(part) for child in children(pid)]

    def _children_again(self, part: str, killed: int) -> bool:
        there = self._children(part)
        return killed not in there and len(there) >= 2 and self._site_answers()

    def _web_answers(self) -> bool:
        return answers(f"{self._site.parts()['web']['url']}/healthz") and len(self._children("web")) >= 2

    def _chroma_answers(self) -> bool:
        return answers(f"{self._site.parts()['chroma']['url']}/api/v2/heartbeat")

    def _site_answers(self) -> bool:
        return answers_over_tls(f"{self._site.url}/healthz")

    def _pongs(self, name: str) -> bool:
        try:
            return bool(self._celery.control.ping([f"{name}@{socket.gethostname()}"], timeout=PING_S))
        except (OperationalError, redis.RedisError):
            return False

    def _beat(self) -> list[int]:
        self._beats_seen = self._beats()
        return self._pid("beat")

    def _beat_again(self, killed: int) -> bool:
        return self._pid("beat") != [killed] and self._beats() > self._beats_seen

    def _beats(self) -> int:
        log = self._site.data / "logs" / "beat.log"
        return log.read_bytes().count(b"beat: Starting") if log.exists() else 0

    def _sandbox(self) -> list[int]:
        process = self._site.sandbox
        return [process.pid] if process is not None and process.poll() is None else []

    def _sandbox_again(self, killed: int) -> bool:
        return self._site.sandbox_answers()

    def _ingest(self) -> list[int]:
        process = self._ingests.process
        return [process.pid] if process is not None and process.poll() is None else []

    def _supervisor(self) -> list[int]:
        process = self._site.service
        return [process.pid] if process is not None and process.poll() is None else []

    def _all_back(self, killed: int) -> bool:
        return self._site_answers() and self._pongs("worker") and self._pongs("ingests")


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def deck(victims: dict[str, Victim], draw: random.Random) -> Iterator[Victim]:
    """For ever: each of them twice, the supervisor, whose death stops all the others, once; then anew in another order."""
    while True:
        names = [name for name in victims for _ in range(1 if name == "the supervisor" else 2)]
        draw.shuffle(names)
        yield from (victims[name] for name in names)


def kill_for(minutes: float, load: Load, victims: dict[str, Victim], draw: random.Random) -> list[Blow]:
    """Every few seconds another, each once the one before is back."""
    ends = time.monotonic() + minutes * 60
    blows: list[Blow] = []
    for victim in deck(victims, draw):
        time.sleep(draw.uniform(SHORTEST_PAUSE_S, LONGEST_PAUSE_S))
        if time.monotonic() > ends:
            return blows
        blow = killed(victim, load, draw)
        if blow is not None:
            blows.append(blow)
            print(f"kill -9 {blow.told()}", flush=True)
    return blows


def killed(victim: Victim, load: Load, draw: random.Random) -> Blow | None:
    """None: nothing of the kind ran."""
    found = victim.find()
    if not found:
        return None
    pid, at = draw.choice(found), time.time()
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    if victim.again is not None:
        victim.again()
    back = waited(lambda: victim.is_back(pid), since=at)
    unserved_s = back if victim.takes_all_down and back is not None else 0.0
    return Blow(victim.name, at, back, answered(load, at, unserved_s), victim.extra_s)


def waited(holds: Callable[[], bool], *, since: float) -> float | None:
    """Seconds from `since` until it holds; None where it does not within PATIENCE_S."""
    while time.time() < since + PATIENCE_S:
        if holds():
            return time.time() - since
        time.sleep(LOOK_EVERY_S)
    return None


def answered(load: Load, at: float, unserved_s: float = 0.0) -> float | None:
    """Seconds from `at` to the first answer to a question that was asked after it, and after `unserved_s` more."""
    since = at + unserved_s
    waited(lambda: load.answered_after(since) is not None, since=since)
    moment = load.answered_after(since)
    return None if moment is None else moment - at
