"""Clients who ask a site through nginx, each again as soon as it has its answer, and who note how each request ended."""

import json
import random
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import httpx

from bench.own_site import Site

MODULES = ("m1-baseline", "m6-production")
EDITIONS, EDITION = "editions", re.compile(r"edition-\d{4}")
"""The corpus that is ingested meanwhile, and the mark that every passage of one of its versions bears."""
OF_EDITIONS, STREAMED, ANEW, TALKS = 0.4, 0.4, 0.6, 0.3
"""Shares of the requests: to that corpus; streamed; with `Cache-Control: no-cache`; in a conversation."""
PAUSE_S = 0.5
"""after a request that was not answered: a client that is turned away comes back, but not a thousand times a second"""
ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as its client saw it, times in Unix seconds. `end`: ANSWERED, or how it was refused or broke off.

    `fresh`: it was answered by the providers, not from the answer cache. `editions`: the marks in its sources.
    """

    began: float
    ended: float
    end: str
    trace_id: str | None = None
    corpus: str | None = None
    version: str | None = None
    fresh: bool = False
    editions: frozenset[str] = frozenset()
    session_id: str | None = None

    @property
    def answered(self) -> bool:
        return self.end == ANSWERED


@dataclass(slots=True)
class Load:
    """`questions`: those of each corpus."""

    site: Site
    questions: Mapping[str, Sequence[str]]
    asked: list[Asked] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, parallel: int, seed: int) -> None:
        for number in range(parallel):
            draw = random.Random(f"{seed} client {number}")
            self._threads.append(threading.Thread(target=self._client, args=(number, draw)))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Returns once every client has the end of its last request."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def answered_after(self, moment: float) -> float | None:
        """When the first answer came to a request that began after the moment and that the providers answered."""
        later = takewhile(lambda each: each.ended > moment, reversed(list(self.asked)))
        return min((each.ended for each in later if each.fresh and each.began > moment), default=None)

    def _client(self, number: int, draw: random.Random) -> None:
        try:
            with self.site.client(Authorization=f"Bearer {self.site.key}") as http:
                while not self._stopped.is_set():
                    self._talk(http, draw)
        except Exception as error:  # noqa: BLE001 - a client that ends early is a finding
            self.faults.append(f"client {number} ended: {type(error).__name__}: {error}")

    def _talk(self, http: httpx.Client, draw: random.Random) -> None:
        """One question, or a conversation of up to three."""
        corpus = EDITIONS if draw.random() < OF_EDITIONS else "bench"
        body: dict[str, Any] = {"corpus": corpus, "module": draw.choice(MODULES)}
        session: dict[str, Any] = {"session": True} if draw.random() < TALKS else {}
        for _ in range(draw.randint(2, 3) if session else 1):
            streamed = draw.random() < STREAMED
            question = draw.choice(self.questions[corpus])
            headers = {"Cache-Control": "no-cache"} if draw.random() < ANEW else {}
            asked = ask(http, {**body, **session, "question": question, "stream": streamed}, headers)
            self.asked.append(asked)
            if not asked.answered:
                self._stopped.wait(PAUSE_S)
            if asked.session_id is None or self._stopped.is_set():
                return
            session = {"session_id": asked.session_id}


def ask(http: httpx.Client, body: Mapping[str, Any], headers: Mapping[str, str]) -> Asked:
    """However it ends."""
    began = time.time()
    told: dict[str, Any] = {}
    try:
        with http.stream("POST", "/api/ask", json=body, headers=dict(headers)) as reply:
            if reply.headers.get("Content-Type", "").startswith("text/event-stream"):
                end = read_stream(reply, told)
            else:
                end = read_whole(reply, told)
    except httpx.ConnectError:
        end = "no connection"
    except httpx.TransportError as error:
        end = f"cut off ({type(error).__name__})"
    return noted(began, end, told)


def read_whole(reply: httpx.Response, told: dict[str, Any]) -> str:
    text = reply.read()
    try:
        told.update(json.loads(text))
    except ValueError:
        return f"{reply.status_code} without a document"
    return ANSWERED if reply.status_code == 200 else f"{reply.status_code} {told.get('code')}"


def read_stream(reply: httpx.Response, told: dict[str, Any]) -> str:
    name = ""
    for line in reply.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data = json.loads(line.removeprefix("data: "))
            told.update(data)
            if name == "done":
                return ANSWERED
            if name == "error":
                return f"{data['status']} {data['code']} (streamed)"
    return "cut off (stream without an end)"


def noted(began: float, end: str, told: Mapping[str, Any]) -> Asked:
    answered = end == ANSWERED
    return Asked(
        began=began,
        ended=time.time(),
        end=end,
        trace_id=told.get("trace_id"),
        corpus=told.get("corpus"),
        version=told.get("corpus_version"),
        fresh=answered and told["cache"]["answer"] not in ("hit", "stale"),
        editions=frozenset(EDITION.findall(" ".join(source["text"] for source in told["sources"])) if answered else ()),
        session_id=told.get("session_id"),
    )
