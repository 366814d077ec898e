"""What is forgotten is nowhere any more, and the chain still holds."""

import hashlib
import json
import threading
from datetime import datetime, time
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import caches
from django.core.management import call_command
from rest_framework.test import APIClient

from costs.models import LedgerEntry
from rag import answers, clock, trace_files, trace_upkeep
from rag.ingest import IngestReport
from rag.models import ApiKey, Forgetting, Session, TraceSummary, Turn
from rag.replaying import replay
from rag.sessions import opened
from rag.tests.day_files import DAY, NOON, close, folder, line_at, objects, problems, raw, write
from rag.tests.small_world import HELD, asked, line_of
from rag.trace_files import TraceFiles
from rag.trace_forgetting import Whom, forget
from rag.values import Caller

SECRET = "Where does Ms Zanzibar live?"  # noqa: S105
pytestmark = pytest.mark.django_db


def everything_written() -> bytes:
    days = b"".join(b"\n".join(raw(day)) for day in trace_files.days_in(folder()))
    rows = [*TraceSummary.objects.values_list(), *Turn.objects.values_list(), *Forgetting.objects.values_list()]
    others = b"".join(path.read_bytes() for path in folder().iterdir() if path.name.startswith((".", "chain")))
    return days + repr(rows).encode() + others


def secret_line(day: Any = DAY, **changes: Any) -> dict[str, Any]:
    content = {"query": SECRET, "final_answer": f"{SECRET} No.", "hypothetical": SECRET, "sub_queries": [SECRET]}
    return write(day, rows=True, **(content | {"api_key_id": 7} | changes))


@pytest.mark.parametrize(
    "whom",
    [
        lambda line: ("--api-key", "7"),
        lambda line: ("--trace", line["trace_id"]),
        lambda line: ("--question", f"  {SECRET.upper()} "),
    ],
    ids=["api key", "trace", "question"],
)
@pytest.mark.parametrize("form", ["open", "closed", "compressed"])
def test_nothing_of_it_is_left_anywhere(whom: Any, form: str) -> None:
    day = clock.now().date() if form == "open" else DAY
    line, other = secret_line(day), write(day, rows=True)
    if form != "open":
        close(day)
    if form == "compressed":
        trace_upkeep.compress(folder(), day)
    assert b"anzibar" in everything_written()

    call_command("traces", "forget", *whom(line))

    assert b"zanzibar" not in everything_written().lower()
    assert objects(day)[1] == other
    assert problems() == []


def test_a_tombstone_keeps_the_figures_and_the_hash_of_what_it_replaces() -> None:
    line = secret_line()
    original = raw(DAY)[0]

    forget(whom=Whom(api_key_id=7))

    (found,) = objects(DAY)
    assert (found["forgotten"], found["sha256"]) == (True, hashlib.sha256(original).hexdigest())
    for key in ("trace_id", "timestamp", "api_key_id", "attempts", "cost_usd", "latencies_ms", "config", "status"):
        assert found[key] == line[key]
    assert "salt" not in found


def test_the_ledger_is_not_touched_and_rows_can_still_be_repaired() -> None:
    secret_line()
    before = list(LedgerEntry.objects.values())
    forget(whom=Whom(api_key_id=7))
    TraceSummary.objects.all().delete()

    call_command("traces", "verify", "--repair")

    assert (TraceSummary.objects.get().query, list(LedgerEntry.objects.values())) == ("", before)


def test_a_dry_run_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    secret_line()
    before = everything_written()

    call_command("traces", "forget", "--api-key", "7", "--dry-run")

    assert (everything_written(), Forgetting.objects.count()) == (before, 0)
    assert capsys.readouterr().out == "would forget: 1 lines in 1 files, 1 rows, 0 conversations\n"


def test_doing_it_again_finds_nothing_more() -> None:
    secret_line()
    forget(whom=Whom(api_key_id=7))
    before = raw(DAY), (folder() / "chain.jsonl").read_bytes()

    found = forget(whom=Whom(api_key_id=7))

    assert (found.lines, (raw(DAY), (folder() / "chain.jsonl").read_bytes())) == ({}, before)


