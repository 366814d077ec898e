"""An answer as server-sent events: `meta`, `sources`, `delta`*, then `done` or `error`.

The question is answered in a thread of its own, which puts its events into a queue; the request's thread sends them on. While
there is nothing to tell a heartbeat goes out: it keeps proxies patient, and only by writing is it noticed that a client went
away. Two heartbeats fit into the second in which a call that nobody waits for must end.
"""

import json
import queue
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

from django.conf import settings
from django.db import close_old_connections
from django.http import StreamingHttpResponse
from rest_framework.renderers import JSONRenderer

from rag.api.errors import problem_told
from rag.ask import ask
from rag.errors import AnswerInterrupted
from rag.presenting import answer_body, source_body
from rag.providers.deadline import Cancelled, Deadline, deadline
from rag.trace import Trace
from rag.values import Caller, Question, Source

CONTENT_TYPE = "text/event-stream"
HEARTBEAT_S = 0.4
HEARTBEAT = b":\n\n"
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
LAST = ("done", "error")


class EventStreamRenderer(JSONRenderer):
    """Lets a client say that it accepts events. Whether it gets them is decided by `stream` in the body."""

    media_type = CONTENT_TYPE
    format = "events"


class Event(NamedTuple):
    name: str
    data: Mapping[str, Any]

    def frame(self) -> bytes:
        return f"event: {self.name}\ndata: {json.dumps(self.data, ensure_ascii=False)}\n\n".encode(errors="replace")


def streamed_answer(
    *, question: Question, caller: Caller, trace_id: str, traceparent: str = ""
) -> StreamingHttpResponse:
    """The response, once there is something to tell; what goes wrong before that is raised, with a status of its own."""
    run = Run(question, caller, trace_id, traceparent)
    workers().submit(run.work)
    first = run.next_event()
    if isinstance(first, Exception):
        raise first
    return StreamingHttpResponse(run.frames(first), content_type=CONTENT_TYPE, headers=HEADERS)


@lru_cache(maxsize=1)
def workers() -> ThreadPoolExecutor:
    """As many as there are requests at once. They stay, and so do their connections to the database."""
    return ThreadPoolExecutor(settings.WEB_THREADS, thread_name_prefix="stream")


class Run:
    """One question on its way; it is the listener of its own answer."""

    def __init__(self, question: Question, caller: Caller, trace_id: str, traceparent: str) -> None:
        self._question, self._caller, self._trace_id, self._traceparent = question, caller, trace_id, traceparent
        self._events: queue.SimpleQueue[Event | Exception | None] = queue.SimpleQueue()
        self._limit: Deadline | None = None

    def work(self) -> None:
        close_old_connections()
        try:
            with deadline(settings.REQUEST_TIMEOUT_S) as self._limit:
                answered = ask(
                    question=self._question,
                    caller=self._caller,
                    trace_id=self._trace_id,
                    listener=self,
                    traceparent=self._traceparent,
                )
            self._events.put(Event("done", answer_body(answered)))
        except Cancelled:
            self._events.put(None)
        except Exception as error:  # noqa: BLE001 - the request's thread tells it
            self._events.put(error)
        finally:
            close_old_connections()

    def opened(self, trace: Trace) -> None:
        told = {"trace_id": trace.trace_id, "module": trace.module, "provider_mode": trace.provider_mode}
        self._events.put(Event("meta", told))

    def sources(self, sources: Sequence[Source]) -> None:
        self._events.put(Event("sources", {"sources": [source_body(source) for source in sources]}))

    def delta(self, text: str) -> None:
        self._events.put(Event("delta", {"text": text}))

    def next_event(self, timeout: float | None = None) -> Event | Exception | None:
        return self._events.get(timeout=timeout)

    def frames(self, first: Event | Exception | None) -> Iterator[bytes]:
        """What came at once goes out at once: under load that is fewer writes, here and in the proxy.

        Closing the iterator, as the server does when the client is gone, ends every paid call of the question.
        """
        came = [first]
        try:
            while True:
                events = [self._told(event) for event in came if event is not None]
                if events:
                    yield b"".join(event.frame() for event in events)
                if None in came or events[-1].name in LAST:
                    return
                came = yield from self._patiently()
        finally:
            if self._limit is not None:
                self._limit.cancel()

    def _told(self, event: Event | Exception) -> Event:
        return error_event(event, self._trace_id) if isinstance(event, Exception) else event

    def _patiently(self) -> Generator[bytes, None, list[Event | Exception | None]]:
        """What there is to tell, at least one event."""
        while True:
            try:
                came = [self.next_event(timeout=HEARTBEAT_S)]
            except queue.Empty:
                yield HEARTBEAT
                continue
            while not self._events.empty():
                came.append(self._events.get())
            return came


def error_event(error: Exception, trace_id: str) -> Event:
    """The problem document; `partial`: a part of the answer was sent, and it does not stand."""
    told, headers = problem_told(error, trace_id)
    wait = {"retry_after_s": int(headers["Retry-After"])} if "Retry-After" in headers else {}
    return Event("error", told | wait | {"partial": isinstance(error, AnswerInterrupted)})
