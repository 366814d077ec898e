"""Who is asked again, how often, and after what wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import (
    ProviderBusy,
    ProviderError,
    ProviderMalformed,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from rag.providers.contracts import ChatReply, ChatRequest, Message
from rag.providers.mapping import error_for_status, seconds
from rag.providers.retry import Retrying, RetryPolicy, delay
from rag.tests.doubles import ScriptedChat, said

REQUEST = ChatRequest("m", (), (Message("user", "hi"),), 10)
POLICY = RetryPolicy(attempts=3, base_s=0.2, cap_s=2.0, patience_s=2.0)


def failure(kind: type[ProviderError] = ProviderBusy, retry_after_s: float | None = None) -> ProviderError:
    return kind("no", provider="anthropic", retry_after_s=retry_after_s)


class Rig:
    """A scripted chat behind retries whose sleeping is written down and whose jitter is 0.5."""

    def __init__(self, policy: RetryPolicy = POLICY) -> None:
        self.chat = ScriptedChat()
        self.slept: list[float] = []
        self.retrying = Retrying(self.chat, policy=policy, sleep=self.slept.append, draw=lambda: 0.5)

    def send(self) -> ChatReply:
        return self.retrying.send(REQUEST)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_first_success_is_asked_once_without_waiting(rig: Rig) -> None:
    rig.chat.enqueue(said("yes"))

    assert rig.send().text == "yes"
    assert (rig.chat.history, rig.slept) == ([REQUEST], [])


@pytest.mark.parametrize("kind", [ProviderBusy, ProviderUnavailable, ProviderTimeout, ProviderMalformed])
def test_a_passing_failure_is_asked_again(rig: Rig, kind: type[ProviderError]) -> None:
    rig.chat.enqueue(failure(kind), said("yes"))

    assert rig.send().text == "yes"
    assert rig.slept == [0.1]


def test_a_refusal_is_not_asked_again(rig: Rig) -> None:
    rig.chat.enqueue(failure(ProviderRefused))

    with pytest.raises(ProviderRefused):
        rig.send()
    assert (len(rig.chat.history), rig.slept) == (1, [])


def test_it_gives_up_after_the_last_attempt_with_the_last_error(rig: Rig) -> None:
    last = failure(ProviderTimeout)
    rig.chat.enqueue(failure(), failure(), last)

    with pytest.raises(ProviderTimeout) as caught:
        rig.send()
    assert caught.value is last
    assert rig.slept == [0.1, 0.2]


def test_one_attempt_means_no_second_one() -> None:
    rig = Rig(RetryPolicy(attempts=1))
    rig.chat.enqueue(failure())

    with pytest.raises(ProviderBusy):
        rig.send()
    assert (len(rig.chat.history), rig.slept) == (1, [])


def test_a_retry_after_within_its_patience_is_waited_for(rig: Rig) -> None:
    rig.chat.enqueue(failure(retry_after_s=2.0), said("yes"))

    rig.send()

    assert rig.slept == [2.0]


def test_a_longer_retry_after_ends_the_trying(rig: Rig) -> None:
    rig.chat.enqueue(failure(retry_after_s=2.1))

    with pytest.raises(ProviderBusy):
        rig.send()
    assert rig.slept == []


def test_another_kind_of_error_passes_through() -> None:
    class Broken(ScriptedChat):
        def send(self, request: ChatRequest) -> ChatReply:
            raise ZeroDivisionError

    slept: list[float] = []
    with pytest.raises(ZeroDivisionError):
        Retrying(Broken(), policy=POLICY, sleep=slept.append).send(REQUEST)
    assert slept == []


@pytest.mark.parametrize(
    ("attempt", "chance", "seconds"), [(0, 0.0, 0.0), (0, 0.5, 0.1), (1, 0.5, 0.2), (2, 0.5, 0.4), (10, 0.5, 1.0)]
)
def test_waits_double_up_to_the_cap(attempt: int, chance: float, seconds: float) -> None:
    assert delay(policy=POLICY, attempt=attempt, retry_after_s=None, chance=chance) == seconds


@given(
    attempt=st.integers(0, 60),
    chance=st.floats(0, 1, exclude_max=True),
    asked=st.none() | st.floats(0, POLICY.patience_s),
)
def test_a_wait_is_never_shorter_than_asked_nor_longer_than_the_policy(
    attempt: int, chance: float, asked: float | None
) -> None:
    wait = delay(policy=POLICY, attempt=attempt, retry_after_s=asked, chance=chance)

    assert (asked or 0) <= wait <= max(POLICY.cap_s, POLICY.patience_s)


@pytest.mark.parametrize(
    ("header", "wait"), [(None, None), ("", None), ("3", 3.0), ("0.5", 0.5), ("-1", 0.0), ("Wed, 21 Oct 2026", None)]
)
def test_a_retry_after_is_read_in_seconds(header: str | None, wait: float | None) -> None:
    assert seconds(header) == wait


@pytest.mark.parametrize("header", ["nan", "inf", "1e400"])
def test_a_retry_after_without_an_end_is_none(header: str) -> None:
    assert seconds(header) is None


@given(status=st.none() | st.integers(300, 599))
def test_every_status_has_an_error_and_only_a_refusal_is_final(status: int | None) -> None:
    error = error_for_status(provider="x", status=status, message="no")

    assert error.retryable is (status is None or status >= 500 or status in (408, 429))
    assert (error.provider, error.http_status) == ("x", status)
