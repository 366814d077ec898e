"""The drill: break what an answer depends on, in the sandbox and one at a time, ask, and judge what the client got.

It asks the API of this very process through the whole of Django, so that the JSON of a client is what is judged. Every question
carries a mark of its own and the sandbox breaks for that mark only: whoever else asks meanwhile notices nothing, and an order
that a killed drill left behind meets nobody.
"""

import fcntl
import json
import secrets
import socket
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import httpx
from django.conf import settings
from django.test import Client, override_settings

from rag import clock, provider_stack, wiring
from rag.errors import CorpusNotReady, UnknownCorpus
from rag.failure_table import SPARE_S, Case, Fault, Sees, Within, find_cases
from rag.models import ApiKey

QUESTION = "How do I serve static files in production?"
MODULE = "m6-production"
CONTROL_TIMEOUT_S = 5.0
KEY_LIFETIME = timedelta(hours=1)
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

    def told(self) -> str:
        if self.code is not None:
            return f"{self.code}, retry in {self.retry_after_s} s" if self.retry_after_s else self.code
        if self.body.get("answered"):
            return "an answer"
        return "sources without an answer" if self.body.get("sources") else "no answer"


class Service(Protocol):
    def ask(self, question: str, *, transform: str) -> Reply: ...


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

    def ask(self, question: str, *, transform: str) -> Reply:
        asked = {"question": question, "corpus": self.corpus, "module": MODULE, "transform": transform}
        headers = {"Authorization": f"Bearer {self.key}", "Cache-Control": "no-cache"}
        client = Client(raise_request_exception=False, SERVER_NAME="localhost")
        with override_settings(ALLOWED_HOSTS=["localhost"]):
            response = client.post("/api/ask", asked, "application/json", secure=True, headers=headers)
        return Reply(response.status_code, json_object(response.content), response.headers.get("Retry-After"))


def json_object(content: bytes) -> dict[str, Any]:
    """The object, or an empty one: what is no JSON says nothing to a client."""
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def results(cases: tuple[Case, ...]) -> Generator[Result, None, None]:
    """Run the cases one after the other, with the service unbroken before and after. Stops where it does not work unbroken.

    Raises DrillRefused. Whatever ends it, nothing stays broken and its API key is of no use any more.
    """
    refuse_to_break()
    with only_one(Path(settings.DATA_DIR)), passing_key() as key:
        judge = partial(run, service=LocalApi(key, settings.DEFAULT_CORPUS), sandbox=settings.SANDBOX_URL)
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


def run(case: Case, *, service: Service, sandbox: str, spare_s: float = SPARE_S) -> Result:
    """Break what the case names, ask and judge; `spare_s`: what the rest of the answer may take beside the time-out."""
    mark = new_mark()
    provider_stack.forget_breakers()
    try:
        with broken(case, sandbox=sandbox, mark=mark):
            limit_s = case.sees.within.seconds(settings, spare_s=spare_s)
            began = time.monotonic()
            reply = service.ask(marked(mark), transform=case.transform)
            seconds = time.monotonic() - began
    finally:
        provider_stack.forget_breakers()
    return judged(case, reply, seconds=seconds, limit_s=limit_s)


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
    if sees.status == 200 and not reply.body.get("sources"):
        yield "no sources"
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
        ApiKey.objects.filter(prefix=key.prefix).update(revoked_at=clock.now())


def new_mark() -> str:
    return f"drill-{secrets.token_hex(4)}"


def marked(mark: str) -> str:
    return f"{QUESTION} ({mark})"


@contextmanager
def broken(case: Case, *, sandbox: str, mark: str) -> Iterator[None]:
    """What the case names is broken, for questions that hold the mark."""
    with ExitStack() as stack:
        if case.refusing:
            stack.enter_context(moved(case.refusing, stack.enter_context(refusing_port())))
        if case.silent:
            stack.enter_context(moved(case.silent, stack.enter_context(silent_port())))
        if case.faults:
            stack.callback(take_back, sandbox, mark)
        for fault in case.faults:
            order(sandbox, fault, mark)
        yield


def order(sandbox: str, fault: Fault, mark: str) -> None:
    wanted = {"endpoint": fault.endpoint, "fault": fault.ordered(), "times": fault.times, "match": mark}
    httpx.post(f"{sandbox}/_control", json=wanted, timeout=CONTROL_TIMEOUT_S).raise_for_status()


def take_back(sandbox: str, mark: str) -> None:
    """Remove the orders under this mark. They are looked up, so that one is found whose receipt was interrupted."""
    with httpx.Client(base_url=sandbox, timeout=CONTROL_TIMEOUT_S) as control:
        orders = control.get("/_control").raise_for_status().json()["faults"]
        for placed in orders:
            if placed["match"] == mark:
                control.delete(f"/_control/{placed['id']}")


def moved(part: str, url: str) -> override_settings:
    """The settings with Chroma, or a provider, at another address."""
    if part == "chroma":
        return override_settings(CHROMA_URL=url)
    providers = settings.PROVIDERS | {part: settings.PROVIDERS[part] | {"base_url": url}}
    return override_settings(PROVIDERS=providers)


@contextmanager
def refusing_port() -> Iterator[str]:
    """An address that is taken, so that nobody else listens there, and refuses connections."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"


@contextmanager
def silent_port() -> Iterator[str]:
    """An address where connections are accepted, by the system, and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
