import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from costs import guards
from costs.models import LedgerEntry
from rag import trace_checking, trace_reading
from rag.ingest import IngestReport
from rag.models import TraceSummary
from rag.tests.small_world import HELD, NOT_HELD, asked, bill, billed, entries_of, line_of, trace_paths

TODAY = datetime.now(UTC).date()


def rows() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Every summary and every ledger entry of an ask, without the numbers that the database gave them."""

    def values(found: Any, order: str) -> list[dict[str, Any]]:
        return [{k: v for k, v in row.items() if k != "id"} for row in found.order_by(*order.split()).values()]

    return values(TraceSummary.objects.all(), "trace_id"), values(
        LedgerEntry.objects.filter(kind="ask"), "trace_id attempt"
    )


def lose_rows(*, summaries: bool = True, ledger: bool = True) -> None:
    if summaries:
        TraceSummary.objects.all().delete()
    if ledger:  # the database refuses; a lost disk would not
        connection.check_constraints()  # PostgreSQL alters no table for which checks are still due
        guards.take_down()
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM costs_ledgerentry WHERE kind = 'ask'")
        connection.check_constraints()
        guards.put_up()


def moved_to(days_ago: int) -> Path:
    """The day's file, made that of an earlier day."""
    (path,) = trace_paths()
    return path.rename(path.with_name(f"{TODAY - timedelta(days=days_ago):%Y-%m-%d}.jsonl"))


class TestFind:
    def test_it_finds_a_text_of_the_question_in_any_case(
        self, corpus: IngestReport, capsys: pytest.CaptureFixture[str]
    ) -> None:
        found = asked()
        asked(NOT_HELD)

        call_command("traces", "find", "UNUSED annual")

        (line,) = capsys.readouterr().out.splitlines()
        assert found.trace.trace_id in line

    @pytest.mark.parametrize(
        ("since", "until", "hits"), [(None, None, 1), (3, 3, 1), (3, None, 1), (None, 3, 1), (2, None, 0), (None, 4, 0)]
    )
    def test_since_and_until_are_days_included(
        self,
        since: int | None,
        until: int | None,
        hits: int,
        corpus: IngestReport,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        asked()
        moved_to(3)
        days = {"--since": since, "--until": until}

        call_command(
            "traces", "find", "annual", *(f"{name}={TODAY - timedelta(days=ago)}" for name, ago in days.items() if ago)
        )

        assert len(capsys.readouterr().out.splitlines()) == hits

    def test_it_prints_whole_lines_as_json(self, corpus: IngestReport, capsys: pytest.CaptureFixture[str]) -> None:
        found = asked()

        call_command("traces", "find", "annual", "--json")

        assert json.loads(capsys.readouterr().out) == line_of(found.trace.trace_id)


class TestVerify:
    def test_a_sound_house_has_no_problem(self, corpus: IngestReport, capsys: pytest.CaptureFixture[str]) -> None:
        asked()

        call_command("traces", "verify")

        assert capsys.readouterr().out.startswith("1 lines; damaged 0, rows missing 0")

    @pytest.mark.parametrize("lost", [{"ledger": False}, {"summaries": False}, {}], ids=str)
    def test_repair_writes_exactly_the_rows_that_were_lost(self, lost: dict[str, bool], corpus: IngestReport) -> None:
        asked()
        asked(NOT_HELD, transform="multi_query")
        before = rows()
        lose_rows(**lost)
        assert rows() != before

        found = trace_checking.verify(repair=True)

        assert found.repaired == 2
        assert rows() == before

    def test_without_repair_it_ends_with_an_error_and_writes_nothing(self, corpus: IngestReport) -> None:
        asked()
        lose_rows()

        with pytest.raises(CommandError, match="--repair"):
            call_command("traces", "verify")

        assert not TraceSummary.objects.exists()

    def test_repairing_twice_changes_nothing(self, corpus: IngestReport) -> None:
        asked()
        before = rows()

        trace_checking.verify(repair=True)
        trace_checking.verify(repair=True)

        assert rows() == before

    def test_a_line_that_was_cut_short_is_reported_by_its_place(
        self, corpus: IngestReport, capsys: pytest.CaptureFixture[str]
    ) -> None:
        asked()
        (path,) = trace_paths()
        with path.open("ab") as file:
            file.write(b'{"trace_id":"half')

        with pytest.raises(CommandError):
            call_command("traces", "verify", "--repair")

        assert f"damaged line: {path.name}:2" in capsys.readouterr().out

    def test_the_line_after_one_that_was_cut_short_is_whole(self, corpus: IngestReport) -> None:
        asked()
        (path,) = trace_paths()
        with path.open("ab") as file:
            file.write(b'{"trace_id":"half')

        found = asked()

        assert trace_reading.find_line(found.trace.trace_id) is not None

    def test_a_row_whose_line_is_gone_is_reported(
        self, corpus: IngestReport, capsys: pytest.CaptureFixture[str]
    ) -> None:
        found = asked()
        trace_paths()[0].unlink()

        with pytest.raises(CommandError):
            call_command("traces", "verify")

        assert f"no line for the row of trace {found.trace.trace_id}" in capsys.readouterr().out


def test_the_ledger_of_questions_is_the_providers_bill(corpus: IngestReport, providers: str) -> None:
    before = bill(providers)["count"]

    asks = [asked(text, module=module) for text in (HELD, NOT_HELD) for module in ("m1-baseline", "m4-transform")]

    entries = bill(providers, since=before)["entries"]
    booked = [entry for found in asks for entry in entries_of(found.trace.trace_id)]
    theirs = [entry["usage"] for entry in entries]
    assert len(entries) == len(booked)
    assert sum(entry.cost_usd or Decimal(0) for entry in booked) == billed(entries)
    assert sum(entry.output_tokens for entry in booked) == sum(usage.get("output_tokens", 0) for usage in theirs)
    assert sum(entry.cache_read for entry in booked) == sum(u.get("cache_read_input_tokens", 0) for u in theirs)
    assert sum(entry.input_tokens for entry in booked) == sum(
        usage.get("input_tokens", 0) + usage.get("total_tokens", 0) for usage in theirs
    )
