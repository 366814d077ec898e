"""Reading what providers billed: spans, both reports over real HTTP, and files."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command

from costs.bills import anthropic_report, csv_file, openai_report
from costs.bills.values import DAY, HOUR, MINUTE, TOTAL, ReportUnavailable, Span, base_name
from costs.models import Alert
from costs.tests.factories import alerts_of
from costs.tests.paid_calls import (
    RERANK,
    SMALL,
    VOYAGE,
    Caller,
    bill_sums,
    booked,
    guessed,
    ledger_sums,
    today,
)
from costs.usage import Usage

PROVIDERS = ("anthropic", "voyage", "openai", "cohere")
NOVEMBER = Span.of_day(date(2026, 11, 20))
HEAD = "at,provider,model,input_tokens,cache_write_5m,cache_write_1h,cache_read,output_tokens,search_units,cost_usd\n"


class TestSpan:
    @pytest.mark.parametrize(
        ("ends", "width", "told"),
        [
            (("2026-11-20", "2026-11-21"), DAY, "2026-11-20"),
            (("2026-11-20", "2026-11-23"), DAY, "2026-11-20 to 2026-11-22"),
            (("2026-11-20T10:00", "2026-11-20T12:00"), HOUR, "2026-11-20T10:00Z to 2026-11-20T12:00Z"),
            (("2026-11-20T10:00", "2026-11-21T00:00"), HOUR, "2026-11-20T10:00Z to 2026-11-21T00:00Z"),
            (("2026-11-20T10:15", "2026-11-20T12:00"), MINUTE, "2026-11-20T10:15Z to 2026-11-20T12:00Z"),
        ],
    )
    def test_it_is_cut_into_the_widest_buckets(self, ends: tuple[str, str], width: timedelta, told: str) -> None:
        since, until = (datetime.fromisoformat(end).replace(tzinfo=UTC) for end in ends)

        span = Span(since, until)

        assert (span.width, str(span)) == (width, told)

    def test_its_end_is_no_part_of_it(self) -> None:
        assert NOVEMBER.holds(NOVEMBER.since)
        assert not NOVEMBER.holds(NOVEMBER.until)


@pytest.mark.parametrize(
    "model",
    ["claude-haiku-4-5", "claude-haiku-4-5-20251001", "claude-haiku-4-5-2025-10-01"],
)
def test_the_date_of_a_snapshot_is_no_part_of_the_models_name(model: str) -> None:
    assert base_name(model) == "claude-haiku-4-5"


class TestReports:
    def test_the_documented_example_is_read_in_cents_and_without_the_snapshots_date(self) -> None:
        example = {
            "amount": "123.78912",
            "cost_type": "tokens",
            "currency": "USD",
            "model": "claude-sonnet-4-20250514",
            "token_type": "uncached_input_tokens",
        }
        other_example = example | {"cost_type": "web_search", "model": None, "token_type": None}

        amounts, other = anthropic_report.amounts_of([example, other_example])

        assert amounts == {("claude-sonnet-4", "input_tokens"): Decimal("1.2378912")}
        assert other == Decimal("1.2378912")

    def test_openais_line_items_name_the_model_first(self) -> None:
        items: list[dict[str, Any]] = [
            {"amount": {"value": Decimal("0.06"), "currency": "usd"}, "line_item": f"{SMALL}, input_tokens"},
            {"amount": {"value": "0.01", "currency": "usd"}, "line_item": SMALL},
            {"amount": {"value": 2, "currency": "usd"}, "line_item": "gpt-6-astra, input_tokens"},
            {"amount": {"value": 1, "currency": "usd"}, "line_item": None},
        ]

        amounts, other = openai_report.amounts_of(items, {SMALL})

        assert amounts == {(SMALL, TOTAL): Decimal("0.07")}
        assert other == 3

    def test_an_amount_in_another_currency_is_refused(self) -> None:
        item = {"amount": {"value": 1, "currency": "eur"}, "line_item": SMALL}

        with pytest.raises(ValueError, match="eur"):
            openai_report.amounts_of([item], {SMALL})

    def test_openais_are_asked_for_by_the_day_and_by_the_minute(self, caller: Caller) -> None:
        count = caller.openai("What is a transaction?") + caller.openai("And a savepoint?")
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        minutes = Span(now - timedelta(minutes=2), now + timedelta(minutes=1))

        day, short = (
            openai_report.read(base_url=f"{caller.sandbox_url}/openai/v1", key="any", span=span)
            for span in (today(), minutes)
        )

        assert day.usage == short.usage == {SMALL: count}
        assert (day.usd_of(SMALL), short.usd_of(SMALL)) == (bill_sums(caller.sandbox_url)[1], None)

    def test_all_pages_are_read(self, caller: Caller) -> None:
        usage = caller.openai("What is a transaction?")
        long_ago = Span(today().since - timedelta(days=200), today().until)

        bill = openai_report.read(base_url=f"{caller.sandbox_url}/openai/v1", key="any", span=long_ago)

        assert bill.usage == {SMALL: usage}
        assert bill.usd_of(SMALL) == bill_sums(caller.sandbox_url)[1]

    @pytest.mark.parametrize("endpoint", ["anthropic.cost_report", "openai.usage", "openai.costs"])
    @pytest.mark.parametrize(
        "fault",
        [{"kind": "status", "status": 401}, {"kind": "malformed"}, {"kind": "empty_object"}, {"kind": "reset"}],
        ids=lambda fault: fault["kind"],
    )
    def test_one_that_cannot_be_had_is_said_to_be_so(
        self, fault: dict[str, Any], endpoint: str, sandbox_url: str
    ) -> None:
        httpx.post(
            f"{sandbox_url}/_control", json={"endpoint": endpoint, "fault": fault, "times": 1}
        ).raise_for_status()
        report, path = (
            (anthropic_report, "anthropic") if endpoint.startswith("anthropic") else (openai_report, "openai/v1")
        )

        with pytest.raises(ReportUnavailable):
            report.read(base_url=f"{sandbox_url}/{path}", key="any", span=NOVEMBER)


def bill_file(folder: Path, *lines: str, head: str = HEAD) -> Path:
    path = folder / "bill.csv"
    path.write_text(head + "".join(f"{line}\n" for line in lines), "utf-8")
    return path


class TestFile:
    def test_rows_of_the_span_are_added_up(self, tmp_path: Path) -> None:
        path = bill_file(
            tmp_path,
            "2026-11-19,voyage,voyage-3.5,1,,,,,,9",
            "2026-11-20,voyage,voyage-3.5,100,,,,,,0.000006",
            "2026-11-20T23:59:59Z,Voyage,voyage-3.5,50,,,,,,0.000003",
            "2026-11-21T00:30:00+01:00,voyage,voyage-3.5,1,0,0,0,0,0,0.00000006",
            "2026-11-20,cohere,rerank-v3.5,,,,,,7,0.014",
            "2026-11-21,openai,text-embedding-3-small,1,,,,,,1",
        )

        bills = csv_file.read(path=path, span=NOVEMBER, providers=PROVIDERS)

        assert set(bills) == {"voyage", "cohere", "openai"}
        assert bills["voyage"].usage == {VOYAGE: Usage(151)}
        assert bills["voyage"].usd_of(VOYAGE) == Decimal("0.00000906")
        assert bills["cohere"].usage == {RERANK: Usage(search_units=7)}
        assert bills["openai"].usage == {}

    def test_columns_that_are_not_needed_may_be_missing_and_stand_in_any_order(self, tmp_path: Path) -> None:
        path = bill_file(
            tmp_path, "0.014,7,rerank-v3.5,cohere,2026-11-20", head="\ufeffcost_usd,search_units,model,provider,at\n"
        )

        bills = csv_file.read(path=path, span=NOVEMBER, providers=PROVIDERS)

        assert bills["cohere"].usage == {RERANK: Usage(search_units=7)}

    def test_days_cannot_be_cut(self, tmp_path: Path) -> None:
        path = bill_file(tmp_path, "2026-11-20,voyage,voyage-3.5,100,,,,,,0.000006")
        morning = Span(NOVEMBER.since, NOVEMBER.since + timedelta(hours=6))

        with pytest.raises(ReportUnavailable, match="counts by the day"):
            csv_file.read(path=path, span=morning, providers=PROVIDERS)

    @pytest.mark.parametrize(
        ("head", "line", "why"),
        [
            ("at,provider,model\n", "", "the column cost_usd is missing; there are: at, provider, model, input_tokens"),
            ("at,provider,model,cost_usd,imput_tokens\n", "", "nobody knows the column 'imput_tokens'"),
            ("", "", "the column at is missing"),
            (HEAD, "2026-11-20,voyage,voyage-3.5,1", "line 2: there are more or fewer values than columns"),
            (HEAD, "2026-11-20,voyage,voyage-3.5,1,,,,,,0,0", "line 2: there are more or fewer values than columns"),
            (HEAD, "yesterday,voyage,voyage-3.5,1,,,,,,0", "line 2: at 'yesterday' is neither a day"),
            (HEAD, "2026-11-20,jina,jina-v4,1,,,,,,0", "line 2: there is no provider 'jina'"),
            (HEAD, "2026-11-20,voyage,,1,,,,,,0", "line 2: the model is missing"),
            (HEAD, "2026-11-20,voyage,voyage-3.5,1.5,,,,,,0", "line 2: input_tokens '1.5' is not a whole number"),
            (HEAD, "2026-11-20,voyage,voyage-3.5,-1,,,,,,0", "line 2: input_tokens '-1' is not a whole number"),
            (HEAD, "2026-11-20,voyage,voyage-3.5,1,,,,,,", "line 2: cost_usd '' is not a number"),
            (HEAD, "2026-11-20,voyage,voyage-3.5,1,,,,,,NaN", "line 2: cost_usd 'NaN' is not an amount"),
            (HEAD, "2026-11-20,voyage,voyage-3.5,1,,,,,,-1", "line 2: cost_usd '-1' is not an amount"),
        ],
    )
    def test_what_is_wrong_with_one_is_said_with_its_line(self, head: str, line: str, why: str, tmp_path: Path) -> None:
        path = bill_file(tmp_path, *([line] if line else []), head=head)

        with pytest.raises(ReportUnavailable) as refused:
            csv_file.read(path=path, span=NOVEMBER, providers=PROVIDERS)

        assert why in str(refused.value)

    def test_one_that_is_not_there_is_said_to_be_so(self, tmp_path: Path) -> None:
        with pytest.raises(ReportUnavailable, match="cannot be read"):
            csv_file.read(path=tmp_path / "no.csv", span=NOVEMBER, providers=PROVIDERS)


@pytest.mark.django_db
class TestSettlingByFile:
    """Voyage and Cohere, by what the sandbox exports."""

    def export(self, caller: Caller, folder: Path, **asked: Any) -> Path:
        path = folder / "export.csv"
        path.write_text(httpx.get(f"{caller.sandbox_url}/_bill.csv", params=asked).raise_for_status().text, "utf-8")
        return path

    def test_the_ledger_is_the_bill(self, caller: Caller, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        booked(caller.voyage("What is a transaction?"), provider="voyage", model=VOYAGE)
        guessed(Usage(caller.voyage("And what is a savepoint?").input_tokens - 1), provider="voyage", model=VOYAGE)
        guessed(Usage(30), provider="voyage", model=VOYAGE)
        booked(caller.cohere("What is a transaction?"), provider="cohere", model=RERANK)
        guessed(caller.cohere("And what is a savepoint?"), provider="cohere", model=RERANK)
        guessed(Usage(search_units=1), provider="cohere", model=RERANK)
        path = self.export(caller, tmp_path, provider=["voyage", "cohere"])

        call_command("costs", "reconcile", "--day", str(today()), "--bill", str(path), "--settle", "--tolerance", "0")

        assert ledger_sums() == bill_sums(caller.sandbox_url)
        verdicts = [line for line in capsys.readouterr().out.splitlines() if "to the token and the last digit" in line]
        assert len(verdicts) == 2

    def test_a_file_by_the_minute_serves_a_short_span(self, caller: Caller, tmp_path: Path) -> None:
        guessed(caller.voyage("What is a transaction?"), provider="voyage", model=VOYAGE)
        guessed(Usage(30), provider="voyage", model=VOYAGE)
        path = self.export(caller, tmp_path, bucket_width="1m")
        now = datetime.now(UTC).replace(second=0, microsecond=0)
        ends = (f"{moment:%Y-%m-%dT%H:%M}" for moment in (now - timedelta(minutes=2), now + timedelta(minutes=1)))
        since, until = ends

        call_command("costs", "reconcile", "--since", since, "--until", until, "--bill", str(path), "--settle")

        assert ledger_sums() == bill_sums(caller.sandbox_url)

    def test_what_a_file_does_not_name_was_charged_nothing_if_it_is_asked_about(
        self, caller: Caller, tmp_path: Path
    ) -> None:
        guessed(Usage(30), provider="voyage", model=VOYAGE)
        path = self.export(caller, tmp_path, provider="cohere")

        asked = ("--day", str(today()), "--bill", str(path), "--settle")
        with pytest.raises(CommandError, match="holds no line: name what it is the bill of"):
            call_command("costs", "reconcile", *asked)
        call_command("costs", "reconcile", *asked, "--provider", "voyage")

        assert ledger_sums() == (Usage(), Decimal(0))

    def test_a_call_that_is_on_no_bill_is_drift(self, caller: Caller, tmp_path: Path) -> None:
        booked(caller.cohere("What is a transaction?"), provider="cohere", model=RERANK)
        booked(Usage(search_units=1), provider="cohere", model=RERANK)
        path = self.export(caller, tmp_path)

        with pytest.raises(CommandError, match="2 rows drift"):
            call_command("costs", "reconcile", "--day", str(today()), "--bill", str(path), "--settle")

        (alert,) = alerts_of(Alert.Kind.DRIFT)
        assert (alert.detail["provider"], alert.detail["provider_mode"]) == ("cohere", "simulated")
