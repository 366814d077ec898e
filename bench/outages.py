"""What the service stands on is away for some seconds under load: PostgreSQL, Redis, Chroma, and room on their disks."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.asking import Load
from bench.killing import LOOK_EVERY_S, Blow, answered
from bench.own_servers import PostgreSQL
from bench.own_site import Site
from bench.small_disks import SmallDisk
from ragsite.processes import answers

SHORTEST_S, LONGEST_S = 2.0, 5.0
SETTLE_S = 3.0
FULL_S = 8.0
UNWRITABLE = "trace_unwritable"


@dataclass(frozen=True, slots=True)
class Outage:
    """`end` returns once the part serves again."""

    name: str
    begin: Callable[[], None]
    end: Callable[[], None]


def restarts(site: Site) -> list[Outage]:
    return [
        Outage("PostgreSQL, stopped", lambda: site.postgresql.stop("fast"), site.postgresql.start),
        Outage("PostgreSQL, as by a power failure", lambda: site.postgresql.stop("immediate"), site.postgresql.start),
        Outage("Redis, stopped", lambda: site.redis.stop(signal.SIGTERM), site.redis.start),
        Outage("Redis, killed", lambda: site.redis.stop(signal.SIGKILL), site.redis.start),
        Outage(
            "Chroma, hanging",
            lambda: signalled(site, "chroma", signal.SIGSTOP),
            lambda: signalled(site, "chroma", signal.SIGCONT),
        ),
        Outage("Chroma, stopped", lambda: None, lambda: stopped_and_back(site)),
    ]


def signalled(site: Site, part: str, number: signal.Signals) -> None:
    os.killpg(site.parts()[part]["pid"], number)


def stopped_and_back(site: Site) -> None:
    """Chroma cannot stay away: the supervisor starts another."""
    before = site.parts()["chroma"]["pid"]
    signalled(site, "chroma", signal.SIGTERM)
    while site.parts()["chroma"]["pid"] == before or not answers(f"{site.parts()['chroma']['url']}/api/v2/heartbeat"):
        time.sleep(LOOK_EVERY_S)


def restart_for(minutes: float, load: Load, draw: random.Random) -> list[Blow]:
    """Rounds of all of them, each in another order, as many as fit; the last is ended."""
    ends, blows = time.monotonic() + minutes * 60, []
    while time.monotonic() < ends:
        for outage in draw.sample(restarts(load.site), k=len(restarts(load.site))):
            time.sleep(SETTLE_S)
            outage.begin()
            time.sleep(draw.uniform(SHORTEST_S, LONGEST_S))
            blows.append(ended(outage.name, outage.end, load))
    return blows


def ended(name: str, end: Callable[[], None], load: Load) -> Blow:
    """From the moment that the part is started again, or given room."""
    at = time.time()
    end()
    blow = Blow(name, at, time.time() - at, answered(load, at))
    print(f"after {blow.told()}", flush=True)
    return blow


@dataclass(frozen=True, slots=True)
class Full:
    """What came of the requests that began while a disk was full, by how they ended."""

    disk: str
    ends: Counter[str]

    def faults(self) -> Iterator[str]:
        if not self.ends:
            yield f"while the disk of {self.disk} was full no request ended: nothing was tried"
        if self.disk == "the traces" and not any(UNWRITABLE in end for end in self.ends):
            yield f"while the disk of {self.disk} was full no request was refused with {UNWRITABLE}"

    def told(self) -> str:
        return f"| {self.disk} | {', '.join(f'{count} {end}' for end, count in self.ends.most_common())} |"


def fill_for(minutes: float, load: Load, traces: SmallDisk, database: SmallDisk) -> tuple[list[Blow], list[Full]]:
    """The disk of the traces and that of PostgreSQL by turns, as often as fits; the last turn is ended."""
    ends, blows, full = time.monotonic() + minutes * 60, [], []
    turns = (("the traces", traces, lambda: None), ("PostgreSQL", database, lambda: start_again(load.site.postgresql)))
    while time.monotonic() < ends:
        for name, disk, end in turns:
            time.sleep(SETTLE_S)
            full.append(filled(name, disk, load))
            blows.append(ended(f"{name}, a full disk", end, load))
    return blows, full


def filled(name: str, disk: SmallDisk, load: Load) -> Full:
    disk.fill()
    begun = time.time()
    try:
        for _ in range(round(FULL_S)):
            time.sleep(1)
            disk.fill()
        ends = Counter(asked.end for asked in list(load.asked) if asked.began > begun)
    finally:
        disk.empty()
    return Full(name, ends)


def start_again(server: PostgreSQL) -> None:
    """Without room for its log it gives up, and cannot recover; whoever made room starts it again."""
    while not server.answers():
        if not server.runs():
            server.start()
        time.sleep(0.1)
