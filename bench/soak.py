"""Eight clients for some minutes while everything breaks at random; then every request and every cent is accounted for.

Each client asks in turns: plain or streamed, alone or in a conversation, sometimes leaving in the middle. About a third of
its questions are broken on purpose: orders to the sandbox (one to three requests of a random endpoint, a random kind) that
hold for that question's mark only, so that it is known for each answer what it had to suffer. Chroma stands behind a relay
that is sometimes closed.
"""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx

from bench import wounds
from bench.serving import DATASET
from evals.questions import load_questions
from rag.failures import Fault
from rag.tests.doubles import Relay

CLIENTS = 8
MARKS = 12
BROKEN, SHARED, STREAMED, LEAVES, TALKS = 0.3, 0.15, 0.4, 0.3, 0.25
"""Shares of the questions: with faults; asked as all clients do; streamed; of those left; in a conversation."""
PATIENCE_S = 1.0
"""How long a client waits that was turned away by a breaker: otherwise most requests would be those."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as its client saw it. `status` None: the client left. Times are Unix seconds."""

    faults: tuple[Fault, ...]
    streamed: bool
    began: float
    ended: float
    status: int | None
    body: Mapping[str, Any]
    retry_after: bool
    trace_id: str | None

    @property
    def seen(self) -> set[str]:
        code = self.body.get("code")
        return {*self.body.get("degraded", ()), *([code] if code else ())}

    def told(self) -> str:
        broken = ", ".join(f"{each.endpoint} {each.ordered()} x {each.times}" for each in self.faults) or "nothing"
        return f"trace {self.trace_id}: {self.status} {sorted(self.seen)} after {broken}"


@dataclass(slots=True)
class Soak:
    """Shared by all clients. `closed`: when the relay to Chroma was."""

    url: str
    key: str
    sandbox: str
    until: float = 0.0
    asked: list[Asked] = field(default_factory=list)
    closed: list[tuple[float, float]] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)


