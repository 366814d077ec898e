"""A provider whose calls, retries included, end within a time of their own and within the request's."""

from typing import Generic

from rag.errors import ProviderTimeout
from rag.providers.contracts import Provider, ReplyT, RequestT
from rag.providers.deadline import DeadlineExceeded, deadline, remaining


class Deadlined(Generic[RequestT, ReplyT]):
    """The outermost wrapper. `seconds` bound everything that one `send` does."""

    def __init__(self, inner: Provider[RequestT, ReplyT], *, seconds: float, provider: str) -> None:
        self._inner = inner
        self._seconds = seconds
        self._provider = provider

    def send(self, request: RequestT) -> ReplyT:
        try:
            with deadline(self._seconds):
                return self._inner.send(request)
        except DeadlineExceeded as error:
            raise ProviderTimeout(f"{self._provider}: {error}", provider=self._provider) from error


def no_time_for(seconds: float) -> bool:
    """Whether waiting so long would leave no time for the call that is waited for."""
    left = remaining()
    return left is not None and left <= seconds
