import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from rag import late_rows, trace_checking, trace_reading
from rag.models import TraceSummary

ROOT = Path(__file__).parents[2]
QUESTION = {"question": "How many days of leave may be carried over?", "corpus": "handbook", "module": "m6-production"}


@pytest.fixture
def writer(settings, monkeypatch):
    settings.ROWS_DELAY_MS = 20
    made = late_rows.Writer(0.02)
    monkeypatch.setattr(late_rows, "writer", lambda pid: made)
    yield made
    made.close()


def asked(client, **more):
    return client.post("/api/ask", QUESTION | more, format="json").json()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_rows_of_kept_answers_come_a_moment_later(writer, corpus, bob):
    first, *kept = [asked(bob) for _ in range(6)]
    assert [each["cache"]["answer"] for each in kept] == ["hit"] * 5
    found = trace_checking.verify(repair=False)  # waits for what is under way
    assert (found.lines, found.without_rows) == (6, ())
    rows = {row.trace_id: row for row in TraceSummary.objects.all()}
    assert rows.keys() == {each["trace_id"] for each in (first, *kept)}
    assert {rows[str(each["trace_id"])].answer_cache for each in kept} == {"hit"}


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_only_a_kept_answer_outside_of_a_conversation_may_wait(settings, monkeypatch, corpus, bob):
    settings.ROWS_DELAY_MS = 60_000
    waiting: list[dict[str, object]] = []
    monkeypatch.setattr(late_rows, "add", waiting.append)
    asked(bob)
    opened = asked(bob, session=True)
    assert opened["cache"]["answer"] == "hit"
    assert (waiting, TraceSummary.objects.count()) == ([], 2)
    kept = asked(bob)
    assert [line["trace_id"] for line in waiting] == [kept["trace_id"]]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_row_that_repair_has_written_first_is_kept(writer, corpus, bob):
    asked(bob)
    asked(bob)
    trace_checking.verify(repair=True)
    late_rows.written(kept_lines())
    assert TraceSummary.objects.count() == 2


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_what_cannot_be_written_holds_up_nothing(writer, corpus, bob, caplog):
    asked(bob)
    writer.add({"trace_id": "f" * 32})
    asked(bob)
    trace_checking.verify(repair=False)
    assert "f" * 32 in caplog.text
    writer.add({"trace_id": "f" * 32})
    writer.close()
    assert trace_checking.verify(repair=True).repaired <= 1  # that of the batch which failed
    assert TraceSummary.objects.count() == 2


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_process_that_ends_writes_what_is_waiting(corpus, bob):
    asked(bob)
    asked(bob)
    [line] = kept_lines()
    TraceSummary.objects.filter(trace_id=line["trace_id"]).delete()
    program = f"import django; django.setup(); from rag import late_rows; late_rows.add({line!r})"
    environment = os.environ | {"DATABASE_URL": url_of_tests(), "ROWS_DELAY_MS": "3600000"}
    subprocess.run([sys.executable, "-c", program], env=environment, cwd=ROOT, check=True, timeout=60)
    assert TraceSummary.objects.filter(trace_id=line["trace_id"]).exists()


def kept_lines():
    lines = (line for day in trace_reading.days() for line in trace_reading.lines_of(day))
    return [line for line in lines if line is not None and line["answer_cache"] == "hit"]


def url_of_tests():
    """Of the database that this test has its tables in."""
    told = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{told['NAME']}"
    return f"postgres://{told['USER']}:{told['PASSWORD']}@{told['HOST']}:{told['PORT']}/{told['NAME']}"
