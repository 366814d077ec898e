"""The faults of the soak, and what the failure table allows a client to see for each of them."""

import random
from collections.abc import Iterable, Mapping
from typing import Any

from rag.failure_table import ANTHROPIC, COHERE, OPENAI, USAGE_LIMIT, VOYAGE
from rag.failures import Fault, fault, status

STATUSES = (400, 401, 403, 408, 429, 500, 502, 503, 504, 529)
COMMON = ("delay", "hang", "reset", "malformed", "empty_object", "truncated_body", "cut", "drip", "hang_mid_stream")
LISTS = ("short_results",)
MESSAGES = ("overloaded_stream", "endless_stream")
BROKEN_OFF = ("truncated_body", "cut", "drip", "hang_mid_stream", "overloaded_stream", "endless_stream")
"""What can end a streamed reply after its first words."""
GENERATION = {
    "delay": (),
    "hang": ("generation_timeout",),
    "reset": ("provider_unavailable",),
    "malformed": ("provider_malformed",),
    "empty_object": ("provider_malformed",),
    "truncated_body": ("provider_unavailable", "provider_malformed"),
    "cut": ("provider_unavailable",),
    "drip": ("generation_timeout",),
    "hang_mid_stream": ("generation_timeout",),
    "overloaded_stream": ("provider_busy",),
    "endless_stream": ("generation_timeout",),
}
BY_STATUS = {
    400: "provider_refused",
    401: "provider_refused",
    403: "provider_refused",
    408: "generation_timeout",
    429: "provider_busy",
    504: "generation_timeout",
    529: "provider_busy",
}


def drawn(draw: random.Random) -> Fault:
    """A fault of some endpoint, for one to three requests."""
    endpoint = draw.choice((VOYAGE, OPENAI, COHERE, ANTHROPIC))
    kinds = (*COMMON, *(MESSAGES if endpoint == ANTHROPIC else LISTS))
    times = draw.randint(1, 3)
    if draw.random() < 0.3:
        code = draw.choice(STATUSES)
        return status(endpoint, code, times=times, body=USAGE_LIMIT if code == 400 and endpoint == ANTHROPIC else None)
    kind = draw.choice(kinds)
    options: dict[str, Any] = {}
    if kind in ("drip", "endless_stream"):
        options["interval_ms"] = draw.choice((20, 100, 500))
    if kind in BROKEN_OFF and endpoint == ANTHROPIC:
        options["after_deltas"] = draw.randint(0, 5)
    if kind == "delay":
        options["delay_ms"] = draw.randint(50, 800)
    return fault(endpoint, kind, times=times, **options)


def allowed(faults: Iterable[Fault], *, streamed: bool, line: Mapping[str, Any]) -> set[str]:
    """Codes and `degraded` marks that an answer may bear, beside none at all: by these faults, or by a breaker that kept a
    provider from being asked, which the trace shows.
    """
    hurt = {each.endpoint for each in faults}
    asked = {attempt["provider"] for attempt in line["attempts"]}
    operations = {attempt["operation"] for attempt in line["attempts"]}
    seen: set[str] = set()
    if VOYAGE in hurt or "voyage" not in asked:
        seen.add("embedding_fallback")
        if OPENAI in hurt or "openai" not in asked:
            seen |= {"no_embedding", "stale_answer"}
    if COHERE in hurt or "cohere" not in asked:
        seen.add("rerank_skipped")
    if ANTHROPIC in hurt or "transform" not in operations:
        seen.add("transform_skipped")
    if ANTHROPIC in hurt or "generate" not in operations:
        seen.add("provider_down")
    for each in faults:
        if each.endpoint == ANTHROPIC:
            seen |= {*generation(each), *(("answer_interrupted",) if streamed and each.kind in BROKEN_OFF else ())}
    return seen


def generation(each: Fault) -> tuple[str, ...]:
    if each.kind == "status":
        return (BY_STATUS.get(each.options["status"], "provider_unavailable"),)
    return GENERATION[each.kind]