def soaked(soak: Soak, relay: Relay, *, minutes: float, seed: int) -> None:
    """Run the clients until the time is over."""
    soak.until = time.time() + minutes * 60
    threads = [
        threading.Thread(target=client, args=(soak, number, random.Random(seed + number))) for number in range(CLIENTS)
    ]
    threads.append(threading.Thread(target=chroma_goes_away, args=(soak, relay, random.Random(seed - 1))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def warmed(soak: Soak) -> None:
    """Ask everything once, so that no model of the sandbox computes while the clients' time runs."""
    with httpx.Client(base_url=soak.url, headers={"Authorization": f"Bearer {soak.key}"}, timeout=60) as http:
        for text in (
            *shared_questions(),
            *(marked(number, mark)[0] for number in range(CLIENTS) for mark in range(MARKS)),
        ):
            http.post("/api/ask", json={"question": text})


@lru_cache(maxsize=1)
def questions() -> tuple[str, ...]:
    return tuple(question.question for question in load_questions(DATASET))


def shared_questions() -> tuple[str, ...]:
    return questions()[:5]


def marked(number: int, mark: int) -> tuple[str, str]:
    """A question that only this client asks, and the mark in it."""
    name = f"soak-{number}-{mark:02d}"
    return f"{questions()[(number * MARKS + mark) % len(questions())]} ({name})", name


def chroma_goes_away(soak: Soak, relay: Relay, draw: random.Random) -> None:
    while time.time() < soak.until:
        time.sleep(draw.uniform(5, 20))
        began = time.time()
        relay.close()
        time.sleep(draw.choice((0.3, 1.0, 3.0)))
        relay.open()
        soak.closed.append((began, time.time()))


def client(soak: Soak, number: int, draw: random.Random) -> None:
    headers = {"Authorization": f"Bearer {soak.key}"}
    with httpx.Client(base_url=soak.url, headers=headers, timeout=60) as http:
        try:
            while time.time() < soak.until:
                talk(soak, http, number, draw)
        except Exception as error:  # noqa: BLE001 - a client that ends early is a finding
            soak.crashed.append(f"client {number}: {type(error).__name__}: {error}")


def talk(soak: Soak, http: httpx.Client, number: int, draw: random.Random) -> None:
    """One question, or a conversation of some."""
    session: dict[str, Any] = {"session": True} if draw.random() < TALKS else {}
    for _ in range(draw.randint(2, 4) if session else 1):
        shared = draw.random() < SHARED
        text, mark = (draw.choice(shared_questions()), "") if shared else marked(number, draw.randrange(MARKS))
        hurt = not shared and draw.random() < BROKEN
        faults = tuple(wounds.drawn(draw) for _ in range(draw.randint(1, 3))) if hurt else ()
        with ordered(soak.sandbox, faults, mark):
            asked = ask(http, {"question": text, **session}, faults, draw)
        soak.asked.append(asked)
        if asked.body.get("code") == "provider_down":
            time.sleep(PATIENCE_S)
        if asked.status is None or not asked.body.get("session_id"):
            return
        session = {"session_id": asked.body["session_id"]}


@contextmanager
def ordered(sandbox: str, faults: tuple[Fault, ...], mark: str) -> Iterator[None]:
    placed = []
    for each in faults:
        order = {"endpoint": each.endpoint, "fault": each.ordered(), "times": each.times, "match": mark}
        placed.append(httpx.post(f"{sandbox}/_control", json=order, timeout=30).raise_for_status().json()["id"])
    yield
    for number in placed:
        httpx.delete(f"{sandbox}/_control/{number}", timeout=30)


def ask(http: httpx.Client, body: dict[str, Any], faults: tuple[Fault, ...], draw: random.Random) -> Asked:
    streamed = draw.random() < STREAMED
    began = time.time()
    if streamed:
        leaves = draw.randint(0, 8) if draw.random() < LEAVES else None
        status, told, wait, trace_id = streamed_answer(http, body | {"stream": True}, leaves)
    else:
        response = http.post("/api/ask", json=body)
        status, told, wait = response.status_code, response.json(), "Retry-After" in response.headers
        trace_id = told.get("trace_id")
    return Asked(faults, streamed, began, time.time(), status, told, wait, trace_id)


def streamed_answer(
    http: httpx.Client, body: dict[str, Any], leaves: int | None
) -> tuple[int | None, dict[str, Any], bool, str | None]:
    """Status, last event, whether it says when to come back, and trace id; the client is gone after so many lines."""
    name, trace_id = "", None
    with http.stream("POST", "/api/ask", json=body) as response:
        if response.status_code != 200:
            told = json.loads(response.read())
            return response.status_code, told, "Retry-After" in response.headers, told.get("trace_id")
        for number, line in enumerate(response.iter_lines()):
            if number == leaves:
                return None, {}, False, trace_id
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                data = json.loads(line.removeprefix("data: "))
                trace_id = data.get("trace_id", trace_id)
                if name in ("done", "error"):
                    return data.get("status", 200), data, "retry_after_s" in data, trace_id
    return 200, {"code": "no_last_event"}, False, trace_id


def differences(asked: Asked, line: Mapping[str, Any], closed: list[tuple[float, float]], limit_s: float) -> list[str]:
    """What of an answer is not as the failure table says, by what was broken for it."""
    allowed = wounds.allowed(asked.faults, streamed=asked.streamed, line=line)
    if any(began <= asked.ended and ended + 0.5 >= asked.began for began, ended in closed):
        allowed.add("index_unavailable")
    found = [f"{what} is not explained" for what in sorted(asked.seen - allowed)]
    code = asked.body.get("code")
    if asked.status != (503 if code else 200):
        found.append(f"status {asked.status}")
    if asked.retry_after != bool(code):
        found.append("when to come back")
    if asked.body.get("partial", False) != (code == "answer_interrupted"):
        found.append("partial")
    if not code and not asked.body.get("sources"):
        found.append("no sources")
    if asked.ended - asked.began > limit_s:
        found.append(f"{asked.ended - asked.began:.2f} s")
    return found


def trace_lines(folder: Path) -> dict[str, dict[str, Any]]:
    paths = sorted(folder.glob("????-??-??.jsonl"))
    lines = (json.loads(line) for path in paths for line in path.read_bytes().splitlines())
    found: dict[str, dict[str, Any]] = {}
    for line in (line for line in lines if "trace_id" in line):
        assert line["trace_id"] not in found, f"two lines for {line['trace_id']}"
        found[line["trace_id"]] = line
    return found


def steady_bill(sandbox: str) -> None:
    """Wait until the sandbox has noticed every client that left."""
    before = -1
    with suppress(TimeoutError):
        while (count := httpx.get(f"{sandbox}/_bill", params={"since": 10**9}, timeout=30).json()["count"]) != before:
            before = count
            time.sleep(3)


def ended_as(asked: list[Asked]) -> Counter[str]:
    """How many requests ended in which way."""
    return Counter(
        "the client left" if each.status is None else f"{each.status} {', '.join(sorted(each.seen)) or 'undegraded'}"
        for each in asked
    )
