"""The trace of one request: collected step by step, then told as the object that becomes one JSON line.

The keys of the first block of `as_line` are the published schema of a trace and never change their names.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from secrets import token_hex
from time import perf_counter
from typing import Any, NamedTuple
from uuid import uuid4

from costs.ledger import Attempt
from costs.usage import Usage
from rag.values import Hit, Source, sha256

STAGES = ("embed", "vector", "bm25", "rerank", "generate", "total")


def new_trace_id() -> str:
    return uuid4().hex


class Step(NamedTuple):
    """Seconds since the trace began."""

    name: str
    began: float
    ended: float


@dataclass(slots=True)
class Trace:
    """What is known of a request so far. Fields stay None until their step has run."""

    trace_id: str
    timestamp: datetime
    query: str
    kind: str = "ask"
    module: str | None = None
    config: dict[str, Any] | None = None
    corpus: str | None = None
    corpus_version: str | None = None
    chunker: str | None = None
    provider_mode: str | None = None
    session_id: str | None = None
    turn: int | None = None
    standalone: str | None = None
    keep_system: bool = False
    sources_sent: tuple[str, ...] = ()
    api_key_id: int | None = None
    user_id: int | None = None
    transform: str | None = None
    hypothetical: str | None = None
    sub_queries: tuple[str, ...] = ()
    vector_candidates: tuple[Hit, ...] = ()
    bm25_candidates: tuple[Hit, ...] = ()
    fused: tuple[Hit, ...] = ()
    reranked: tuple[Hit, ...] = ()
    sources: tuple[Source, ...] = ()
    prompt_length_chars: int | None = None
    model: str | None = None
    prompt_version: str | None = None
    prompt_hash: str | None = None
    request_sha256: str | None = None
    stop_reason: str | None = None
    final_answer: str | None = None
    answered: bool | None = None
    citations: tuple[str, ...] = ()
    citations_removed: int = 0
    answer_cache: str = "off"
    answer_from: dict[str, Any] | None = None
    avoided_usd: Decimal = Decimal(0)
    degraded: tuple[str, ...] = ()
    economies: tuple[str, ...] = ()
    attempts: Sequence[Attempt] = ()
    prompt_saved_usd: Decimal = Decimal(0)
    warnings: Sequence[str] = ()
    cost_usd: Decimal | None = None
    status: int = 200
    error: dict[str, Any] | None = None
    latencies_ms: dict[str, float] = field(default_factory=dict)
    salt: str = field(default_factory=lambda: token_hex(16))
    """makes the hash of the line one that nobody can find by guessing the question, once the line is forgotten"""
    traceparent: str = ""
    """the span of the caller that the request belongs to, as W3C Trace Context writes it; empty: none. Not in the line"""
    steps: list[Step] = field(default_factory=list)
    """for those who draw them on a line of time; the line has their sums, `latencies_ms`"""
    _started: float = field(default_factory=perf_counter)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step; one that runs twice adds up. The time of a step that fails counts too."""
        began = perf_counter()
        try:
            yield
        finally:
            ended = perf_counter()
            self.latencies_ms[name] = round(self.latencies_ms.get(name, 0.0) + (ended - began) * 1000, 3)
            self.steps.append(Step(name, began - self._started, ended - self._started))

    def finish(self) -> None:
        self.latencies_ms["total"] = round((perf_counter() - self._started) * 1000, 3)

    def generation_usage(self) -> Usage:
        return sum((a.usage for a in self.attempts if a.operation == "generate"), Usage())

    def latencies(self) -> dict[str, float | None]:
        """Milliseconds by stage; None for a stage that did not run."""
        return {stage: self.latencies_ms.get(stage) for stage in STAGES} | self.latencies_ms

    def prompt_cache(self) -> str:
        """`read`, `write` or `off`, by what the provider counted for the generation."""
        usage = self.generation_usage()
        if usage.cache_read:
            return "read"
        return "write" if usage.cache_write_5m or usage.cache_write_1h else "off"

    def as_line(self) -> dict[str, Any]:
        """The trace as the JSON object that is written, one line a request."""
        usage = self.generation_usage()
        return {
            "trace_id": self.trace_id,
            "timestamp": self.timestamp.astimezone(UTC).isoformat(),
            "query": self.query,
            "transform": self.transform,
            "hypothetical": self.hypothetical,
            "vector_candidates": hits(self.vector_candidates),
            "bm25_candidates": hits(self.bm25_candidates),
            "fused_top_20": hits(self.fused[:20]),
            "reranked_top_5": hits(self.reranked[:5]),
            "prompt_length_chars": self.prompt_length_chars,
            "model": self.model,
            "prompt_version": self.prompt_version,
            "cache_hit": self.answer_cache == "hit",
            "generation_tokens_in": usage.prompt_tokens,
            "generation_tokens_out": usage.output_tokens,
            "latencies_ms": self.latencies(),
            "cost_usd": number(self.cost_usd),
            "final_answer": self.final_answer,
        } | self._additions(usage)

    def _additions(self, usage: Usage) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "status": self.status,
            "module": self.module,
            "config": self.config,
            "corpus": self.corpus,
            "corpus_version": self.corpus_version,
            "chunker": self.chunker,
            "provider_mode": self.provider_mode,
            "session_id": self.session_id,
            "turn": self.turn,
            "standalone": self.standalone,
            "api_key_id": self.api_key_id,
            "user_id": self.user_id,
            "sub_queries": list(self.sub_queries),
            "answer_cache": self.answer_cache,
            "answer_from": self.answer_from,
            "avoided_usd": number(self.avoided_usd),
            "prompt_saved_usd": number(self.prompt_saved_usd),
            "warnings": list(self.warnings),
            "prompt_cache": {
                "read": usage.cache_read,
                "write_5m": usage.cache_write_5m,
                "write_1h": usage.cache_write_1h,
                "uncached": usage.input_tokens,
            },
            "degraded": list(self.degraded),
            "economies": list(self.economies),
            "attempts": [attempt_line(attempt) for attempt in self.attempts],
            "request_sha256": self.request_sha256,
            "prompt_hash": self.prompt_hash,
            "keep_system": self.keep_system,
            "sources": [source_line(source) for source in self.sources],
            "sources_sent": list(self.sources_sent),
            "answered": self.answered,
            "citations": list(self.citations),
            "citations_removed": self.citations_removed,
            "stop_reason": self.stop_reason,
            "error": self.error,
            "salt": self.salt,
        }


def hits(found: Sequence[Hit]) -> list[dict[str, Any]]:
    return [{"id": hit.key, "score": hit.score} for hit in found]


def source_line(source: Source) -> dict[str, Any]:
    """`found`: the smaller chunk in whose place the source was sent, where there is one."""
    passage = source.passage
    told = {"id": passage.key, "title": passage.title, "score": source.score, "sha256": sha256(passage.text)}
    return told if source.found is None else told | {"found": source.found}


def attempt_line(attempt: Attempt) -> dict[str, Any]:
    return {
        "at": attempt.at.isoformat(),
        "provider": attempt.provider,
        "model": attempt.model,
        "operation": attempt.operation,
        "provider_mode": attempt.provider_mode,
        "outcome": attempt.outcome,
        "usage": attempt.usage.as_dict(),
        "cost_usd": number(attempt.cost_usd),
        "price_id": attempt.price_id,
        "latency_ms": attempt.latency_ms,
        "request_id": attempt.request_id,
        "estimated": attempt.estimated,
        "prompt": attempt.prompt,
    }


def number(amount: Decimal | None) -> float | None:
    """A JSON number. Eight places survive: `repr` of a float is exact to 15 digits."""
    return None if amount is None else float(amount)
