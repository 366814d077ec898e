"""Every exception that the four SDKs can raise becomes an error of ours: a new version that adds one fails here.

The decisions stand in `sdk_error_table.py`.
"""

import warnings
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, get_args

import anthropic
import cohere
import cohere.core
import httpx
import httpx2
import openai
import pytest
import voyageai
import voyageai.error

from costs.usage import Usage
from rag.errors import (
    ProviderError,
    ProviderMalformed,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from rag.providers import anthropic_errors, cohere_reranker, openai_embedder, voyage_embedder
from rag.providers.requests_over_httpx import HttpxSession
from rag.tests import sdk_error_table as table
from rag.tests.telling_server import Telling, failure, refusal, telling
from rag.tests.test_providers import CLAUDE, COHERE, OPENAI, Vendor, every_vendor

ADAPTERS: dict[str, ModuleType] = {
    "anthropic": anthropic_errors,
    "openai": openai_embedder,
    "cohere": cohere_reranker,
    "voyage": voyage_embedder,
}
LIBRARIES: dict[str, tuple[ModuleType, tuple[type[Exception], ...]]] = {
    "anthropic": (anthropic, (anthropic.AnthropicError,)),
    "openai": (openai, (openai.OpenAIError,)),
    "cohere": (cohere, (cohere.core.ApiError, cohere.core.ParsingError)),
    "voyageai": (voyageai, (voyageai.error.VoyageError,)),
    "httpx": (httpx, (httpx.HTTPError,)),
    "httpx2": (httpx2, (httpx2.HTTPError,)),
}
SDKS = {"anthropic": CLAUDE, "openai": OPENAI, "cohere": COHERE}
ODD = {"InternalServerError": 500, "APIStatusError": 418, "ApiError": 418}
"""Classes for a status that has none of its own."""


@pytest.fixture(scope="module")
def told() -> Iterator[Telling]:
    with telling() as server:
        yield server


def walked(library: str) -> dict[str, type[Exception]]:
    """Every exception class that the library offers by name or derives from its roots."""
    package, roots = LIBRARIES[library]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        offered = [getattr(package, name) for name in dir(package)]  # loads what is loaded on first use
    classes = [each for each in offered if isinstance(each, type) and issubclass(each, Exception)]
    everything = [each for each in (*classes, *family(roots)) if not issubclass(each, Warning)]
    own = [each for each in everything if each.__module__.partition(".")[0] == library]
    return {each.__name__: each for each in own if not each.__name__.startswith("_")}


def family(roots: Iterable[type[Exception]]) -> Iterator[type[Exception]]:
    for root in roots:
        yield root
        yield from family(root.__subclasses__())


def named(kinds: table.Kinds) -> dict[str, type[ProviderError]]:
    return {name: kind for kind, names in kinds.items() for name in names.split()}


def decided(library: str) -> list[str]:
    raised = [table.STATUS.get(library, {}), table.OTHER.get(library, {})]
    raised += [table.TRANSPORT] if library in ("httpx", "httpx2") else []
    wrapped = table.WRAPPED.split() if library in ("anthropic", "openai") else []
    never = [name for names in table.NEVER[library].values() for name in names.split()]
    return [*(name for kinds in raised for name in named(kinds)), *wrapped, *never]


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_exception_of_a_library_is_decided_on(library: str) -> None:
    names = decided(library)

    assert set(names) - set(walked(library)) == set(), "decided on, but gone"
    assert set(walked(library)) - set(names) == set(), "new: say what it becomes"
    assert len(names) == len(set(names)), "decided on twice"


def test_voyages_sdk_asks_through_our_session_and_so_never_through_requests() -> None:
    session: object = voyageai.requestssession

    assert session is HttpxSession


@pytest.mark.parametrize("library", SDKS)
def test_every_class_that_stands_for_a_status_is_raised_by_it_and_translated(told: Telling, library: str) -> None:
    vendor, wrong = SDKS[library], []
    for name, kind in named(table.STATUS[library]).items():
        theirs = walked(library)[name]
        status = status_of(theirs)
        told.says(refusal(code_of(theirs)), status=status, headers={"Retry-After": "7"})

        ours = failure(vendor, told)

        reported = 402 if name in table.OUT_OF_CREDIT.split() else status
        seen = (type(ours.__cause__), type(ours), ours.retryable, ours.http_status, ours.retry_after_s)
        if seen != (theirs, kind, kind is not ProviderRefused, reported, 7.0):
            wrong.append((name, *seen))
    assert wrong == []


def status_of(theirs: type[Exception]) -> int:
    known = getattr(theirs, "status_code", None) or ODD.get(theirs.__name__)
    return int(known or theirs(body={}).status_code)  # type: ignore[call-arg, attr-defined]


def code_of(theirs: type[Exception]) -> str | None:
    """The code in the body by which Anthropic's SDK chooses the class."""
    return next(iter(get_args(theirs.__dict__.get("__annotations__", {}).get("error_code"))), None)


@every_vendor
@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_every_failure_of_the_transport_is_translated(vendor: Vendor, library: ModuleType) -> None:
    for name, kind in named(table.TRANSPORT).items():
        for error in wrappings(vendor, getattr(library, name)("broken")):
            ours = ADAPTERS[vendor.name].translated(error)

            assert type(ours) is kind, name
            assert (ours.http_status, ours.retry_after_s) == (None, None)
            assert ours.usage == (Usage() if name in table.UNSENT.split() else None), name


def wrappings(vendor: Vendor, error: Exception) -> Iterator[Exception]:
    """The failure as it is, and as the SDK hands it on."""
    yield error
    request = httpx2.Request("POST", "http://127.0.0.1/")
    for sdk in (anthropic, openai):
        if sdk.__name__ == vendor.name:
            for wrapped in (sdk.APIConnectionError(request=request), sdk.APITimeoutError(request)):
                wrapped.__cause__ = error
                yield wrapped


@pytest.mark.parametrize("sdk", [anthropic, openai], ids=["anthropic", "openai"])
def test_a_wrapped_failure_without_a_cause_keeps_its_meaning(sdk: Any) -> None:
    request = httpx2.Request("POST", "http://127.0.0.1/")
    translated = ADAPTERS[sdk.__name__].translated

    assert type(translated(sdk.APITimeoutError(request))) is ProviderTimeout
    assert type(translated(sdk.APIConnectionError(request=request))) is ProviderUnavailable


def test_a_body_that_the_sdk_itself_refuses_is_malformed() -> None:
    request = httpx2.Request("POST", "http://127.0.0.1/")
    answer = httpx2.Response(200, request=request)
    errors = {
        "anthropic": anthropic.APIResponseValidationError(answer, None),
        "openai": openai.APIResponseValidationError(answer, None),
        "cohere": cohere.core.ParsingError(status_code=200),
        "voyage": voyageai.error.APIError("not JSON", http_status=200),
    }

    assert {type(ADAPTERS[name].translated(error)) for name, error in errors.items()} == {ProviderMalformed}
