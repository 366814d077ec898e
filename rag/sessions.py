"""Conversations: who may continue which, one turn at a time, and what the model is shown again.

Turns are kept on the server, bound to the API key or the user that began the session. After a new corpus version the prompt
begins anew, because the model may be shown again only what is still live; the earlier questions still explain the next one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from uuid import uuid4

from django.conf import settings
from django.db.models import Q

from rag import clock
from rag.errors import SessionBusy, SessionFull, SessionMismatch, UnknownSession
from rag.models import Session, Turn
from rag.parts import Passages
from rag.trace import Trace
from rag.values import Caller, Conversation, Exchange, Outcome, Source

SPARE_S = 5
"""after the longest request, a turn that is still `busy` belongs to a process that died"""


@dataclass(frozen=True, slots=True)
class Talk:
    """A turn that is being answered."""

    session: Session
    number: int
    conversation: Conversation
    chunk_set_id: int

    def remember(self, question: str, outcome: Outcome, trace: Trace) -> None:
        """Keep the turn. One that was degraded or came to nothing is kept by nobody: the client may ask again."""
        if outcome.degraded or not outcome.sources:
            return
        earlier = self.conversation.sources()
        new = [source.passage.key for source in outcome.sources if source.passage.key not in earlier]
        Turn.objects.create(
            session=self.session,
            number=self.number,
            trace_id=trace.trace_id,
            question=question,
            standalone=trace.standalone or question,
            reply=outcome.answer.text,
            source_keys=new,
            chunk_set_id=self.chunk_set_id,
        )


def new_session_id() -> str:
    return uuid4().hex


def opened(session_id: str, *, corpus: str, module: str, caller: Caller) -> Session:
    return Session.objects.create(
        id=session_id,
        corpus=corpus,
        module=module,
        api_key_id=caller.api_key_id,
        user_id=None if caller.api_key_id else caller.user_id,
        last_used_at=clock.now(),
    )


def found(session_id: str, *, corpus: str, module: str, caller: Caller) -> Session:
    """Raises UnknownSession for one that never was, has expired, or is somebody else's: a stranger learns no difference."""
    by_key = caller.api_key_id is not None
    owner = Q(api_key_id=caller.api_key_id) if by_key else Q(api_key=None, user_id=caller.user_id)
    alive = clock.now() - timedelta(seconds=settings.SESSION_TTL_S)
    session = Session.objects.filter(owner, pk=session_id, last_used_at__gt=alive).first()
    if session is None:
        minutes = settings.SESSION_TTL_S // 60
        raise UnknownSession(
            f"there is no session {session_id}, or it was not used for {minutes} minutes: begin a new one"
        )
    if (session.corpus, session.module) != (corpus, module):
        raise SessionMismatch(
            f"this session is about {session.corpus!r} with {session.module!r}: begin a new one for others"
        )
    return session


@contextmanager
def turn(session: Session, *, chunk_set_id: int, passages: Passages) -> Iterator[Talk]:
    """The next turn of the session, which nobody else may take meanwhile. Raises SessionBusy, SessionFull."""
    now = clock.now()
    free = Q(busy_until=None) | Q(busy_until__lt=now)
    busy_until = now + timedelta(seconds=settings.REQUEST_TIMEOUT_S + SPARE_S)
    if not Session.objects.filter(free, pk=session.pk).update(busy_until=busy_until):
        raise SessionBusy("the turn before is still being answered; wait for it")
    try:
        turns = list(session.turns.order_by("number"))
        if len(turns) >= settings.SESSION_MAX_TURNS:
            raise SessionFull(f"this session has had its {settings.SESSION_MAX_TURNS} turns: begin a new one")
        number = turns[-1].number + 1 if turns else 1
        yield Talk(session, number, conversation_of(turns, chunk_set_id, passages), chunk_set_id)
    finally:
        Session.objects.filter(pk=session.pk).update(busy_until=None, last_used_at=clock.now())


def forget(now: datetime) -> int:
    """Delete conversations that were not continued for SESSION_KEEP_DAYS; how many. Their traces stay, but replay no more."""
    deleted, _ = Session.objects.filter(last_used_at__lt=now - timedelta(days=settings.SESSION_KEEP_DAYS)).delete()
    return deleted


def conversation_of(turns: Sequence[Turn], chunk_set_id: int, passages: Passages) -> Conversation:
    """What was said before; shown again are the turns since the corpus last changed, if all of their sources still live."""
    current = list(takewhile(lambda each: each.chunk_set_id == chunk_set_id, reversed(turns)))[::-1]
    live = passages.load([key for each in current for key in each.source_keys])
    whole = all(key in live for each in current for key in each.source_keys)
    exchanges = (
        Exchange(each.standalone, tuple(Source(live[key], 0.0) for key in each.source_keys), each.reply)
        for each in (current if whole else ())
    )
    return Conversation(tuple(each.standalone for each in turns), tuple(exchanges))
