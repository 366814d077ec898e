"""Whether the provider keeps a system prompt now, and whether asking it to would pay.

What it keeps is readable once the reply to the request that wrote it has begun, and for an hour after its last use. Requests
that come together while it is cold would each pay for writing it: here the first goes ahead, and the others follow when its
reply begins.

Writing costs more than sending, so it pays only when the prefix is used again soon enough. A prefix that was never used before
is given the benefit of the doubt; one that was is kept when its last two uses were close enough together (`pays`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import zip_longest

from django.core.cache import caches

from costs.prices import Price, uses_to_break_even
from costs.usage import Usage
from rag import clock
from rag.providers.contracts import ChatModel, ChatReply, ChatRequest
from rag.single_flight import boarded
from rag.values import sha256

KEPT = timedelta(hours=1)
MARGIN = timedelta(minutes=2)
"""for clocks that differ, and for the time between the request and its reply"""
JUST_NOW = timedelta(seconds=30)
"""what was used so recently is not noted again: it would change no decision"""
REMEMBERED_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Uses:
    """When a prefix was last used, and until when the provider keeps it (None: it was not asked to)."""

    last: datetime
    kept_until: datetime | None
    prefix: str = ""

    def warm(self, now: datetime) -> bool:
        return self.kept_until is not None and now < self.kept_until


def pays(uses: Uses | None, price: Price | None, now: datetime) -> bool:
    """Whether to mark the system prompt. Marking what the provider already keeps only ever reads."""
    if price is None:
        return False
    needed = uses_to_break_even(write_usd=price.cache_write_1h_usd, price=price)
    if needed is None:
        return False
    if uses is None or uses.warm(now):
        return True
    return (needed - 1) * (now - uses.last) <= KEPT


def uses_of(prefix: str) -> Uses | None:
    found = caches["answers"].get(f"prefix:{prefix}")
    if found is None:
        return None
    last, kept_until = found
    return Uses(moment(last), None if kept_until is None else moment(kept_until), prefix)


def note_use(prefix: str, *, kept: bool) -> None:
    now = clock.now()
    kept_until = (now + KEPT - MARGIN).timestamp() if kept else None
    caches["answers"].set(f"prefix:{prefix}", (now.timestamp(), kept_until), timeout=REMEMBERED_S)


def moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)


class Warming:
    """A chat model for which cold prefixes are written once. It stands outside every deadline of its own calls.

    `warn` is told when a prefix that was to be kept was neither written nor read; `minimum` is the shortest prefix, in tokens,
    that the provider keeps (None: not known). `uses` are those of the system prompt of the question, looked up when needed.
    """

    def __init__(
        self,
        inner: ChatModel,
        *,
        minimum: int | None,
        warn: Callable[[str], None],
        uses: Callable[[], Uses | None],
    ) -> None:
        self._inner = inner
        self._minimum = minimum
        self._warn = warn
        self._uses = uses

    def send(self, request: ChatRequest) -> ChatReply:
        """Raises what the inner model raises."""
        if not request.keep_system:
            reply = self._inner.send(request)
            note_use(request.prefix(), kept=False)
            return reply
        reply = self._sent(request)
        if not (reply.usage.cache_read or reply.usage.cache_write_1h):
            self._warn(complaint(request, reply.usage, minimum=self._minimum, before=parts_before(request)))
        if not self._noted(request.prefix()):
            remember_parts(request)
        return reply

    def _sent(self, request: ChatRequest) -> ChatReply:
        prefix = request.prefix()
        if not (self._known_warm(prefix) or warm(prefix)):
            with boarded(f"prefix:{prefix}", partial(warm, prefix)) as flight:
                if flight.found is None:
                    return self._inner.send(replace(request, on_begin=partial(begun, prefix, flight.land)))
        reply = self._inner.send(request)
        if not self._noted(prefix):
            note_use(prefix, kept=True)
        return reply

    def _known_warm(self, prefix: str) -> bool:
        uses = self._uses()
        return uses is not None and uses.prefix == prefix and uses.warm(clock.now())

    def _noted(self, prefix: str) -> bool:
        uses = self._uses()
        return self._known_warm(prefix) and uses is not None and clock.now() - uses.last < JUST_NOW


def begun(prefix: str, land: Callable[[bool], None]) -> None:
    note_use(prefix, kept=True)
    land(True)


def complaint(request: ChatRequest, usage: Usage, *, minimum: int | None, before: list[str] | None) -> str:
    """Why nothing of a marked prompt was kept, as far as it can be told from here."""
    share = sum(map(len, request.system)) / max(1, request.characters())
    tokens = round(usage.prompt_tokens * share)
    told = f"the prompt cache did nothing: the stable prefix has about {tokens:,} tokens"
    if minimum is not None and tokens < minimum:
        return f"{told}, and {request.model} keeps none below {minimum:,}"
    changed = before and first_difference(before, parts_of(request))
    if changed:
        return f"{told}; block {changed} of the system prompt is another one than at the last request"
    return f"{told}, enough for {request.model}; the provider does not say why"


def first_difference(before: list[str], now: list[str]) -> int | None:
    """The number, from 1, of the first block that differs."""
    pairs = enumerate(zip_longest(before, now), start=1)
    return next((number for number, (old, new) in pairs if old != new), None)


def parts_of(request: ChatRequest) -> list[str]:
    return [sha256(block) for block in request.system]


def parts_before(request: ChatRequest) -> list[str] | None:
    """The parts of the last marked request to this model."""
    found: list[str] | None = caches["answers"].get(f"parts:{request.model}")
    return found


def remember_parts(request: ChatRequest) -> None:
    caches["answers"].set(f"parts:{request.model}", parts_of(request), timeout=REMEMBERED_S)


def warm(prefix: str) -> bool | None:
    """True, or None, as `boarded` wants it."""
    uses = uses_of(prefix)
    return True if uses is not None and uses.warm(clock.now()) else None
