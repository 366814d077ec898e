"""Finished traces as spans to an OpenTelemetry collector, where OTEL_EXPORTER_OTLP_ENDPOINT (or ..._TRACES_ENDPOINT) names one.

OTLP over HTTP: gRPC's threads do not survive a fork, and web processes are forked. The SDK reads its other variables itself
(headers, time-out, sampler, service name). Spans wait in a queue of this process and are sent by a thread: a collector that is
away costs spans, and nothing else.
"""

import atexit
import logging
import os
import threading
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING

from django.conf import settings

from rag.spans import Span, span_of
from rag.trace import Trace

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

log = logging.getLogger(__name__)

FLUSH_S = 2.0
"""for what still waits when the process ends"""
SCOPE, SCHEMA = "ragsite", "https://opentelemetry.io/schemas/1.41.0"

_trace_id: ContextVar[int] = ContextVar("otel_trace_id")


def export(trace: Trace) -> None:
    """Queue the spans of a finished trace. What goes wrong is told in the log: an answer must not depend on it."""
    if not (settings.OTEL_EXPORTER_OTLP_ENDPOINT or settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT):
        return
    try:
        send(trace)
    except Exception:  # noqa: BLE001 - whatever it is, the answer goes out
        log.exception("spans not exported", extra={"trace_id": trace.trace_id})


def send(trace: Trace) -> None:
    """Our trace id is 128 random bits in hexadecimal, and so it is theirs; unless the caller has sent one along."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    caller = TraceContextTextMapPropagator().extract({"traceparent": trace.traceparent})
    token = _trace_id.set(int(trace.trace_id, 16))
    try:
        draw(span_of(trace, addresses()), provider(os.getpid()).get_tracer(SCOPE, schema_url=SCHEMA), caller)
    finally:
        _trace_id.reset(token)


def draw(span: Span, tracer: "Tracer", parent: "Context") -> None:
    from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

    drawn = tracer.start_span(
        span.name,
        context=parent,
        kind=SpanKind.CLIENT if span.calls_out else SpanKind.INTERNAL,
        attributes=span.attributes,
        start_time=span.start_ns,
    )
    if span.error:
        drawn.set_status(Status(StatusCode.ERROR, span.error))
    inside = set_span_in_context(drawn, parent)
    for child in span.children:
        draw(child, tracer, inside)
    drawn.end(end_time=span.end_ns)


def addresses() -> dict[str, str]:
    providers = {name: known["base_url"] for name, known in settings.PROVIDERS.items()}
    return providers | {"chroma": settings.CHROMA_URL}


@lru_cache(maxsize=1)
def provider(pid: int) -> "TracerProvider":
    """That of this process, made with its first trace: a thread would not live on in a child."""
    # Slow to import, and wanted by few.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class OurTraceIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return _trace_id.get()

    resource = Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME", "ragsite")})
    made = TracerProvider(resource=resource, id_generator=OurTraceIds(), shutdown_on_exit=False)
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    atexit.register(flush, made)
    return made


def flush(made: "TracerProvider") -> None:
    """Send what waits, for at most FLUSH_S: the SDK itself would wait for half a minute."""
    last = threading.Thread(target=made.shutdown, daemon=True)
    last.start()
    last.join(FLUSH_S)
