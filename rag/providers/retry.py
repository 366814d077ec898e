"""Retrying is ours: one frozen policy, a pure delay function, and the sleeping passed in."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from rag.errors import ProviderError
from rag.providers.contracts import Provider, ReplyT, RequestT


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `attempts` calls; seconds between them double from `base_s` up to `cap_s`, with full jitter.

    A vendor's Retry-After is honoured where it is at most `patience_s`; a longer one ends the trying.
    """

    attempts: int = 2
    base_s: float = 0.2
    cap_s: float = 2.0
    patience_s: float = 2.0


def delay(*, policy: RetryPolicy, attempt: int, retry_after_s: float | None, chance: float) -> float:
    """Seconds to wait after the failed `attempt` (from 0); `chance` in [0, 1) is the jitter's draw."""
    backoff: float = min(policy.cap_s, policy.base_s * 2**attempt) * chance
    return max(backoff, retry_after_s or 0.0)


def worth_trying_again(error: ProviderError, policy: RetryPolicy) -> bool:
    """Whether the same call may succeed soon. A reply of which a part was handed on must not be begun anew."""
    return error.retryable and not error.begun and (error.retry_after_s or 0) <= policy.patience_s


class Retrying(Generic[RequestT, ReplyT]):
    """Tries again what may succeed; gives up early where `hopeless(seconds)` says that waiting so long leaves no time."""

    def __init__(
        self,
        inner: Provider[RequestT, ReplyT],
        *,
        policy: RetryPolicy,
        sleep: Callable[[float], None],
        draw: Callable[[], float] = random.random,
        hopeless: Callable[[float], bool] = lambda seconds: False,
    ) -> None:
        self._inner = inner
        self._policy = policy
        self._sleep = sleep
        self._draw = draw
        self._hopeless = hopeless

    def send(self, request: RequestT) -> ReplyT:
        for attempt in range(self._policy.attempts - 1):
            try:
                return self._inner.send(request)
            except ProviderError as error:
                if not worth_trying_again(error, self._policy):
                    raise
                wait = delay(
                    policy=self._policy, attempt=attempt, retry_after_s=error.retry_after_s, chance=self._draw()
                )
                if self._hopeless(wait):
                    raise
            self._sleep(wait)
        return self._inner.send(request)
