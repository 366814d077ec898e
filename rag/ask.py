"""Answering one question: every side effect, in order. A failure leaves a trace too."""

import logging
import unicodedata
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Protocol

from django.conf import settings
from django.db import Error as DatabaseUnavailable

from rag import answers, clock, outages, pipeline, summaries, wiring
from rag.answers import Kept
from rag.errors import NoEmbedding, QuestionRefused, RagError, TraceUnwritable
from rag.providers.deadline import Cancelled, deadline
from rag.single_flight import boarded
from rag.trace import Trace, new_trace_id
from rag.values import Outcome, Question, storable

log = logging.getLogger(__name__)

LONGEST_QUESTION = 2_000
CLIENT_GONE = 499  # nginx's number for it


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an API key, a signed-in user, or neither (the command line)."""

    api_key_id: int | None = None
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    outcome: Outcome
    trace: Trace


class Listener(pipeline.Listener, Protocol):
    """Is told of an answer while it is made, from its beginning on."""

    def opened(self, trace: Trace) -> None: ...


def ask(
    *,
    question: Question,
    caller: Caller,
    trace_id: str | None = None,
    kind: str = "ask",
    listener: Listener | None = None,
) -> Answered:
    """Answer the question and leave its trace, summary and ledger entries. Raises RagError, traced all the same."""
    trace = opened(question.text, caller, trace_id or new_trace_id(), kind)
    trace.module, trace.corpus = question.module, question.corpus
    wired: wiring.Wired | None = None
    try:
        check_question(question.text)
        wired = wiring.parts_for(question)
        describe(trace, wired)
        if listener is not None:
            listener.opened(trace)
        with deadline(settings.REQUEST_TIMEOUT_S):
            outcome = answered_once(question, wired, trace, listener)
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
            trace.attempts, trace.cost_usd = wired.meter.attempts, wired.meter.total()
        record(trace, open_outages=wired.open_outages if wired else 0)


def answered_once(question: Question, wired: wiring.Wired, trace: Trace, listener: Listener | None) -> Outcome:
    """From the answer cache where it may be; those who ask the same at the same time wait for one answer."""
    key = wired.answer_key
    if key is None:
        return pipeline.answer(question.text, wired.parts, trace, listener)
    if question.anew:
        trace.answer_cache = "bypass"
        return made(question, key, wired, trace, listener).outcome
    if kept := answers.fresh(key):
        return given_again(kept, "hit", trace, listener)
    with boarded(key) as flight:
        if flight.kept is not None:
            return given_again(flight.kept, "hit", trace, listener)
        trace.answer_cache = "miss"
        kept = made(question, key, wired, trace, listener)
        flight.kept = None if kept.outcome.degraded else kept
        return kept.outcome


def made(question: Question, key: str, wired: wiring.Wired, trace: Trace, listener: Listener | None) -> Kept:
    """A new answer, kept if it may be; or one from before, when the question cannot be embedded at all."""
    try:
        outcome = pipeline.answer(question.text, wired.parts, trace, listener)
    except NoEmbedding as error:
        kept = answers.recent(key)
        if kept is None:
            raise
        log.warning("stale_answer: %s", error, extra={"trace_id": trace.trace_id})
        return replace(kept, outcome=given_again(kept, "stale", trace, listener))
    kept = Kept(outcome, trace.trace_id, clock.now(), wired.meter.total())
    if answers.may_be_kept(outcome):
        answers.keep(key, kept)
    return kept


def given_again(kept: Kept, how: str, trace: Trace, listener: Listener | None) -> Outcome:
    """The kept answer, noted in the trace of this request: a `hit`, or `stale`."""
    outcome = kept.outcome if how == "hit" else replace(kept.outcome, degraded=("stale_answer",))
    trace.answer_cache = how
    trace.answer_from = {"trace_id": kept.trace_id, "age_s": round(kept.age().total_seconds())}
    trace.avoided_usd = (kept.cost_usd or Decimal(0)) if how == "hit" else Decimal(0)
    trace.transform, trace.sources, trace.degraded = outcome.transform, outcome.sources, outcome.degraded
    pipeline.note_answer(outcome.answer, trace)
    if listener is not None:
        listener.sources(outcome.sources)
        listener.delta(outcome.answer.text)
    return outcome


def refuse(*, query: str, caller: Caller, trace_id: str, status: int, error: dict[str, Any], kind: str = "ask") -> None:
    """Leave the trace of a request that was turned away before it became a question (401, 429, a malformed body)."""
    trace = opened(query, caller, trace_id, kind)
    trace.status, trace.error = status, error
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
    parts, serving = wired.parts, wired.serving
    trace.module = parts.module.name
    trace.config = wiring.configuration(parts)
    trace.corpus_version = serving.version
    trace.chunker = serving.chunker
    trace.provider_mode = wired.provider_mode
    trace.model = parts.models.answer
    trace.prompt_version = parts.prompt.version
    trace.prompt_hash = parts.prompt.content_hash


def check_question(text: str) -> None:
    """Raises QuestionRefused for an empty, an overlong or an unprintable question."""
    if not text.strip():
        raise QuestionRefused("the question is empty")
    if len(text) > LONGEST_QUESTION:
        raise QuestionRefused(f"the question has {len(text):,} characters; at most {LONGEST_QUESTION:,} are allowed")
    bad = next((c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n\r"), None)
    if bad is not None:
        raise QuestionRefused(f"the question holds the control character U+{ord(bad):04X}; remove it")


def record(trace: Trace, *, open_outages: int) -> None:
    """The line first, then the rows. Without its line an answer must not go out; a missing row can be repaired."""
    trace.finish()
    line = trace.as_line()
    try:
        wiring.trace_files().append(line=line, at=trace.timestamp)
    except OSError as error:
        log.critical("trace line not written: %s", error, extra={"trace_id": trace.trace_id})
        raise TraceUnwritable(f"the trace cannot be written: {error.strerror or error}") from error
    try:
        summaries.save_rows(line)
    except DatabaseUnavailable:
        log.exception(
            "trace rows not written; `manage.py traces verify --repair` will", extra={"trace_id": trace.trace_id}
        )
    try:
        outages.note(line, open_outages=open_outages)
    except DatabaseUnavailable:
        log.exception("outages not noted", extra={"trace_id": trace.trace_id})
