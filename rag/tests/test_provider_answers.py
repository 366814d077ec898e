"""Whatever a provider answers, it is an error of ours or a sound reply, and it is booked rightly."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, get_args

import httpx
import httpx2
import pytest
from anthropic.types.shared.error_type import ErrorType

from costs.prices import PriceTable
from costs.usage import Usage
from rag.errors import (
    ProviderBusy,
    ProviderError,
    ProviderMalformed,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from rag.providers.contracts import ChatReply, EmbedReply
from rag.providers.metered import Label, Meter, Metered
from rag.tests.doubles import silent_server
from rag.tests.telling_server import Telling, ask, failure, refusal, telling
from rag.tests.test_providers import CLAUDE, VENDORS, Vendor, endpoint, every_vendor, paths, removed, replaced

ERROR_TYPES: dict[str, tuple[type[ProviderError], int]] = {
    "invalid_request_error": (ProviderRefused, 400),
    "authentication_error": (ProviderRefused, 401),
    "billing_error": (ProviderRefused, 402),
    "permission_error": (ProviderRefused, 403),
    "not_found_error": (ProviderRefused, 404),
    "request_too_large": (ProviderRefused, 413),
    "rate_limit_error": (ProviderBusy, 429),
    "api_error": (ProviderUnavailable, 500),
    "timeout_error": (ProviderTimeout, 504),
    "overloaded_error": (ProviderBusy, 529),
    "conflict_error": (ProviderRefused, 409),
    "memory_path_conflict_error": (ProviderRefused, 409),
    "memory_precondition_failed_error": (ProviderRefused, 412),
}
"""Anthropic's types, and the status that each comes with; the API has `request_too_large`, the SDK does not list it."""


@pytest.fixture(scope="module")
def told() -> Iterator[Telling]:
    with telling() as server:
        yield server


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Telling]:
    with telling() as server:
        yield server


def meant(status: int) -> type[ProviderError]:
    match status:
        case 429 | 529:
            return ProviderBusy
        case 408 | 504:
            return ProviderTimeout
        case _:
            return ProviderUnavailable if status >= 500 else ProviderRefused


@every_vendor
def test_every_status_has_a_meaning(told: Telling, vendor: Vendor) -> None:
    wrong = []
    for status in range(300, 600):
        told.says(refusal(), status=status, headers={"Retry-After": "7"})

        ours = failure(vendor, told)

        if (type(ours), ours.http_status, ours.retry_after_s) != (meant(status), status, 7.0):
            wrong.append((status, type(ours).__name__, ours.http_status, ours.retry_after_s))
    assert wrong == []


@every_vendor
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["", "/v1/other", "http://[", "ftp://127.0.0.1/", "elsewhere"])
def test_a_redirect_is_refused_and_nobody_else_gets_the_request(
    told: Telling, elsewhere: Telling, vendor: Vendor, status: int, where: str
) -> None:
    elsewhere.says(b"{}")
    location = elsewhere.url if where == "elsewhere" else where
    told.says(b"", status=status, headers={"Location": location} if location else {})

    error = failure(vendor, told)

    assert type(error) is ProviderRefused
    assert (len(told.keys), elsewhere.keys) == (1, [])
    assert "test-key" in told.keys[0]


@every_vendor
@pytest.mark.parametrize("status", [200, 201, 204, 206, 299])
@pytest.mark.parametrize("kind", ["application/json", "text/html; charset=nonsense", "text/plain"])
def test_a_success_that_is_a_page_is_malformed(told: Telling, vendor: Vendor, status: int, kind: str) -> None:
    told.says(b"<html>Sign in</html>", status=status, headers={"Content-Type": kind})

    assert type(failure(vendor, told)) is ProviderMalformed


def test_every_type_of_anthropics_errors_is_decided_on() -> None:
    assert set(ERROR_TYPES) == {*get_args(ErrorType), "request_too_large"}


@pytest.mark.parametrize("kind", ERROR_TYPES)
@pytest.mark.parametrize("in_a_success", [False, True], ids=["with its status", "inside a 200"])
def test_a_type_of_anthropics_errors_is_the_error_that_it_means(told: Telling, kind: str, in_a_success: bool) -> None:
    error, status = ERROR_TYPES[kind]
    told.says(refusal(kind=kind), status=200 if in_a_success else status, headers={"Retry-After": "7"})

    ours = failure(CLAUDE, told)

    assert (type(ours), ours.http_status) == (error, status)


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
        (400, "invalid_request_error", "You have reached your specified API usage limits."),
        (403, "billing_error", "no"),
    ],
)
def test_anthropics_empty_purse_is_a_402_for_the_breaker(told: Telling, status: int, kind: str, message: str) -> None:
    told.says(refusal(kind=kind, message=message), status=status)

    error = failure(CLAUDE, told)

    assert (type(error), error.http_status, error.retryable) == (ProviderRefused, 402, False)


def booked(vendor: Vendor, url: str, timeout_s: float = 10.0) -> tuple[Usage, bool]:
    meter = Meter(prices=PriceTable([]), now=lambda: datetime(2026, 11, 20, tzinfo=UTC))
    adapter = vendor.make(endpoint(vendor, url, timeout_s))
    with pytest.raises(ProviderError):
        Metered(adapter, meter=meter, label=Label(vendor.name, "test", "simulated")).send(vendor.request)
    return meter.attempts[0].usage, meter.attempts[0].estimated


