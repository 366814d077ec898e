"""Trace lines for tests, as `Trace.as_line` writes them."""

from typing import Any

from rag.values import sha256


def trace_line(**changes: Any) -> dict[str, Any]:
    """A whole line as `Trace.as_line` writes it, of a question with two sources of which one is cited."""
    line: dict[str, Any] = {
        "trace_id": "a" * 32,
        "timestamp": "2026-11-20T10:00:00+00:00",
        "query": "When does leave lapse?",
        "transform": "multi_query",
        "hypothetical": None,
        "vector_candidates": [{"id": "leave/top#0", "score": 0.91}, {"id": "travel/top#0", "score": 0.4}],
        "bm25_candidates": [{"id": "leave/top#0", "score": 7.2}],
        "fused_top_20": [{"id": "leave/top#0", "score": 0.0328}, {"id": "travel/top#0", "score": 0.0161}],
        "reranked_top_5": [{"id": "leave/top#0", "score": 0.98}, {"id": "travel/top#0", "score": 0.02}],
        "prompt_length_chars": 9000,
        "model": "claude-sonnet-4-6",
        "prompt_version": "v1",
        "cache_hit": False,
        "generation_tokens_in": 2100,
        "generation_tokens_out": 40,
        "latencies_ms": {
            "embed": 10.0,
            "vector": 5.0,
            "bm25": 0.5,
            "rerank": 20.0,
            "generate": 60.0,
            "total": 100.0,
        },
        "cost_usd": 0.0069,
        "final_answer": "It lapses on 31 March [leave/top#0].",
        "kind": "ask",
        "status": 200,
        "module": "m6-production",
        "config": {"rrf_k": 60},
        "corpus": "handbook",
        "corpus_version": "v1",
        "chunker": "structural",
        "provider_mode": "simulated",
        "session_id": None,
        "api_key_id": None,
        "user_id": None,
        "sub_queries": ["leave lapse date"],
        "answer_cache": "off",
        "avoided_usd": 0.0,
        "prompt_cache": {"read": 0, "write_5m": 0, "write_1h": 0, "uncached": 2100},
        "degraded": [],
        "attempts": [attempt_line()],
        "request_sha256": "b" * 64,
        "prompt_hash": None,
        "sources": [
            {"id": "leave/top#0", "title": "Leave", "score": 0.98, "sha256": sha256("Leave lapses on 31 March.")},
            {"id": "travel/top#0", "title": "Travel", "score": 0.02, "sha256": sha256("Trains.")},
        ],
        "answered": True,
        "citations": ["leave/top#0"],
        "citations_removed": 0,
        "stop_reason": "end_turn",
        "error": None,
    }
    return line | changes


def attempt_line(**changes: Any) -> dict[str, Any]:
    attempt: dict[str, Any] = {
        "at": "2026-11-20T10:00:00+00:00",
        "provider": "anthropic",
        "model": "claude-sonnet-4-6",
        "operation": "generate",
        "provider_mode": "simulated",
        "outcome": "ok",
        "usage": {
            "input_tokens": 2100,
            "cache_write_5m": 0,
            "cache_write_1h": 0,
            "cache_read": 0,
            "output_tokens": 40,
            "search_units": 0,
        },
        "cost_usd": 0.0069,
        "price_id": 1,
        "latency_ms": 60.0,
        "request_id": "req_1",
        "estimated": False,
    }
    return attempt | changes
