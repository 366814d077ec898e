"""A finished trace as spans, in the words of OpenTelemetry's GenAI conventions (those of semantic-conventions 1.41, status
Development), where they have one; under `ragsite.` otherwise. No question, no answer, no passage is among them.

    invoke_workflow m6-production            the request
      embed                                  a stage, with what was called in it
        embeddings voyage-3.5
      retrieval handbook                     a search: in the vectors, by words
      generate
        chat claude-sonnet-4-6               each attempt by itself, retried ones too

Plain Python: `rag.span_export` sends them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias
from urllib.parse import urlsplit

from costs.ledger import Attempt
from rag.trace import Step, Trace

Attributes: TypeAlias = Mapping[str, str | bool | int | float | Sequence[str]]

OPERATIONS = {"embed": "embeddings", "rerank": "rerank"}
"""Operation of an attempt -> of the conventions, which have none for reranking; all others are chats."""
SEARCHES = {"vector": "chroma", "bm25": "bm25"}
"""Stage -> `gen_ai.provider.name`"""


@dataclass(frozen=True, slots=True)
class Span:
    """Times are nanoseconds since 1970. `error`: empty where all went well. `calls_out`: another server did the work."""

    name: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    error: str = ""
    calls_out: bool = False
    children: tuple["Span", ...] = ()


def span_of(trace: Trace, addresses: Mapping[str, str]) -> Span:
    """The span of the request, with all others inside it. `addresses`: provider -> its URL."""
    start = nanoseconds(trace.timestamp)
    calls = [call_span(attempt, trace, addresses) for attempt in trace.attempts]
    stages = [stage_span(step, start, trace, addresses) for step in trace.steps]
    name = f"invoke_workflow {trace.module}" if trace.module else "invoke_workflow"
    return Span(
        name,
        start,
        start + round(trace.latencies_ms["total"] * 1e6),
        known(request_attributes(trace)),
        error=error_code(trace) if trace.status >= 500 else "",
        children=tuple(nested(stages, calls)),
    )


def nested(stages: Sequence[Span], calls: Sequence[Span]) -> Iterator[Span]:
    """The stages, each with the calls that began while it ran, then the calls that began in none."""
    home = [next((place for place, stage in enumerate(stages) if holds(stage, call)), None) for call in calls]
    for place, stage in enumerate(stages):
        yield replace(stage, children=tuple(call for call, at in zip(calls, home, strict=True) if at == place))
    yield from (call for call, at in zip(calls, home, strict=True) if at is None)


def holds(stage: Span, call: Span) -> bool:
    return stage.start_ns <= call.start_ns <= stage.end_ns


def request_attributes(trace: Trace) -> Mapping[str, object]:
    return {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": trace.module,
        "gen_ai.conversation.id": trace.session_id,
        "error.type": error_code(trace) or None,
        "ragsite.trace_id": trace.trace_id,
        "ragsite.kind": trace.kind,
        "ragsite.status": trace.status,
        "ragsite.module": trace.module,
        "ragsite.corpus": trace.corpus,
        "ragsite.corpus_version": trace.corpus_version,
        "ragsite.prompt_version": trace.prompt_version,
        "ragsite.transform": trace.transform,
        "ragsite.answer_cache": trace.answer_cache,
        "ragsite.answered": trace.answered,
        "ragsite.degraded": list(trace.degraded) or None,
        "ragsite.provider_mode": trace.provider_mode,
        "ragsite.cost_usd": None if trace.cost_usd is None else float(trace.cost_usd),
    }


def error_code(trace: Trace) -> str:
    return str((trace.error or {}).get("code", ""))


def stage_span(step: Step, start_ns: int, trace: Trace, addresses: Mapping[str, str]) -> Span:
    name, provider = step.name, SEARCHES.get(step.name)
    attributes: dict[str, object] = {"ragsite.stage": step.name}
    if provider is not None:
        name = f"retrieval {trace.corpus}"
        attributes |= {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.provider.name": provider,
            "gen_ai.data_source.id": trace.corpus,
            **server(addresses.get(provider, "")),
        }
    began, ended = (start_ns + round(seconds * 1e9) for seconds in (step.began, step.ended))
    return Span(name, began, ended, known(attributes), calls_out=provider in addresses)


def call_span(attempt: Attempt, trace: Trace, addresses: Mapping[str, str]) -> Span:
    operation = OPERATIONS.get(attempt.operation, "chat")
    start = nanoseconds(attempt.at)
    failed = "" if attempt.outcome == "ok" else attempt.outcome
    attributes: dict[str, object] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": attempt.provider,
        "gen_ai.request.model": attempt.model,
        "error.type": failed or None,
        **server(addresses.get(attempt.provider, "")),
        **tokens(attempt, operation),
        "ragsite.operation": attempt.operation,
        "ragsite.prompt": attempt.prompt or None,
        "ragsite.request_id": attempt.request_id or None,
        "ragsite.estimated": attempt.estimated or None,
        "ragsite.provider_mode": attempt.provider_mode,
        "ragsite.cost_usd": None if attempt.cost_usd is None else float(attempt.cost_usd),
    }
    if attempt.operation == "generate" and not failed and trace.stop_reason:
        attributes["gen_ai.response.finish_reasons"] = [trace.stop_reason]
    end = start + round(attempt.latency_ms * 1e6)
    return Span(f"{operation} {attempt.model}", start, end, known(attributes), error=failed, calls_out=True)


def tokens(attempt: Attempt, operation: str) -> Mapping[str, int]:
    """Here, other than in our books, `input_tokens` is the whole prompt: with what the prompt cache had and what it kept."""
    usage = attempt.usage
    if operation == "rerank":
        return {"ragsite.search_units": usage.search_units}
    counted = {"gen_ai.usage.input_tokens": usage.prompt_tokens}
    if operation == "chat":
        counted |= {
            "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_5m + usage.cache_write_1h,
            "gen_ai.usage.output_tokens": usage.output_tokens,
        }
    return counted


def server(url: str) -> Mapping[str, str | int]:
    parts = urlsplit(url)
    if not parts.hostname:
        return {}
    return {"server.address": parts.hostname, "server.port": parts.port or (443 if parts.scheme == "https" else 80)}


def known(attributes: Mapping[str, object]) -> Attributes:
    """Without those that are None: OpenTelemetry has no word for unknown."""
    return {name: value for name, value in attributes.items() if value is not None}  # type: ignore[misc]


def nanoseconds(at: datetime) -> int:
    """Exact to the microsecond, as datetimes are: a float of seconds is not."""
    return int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1_000
