"""The only place that calls a paid provider: every attempt is measured, priced and kept."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from time import perf_counter
from typing import Generic

from costs.ledger import Attempt
from costs.prices import PriceTable, cost, saved_by_prompt_cache
from costs.usage import Usage
from rag.errors import ProviderError, ProviderMalformed, ProviderTimeout, ProviderUnavailable
from rag.providers.contracts import Provider, ReplyT, Request, RequestT
from rag.providers.deadline import Cancelled


@dataclass(slots=True)
class Meter:
    """Collects the attempts made for one trace, in order, and what there is to say about them."""

    prices: PriceTable
    now: Callable[[], datetime]
    attempts: list[Attempt] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def total(self) -> Decimal | None:
        """USD of all attempts; None when one of them has no known price."""
        costs = [attempt.cost_usd for attempt in self.attempts]
        known = [value for value in costs if value is not None]
        return sum(known, Decimal(0)) if len(known) == len(costs) else None

    def saved(self) -> Decimal:
        """USD that the prompt cache saved, less what writing to it cost; negative while it has not paid."""
        return sum((self._saved(attempt) for attempt in self.attempts), Decimal(0))

    def _saved(self, attempt: Attempt) -> Decimal:
        price = self.prices.find(provider=attempt.provider, model=attempt.model, at=attempt.at)
        return Decimal(0) if price is None else saved_by_prompt_cache(usage=attempt.usage, price=price)


@dataclass(frozen=True, slots=True)
class Label:
    """Whom an attempt is booked under."""

    provider: str
    operation: str
    mode: str


class Metered(Generic[RequestT, ReplyT]):
    def __init__(self, inner: Provider[RequestT, ReplyT], *, meter: Meter, label: Label) -> None:
        self._inner = inner
        self._meter = meter
        self._label = label

    def send(self, request: RequestT) -> ReplyT:
        at, started = self._meter.now(), perf_counter()
        try:
            reply = self._inner.send(request)
        except ProviderError as error:
            usage, estimated = billed_in_spite_of(error, request.estimate())
            self._record(request, at, started, error.code, usage, error.request_id, estimated)
            raise
        except Cancelled as cancelled:  # the client went away; what was sent until then was probably billed
            usage = cancelled.usage or request.estimate()
            self._record(request, at, started, "cancelled", usage, cancelled.request_id, True)
            raise
        self._record(request, at, started, "ok", reply.usage, reply.request_id, False)
        return reply

    def _record(
        self,
        request: Request,
        at: datetime,
        started: float,
        outcome: str,
        usage: Usage,
        request_id: str,
        estimated: bool,
    ) -> None:
        price = self._meter.prices.find(provider=self._label.provider, model=request.model, at=at)
        self._meter.attempts.append(
            Attempt(
                at=at,
                provider=self._label.provider,
                model=request.model,
                operation=self._label.operation,
                prompt=request.prompt,
                provider_mode=self._label.mode,
                outcome=outcome,
                usage=usage,
                cost_usd=cost(usage=usage, price=price) if price else None,
                price_id=price.id if price else None,
                latency_ms=round((perf_counter() - started) * 1000, 3),
                request_id=request_id,
                estimated=estimated,
            )
        )


def billed_in_spite_of(error: ProviderError, estimate: Usage) -> tuple[Usage, bool]:
    """What a failed call cost, and whether that is an estimate.

    A refused call costs nothing. An answer that could be read but not used says what it cost. A call that was cut, timed out or
    answered in a way that cannot be read may have been billed: its input is estimated. A stream that broke off told its input,
    and its output is estimated.
    """
    if error.usage is not None:
        return error.usage, error.usage_so_far
    lost = isinstance(error, ProviderUnavailable | ProviderMalformed) and error.http_status is None
    return (estimate, True) if lost or isinstance(error, ProviderTimeout) else (Usage(), False)
