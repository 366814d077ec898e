"""What beat looks at besides money: outages, the prompt cache, gaps; and the line that each alert leaves."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.conf import settings

from costs.models import Alert
from costs.tests.factories import alerts_of, make_budget, spend
from rag import alarms, alerting, clock, trace_checking, trace_reading
from rag.ingest import IngestReport
from rag.models import Outage
from rag.tests.factories import OutageFactory
from rag.tests.small_world import asked
from rag.tests.trace_lines import trace_line

pytestmark = pytest.mark.django_db


def test_an_outage_is_told_when_it_begins_and_when_it_ends():
    now = clock.now()
    OutageFactory(provider="voyage", started_at=now - timedelta(minutes=5), ended_at=None)

    alerting.watch()
    alerting.watch()
    assert [alert.severity for alert in alerts_of(Alert.Kind.OUTAGE)] == ["critical"]
    Outage.objects.update(ended_at=now)
    alerting.watch()
    alerting.watch()

    assert [alert.severity for alert in alerts_of(Alert.Kind.OUTAGE)] == ["critical", "info"]
    assert "after 300 s" in alerts_of(Alert.Kind.OUTAGE)[1].message


def test_an_outage_of_long_ago_wakes_nobody():
    now = clock.now()
    OutageFactory(started_at=now - timedelta(days=9), ended_at=now - timedelta(days=8))

    alerting.watch()

    assert alerts_of(Alert.Kind.OUTAGE) == []


def test_a_prompt_cache_that_does_nothing_is_told_once_a_day():
    for _ in range(3):
        alarms.prompt_cache(trace_line(warnings=["the prompt cache did nothing: too short"]))

    assert len(alerts_of(Alert.Kind.PROMPT_CACHE)) == 1


def test_a_line_without_a_warning_asks_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        alarms.prompt_cache(trace_line(warnings=[]))


def test_a_gap_in_the_traces_is_told_once():
    for _ in range(2):
        alarms.trace_gap(day=date(2026, 11, 20), missing=["a" * 32], damaged=["2026-11-20.jsonl:7"], now=clock.now())

    (alert,) = alerts_of(Alert.Kind.TRACE_GAP)
    assert alert.detail["damaged"] == ["2026-11-20.jsonl:7"]


def test_an_alert_leaves_one_line_that_readers_of_traces_pass_over(corpus: IngestReport):
    make_budget()
    answered = asked().trace
    spend("2.60", at=clock.now())

    alerting.watch()
    alerting.watch()

    (path,) = Path(settings.TRACE_DIR).glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    (alert,) = [line for line in lines if line["kind"] == "alert"]
    assert (alert["level"], alert["detail"]["threshold_percent"]) == ("WARN", 50)
    assert trace_checking.verify(repair=False).damaged == ()
    assert [found["trace_id"] for found in trace_reading.matching("leave")] == [answered.trace_id]


def test_a_damaged_line_behind_an_alert_is_told_by_its_number_in_the_file(corpus: IngestReport):
    make_budget()
    spend("2.60", at=clock.now())
    alerting.watch()
    (path,) = Path(settings.TRACE_DIR).glob("*.jsonl")
    with path.open("a") as file:
        file.write("{torn\n")

    assert trace_checking.verify(repair=False).damaged == (f"{path.name}:2",)


def test_a_disk_that_refuses_the_line_gets_it_at_the_next_look(tmp_path: Path):
    make_budget()
    spend("2.60", at=clock.now())
    folder = Path(settings.TRACE_DIR)
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file where the folder should be")

    alerting.watch()
    assert Alert.objects.get().traced_at is None
    folder.unlink()
    alerting.watch()

    assert Alert.objects.get().traced_at is not None
    assert len(list(folder.glob("*.jsonl"))) == 1
