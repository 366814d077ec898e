"""The bill as a file to export, and as the file that survives a restart."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from sandbox.bill import Bill
from sandbox.bill_entry import Entry
from sandbox.bill_file import BillFile
from sandbox.buckets import WIDTHS, Buckets
from sandbox.tests.clients import claude, command, voyage
from sandbox.tests.conftest import post, running
from sandbox.tests.test_messages import ANSWERING
from sandbox.vendors import Refusal

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def entry(number: int) -> Entry:
    """One a minute, from noon."""
    at = NOON + timedelta(minutes=number)
    return Entry(at, "p", "m", "messages", "1234", f"req_{number}", {"input_tokens": number}, Decimal("0.00000001"))


def filled(path: Path, count: int, *, capacity: int = 100) -> Bill:
    bill = Bill(capacity=capacity, file=BillFile(path))
    for number in range(count):
        bill.add(entry(number))
    return bill


class TestExport:
    def rows(self, server, **asked):
        answer = server.http.get("/_bill.csv", params=asked)
        assert answer.headers["Content-Type"].startswith("text/csv")
        return list(csv.DictReader(io.StringIO(answer.raise_for_status().text)))

    def test_it_adds_up_to_the_bill(self, server, key):
        claude(server, key=key).messages.create(**ANSWERING)
        for text in ("hello", "hello again"):
            voyage(server).embed([text], model="voyage-3.5")
        command(server).rerank(model="rerank-v3.5", query="x", documents=["y"])

        rows = self.rows(server)

        assert [(row["provider"], row["model"]) for row in rows] == [
            ("anthropic", "claude-sonnet-4-6"),
            ("cohere", "rerank-v3.5"),
            ("voyage", "voyage-3.5"),
        ]
        assert sum(Decimal(row["cost_usd"]) for row in rows) == Decimal(server.bill()["total_usd"])
        tokens = sum(e["usage"]["total_tokens"] for e in server.bill()["entries"] if e["provider"] == "voyage")
        assert (rows[1]["search_units"], rows[2]["input_tokens"]) == ("1", str(tokens))
        assert len(rows[0]["at"]) == len("2026-11-01")

    def test_it_may_be_of_some_providers_and_by_the_minute(self, server, key):
        claude(server, key=key).messages.create(**ANSWERING)
        voyage(server).embed(["hello"], model="voyage-3.5")
        server.advance(120, bill=True)
        voyage(server).embed(["hello"], model="voyage-3.5")

        rows = self.rows(server, provider="voyage", bucket_width="1m")

        assert [row["provider"] for row in rows] == ["voyage", "voyage"]
        assert all(datetime.fromisoformat(row["at"]).second == 0 for row in rows)

    @pytest.mark.parametrize("wrong", [{"provider": "jina"}, {"bucket_width": "1w"}], ids=str)
    def test_what_it_does_not_know_it_refuses(self, server, wrong):
        assert server.http.get("/_bill.csv", params=wrong).status_code == 400


class TestRestart:
    def test_the_bill_is_there_after_a_kill(self, tmp_path):
        options = ("--embedder", "hashing", "--data-dir", str(tmp_path))
        with running(*options) as server:
            post(server, "/voyage/v1/embeddings", {"model": "voyage-3.5", "input": ["hello"]}).raise_for_status()
            before = server.bill()
            server.process.kill()
            server.process.wait(10)

        with running(*options) as server:
            assert server.bill() == before
            server.ask("DELETE", "/_bill")
        with running(*options) as server:
            assert server.bill()["entries"] == []

    def test_a_line_that_was_cut_is_left_out(self, tmp_path):
        path = tmp_path / "bill.jsonl"
        filled(path, 3)
        with path.open("a") as file:
            file.write('{"at": "2026-11-')

        assert Bill(file=BillFile(path)).report()["count"] == 3

    def test_a_line_behind_one_that_was_cut_is_whole(self, tmp_path):
        path = tmp_path / "bill.jsonl"
        filled(path, 3)
        with path.open("a") as file:
            file.write('{"at": "2026-11-')
        filled(path, 1)

        assert Bill(file=BillFile(path)).report()["count"] == 4

    def test_no_more_is_kept_than_there_is_room_for(self, tmp_path):
        path = tmp_path / "bill.jsonl"
        filled(path, 9, capacity=100)

        again = Bill(capacity=4, file=BillFile(path))

        assert [row["request_id"] for row in again.report()["entries"]] == ["req_5", "req_6", "req_7", "req_8"]
        assert len(path.read_text().splitlines()) == 1 + 4


class TestWhatIsNotKept:
    @pytest.mark.parametrize("restarted", [False, True])
    def test_a_report_of_it_is_refused(self, restarted, tmp_path):
        path = tmp_path / "bill.jsonl"
        bill = filled(path, 9, capacity=4)
        for _ in range(2 * restarted):
            bill = Bill(capacity=4, file=BillFile(path))

        with pytest.raises(LookupError):
            bill.between(NOON + timedelta(minutes=4), NOON + timedelta(minutes=9), provider="p")
        kept = bill.between(NOON + timedelta(minutes=5), NOON + timedelta(minutes=9), provider="p")

        assert [each.request_id for each in kept] == ["req_5", "req_6", "req_7", "req_8"]

    def test_a_client_is_told_that_it_is_gone(self):
        bill = Bill(capacity=1)
        for number in range(2):
            bill.add(entry(number))

        with pytest.raises(Refusal) as refused:
            list(Buckets(NOON, NOON + WIDTHS["1h"], WIDTHS["1m"], 60).filled(bill, "p"))

        assert refused.value.status == 410
