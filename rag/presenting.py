"""From domain values to the JSON that a client gets."""

from typing import Any

from rag.ask import Answered
from rag.trace import number
from rag.values import Source


def answer_body(answered: Answered) -> dict[str, Any]:
    outcome, trace = answered.outcome, answered.trace
    return {
        "answer": outcome.answer.text,
        "answered": outcome.answer.answered,
        "sources": [source_body(source) for source in outcome.sources],
        "citations": list(outcome.answer.citations),
        "trace_id": trace.trace_id,
        "module": trace.module,
        "transform": outcome.transform,
        "prompt_version": trace.prompt_version,
        "corpus": trace.corpus,
        "corpus_version": trace.corpus_version,
        "session_id": trace.session_id,
        "turn": trace.turn,
        "model": trace.model,
        "cache": {"answer": trace.answer_cache, "prompt": trace.prompt_cache(), "from": trace.answer_from},
        "degraded": list(outcome.degraded),
        "cost_usd": number(trace.cost_usd),
        "avoided_usd": number(trace.avoided_usd),
        "latencies_ms": trace.latencies(),
        "provider_mode": trace.provider_mode,
    }


def source_body(source: Source) -> dict[str, Any]:
    passage = source.passage
    return {
        "id": passage.key,
        "title": passage.title,
        "heading": passage.heading,
        "url": passage.url,
        "text": passage.text,
        "score": source.score,
    }