@every_vendor
def test_a_success_that_cannot_be_read_may_have_been_billed(told: Telling, vendor: Vendor) -> None:
    told.says(b"{}")

    assert booked(vendor, told.url) == (vendor.request.estimate(), True)


@every_vendor
@pytest.mark.parametrize("status", [302, 400, 401, 402, 429, 500, 503, 529])
def test_an_answer_without_a_result_costs_nothing(told: Telling, vendor: Vendor, status: int) -> None:
    told.says(refusal(), status=status)

    assert booked(vendor, told.url) == (Usage(), False)


@every_vendor
@pytest.mark.parametrize("status", [408, 504])
def test_a_time_out_of_theirs_may_have_been_billed(told: Telling, vendor: Vendor, status: int) -> None:
    told.says(refusal(), status=status)

    assert booked(vendor, told.url) == (vendor.request.estimate(), True)


@every_vendor
def test_an_answer_that_was_cut_may_have_been_billed(told: Telling, vendor: Vendor) -> None:
    told.says(b'{"id"', cut=True)

    assert booked(vendor, told.url) == (vendor.request.estimate(), True)


@every_vendor
def test_an_answer_that_never_comes_may_have_been_billed(vendor: Vendor) -> None:
    with silent_server() as url:
        assert booked(vendor, url, timeout_s=0.2) == (vendor.request.estimate(), True)


@every_vendor
def test_a_call_that_reached_nobody_costs_nothing(vendor: Vendor) -> None:
    assert booked(vendor, "http://127.0.0.1:1") == (Usage(), False)


@every_vendor
@pytest.mark.parametrize("url", ["127.0.0.1:1", "ftp://127.0.0.1", "http://[", "http://a b/"])
def test_an_address_that_is_none_is_refused_and_costs_nothing(vendor: Vendor, url: str) -> None:
    try:
        vendor.make(endpoint(vendor, url))
    except (httpx.InvalidURL, httpx2.InvalidURL):
        return  # said at the start already

    assert booked(vendor, url) == (Usage(), False)


STRANGE: dict[str, Any] = {
    "null": None,
    "text": "?",
    "a number": 99,
    "a fraction": 1.5,
    "below zero": -1,
    "true": True,
    "NaN": math.nan,
    "infinite": math.inf,
    "beyond the ledger": 2**31,
    "beyond a float": 10**400,
    "an empty list": [],
    "an empty object": {},
    "a list of nulls": [None],
    "an object of nulls": {"type": None, "text": None},
}


def spoiled(answer: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The answer with each of its parts, one at a time, taken away or replaced by something of another kind."""
    for path in paths(answer):
        name = ".".join(map(str, path))
        yield f"{name} is missing", json.dumps(removed(answer, path)).encode()
        for kind, value in STRANGE.items():
            yield f"{name} is {kind}", json.dumps(replaced(answer, path, value)).encode()


def sound(reply: Any) -> bool:
    """Whether the reply is what its type promises, to the last number."""
    counts = reply.usage.as_dict().values()
    if not all(type(count) is int and 0 <= count < 2**31 for count in counts) or type(reply.request_id) is not str:
        return False
    if isinstance(reply, ChatReply):
        return all(type(text) is str for text in (reply.text, reply.stop_reason, reply.model))
    if isinstance(reply, EmbedReply):
        return all(
            len(v) == 256 and all(type(x) in (int, float) and math.isfinite(x) for x in v) for v in reply.vectors
        )
    return all(type(index) is int and math.isfinite(relevance) for index, relevance in reply.ranking)


@every_vendor
def test_an_answer_with_one_strange_part_is_malformed_or_read_soundly(told: Telling, vendor: Vendor) -> None:
    wrong = []
    for name, body in spoiled(vendor.answer):
        told.says(body)
        try:
            reply = ask(vendor, told.url)
            if not sound(reply):
                wrong.append(f"{name}: {str(reply)[:200]}")
        except ProviderMalformed as error:
            if error.retry_after_s is not None or error.http_status is not None:
                wrong.append(f"{name}: {vars(error)}")
        except Exception as error:  # noqa: BLE001 - whatever escapes is listed
            wrong.append(f"{name}: {type(error).__name__}: {error}")
    assert wrong == []


@every_vendor
@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b"0", b'"', b'{"data": [', b"[" * 100_000, b"1" * 5_000, b"\x00", b'{"a": "\xff"}'],
    ids=["empty", "null", "list", "object", "number", "quote", "half", "deep", "long number", "zero byte", "no UTF-8"],
)
def test_a_body_that_is_no_answer_is_malformed(told: Telling, vendor: Vendor, body: bytes) -> None:
    told.says(body)

    assert type(failure(vendor, told)) is ProviderMalformed


def test_vectors_that_two_texts_claim_are_malformed_and_billed(told: Telling) -> None:
    vendor = VENDORS[2]
    told.says(json.dumps(replaced(vendor.answer, ("data", 0, "index"), 0)).encode())

    assert booked(vendor, told.url) == (Usage(input_tokens=7), False)


@pytest.mark.parametrize("vendor", VENDORS[1:3], ids=lambda vendor: vendor.name)
@pytest.mark.parametrize("value", [math.nan, math.inf, None, "1.0"])
def test_a_vector_with_something_else_in_it_is_malformed_and_billed(told: Telling, vendor: Vendor, value: Any) -> None:
    told.says(json.dumps(replaced(vendor.answer, ("data", 0, "embedding", 3), value)).encode())

    assert booked(vendor, told.url) == (Usage(input_tokens=7), False)
