"""Answering one question: every side effect, in order. A failure leaves a trace too."""

import logging
import re
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseUnavailable

from rag import alarms, answering, budgeting, clock, late_rows, metrics, outages, span_export, summaries, wiring
from rag.errors import QuestionRefused, RagError, TraceUnwritable
from rag.parts import Listener
from rag.providers.deadline import Cancelled, deadline
from rag.providers.metered import Meter
from rag.redaction import redacted
from rag.sessions import new_session_id
from rag.trace import Trace, new_trace_id
from rag.values import Caller, Outcome, Question, storable
from ragsite import logs

log = logging.getLogger(__name__)

LONGEST_QUESTION = 2_000
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""control characters but tab and line ends, and half surrogate pairs (Unicode's categories Cc and Cs)"""
CLIENT_GONE = 499  # nginx's number for it


@dataclass(frozen=True, slots=True)
class Answered:
    outcome: Outcome
    trace: Trace


def ask(
    *,
    question: Question,
    caller: Caller,
    trace_id: str | None = None,
    kind: str = "ask",
    listener: Listener | None = None,
    traceparent: str = "",
) -> Answered:
    """Answer the question and leave its trace, summary and ledger entries. Raises RagError, traced all the same.

    `traceparent`: the span of the caller that this belongs to (W3C Trace Context).
    """
    if question.opens_session:
        question = replace(question, session_id=new_session_id())
    trace = opened(question.text, caller, trace_id or new_trace_id(), kind)
    trace.traceparent = traceparent
    with logs.under(trace.trace_id):
        return traced(question, caller, trace, listener)


def traced(question: Question, caller: Caller, trace: Trace, listener: Listener | None) -> Answered:
    trace.module, trace.corpus = question.module, question.corpus
    wired: wiring.Wired | None = None
    try:
        check_question(question.text)
        wired = wiring.parts_for(question, asker=caller.asker(question.session_id))
        describe(trace, wired)
        if listener is not None:
            listener.opened(trace)
        with deadline(settings.REQUEST_TIMEOUT_S):
            outcome = answering.answered(question, caller, wired, trace, listener)
        trace.status, trace.error = 200, None
        return Answered(outcome, trace)
    except RagError as error:
        trace.status, trace.error = error.status, {"code": error.code, "message": str(error)}
        raise
    except Cancelled:
        trace.status, trace.error = CLIENT_GONE, {"code": "client_gone", "message": "the client went away"}
        raise
    finally:
        if wired is not None:
            note_calls(trace, wired.meter)
        try:
            record(trace, open_outages=wired.open_outages if wired else 0)
        finally:
            if wired is not None and wired.hard_limits:
                budgeting.settle(trace)


def refuse(*, query: str, caller: Caller, trace_id: str, status: int, error: dict[str, Any], kind: str = "ask") -> None:
    """Leave the trace of a request that was turned away before it became a question (401, 429, a malformed body)."""
    trace = opened(query, caller, trace_id, kind)
    trace.status, trace.error = status, error
    with logs.under(trace_id):
        record(trace, open_outages=0)


def opened(query: str, caller: Caller, trace_id: str, kind: str) -> Trace:
    """A trace that says `internal error` until something better is known, so that a crash is told as one."""
    return Trace(
        trace_id=trace_id,
        timestamp=clock.now(),
        query=storable(query),
        kind=kind,
        api_key_id=caller.api_key_id,
        user_id=caller.user_id,
        status=500,
        error={"code": RagError.code, "message": "the request ended in an unexpected error; see the log"},
    )


def describe(trace: Trace, wired: wiring.Wired) -> None:
    trace.module = wired.module.name
    trace.config = wiring.configuration(wired.module, wired.models)
    trace.corpus_version = wired.serving.version
    trace.chunker = wired.serving.chunker
    trace.provider_mode = wired.provider_mode
    trace.model = wired.models.answer
    trace.prompt_version = wired.prompt.version
    trace.prompt_hash = wired.prompt.content_hash


def note_calls(trace: Trace, meter: Meter) -> None:
    trace.attempts, trace.cost_usd, trace.prompt_saved_usd = meter.attempts, meter.total(), meter.saved()
    trace.warnings = meter.warnings
    for warning in meter.warnings:
        log.warning(warning, extra={"trace_id": trace.trace_id})


def check_question(text: str) -> None:
    """Raises QuestionRefused for an empty, an overlong or an unprintable question."""
    if not text.strip():
        raise QuestionRefused("the question is empty")
    if len(text) > LONGEST_QUESTION:
        raise QuestionRefused(f"the question has {len(text):,} characters; at most {LONGEST_QUESTION:,} are allowed")
    bad = UNPRINTABLE.search(text)
    if bad is not None:
        raise QuestionRefused(f"the question holds the control character U+{ord(bad.group()):04X}; remove it")


def record(trace: Trace, *, open_outages: int) -> None:
    """Keep the finished trace, and tell those who watch. Raises TraceUnwritable."""
    trace.finish()
    try:
        keep(trace, open_outages)
    finally:
        metrics.count(trace)
        span_export.export(trace)


def book_alone(line: dict[str, Any]) -> None:
    try:
        summaries.save_calls(line)
    except DatabaseUnavailable:
        log.exception("calls without a trace not booked", extra={"trace_id": line["trace_id"]})


def keep(trace: Trace, open_outages: int) -> None:
    """The line first, then the rows. Without its line an answer must not go out; a missing row can be repaired."""
    line = redacted(trace.as_line())
    try:
        wiring.trace_files().append(line=line, at=trace.timestamp)
    except OSError as error:
        log.critical("trace line not written: %s", error, extra={"trace_id": trace.trace_id})
        metrics.trace_failure("line")
        trace.status = TraceUnwritable.status
        book_alone(line)
        raise TraceUnwritable(f"the trace cannot be written: {error.strerror or error}") from error
    if late_rows.may_wait(line):  # nothing was called: there is no outage and no warning to note
        late_rows.add(line)
        return
    try:
        summaries.save_rows(line)
    except DatabaseUnavailable:
        log.exception(
            "trace rows not written; `manage.py traces verify --repair` will", extra={"trace_id": trace.trace_id}
        )
        metrics.trace_failure("rows")
    try:
        outages.note(line, open_outages=open_outages)
        alarms.prompt_cache(line)
    except DatabaseUnavailable:
        log.exception("outages and warnings not noted", extra={"trace_id": trace.trace_id})
        metrics.trace_failure("outages")
