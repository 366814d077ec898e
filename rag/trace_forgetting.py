"""Taking the content of traces out of everything that keeps it: files, rows, conversations, kept answers.

What was spent, when, by which key and with which versions stays. A line becomes a tombstone that carries the hash of the line
that it replaces. Everything may be done again: what is forgotten already is left as it is.
"""

import json
import os
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

from django.db import transaction

from rag import answers, summaries, trace_chain, trace_files, trace_reading, trace_upkeep
from rag.cache import normalised
from rag.models import Forgetting, Session, TraceSummary, Turn
from rag.redaction import without_content
from rag.trace_chain import sha256_of
from rag.trace_files import path_of, plain_path, raw_lines, read_chain

AT_ONCE = 500
Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Whom:
    """What is to be forgotten: exactly one of the three. A question is compared as the answer cache compares."""

    api_key_id: int | None = None
    trace_id: str | None = None
    question: str | None = None

    def told(self) -> str:
        """Without the question: what is forgotten must not stand in the record of it."""
        if self.api_key_id is not None:
            return f"API key {self.api_key_id}"
        return f"trace {self.trace_id}" if self.trace_id else "a question"

    def meant_by(self, line: Line) -> bool:
        if self.api_key_id is not None:
            return bool(line.get("api_key_id") == self.api_key_id)
        if self.trace_id is not None:
            return self.trace_id in (line["trace_id"], (line.get("answer_from") or {}).get("trace_id"))
        return self.asks(line["query"]) or self.asks(line.get("standalone") or "")

    def asks(self, text: str) -> bool:
        return bool(text) and normalised(text) == normalised(self.question or "")


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much was found: lines by the day of their file, summary rows, conversations."""

    lines: dict[date, int]
    rows: int
    sessions: int

    def told(self) -> str:
        return f"{sum(self.lines.values())} lines in {len(self.lines)} files, {self.rows} rows, {self.sessions} conversations"


def forget(*, whom: Whom, dry_run: bool = False) -> Forgotten:
    """Forget what is meant, and of a conversation that holds it the whole: its later turns repeat it in other words.

    The rows go last: until then they find again what an attempt that died has left. Raises OSError for a file that is damaged.
    """
    with trace_upkeep.upkeep(trace_reading.folder()):
        trace_ids, session_ids = meant_by(whom)
        found = Forgotten(
            lines=buried(lambda line: touches(line, trace_ids, session_ids), dry_run=dry_run),
            rows=TraceSummary.objects.filter(session_id__in=session_ids).exclude(trace_id__in=trace_ids).count()
            + len(trace_ids),
            sessions=len(session_ids),
        )
        if not dry_run:
            summaries.wait_for_late_rows()
            forget_rows(trace_ids, session_ids)
            Forgetting.objects.create(what=whom.told(), lines=sum(found.lines.values()))
            answers.drop_all()
    return found


def touches(line: Line, trace_ids: Set[str], session_ids: Set[str]) -> bool:
    return line["trace_id"] in trace_ids or line.get("session_id") in session_ids


def meant_by(whom: Whom) -> tuple[set[str], set[str]]:
    """The traces that are meant, and the conversations that they belong to, by what files and rows still say."""
    trace_ids, session_ids = meant_in_rows(whom)
    for day in trace_reading.days():
        for line in trace_reading.lines_of(day):
            if line is not None and whom.meant_by(line):
                trace_ids.add(line["trace_id"])
                session_ids.add(line.get("session_id") or "")
    return trace_ids, session_ids - {""}


def meant_in_rows(whom: Whom) -> tuple[set[str], set[str]]:
    turns = Turn.objects.values_list("session_id", "trace_id", "question", "standalone")
    rows = TraceSummary.objects.values_list("session_id", "trace_id", "query")
    sessions = Session.objects.none()
    found: list[tuple[str, ...]]
    if whom.api_key_id is not None:
        sessions = Session.objects.filter(api_key_id=whom.api_key_id)
        found = [*rows.filter(api_key_id=whom.api_key_id)]
    elif whom.trace_id is not None:
        found = [*rows.filter(trace_id=whom.trace_id), *turns.filter(trace_id=whom.trace_id)]
    else:
        every = chain(rows.exclude(query="").iterator(), turns.iterator())
        found = [row for row in every if any(map(whom.asks, row[2:]))]
    of_sessions = {row[0] for row in found} | set(sessions.values_list("pk", flat=True))
    return {row[1] for row in found}, of_sessions


def buried(meant: Callable[[Line], bool], *, dry_run: bool) -> dict[date, int]:
    """Tombstones in place of the lines that are meant, in every file, today's too: how many, by the file's day."""
    folder = trace_reading.folder()
    counts = {day: bury(folder, day, meant, dry_run=dry_run) for day in trace_files.days_in(folder)}
    return {day: count for day, count in counts.items() if count}


def bury(folder: Path, day: date, meant: Callable[[Line], bool], *, dry_run: bool) -> int:
    """The chain says first which lines go: a tombstone that it does not know was put there by somebody else."""
    with writers_held_up(plain_path(folder, day)):
        replaced = {sha256_of(raw) for raw in raw_lines(folder, day) if is_to_go(raw, meant)}
        path = path_of(folder, day)
        if not replaced or dry_run or path is None:
            return len(replaced)
        known = read_chain(folder)
        if new := replaced - known.forgotten.get(str(day), frozenset()):
            entry = trace_chain.forget_entry(day=day, replaced=new, previous=known.head)
            trace_upkeep.append_entry(folder, entry)
        trace_upkeep.replace(path, (tombstone(raw, replaced) for raw in raw_lines(folder, day)))
    return len(replaced)


@contextmanager
def writers_held_up(path: Path) -> Iterator[None]:
    """What is appended to the file meanwhile would be lost with it. A day without a plain file has no writers."""
    if not path.exists():
        yield
        return
    descriptor = os.open(path, os.O_RDWR)
    try:
        with trace_files.locked(descriptor):
            yield
    finally:
        os.close(descriptor)


def is_to_go(raw: bytes, meant: Callable[[Line], bool]) -> bool:
    line = trace_reading.parsed(raw)
    return line is not None and not line.get("forgotten") and meant(line)


def tombstone(raw: bytes, replaced: Set[str]) -> bytes:
    """What stands in place of the line; the line itself where it is not one of those."""
    sha256 = sha256_of(raw)
    if sha256 not in replaced:
        return raw
    line = without_content(json.loads(raw)) | {"forgotten": True, "sha256": sha256}
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


@transaction.atomic
def forget_rows(trace_ids: Set[str], session_ids: Set[str]) -> None:
    ids = sorted(trace_ids)
    for first in range(0, len(ids), AT_ONCE):
        TraceSummary.objects.filter(trace_id__in=ids[first : first + AT_ONCE]).update(query="")
    TraceSummary.objects.filter(session_id__in=session_ids).update(query="")
    Session.objects.filter(pk__in=session_ids).delete()
