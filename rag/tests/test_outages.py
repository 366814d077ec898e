"""Outages as rows: begun by the first failure, ended by the first answer after the last one."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from django.conf import LazySettings
from django.db import connection, transaction
from django.db.utils import IntegrityError
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from rag import errors
from rag.ingest import IngestReport
from rag.models import Outage
from rag.outages import DOWN, note, verdicts
from rag.providers.breaker import Outcome, outcome_of
from rag.tests.factories import OutageFactory
from rag.tests.small_world import HELD, break_provider, line_of
from rag.tests.trace_lines import attempt_line, trace_line

THREADS = 4
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def ask(client: APIClient, module: str = "m3-hybrid") -> tuple[int, str]:
    """The status, and the id of the trace."""
    response = client.post("/api/ask", {"question": HELD, "corpus": "handbook", "module": module}, format="json")
    return response.status_code, response.json()["trace_id"]


def mend(sandbox: str) -> None:
    httpx.delete(f"{sandbox}/_control").raise_for_status()


def attempt(outcome: str, *, provider: str = "anthropic", second: float = 0, lasting_s: float = 1) -> dict[str, Any]:
    """An attempt that began so many seconds after noon."""
    at = (NOON + timedelta(seconds=second)).isoformat()
    return attempt_line(provider=provider, outcome=outcome, at=at, latency_ms=lasting_s * 1000)


def told(trace_id: str, *attempts: dict[str, Any], open_outages: int = 1) -> None:
    """Note a request that made those attempts and searched nothing."""
    latencies = dict.fromkeys(("embed", "vector", "bm25", "rerank", "generate"), None) | {"total": 1000.0}
    note(trace_line(trace_id=trace_id, attempts=list(attempts), latencies_ms=latencies), open_outages=open_outages)


def reasons(line: dict[str, Any]) -> dict[str, str | None]:
    return {provider: verdict.reason for provider, verdict in verdicts(line).items()}


class TestALine:
    def test_tells_of_every_provider_that_was_asked(self) -> None:
        line = trace_line(attempts=[attempt("ok", provider="voyage"), attempt("provider_busy", provider="cohere")])

        assert reasons(line) == {"voyage": None, "cohere": "provider_busy", "chroma": None}

    def test_tells_of_a_provider_by_its_last_attempt(self) -> None:
        line = trace_line(attempts=[attempt("provider_timeout"), attempt("ok")])

        assert reasons(line)["anthropic"] is None

    def test_tells_nothing_by_a_call_that_the_client_gave_up(self) -> None:
        line = trace_line(
            attempts=[attempt("provider_busy", provider="voyage"), attempt("cancelled", provider="voyage")]
        )

        assert reasons(line)["voyage"] == "provider_busy"
        assert "anthropic" not in reasons(trace_line(attempts=[attempt("cancelled")]))

    def test_tells_that_chroma_failed(self) -> None:
        failed = {"code": "index_unavailable", "message": "the vector store failed"}

        assert reasons(trace_line(attempts=[], error=failed)) == {"chroma": "index_unavailable"}

    def test_tells_nothing_of_chroma_by_a_search_that_was_cut_short(self) -> None:
        gone = {"code": "client_gone", "message": "the client went away"}

        assert reasons(trace_line(attempts=[], error=gone, vector_candidates=[])) == {}

    def test_judges_a_failure_as_the_breaker_does(self) -> None:
        kinds: list[type[errors.ProviderError]] = [errors.ProviderError, *errors.ProviderError.__subclasses__()]
        refused = [kind("no", provider="cohere", http_status=401) for kind in kinds]

        assert {error.code for error in refused if outcome_of(error) is Outcome.FAILED} == DOWN


class TestAnOutage:
    def test_begins_with_the_first_failure(
        self, providers: str, corpus: IngestReport, bob: APIClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        break_provider(providers, "anthropic.messages", kind="status", status=529)

        code, trace_id = ask(bob)

        outage = Outage.objects.get()
        assert code == 503
        assert (outage.provider, outage.reason, outage.failures) == ("anthropic", "provider_busy", 1)
        assert (outage.first_trace_id, outage.ended_at, outage.duration) == (trace_id, None, None)
        assert outage.started_at.isoformat() == line_of(trace_id)["attempts"][-1]["at"]
        assert said(caplog) == [(logging.ERROR, "outage of anthropic began", trace_id)]

    def test_counts_the_requests_that_meet_it(self, providers: str, corpus: IngestReport, bob: APIClient) -> None:
        break_provider(providers, "anthropic.messages", kind="status", status=500)
        ask(bob)
        first = Outage.objects.get()

        ask(bob)

        outage = Outage.objects.get()
        assert (outage.pk, outage.failures, outage.started_at) == (first.pk, 2, first.started_at)
        assert outage.last_failure_at > first.last_failure_at

    def test_ends_with_the_next_answer(
        self, providers: str, corpus: IngestReport, bob: APIClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        break_provider(providers, "anthropic.messages", kind="status", status=500)
        ask(bob)
        mend(providers)
        caplog.clear()

        code, trace_id = ask(bob)

        outage = Outage.objects.get()
        assert code == 200
        assert outage.ended_at is not None
        assert outage.ended_at.isoformat() == line_of(trace_id)["attempts"][-1]["at"]
        ((level, message, told_of),) = said(caplog)
        assert (level, message.partition(" after ")[0], told_of) == (
            logging.WARNING,
            "outage of anthropic ended",
            trace_id,
        )

    def test_is_seen_where_a_fallback_answers(self, providers: str, corpus: IngestReport, bob: APIClient) -> None:
        break_provider(providers, "voyage.embeddings", kind="status", status=503)

        code, _ = ask(bob, "m6-production")

        assert (code, Outage.objects.get().provider) == (200, "voyage")

    def test_of_one_provider_is_not_ended_by_another(self, db: None) -> None:
        told("a", attempt("provider_busy", provider="cohere", second=0))

        told("b", attempt("ok", provider="voyage", second=60))

        assert Outage.objects.get().is_open

    def test_of_chroma_begins_and_ends(
        self, providers: str, corpus: IngestReport, bob: APIClient, settings: LazySettings
    ) -> None:
        there, settings.CHROMA_URL = settings.CHROMA_URL, "http://127.0.0.1:9"
        ask(bob)
        outage = Outage.objects.get()
        assert (outage.provider, outage.reason, outage.is_open) == ("chroma", "index_unavailable", True)

        settings.CHROMA_URL = there
        ask(bob)

        assert not Outage.objects.get().is_open

    def test_does_not_begin_when_a_retry_helps(self, providers: str, corpus: IngestReport, bob: APIClient) -> None:
        break_provider(providers, "anthropic.messages", times=1, kind="status", status=500)

        code, _ = ask(bob)

        assert (code, Outage.objects.count()) == (200, 0)

    def test_can_begin_again(self, db: None) -> None:
        told("a", attempt("provider_busy", second=0))
        told("b", attempt("ok", second=60))

        told("c", attempt("provider_timeout", second=120))

        ended, again = Outage.objects.order_by("started_at")
        assert (ended.duration, again.is_open, again.reason) == (timedelta(seconds=60), True, "provider_timeout")

    def test_is_not_ended_by_a_call_that_was_begun_before_its_last_failure(self, db: None) -> None:
        told("a", attempt("provider_timeout", second=0, lasting_s=15))

        told("b", attempt("ok", second=14, lasting_s=5))

        assert Outage.objects.get().is_open

    def test_is_not_opened_again_by_a_call_that_was_begun_before_it_ended(self, db: None) -> None:
        told("a", attempt("provider_busy", second=0))
        told("b", attempt("ok", second=10))

        told("c", attempt("provider_timeout", second=9, lasting_s=15))

        assert not Outage.objects.get().is_open

    def test_keeps_the_latest_failure_when_an_earlier_one_is_told_later(self, db: None) -> None:
        told("a", attempt("provider_busy", second=30))

        told("b", attempt("provider_busy", second=10))

        outage = Outage.objects.get()
        assert (outage.failures, outage.last_failure_at) == (2, NOON + timedelta(seconds=31))

    def test_is_one_row_as_long_as_it_lasts(self, db: None) -> None:
        OutageFactory.create(provider="voyage", ended_at=None)
        OutageFactory.create(provider="cohere", ended_at=None)

        with pytest.raises(IntegrityError), transaction.atomic():
            OutageFactory.create(provider="voyage", ended_at=None)


class TestNoting:
    def test_asks_the_database_nothing_when_all_is_well(
        self, db: None, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(0):
            note(trace_line(), open_outages=0)

    def test_asks_once_while_another_provider_is_down(
        self, db: None, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        OutageFactory.create(provider="openai", ended_at=None)

        with django_assert_num_queries(1):
            note(trace_line(), open_outages=1)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_requests_that_fail_at_once_make_one_outage(caplog: pytest.LogCaptureFixture) -> None:
    at_once("provider_busy", second=0)

    outage = Outage.objects.get()
    assert outage.failures == THREADS
    assert [message for _, message, _ in said(caplog)] == ["outage of anthropic began"]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_requests_that_succeed_at_once_tell_one_end(caplog: pytest.LogCaptureFixture) -> None:
    told("first", attempt("provider_busy", second=0))
    caplog.clear()

    at_once("ok", second=73)

    assert not Outage.objects.get().is_open
    assert [message for _, message, _ in said(caplog)] == ["outage of anthropic ended after 73 s"]


def at_once(outcome: str, *, second: float) -> None:
    """Note that many requests at the same time, each in a thread of its own."""
    start = threading.Barrier(THREADS)

    def request(number: int) -> None:
        try:
            start.wait(timeout=10)
            told(f"trace-{number}", attempt(outcome, second=second))
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(request, range(THREADS)))


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str, str]]:
    """What was logged of outages: level, message, trace id."""
    records = [record for record in caplog.records if record.name == "rag.outages"]
    return [(record.levelno, record.getMessage(), record.__dict__["trace_id"]) for record in records]
