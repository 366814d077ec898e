import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from django.conf import LazySettings, settings
from django.test import Client
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from rag import span_export
from rag.errors import ProviderUnavailable
from rag.ingest import IngestReport
from rag.spans import nanoseconds
from rag.tests.collector import Collector, collecting, values_of
from rag.tests.serving import database_url
from rag.tests.small_world import HELD, asked, break_provider, line_of

CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collector(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        exported_to(collector.url, settings, monkeypatch)
        yield collector
        forget()


def exported_to(url: str, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = url
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)  # the SDK looks there
    span_export.provider.cache_clear()


def forget() -> None:
    span_export.flush(span_export.provider(os.getpid()))
    span_export.provider.cache_clear()


def sent() -> None:
    span_export.provider(os.getpid()).force_flush()


def test_a_trace_arrives_as_spans_with_its_own_times(corpus: IngestReport, collector: Collector) -> None:
    trace = asked(module="m6-production", transform="simple").trace
    sent()

    line = line_of(trace.trace_id)
    root = collector.named("invoke_workflow m6-production")
    assert {span.trace_id.hex() for span in collector.spans} == {trace.trace_id}
    assert root.start_time_unix_nano == nanoseconds(datetime.fromisoformat(line["timestamp"]))
    assert root.end_time_unix_nano - root.start_time_unix_nano == round(line["latencies_ms"]["total"] * 1e6)
    assert values_of(root.attributes)["ragsite.cost_usd"] == line["cost_usd"]
    calls = [span for span in collector.spans if "gen_ai.request.model" in values_of(span.attributes)]
    times = [(nanoseconds(datetime.fromisoformat(each["at"])), each["latency_ms"]) for each in line["attempts"]]
    assert sorted((span.start_time_unix_nano, span.end_time_unix_nano) for span in calls) == sorted(
        (start, start + round(latency * 1e6)) for start, latency in times
    )


def test_they_lie_in_each_other_as_the_work_did(corpus: IngestReport, collector: Collector) -> None:
    asked(module="m6-production", transform="simple")
    sent()

    paths = {tuple(collector.path_of(span)) for span in collector.spans}
    root = "invoke_workflow m6-production"
    assert paths == {
        (root,),
        ("embed", root),
        ("embeddings voyage-3.5", "embed", root),
        ("retrieval handbook", root),
        ("rerank", root),
        ("rerank rerank-v3.5", "rerank", root),
        ("generate", root),
        ("chat claude-sonnet-4-6", "generate", root),
    }
    assert collector.named("chat claude-sonnet-4-6").kind == Span.SPAN_KIND_CLIENT
    assert collector.resources[0]["service.name"] == "ragsite"
    assert collector.schemas == {"https://opentelemetry.io/schemas/1.41.0"}


def test_input_tokens_are_those_of_the_whole_prompt(corpus: IngestReport, collector: Collector) -> None:
    trace = asked(module="m6-production", transform="simple").trace
    sent()

    told = values_of(collector.named("chat claude-sonnet-4-6").attributes)
    assert told["gen_ai.usage.input_tokens"] == line_of(trace.trace_id)["generation_tokens_in"]


def test_what_failed_is_an_error(corpus: IngestReport, providers: str, collector: Collector) -> None:
    break_provider(providers, "anthropic.messages", kind="status", status=500)

    with pytest.raises(ProviderUnavailable):
        asked()
    sent()

    failed = [span for span in collector.spans if span.status.code == Status.STATUS_CODE_ERROR]
    assert {span.name for span in failed} == {"invoke_workflow m3-hybrid", "chat claude-sonnet-4-6"}
    assert {values_of(span.attributes)["error.type"] for span in failed} == {"provider_unavailable"}


@pytest.mark.parametrize(
    ("header", "continued"),
    [(f"00-{CALLER[0]}-{CALLER[1]}-01", True), ("00-nonsense", False), (f"00-{'0' * 32}-{CALLER[1]}-01", False)],
)
def test_a_clients_trace_goes_on(
    header: str, continued: bool, corpus: IngestReport, bobs_key: str, collector: Collector
) -> None:
    client = Client(headers={"Authorization": f"Bearer {bobs_key}", "traceparent": header})

    body = {"question": HELD, "corpus": "handbook", "module": "m3-hybrid"}
    told = client.post("/api/ask", body, content_type="application/json").json()
    sent()

    root = collector.named("invoke_workflow m3-hybrid")
    ours = (told["trace_id"], "")
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (CALLER if continued else ours)
    assert values_of(root.attributes)["ragsite.trace_id"] == told["trace_id"]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_clients_trace_goes_on_in_a_streamed_answer(
    corpus: IngestReport, bobs_key: str, collector: Collector, short_connections: None
) -> None:
    client = Client(headers={"Authorization": f"Bearer {bobs_key}", "traceparent": f"00-{'-'.join(CALLER)}-01"})

    body = {"question": HELD, "corpus": "handbook", "module": "m3-hybrid", "stream": True}
    list(client.post("/api/ask", body, content_type="application/json"))
    sent()

    root = collector.named("invoke_workflow m3-hybrid")
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == CALLER


def test_a_collector_that_is_away_costs_no_answer_and_no_time(
    corpus: IngestReport, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported_to("http://127.0.0.1:9", settings, monkeypatch)

    answered = asked()

    assert answered.outcome.answer.answered
    began = time.monotonic()
    forget()
    assert time.monotonic() - began < span_export.FLUSH_S + 5


def test_without_an_endpoint_nothing_is_made(corpus: IngestReport) -> None:
    span_export.provider.cache_clear()

    asked()

    assert span_export.provider.cache_info().currsize == 0


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_what_waits_is_sent_when_the_process_ends(corpus: IngestReport) -> None:
    with collecting() as collector:
        more = {"DATABASE_URL": database_url(), "TRACE_DIR": str(settings.TRACE_DIR)}
        more |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
        subprocess.run(
            [sys.executable, "manage.py", "ask", HELD, "--corpus", "handbook", "--module", "m3-hybrid"],
            env={**os.environ, **more},
            cwd=settings.BASE_DIR,
            check=True,
            capture_output=True,
            timeout=60,
        )

        assert collector.named("invoke_workflow m3-hybrid")
