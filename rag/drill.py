"""The drill: break what an answer depends on, in the sandbox and one at a time, ask, and judge what the client got.

It asks the API of this very process through the whole of Django, so that the JSON of a client is what is judged. Every question
carries a mark of its own and the sandbox breaks for that mark only: whoever else asks meanwhile notices nothing, and an order
that a killed drill left behind meets nobody.
"""

import fcntl
import json
import secrets
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import httpx
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import StreamingHttpResponse
from django.test import Client, override_settings

from rag import clock, provider_stack, wiring
from rag.breaking import CONTROL_TIMEOUT_S, broken
from rag.errors import CorpusNotReady, UnknownCorpus
from rag.failure_table import find_cases
from rag.failures import SPARE_S, Case, Sees, Within
from rag.models import ApiKey

QUESTION = "What does skip_locked do in select_for_update?"
MODULE = "m6-production"
KEY_LIFETIME = timedelta(hours=1)
MARKS_TRIED = 5
UNBROKEN = Case("unbroken", "nothing", Sees(200, Within("REQUEST_TIMEOUT_S")))
MENDED = replace(UNBROKEN, name="mended", breaks="nothing any more")
FALLBACK = find_cases("voyage-500")[0]


class DrillRefused(Exception):
    """The drill must not begin, or cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client got. `retry_after_s` None = no such header."""

    status: int
    body: Mapping[str, Any]
    retry_after_s: str | None

    @property
    def degraded(self) -> tuple[str, ...]:
        return tuple(self.body.get("degraded", ()))

    @property
    def code(self) -> str | None:
        return self.body.get("code")

    @property
    def partial(self) -> bool:
        """Whether a part of the answer was shown before it broke off."""
        return bool(self.body.get("partial"))

    @property
    def age_s(self) -> int | None:
        """Seconds since the answer was made; None when it was made for this request."""
        origin = self.body.get("cache", {}).get("from")
        return origin["age_s"] if origin else None

    def told(self) -> str:
        if self.code is not None:
            return f"{self.code}, retry in {self.retry_after_s} s" if self.retry_after_s else self.code
        if self.body.get("answered"):
            return "an answer"
        return "sources without an answer" if self.body.get("sources") else "no answer"


class Service(Protocol):
    def ask(self, question: str, *, transform: str, stream: bool = False) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Result:
    """How a case went. `why` says what was not as the table has it; empty when it passed."""

    case: str
    broken: str
    saw: str
    status: int
    code: str | None
    degraded: tuple[str, ...]
    seconds: float
    passed: bool
    why: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LocalApi:
    """`POST /api/ask` in this process, by an API key. An unexpected error comes as the 500 that a client would get."""

    key: str
    corpus: str

    def ask(self, question: str, *, transform: str, stream: bool = False) -> Reply:
        asked = {
            "question": question,
            "corpus": self.corpus,
            "module": MODULE,
            "transform": transform,
            "stream": stream,
        }
        headers = {"Authorization": f"Bearer {self.key}", "Cache-Control": "no-cache"}
        client = Client(raise_request_exception=False, SERVER_NAME="localhost")
        with override_settings(ALLOWED_HOSTS=["localhost"]):
            response = client.post("/api/ask", asked, "application/json", secure=True, headers=headers)
            if response.streaming:
                events = cast(StreamingHttpResponse, response)
                return streamed_reply(b"".join(cast(Iterator[bytes], events.streaming_content)))
        return Reply(response.status_code, json_object(response.content), response.headers.get("Retry-After"))


def streamed_reply(events: bytes) -> Reply:
    """What the last event says: `done` holds the plain answer, `error` a problem with its status."""
    name, _, data = events.rstrip().rpartition(b"\n\n")[2].partition(b"\ndata: ")
    body = json_object(data)
    if name == b"event: error":
        wait = body.get("retry_after_s")
        return Reply(int(body.get("status", 500)), body, None if wait is None else str(wait))
    return Reply(200, body if name == b"event: done" else {}, None)


def json_object(content: bytes) -> dict[str, Any]:
    """The object, or an empty one: what is no JSON says nothing to a client."""
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def results(cases: tuple[Case, ...], question: str = QUESTION) -> Generator[Result, None, None]:
    """Run the cases one after the other, with the service unbroken before and after. Stops where it does not work unbroken.

    The question must be one that the default corpus answers: nothing else is kept to be given again. Raises DrillRefused.
    Whatever ends it, nothing stays broken and its API key is of no use any more.
    """
    refuse_to_break()
    with only_one(Path(settings.DATA_DIR)), passing_key() as key:
        service = LocalApi(key, settings.DEFAULT_CORPUS)
        judge = partial(run, service=service, question=question, sandbox=settings.SANDBOX_URL)
        judge(UNBROKEN)  # imports and connections are not what is timed
        yield (first := judge(UNBROKEN))
        if not first.passed:
            return
        try:
            judge(FALLBACK)  # nor are those of the second embedder
            yield from map(judge, cases)
            judge(FALLBACK)  # its answer ends what looks like an outage of it
            yield judge(MENDED)
        except httpx.HTTPError as error:
            raise DrillRefused(f"the sandbox at {settings.SANDBOX_URL} went away: {error}") from error


