"""Where the answer to a question comes from: the conversation that it continues, the answer cache, or the pipeline."""

import logging
from dataclasses import replace
from decimal import Decimal
from functools import partial

from rag import answers, budgeting, clock, pipeline, sessions, wiring
from rag.answers import Kept
from rag.errors import NoEmbedding
from rag.models import Session
from rag.parts import Listener
from rag.single_flight import boarded
from rag.trace import Trace
from rag.values import Caller, Conversation, Outcome, Question

log = logging.getLogger(__name__)


def answered(
    question: Question, caller: Caller, wired: wiring.Wired, trace: Trace, listener: Listener | None
) -> Outcome:
    """Within the conversation that the question continues or begins, or on its own."""
    session = session_of(question, caller, wired, trace)
    if session is None:
        return answered_once(question, wired, trace, listener, None)
    passages, chunk_set_id = wired.parts.passages, wired.serving.chunk_set_id
    with sessions.turn(session, chunk_set_id=chunk_set_id, passages=passages) as talk:
        trace.turn = talk.number
        outcome = answered_once(question, wired, trace, listener, talk.conversation)
        talk.remember(question.text, outcome, trace)
        return outcome


def session_of(question: Question, caller: Caller, wired: wiring.Wired, trace: Trace) -> Session | None:
    module, session = wired.module.name, None
    if question.session_id is not None:
        begin = sessions.opened if question.opens_session else sessions.found
        session = begin(question.session_id, corpus=question.corpus, module=module, caller=caller)
    trace.session_id = session.pk if session else None
    return session


def answered_once(
    question: Question,
    wired: wiring.Wired,
    trace: Trace,
    listener: Listener | None,
    conversation: Conversation | None,
) -> Outcome:
    """From the answer cache where it may be; those who ask the same at the same time wait for one answer.

    What a follow-up means depends on what came before: it is never taken from the cache, nor kept there.
    """
    key = wired.answer_key
    if key is None or (conversation is not None and conversation.questions):
        return paid_for(question, wired, trace, listener, conversation)
    make = partial(made, question, key, wired, trace, listener, conversation)
    if question.anew:
        trace.answer_cache = "bypass"
        return make().outcome
    if kept := answers.fresh(key):
        return given_again(kept, "hit", trace, listener)
    with boarded(key, partial(answers.fresh, key)) as flight:
        if flight.found is not None:
            return given_again(flight.found, "hit", trace, listener)
        trace.answer_cache = "miss"
        kept = make()
        flight.land(None if kept.outcome.degraded else kept)
        return kept.outcome


def made(
    question: Question,
    key: str,
    wired: wiring.Wired,
    trace: Trace,
    listener: Listener | None,
    conversation: Conversation | None,
) -> Kept:
    """A new answer, kept if it may be; or one from before, when the question cannot be embedded at all."""
    try:
        outcome = paid_for(question, wired, trace, listener, conversation)
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


def paid_for(
    question: Question,
    wired: wiring.Wired,
    trace: Trace,
    listener: Listener | None,
    conversation: Conversation | None,
) -> Outcome:
    """A new answer, if the hard limits leave money for one; raises BudgetExceeded."""
    if wired.hard_limits:
        budgeting.reserve(wired, trace, conversation)
    return pipeline.answer(question.text, wired.parts, trace, listener, conversation)


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
