from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from costs.ledger import Attempt
from costs.usage import Usage
from rag.spans import Span, nanoseconds, span_of
from rag.trace import Step, Trace

AT = datetime(2026, 11, 20, 10, 0, 0, 123_457, tzinfo=UTC)
NS = nanoseconds(AT)
ADDRESSES = {"anthropic": "https://api.anthropic.com", "chroma": "http://127.0.0.1:8123"}


def attempt(operation: str = "generate", *, after_ms: float = 0, **more: object) -> Attempt:
    made = {
        "at": AT + timedelta(milliseconds=after_ms),
        "provider": "anthropic",
        "model": "claude-sonnet-4-6",
        "operation": operation,
        "provider_mode": "live",
        "outcome": "ok",
        "usage": Usage(),
        "cost_usd": Decimal("0.0069"),
        "price_id": 1,
        "latency_ms": 30.5,
    }
    return Attempt(**made | more)  # type: ignore[arg-type]


def traced(*, total_ms: float = 100.0, steps: tuple[Step, ...] = (), **more: object) -> Trace:
    known = {"trace_id": "ab" * 16, "timestamp": AT, "query": "a secret question", "module": "m6-production"}
    trace = Trace(**known | {"corpus": "handbook"} | more)  # type: ignore[arg-type]
    trace.steps.extend(steps)
    trace.latencies_ms["total"] = total_ms
    return trace


def drawn(trace: Trace) -> Span:
    return span_of(trace, ADDRESSES)


def call(**more: object) -> Span:
    (span,) = drawn(traced(attempts=[attempt(**more)])).children  # type: ignore[arg-type]
    return span


def test_input_tokens_include_those_of_the_cache() -> None:
    usage = Usage(input_tokens=1, cache_write_5m=20, cache_write_1h=300, cache_read=4_000, output_tokens=50_000)

    told = call(usage=usage).attributes

    assert {name: value for name, value in told.items() if "usage" in name} == {
        "gen_ai.usage.input_tokens": 4_321,
        "gen_ai.usage.cache_read.input_tokens": 4_000,
        "gen_ai.usage.cache_creation.input_tokens": 320,
        "gen_ai.usage.output_tokens": 50_000,
    }


@pytest.mark.parametrize(
    ("operation", "name", "counted"),
    [
        ("generate", "chat claude-sonnet-4-6", "gen_ai.usage.output_tokens"),
        ("transform", "chat claude-sonnet-4-6", "gen_ai.usage.output_tokens"),
        ("embed", "embeddings claude-sonnet-4-6", "gen_ai.usage.input_tokens"),
        ("rerank", "rerank claude-sonnet-4-6", "ragsite.search_units"),
    ],
)
def test_an_attempt_is_named_by_what_was_done_with_which_model(operation: str, name: str, counted: str) -> None:
    span = call(operation=operation)

    assert (span.name, span.attributes["gen_ai.operation.name"]) == (name, name.split()[0])
    assert span.calls_out
    assert counted in span.attributes


def test_an_attempt_has_its_own_time_and_its_server() -> None:
    span = call(after_ms=12)

    assert (span.start_ns - NS, span.end_ns - NS) == (12_000_000, 42_500_000)
    assert span.attributes["server.address"] == "api.anthropic.com"
    assert span.attributes["server.port"] == 443


def test_times_are_exact_to_the_microsecond() -> None:
    assert nanoseconds(AT) % 1_000_000_000 == 123_457_000


def test_a_failed_attempt_is_an_error_and_the_one_that_succeeds_is_none() -> None:
    trace = traced(attempts=[attempt(outcome="provider_busy"), attempt(after_ms=50)], stop_reason="end_turn")

    failed, good = drawn(trace).children

    assert (failed.error, failed.attributes["error.type"]) == ("provider_busy", "provider_busy")
    assert (good.error, good.attributes["gen_ai.response.finish_reasons"]) == ("", ["end_turn"])
    assert "gen_ai.response.finish_reasons" not in failed.attributes


def test_calls_lie_in_the_stage_in_which_they_began() -> None:
    steps = (Step("embed", 0.001, 0.02), Step("vector", 0.02, 0.03), Step("generate", 0.03, 0.09))
    calls = [attempt("embed", after_ms=2), attempt(after_ms=31), attempt(after_ms=60), attempt(after_ms=95)]

    root = drawn(traced(steps=steps, attempts=calls))

    inside = {span.name: [child.start_ns - NS for child in span.children] for span in root.children}
    assert inside == {
        "embed": [2_000_000],
        "retrieval handbook": [],
        "generate": [31_000_000, 60_000_000],
        "chat claude-sonnet-4-6": [],
    }


def test_a_search_is_a_retrieval_and_only_that_of_chroma_leaves_the_process() -> None:
    root = drawn(traced(steps=(Step("vector", 0.0, 0.1), Step("bm25", 0.1, 0.2))))

    vector, words = root.children
    assert {vector.name, words.name} == {"retrieval handbook"}
    assert (vector.calls_out, words.calls_out) == (True, False)
    assert (vector.attributes["gen_ai.provider.name"], vector.attributes["server.port"]) == ("chroma", 8123)
    assert words.attributes["ragsite.stage"] == "bm25"


def test_a_refused_question_is_no_error_of_ours_and_a_failed_one_is() -> None:
    refused = drawn(traced(status=400, error={"code": "question_refused"}))
    failed = drawn(traced(status=503, error={"code": "provider_unavailable"}))

    assert (refused.error, refused.attributes["error.type"]) == ("", "question_refused")
    assert (failed.error, failed.attributes["error.type"]) == ("provider_unavailable", "provider_unavailable")


def test_what_is_unknown_is_left_out_and_zero_is_not() -> None:
    unknown = drawn(traced(module=None, cost_usd=None))
    free = drawn(traced(cost_usd=Decimal(0)))

    assert unknown.name == "invoke_workflow"
    assert not {"ragsite.cost_usd", "ragsite.module"} & unknown.attributes.keys()
    assert free.attributes["ragsite.cost_usd"] == 0.0


def test_no_word_of_the_conversation_is_among_them() -> None:
    words = {"query", "standalone", "hypothetical", "sub_queries", "final_answer"}
    assert words <= {field.name for field in fields(Trace)}

    trace = traced(attempts=[attempt()], steps=(Step("generate", 0, 1),))
    for name in words:
        setattr(trace, name, ("secret",) if name == "sub_queries" else "secret")

    assert "secret" not in repr(drawn(trace))