def test_what_a_conversation_was_about_is_forgotten_with_all_of_it() -> None:
    key = ApiKey(name="carol", scopes=["ask"])
    key.make_secret()
    key.save()
    session = opened("5" * 32, corpus="handbook", module="m6-production", caller=Caller(key.pk, None))
    first = secret_line(session_id=session.pk, turn=1)
    write(DAY, rows=True, session_id=session.pk, turn=2, query="And her phone?", standalone="Zanzibar's phone?")
    Turn.objects.create(
        session=session,
        number=1,
        trace_id=first["trace_id"],
        question=SECRET,
        standalone=SECRET,
        reply="x",
        chunk_set_id=1,
    )

    found = forget(whom=Whom(question=SECRET))

    assert (found.lines, found.rows, found.sessions) == ({DAY: 2}, 2, 1)
    assert not Session.objects.exists()
    assert b"anzibar" not in everything_written()


def test_a_forgotten_trace_is_not_said_to_differ(corpus: IngestReport, capsys: pytest.CaptureFixture[str]) -> None:
    found = asked()
    forget(whom=Whom(trace_id=found.trace.trace_id))

    with pytest.raises(SystemExit):
        call_command("replay", found.trace.trace_id)

    assert capsys.readouterr().out.startswith("cannot be compared: the content of the trace was forgotten")
    assert replay(line_of(found.trace.trace_id)).withheld == "forgotten"


def test_its_answer_is_given_to_nobody_again(corpus: IngestReport, bob: APIClient) -> None:
    body = {"question": HELD, "corpus": "handbook"}
    first = bob.post("/api/ask", body, format="json").json()
    assert bob.post("/api/ask", body, format="json").json()["cache"]["answer"] == "hit"

    forget(whom=Whom(trace_id=first["trace_id"]))

    assert bob.post("/api/ask", body, format="json").json()["cache"]["answer"] == "miss"


def test_another_process_gives_none_that_it_kept_before(corpus: IngestReport, bob: APIClient) -> None:
    body = {"question": HELD, "corpus": "handbook"}
    bob.post("/api/ask", body, format="json")
    Forgetting.objects.create(what="from another process", lines=0)  # which could not reach our memory

    assert bob.post("/api/ask", body, format="json").json()["cache"]["answer"] == "miss"
    assert bob.post("/api/ask", body, format="json").json()["cache"]["answer"] == "hit"


def test_kept_answers_go_and_nothing_else() -> None:
    caches["answers"].set(f"{answers.FORMAT}x", "y")

    answers.drop_all()

    assert caches["answers"].get(f"{answers.FORMAT}x") is None


def test_who_writes_meanwhile_loses_nothing() -> None:
    """Today's file is replaced again and again under the hands of four writers."""
    today = clock.now().date()
    at = datetime.combine(today, time(0), NOON.tzinfo)
    path = settings.TRACE_DIR
    written: list[str] = []

    def write_many(name: int) -> None:
        files = TraceFiles(path)
        for _ in range(100):
            line = line_at(today, api_key_id=name)
            files.append(line=line, at=at)
            written.append(line["trace_id"])

    threads = [threading.Thread(target=write_many, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        forget(whom=Whom(api_key_id=2))
    forget(whom=Whom(api_key_id=2))

    found = objects(today)
    assert sorted(line["trace_id"] for line in found) == sorted(written)
    assert {line["api_key_id"] for line in found if line.get("forgotten")} == {2}
    assert sum(bool(line.get("forgotten")) for line in found) == 100
    assert problems() == []


def test_a_damaged_archive_is_no_success() -> None:
    secret_line()
    close(DAY)
    trace_upkeep.compress(folder(), DAY)
    path = trace_files.gz_path(folder(), DAY)
    path.write_bytes(path.read_bytes()[:-30])

    with pytest.raises(Exception, match="not everything was forgotten"):
        call_command("traces", "forget", "--api-key", "7")


def test_the_record_of_it_does_not_repeat_the_question() -> None:
    secret_line()

    forget(whom=Whom(question=SECRET))

    assert (Forgetting.objects.get().what, json.dumps(SECRET)[1:-1] in str(Forgetting.objects.values())) == (
        "a question",
        False,
    )