def run(case: Case, *, service: Service, question: str, sandbox: str, spare_s: float = SPARE_S) -> Result:
    """Break what the case names, ask and judge; `spare_s`: what the rest of the answer may take beside the time-out."""
    provider_stack.forget_breakers()
    try:
        mark = mark_for(case, service=service, question=question)
        asked = marked(question, mark)
        with broken(case, sandbox=sandbox, mark=mark):
            limit_s = case.sees.within.seconds(settings, spare_s=spare_s)
            began = time.monotonic()
            reply = service.ask(asked, transform=case.transform, stream=case.stream)
            seconds = time.monotonic() - began
    finally:
        provider_stack.forget_breakers()
    return judged(case, reply, seconds=seconds, limit_s=limit_s)


def mark_for(case: Case, *, service: Service, question: str) -> str:
    """A new mark. For a case that needs an answer from before: one under which the question was answered and the answer kept.

    A mark is part of what is asked. A question that its sources barely answer is answered under most marks, not under all.
    """
    mark = new_mark()
    for _ in range(MARKS_TRIED if case.asked_before else 0):
        before = service.ask(marked(question, mark), transform=case.transform)
        if before.body.get("answered") and not before.degraded:
            break
        mark = new_mark()
    return mark


def marked(question: str, mark: str) -> str:
    return f"{question} ({mark})"


def judged(case: Case, reply: Reply, *, seconds: float, limit_s: float) -> Result:
    """What the client got, against what the table promises."""
    faults = tuple(differences(case.sees, reply, seconds=seconds, limit_s=limit_s))
    return Result(
        case=case.name,
        broken=case.breaks,
        saw=reply.told(),
        status=reply.status,
        code=reply.code,
        degraded=reply.degraded,
        seconds=round(seconds, 3),
        passed=not faults,
        why="; ".join(faults),
    )


def differences(sees: Sees, reply: Reply, *, seconds: float, limit_s: float) -> Iterator[str]:
    if reply.status != sees.status:
        yield f"status {reply.status} instead of {sees.status}"
    if reply.code != sees.code:
        yield f"code {reply.code} instead of {sees.code}"
    if reply.degraded != sees.degraded:
        yield f"degraded {list(reply.degraded)} instead of {list(sees.degraded)}"
    if reply.partial != sees.partial:
        yield f"partial {reply.partial} instead of {sees.partial}"
    if sees.status == 200 and not reply.body.get("sources"):
        yield "no sources"
    if "stale_answer" in sees.degraded and reply.age_s is None:
        yield "no age"
    if (reply.retry_after_s is not None) != sees.retry_after:
        yield "no Retry-After" if sees.retry_after else "Retry-After beside an answer"
    if seconds > limit_s:
        yield f"{seconds:.2f} s instead of at most {limit_s:.2f} s"


def refuse_to_break() -> None:
    """Raises DrillRefused where a drill would cost money, would break nothing, or has nothing to ask."""
    live = sorted(name for name, provider in settings.PROVIDERS.items() if provider["mode"] == "live")
    if live:
        raise DrillRefused(f"refused: providers are real ({', '.join(live)}); the drill breaks the sandbox only")
    try:
        httpx.get(f"{settings.SANDBOX_URL}/healthz", timeout=CONTROL_TIMEOUT_S).raise_for_status()
    except httpx.HTTPError as error:
        raise DrillRefused(
            f"the sandbox at {settings.SANDBOX_URL} does not answer; start it with `make run`"
        ) from error
    try:
        wiring.current_stamp(settings.DEFAULT_CORPUS)
    except (UnknownCorpus, CorpusNotReady) as error:
        raise DrillRefused(f"there is nothing to ask: {error}") from error


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the instance's lock for drills; raises DrillRefused when another drill does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "drill.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DrillRefused("another drill is running on this instance") from error
        yield


@contextmanager
def passing_key() -> Iterator[str]:
    """An API key for asking, revoked afterwards; it expires by itself if even that cannot be done."""
    key = ApiKey(name="drill", scopes=["ask"], expires_at=clock.now() + KEY_LIFETIME)
    full_key = key.make_secret()
    try:
        key.save()
        yield full_key
    finally:
        revoke(key)


def revoke(key: ApiKey) -> None:
    """Also when the drill was stopped in the middle of a query, whose connection takes no other one."""
    row = ApiKey.objects.filter(prefix=key.prefix)
    try:
        row.update(revoked_at=clock.now())
    except DatabaseError:
        connection.close()
        row.update(revoked_at=clock.now())


def new_mark() -> str:
    return f"drill-{secrets.token_hex(4)}"
