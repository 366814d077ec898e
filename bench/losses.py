"""What is lost, once the load is off: every answered request held against its line, its row, its ledger entries, the bill, and
every version of a corpus against what was written into it.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from bench import settlement
from bench.asking import EDITION, EDITIONS, Asked
from bench.editions import DOCUMENTS, Ingested
from bench.own_site import Site
from bench.serving import ROOT

QUEUES = ("ragsite", "ragsite-ingests")
DRAINED_S = 300.0
"""A job whose worker was killed is taken up again after three minutes of silence (`rag/ingest_jobs.py`)."""
LATE_S = 30.0
"""A provider may bill a call for as long as its time-out after its caller was killed."""
CENT = Decimal("0.00000001")
REBUILT = re.compile(r"(\d+) vectors were there, (\d+) reused, (\d+) texts embedded")


def rows(site: Site, query: LiteralString, *values: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(site.postgresql.url, options="-c timezone=UTC") as connection:
        return connection.execute(query, values or None).fetchall()


def drained(site: Site) -> float | None:
    """Seconds until the queues are empty and no job waits; None: not within DRAINED_S."""
    begun = time.monotonic()
    while time.monotonic() < begun + DRAINED_S:
        jobs = rows(site, "SELECT id FROM rag_ingestjob WHERE state IN ('queued', 'running')")
        if not jobs and not any(site.redis.waiting(queue) for queue in QUEUES):
            return time.monotonic() - begun
        time.sleep(0.5)
    return None


@dataclass(frozen=True, slots=True)
class Accounts:
    """`lost`: what should be there and is not, each in words. `unbooked`: billed for requests that were cut off."""

    lines: int
    answered: int
    repaired: str
    verified: str
    entries: int
    billed_usd: Decimal
    unbooked: int
    unbooked_usd: Decimal
    versions: int
    lost: tuple[str, ...]


def accounts(site: Site, asked: Sequence[Asked], ingested: Sequence[Ingested]) -> Accounts:
    """The site must run. Repairs first what `docs/operations.md` says is to be repaired."""
    repaired = site.manage("traces", "verify", "--repair")
    status, verified = verify(site)
    lines = trace_lines(site.traces)
    bill = settlement.bill(site.sandbox_url)
    settled = settlement.settled(map(settlement.booked, rows(site, settlement.CALLS)), bill, late_s=LATE_S)
    versions = documents_of_versions(site)
    lost = [
        *([f"`manage.py traces verify` is not clean:\n{verified}"] if status else []),
        *untraced(asked, lines),
        *unkept([line for told in lines.values() for line in told], site),
        *settled.mistaken,
        *(
            f"billed outside of any request that was cut off: {each.told()}"
            for each in unexplained(settled.unbooked, asked, ingested)
        ),
        *half_versions(versions),
        *mixed(asked, versions),
        *unwhole(site, len(versions)),
    ]
    return Accounts(
        lines=sum(map(len, lines.values())),
        answered=sum(each.answered for each in asked),
        repaired=last_count(repaired),
        verified=last_count(verified),
        entries=len(settled.by_id) + len(settled.alike) + len(settled.free) + len(settled.estimates),
        billed_usd=sum((each.usd for each in bill), Decimal(0)),
        unbooked=len(settled.unbooked),
        unbooked_usd=sum((each.usd for each in settled.unbooked), Decimal(0)),
        versions=len(versions),
        lost=tuple(lost),
    )


def verify(site: Site) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "manage.py", "traces", "verify"],
        cwd=ROOT,
        env={**os.environ, **site.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def last_count(told: str) -> str:
    return next((line for line in told.splitlines() if " lines; " in line), told[-200:])


Line = Mapping[str, Any]


def trace_lines(folder: Path) -> dict[str, list[Line]]:
    """By trace id. What is no line is left to `traces verify` to tell."""
    found: dict[str, list[Line]] = {}
    for path in sorted(folder.glob("????-??-??.jsonl")):
        for raw in path.read_bytes().splitlines():
            with suppress(ValueError):
                line = json.loads(raw)
                if "trace_id" in line:  # an alert has none
                    found.setdefault(line["trace_id"], []).append(line)
    return found


def untraced(asked: Iterable[Asked], lines: Mapping[str, Sequence[Line]]) -> Iterator[str]:
    """Answered requests without exactly one line that says so."""
    for each in asked:
        told = [line["status"] for line in lines.get(each.trace_id or "", ())]
        if each.answered and told != [200]:
            yield f"answered, and its trace lines say {told}: {each}"


def unkept(lines: Iterable[Line], site: Site) -> Iterator[str]:
    """Lines, answered or not, without their row, or whose ledger entries are not their attempts, in number and in cost."""
    summaries = dict(rows(site, "SELECT trace_id, status FROM rag_tracesummary"))
    booked: dict[str, dict[int, Decimal | None]] = {}
    for trace_id, attempt, usd in rows(
        site, "SELECT trace_id, attempt, cost_usd FROM costs_ledgerentry WHERE correction = 0"
    ):
        booked.setdefault(trace_id, {})[attempt] = usd
    for line in lines:
        trace_id = line["trace_id"]
        if summaries.get(trace_id) != line["status"]:
            yield f"trace {trace_id} has status {line['status']}, its row {summaries.get(trace_id, 'is missing')}"
        attempts = {number: exact(each["cost_usd"]) for number, each in enumerate(line["attempts"])}
        if booked.get(trace_id, {}) != attempts:
            yield f"trace {trace_id} has the attempts {attempts}, the ledger {booked.get(trace_id, {})}"


def exact(cost: float | None) -> Decimal | None:
    return None if cost is None else Decimal(repr(cost)).quantize(CENT)


def unexplained(
    unbooked: Iterable[settlement.Billed], asked: Iterable[Asked], ingested: Iterable[Ingested]
) -> Iterator[settlement.Billed]:
    """What was billed and is in no ledger may only be of somebody who was killed before anything could be written down."""
    cut = [(each.began, each.ended) for each in asked if not each.answered]
    cut += [(each.began, each.ended + DRAINED_S) for each in ingested]  # an upload waits in the queue
    for each in unbooked:
        if not any(began <= each.at <= ended + LATE_S for began, ended in cut):
            yield each


def documents_of_versions(site: Site) -> dict[str, list[str]]:
    """Of each version of the corpus of editions that could be activated: the texts of its documents."""
    query = (
        "SELECT version.number, document.text FROM rag_document document "
        "JOIN rag_corpusversion version ON version.id = document.version_id "
        "JOIN rag_corpus corpus ON corpus.id = version.corpus_id WHERE corpus.slug = %s AND version.state = 'ready'"
    )
    found: dict[str, list[str]] = {}
    for number, text in rows(site, query, EDITIONS):
        found.setdefault(f"v{number}", []).append(text)
    return found


def half_versions(versions: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for label, texts in versions.items():
        editions = set(EDITION.findall(" ".join(texts)))
        if len(texts) != DOCUMENTS or len(editions) != 1:
            yield f"{EDITIONS} {label} has {len(texts)} documents of {DOCUMENTS}, of the editions {sorted(editions)}"


def mixed(asked: Iterable[Asked], versions: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Answers that a version gave which was not whole: of another edition than its own, or of a version that is none."""
    own = {label: set(EDITION.findall(texts[0])) for label, texts in versions.items()}
    for each in asked:
        if each.answered and each.corpus == EDITIONS and not each.editions <= own.get(each.version or "", set()):
            yield f"a half version served: {sorted(each.editions)} by {each.version}, trace {each.trace_id}"


def unwhole(site: Site, versions: int) -> Iterator[str]:
    """`manage.py rebuild` compares rows, vectors and BM25 of every version that could serve, and says what it had to add."""
    told = site.manage("rebuild", EDITIONS, "--all-versions").splitlines()
    if len(told) != versions:
        yield f"`manage.py rebuild` found {len(told)} of {versions} versions whole: {told[-1:]}"
    for line in told:
        found = REBUILT.search(line)
        if found is None or found.groups()[1:] != ("0", "0"):
            yield f"not whole before it was rebuilt: {line}"
