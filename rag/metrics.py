"""What Prometheus is told of finished requests. Each process counts into files of its own below METRICS_DIR, and whichever
process is asked for the page adds them up (`rag.metrics_page`).

Everything is read off the finished trace, in one place. The ledger is the truth about money, the traces about requests: what is
counted here begins anew when the service does. No label holds what a stranger wrote.
"""

import logging
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from costs.ledger import Attempt
from costs.usage import Usage
from rag import provider_stack
from rag.modules import MODULES
from rag.providers.breaker import State
from rag.trace import Trace

log = logging.getLogger(__name__)

LONG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0)
SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0)

# In no registry: the page is made from the files, and a registry would tell of this process alone.
ASKS = Counter(
    "ragsite_asks",
    "Requests that left a trace.",
    ("kind", "module", "status", "cached", "transform"),
    registry=None,
)
ASK_SECONDS = Histogram(
    "ragsite_ask_duration_seconds",
    "From the request to its answer, of those that were answered (status 200).",
    ("module", "cached"),
    buckets=LONG,
    registry=None,
)
STAGE_SECONDS = Histogram(
    "ragsite_stage_duration_seconds",
    "What one stage took in a request, all its runs together.",
    ("stage",),
    buckets=SHORT,
    registry=None,
)
ATTEMPTS = Counter(
    "ragsite_provider_attempts",
    "Calls of paid providers, retried ones too.",
    ("provider", "operation", "outcome"),
    registry=None,
)
TOKENS = Counter(
    "ragsite_provider_tokens",
    "Tokens by kind. The kinds add up: input tokens are those that the prompt cache neither kept nor had.",
    ("provider", "model", "kind"),
    registry=None,
)
SEARCH_UNITS = Counter(
    "ragsite_provider_search_units", "Search units of rerankers.", ("provider", "model"), registry=None
)
COST_USD = Counter(
    "ragsite_provider_cost_usd",
    "What attempts cost, as far as their prices are known.",
    ("provider", "model", "mode"),
    registry=None,
)
DEGRADATIONS = Counter(
    "ragsite_degradations", "Answers that went out although something could not be had.", ("which",), registry=None
)
WARNINGS = Counter(
    "ragsite_warnings", "What an operator should look at although the answer is right.", ("which",), registry=None
)
TRACE_FAILURES = Counter(
    "ragsite_trace_failures", "Traces of which a part could not be written.", ("part",), registry=None
)
BREAKERS_OPEN = Gauge(
    "ragsite_breakers_open",
    "Processes that do not ask the provider for now.",
    ("provider",),
    multiprocess_mode="livesum",
    registry=None,
)
COUNTED = (
    *(ASKS, ASK_SECONDS, STAGE_SECONDS, ATTEMPTS, TOKENS, SEARCH_UNITS, COST_USD),
    *(DEGRADATIONS, WARNINGS, TRACE_FAILURES, BREAKERS_OPEN),
)

OTHER, NONE = "other", "none"
PARTS_OF_A_TRACE = ("line", "rows", "outages")
PROMPT_CACHE, UNPRICED = "prompt_cache", "unpriced"
_breakers: dict[tuple[int, str], bool] = {}


def begin() -> None:
    """Show what has not happened yet as 0, so that Prometheus sees the first time as a step."""
    try:
        for part in PARTS_OF_A_TRACE:
            child(TRACE_FAILURES, part)
        for which in (PROMPT_CACHE, UNPRICED):
            child(WARNINGS, which)
        note_breakers()
    except OSError as error:
        log.error("nothing can be counted in %s: %s", settings.METRICS_DIR, error)


def count(trace: Trace) -> None:
    """Count a finished trace. What goes wrong is told in the log: an answer must not depend on it."""
    try:
        count_request(trace)
        for attempt in trace.attempts:
            count_attempt(attempt)
        if trace.attempts:
            note_breakers()
    except Exception:  # noqa: BLE001 - whatever it is, the answer goes out
        log.exception("not counted", extra={"trace_id": trace.trace_id})


def trace_failure(part: str) -> None:
    """One of PARTS_OF_A_TRACE could not be written."""
    try:
        child(TRACE_FAILURES, part).inc()
    except Exception:  # noqa: BLE001 - as above
        log.exception("not counted")


def count_request(trace: Trace) -> None:
    module = bounded(trace.module)
    child(ASKS, trace.kind, module, str(trace.status), trace.answer_cache, trace.transform or NONE).inc()
    for stage, milliseconds in trace.latencies_ms.items():
        if stage != "total":
            child(STAGE_SECONDS, stage).observe(milliseconds / 1000)
    if trace.status == 200:
        child(ASK_SECONDS, module, trace.answer_cache).observe(trace.latencies_ms["total"] / 1000)
    for which in trace.degraded:
        child(DEGRADATIONS, which).inc()
    if trace.warnings:
        child(WARNINGS, PROMPT_CACHE).inc(len(trace.warnings))


def count_attempt(attempt: Attempt) -> None:
    provider, model = attempt.provider, attempt.model
    child(ATTEMPTS, provider, attempt.operation, attempt.outcome).inc()
    for kind, tokens in tokens_of(attempt.usage):
        if tokens:
            child(TOKENS, provider, model, kind).inc(tokens)
    if attempt.usage.search_units:
        child(SEARCH_UNITS, provider, model).inc(attempt.usage.search_units)
    if attempt.cost_usd is None:
        child(WARNINGS, UNPRICED).inc()
    elif attempt.cost_usd:
        child(COST_USD, provider, model, attempt.provider_mode).inc(float(attempt.cost_usd))


def tokens_of(usage: Usage) -> tuple[tuple[str, int], ...]:
    return (
        ("input", usage.input_tokens),
        ("cache_write_5m", usage.cache_write_5m),
        ("cache_write_1h", usage.cache_write_1h),
        ("cache_read", usage.cache_read),
        ("output", usage.output_tokens),
    )


def note_breakers() -> None:
    """A breaker opens and closes only with a call of its own process, so that after one is the moment to look."""
    for provider, snapshot in provider_stack.breaker_states().items():
        is_open = snapshot.state is not State.CLOSED
        if _breakers.get((os.getpid(), provider)) is not is_open:
            _breakers[os.getpid(), provider] = is_open
            child(BREAKERS_OPEN, provider).set(is_open)


def bounded(module: str | None) -> str:
    """The name of a module is the caller's until it was looked up."""
    return NONE if module is None else module if module in MODULES else OTHER


@lru_cache(maxsize=4096)
def child(metric: MetricWrapperBase, *values: str) -> Any:
    """The series of these labels. To look it up costs more than to count with it, so that it is kept."""
    Path(settings.METRICS_DIR).mkdir(parents=True, exist_ok=True)
    return metric.labels(*values)
