"""The four adapters through the vendors' own SDKs, against the sandbox and against a server that answers nonsense."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from costs.usage import Usage
from rag.errors import (
    ProviderBusy,
    ProviderError,
    ProviderMalformed,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from rag.providers import factory
from rag.providers.contracts import (
    ChatReply,
    ChatRequest,
    EmbedReply,
    EmbedRequest,
    Endpoint,
    Message,
    RerankReply,
    RerankRequest,
)
from rag.tests.doubles import Nonsense, talking

SHORT_S = 0.4
CHAT = ChatRequest("claude-sonnet-4-6", ("Be kind.",), (Message("user", "Hello there."),), 50)
EMBED = EmbedRequest("voyage-3.5", ("one", "two", "three"), "document", 256)
OPENAI_EMBED = EmbedRequest("text-embedding-3-small", ("one", "two", "three"), "query", 256)
RERANK = RerankRequest("rerank-v3.5", "trains", ("Leave lapses.", "Book trains.", "Backups run."), 2)


class Vendor(NamedTuple):
    name: str
    path: str
    endpoint: str
    make: Callable[[Endpoint], Any]
    request: Any
    answer: dict[str, Any]
    """a whole valid answer to the request"""


VENDORS = (
    Vendor(
        "anthropic",
        "/anthropic",
        "anthropic.messages",
        factory.chat_model,
        CHAT,
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-6",
            "content": [{"type": "text", "text": "Hello."}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 12,
                "output_tokens": 5,
                "cache_creation_input_tokens": 300,
                "cache_read_input_tokens": 2000,
                "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            },
        },
    ),
    Vendor(
        "voyage",
        "/voyage/v1",
        "voyage.embeddings",
        factory.embedder,
        EMBED,
        {
            "object": "list",
            "model": "voyage-3.5",
            "data": [{"object": "embedding", "index": n, "embedding": [float(n)] * 256} for n in range(3)],
            "usage": {"total_tokens": 7},
        },
    ),
    Vendor(
        "openai",
        "/openai/v1",
        "openai.embeddings",
        factory.embedder,
        OPENAI_EMBED,
        {
            "object": "list",
            "model": "text-embedding-3-small",
            "data": [{"object": "embedding", "index": n, "embedding": [float(n)] * 256} for n in (2, 0, 1)],
            "usage": {"prompt_tokens": 7, "total_tokens": 7},
        },
    ),
    Vendor(
        "cohere",
        "/cohere",
        "cohere.rerank",
        factory.reranker,
        RERANK,
        {
            "id": "r1",
            "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.2}],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
        },
    ),
)
every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
CLAUDE, VOYAGE, OPENAI, COHERE = VENDORS


def endpoint(vendor: Vendor, base_url: str, timeout_s: float = 10.0) -> Endpoint:
    return Endpoint(vendor.name, base_url, "test-key", "simulated", timeout_s)


def send(vendor: Vendor, sandbox: str, *, request: Any = None, timeout_s: float = 10.0) -> Any:
    return vendor.make(endpoint(vendor, sandbox + vendor.path, timeout_s)).send(request or vendor.request)


def order(sandbox: str, vendor: Vendor, **fault: Any) -> None:
    body = {"endpoint": vendor.endpoint, "fault": fault, "times": 1}
    httpx.post(f"{sandbox}/_control", json=body).raise_for_status()


def failure(vendor: Vendor, sandbox: str, *, timeout_s: float = 10.0, **fault: Any) -> ProviderError:
    order(sandbox, vendor, **fault)
    with pytest.raises(ProviderError) as caught:
        send(vendor, sandbox, timeout_s=timeout_s)
    assert caught.value.provider == vendor.name
    return caught.value


def test_claude_answers(providers: str) -> None:
    reply: ChatReply = send(CLAUDE, providers)

    assert reply.text
    assert (reply.stop_reason, reply.model) == ("end_turn", "claude-sonnet-4-6")
    assert reply.usage == Usage(input_tokens=reply.usage.input_tokens, output_tokens=reply.usage.output_tokens)
    assert reply.usage.input_tokens > 0
    assert reply.usage.output_tokens > 0
    assert reply.request_id


def test_claude_takes_a_temperature(providers: str) -> None:
    request = ChatRequest("claude-sonnet-4-6", (), CHAT.messages, 50, temperature=0.0)

    assert send(CLAUDE, providers, request=request).text


@pytest.mark.parametrize("vendor", [VOYAGE, OPENAI], ids=lambda vendor: vendor.name)
def test_an_embedder_gives_every_text_its_vector(providers: str, vendor: Vendor) -> None:
    reply: EmbedReply = send(vendor, providers)
    texts = vendor.request.texts
    alone = EmbedRequest(vendor.request.model, texts[1:2], vendor.request.purpose, 256)

    second: EmbedReply = send(vendor, providers, request=alone)

    assert [len(vector) for vector in reply.vectors] == [256] * 3
    assert list(reply.vectors[1]) == pytest.approx(list(second.vectors[0]), abs=1e-6)
    assert list(reply.vectors[0]) != pytest.approx(list(reply.vectors[1]), abs=1e-3)
    assert reply.usage == Usage(input_tokens=reply.usage.input_tokens)
    assert reply.usage.input_tokens > second.usage.input_tokens > 0


def test_cohere_ranks_the_documents(providers: str) -> None:
    reply: RerankReply = send(COHERE, providers)

    assert len(reply.ranking) == 2
    assert reply.ranking[0][0] == 1
    assert reply.ranking[0][1] >= reply.ranking[1][1]
    assert reply.usage == Usage(search_units=1)
    assert reply.request_id


def test_cohere_may_be_asked_for_more_than_there_is(providers: str) -> None:
    request = RerankRequest("rerank-v3.5", "trains", RERANK.documents, 10)

    assert len(send(COHERE, providers, request=request).ranking) == 3


@every_vendor
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ProviderRefused),
        (401, ProviderRefused),
        (403, ProviderRefused),
        (408, ProviderTimeout),
        (429, ProviderBusy),
        (500, ProviderUnavailable),
        (502, ProviderUnavailable),
        (503, ProviderUnavailable),
        (504, ProviderTimeout),
        (529, ProviderBusy),
    ],
)
def test_a_status_is_the_error_that_it_means(
    providers: str, vendor: Vendor, status: int, kind: type[ProviderError]
) -> None:
    error = failure(vendor, providers, kind="status", status=status)

    assert type(error) is kind
    assert error.http_status == status


@every_vendor
@pytest.mark.parametrize("header", ["retry-after", "Retry-After"])
def test_a_retry_after_is_kept(providers: str, vendor: Vendor, header: str) -> None:
    error = failure(vendor, providers, kind="status", status=429, headers={header: "7"})

    assert (type(error), error.retry_after_s) == (ProviderBusy, 7.0)


@every_vendor
@pytest.mark.parametrize("body", [{}, [], "no", {"detail": None}, {"error": None}, {"message": 3}])
def test_a_status_counts_whatever_its_body_says(providers: str, vendor: Vendor, body: object) -> None:
    assert type(failure(vendor, providers, kind="status", status=429, body=body)) is ProviderBusy


@every_vendor
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("malformed", ProviderMalformed),
        ("empty_object", ProviderMalformed),
        ("reset", ProviderUnavailable),
        ("truncated_body", ProviderUnavailable),
        ("cut", ProviderUnavailable),
    ],
)
def test_a_broken_answer_is_the_error_that_it_is(
    providers: str, vendor: Vendor, kind: str, error: type[ProviderError]
) -> None:
    assert type(failure(vendor, providers, kind=kind)) is error


@every_vendor
def test_a_hanging_provider_is_given_up(providers: str, vendor: Vendor) -> None:
    send(vendor, providers)  # the SDK's import takes seconds and is not what is timed
    started = time.monotonic()

    error = failure(vendor, providers, timeout_s=SHORT_S, kind="hang")

    assert type(error) is ProviderTimeout
    assert time.monotonic() - started < SHORT_S + 1


@every_vendor
def test_an_answer_that_stops_in_the_middle_is_given_up(providers: str, vendor: Vendor) -> None:
    error = failure(vendor, providers, timeout_s=SHORT_S, kind="hang_mid_stream")

    assert type(error) in (ProviderTimeout, ProviderUnavailable)


@pytest.mark.parametrize("vendor", [VOYAGE, OPENAI, COHERE], ids=lambda vendor: vendor.name)
def test_fewer_results_than_were_asked_for_are_malformed(providers: str, vendor: Vendor) -> None:
    assert type(failure(vendor, providers, kind="short_results")) is ProviderMalformed


@every_vendor
def test_the_next_call_after_a_failure_works(providers: str, vendor: Vendor) -> None:
    failure(vendor, providers, kind="reset")

    assert send(vendor, providers).usage


@every_vendor
def test_nothing_is_retried_behind_our_back(providers: str, vendor: Vendor) -> None:
    for kind in ("status", "status"):
        order(providers, vendor, kind=kind, status=503)

    with pytest.raises(ProviderUnavailable):
        send(vendor, providers)

    left = httpx.get(f"{providers}/_control").json()["faults"]
    assert len(left) == 1


@every_vendor
def test_nobody_listening_is_unavailable(vendor: Vendor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(ProviderUnavailable):
        send(vendor, f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def nonsense() -> Iterator[Nonsense]:
    known = Nonsense()
    with talking(known):
        yield known


def spoiled(answer: Any) -> Iterator[tuple[str, Any]]:
    """The answer with each of its parts, one at a time, taken away or replaced by something of another kind."""
    for path in paths(answer):
        for name, value in (("null", None), ("text", "?"), ("number", 99), ("list", []), ("object", {})):
            yield f"{'.'.join(map(str, path))} is {name}", replaced(answer, path, value)
        yield f"{'.'.join(map(str, path))} is missing", removed(answer, path)


def paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, below in steps:
        yield (*above, name)
        yield from paths(below, (*above, name))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    copy = json.loads(json.dumps(value))
    holder = copy
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = new
    return copy


def removed(value: Any, path: tuple[Any, ...]) -> Any:
    copy = json.loads(json.dumps(value))
    holder = copy
    for step in path[:-1]:
        holder = holder[step]
    del holder[path[-1]]
    return copy


@every_vendor
def test_a_whole_answer_is_read(nonsense: Nonsense, vendor: Vendor) -> None:
    nonsense.says(json.dumps(vendor.answer).encode())

    reply = send(vendor._replace(path=""), nonsense.url)

    usage = {"anthropic": Usage(12, 100, 200, 2000, 5), "cohere": Usage(search_units=1)}
    assert reply.usage == usage.get(vendor.name, Usage(input_tokens=7))


def test_vectors_are_put_in_the_order_of_their_texts(nonsense: Nonsense) -> None:
    nonsense.says(json.dumps(OPENAI.answer).encode())

    assert [vector[0] for vector in send(OPENAI._replace(path=""), nonsense.url).vectors] == [0.0, 1.0, 2.0]


def test_writes_without_a_lifetime_count_as_short_ones(nonsense: Nonsense) -> None:
    nonsense.says(json.dumps(removed(CLAUDE.answer, ("usage", "cache_creation"))).encode())

    assert send(CLAUDE._replace(path=""), nonsense.url).usage == Usage(12, 300, 0, 2000, 5)


def test_tokens_that_cohere_bills_are_counted(nonsense: Nonsense) -> None:
    units = {"billed_units": {"input_tokens": 33, "search_units": None}}
    nonsense.says(json.dumps(COHERE.answer | {"meta": units}).encode())

    assert send(COHERE._replace(path=""), nonsense.url).usage == Usage(input_tokens=33)


def test_an_empty_purse_is_not_asked_again(nonsense: Nonsense) -> None:
    body = {"error": {"message": "no credit", "type": "insufficient_quota", "code": "insufficient_quota"}}
    nonsense.says(json.dumps(body).encode(), status=429)

    with pytest.raises(ProviderRefused):
        send(OPENAI._replace(path=""), nonsense.url)


@every_vendor
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"null", {}),
        (b"[]", {}),
        (b'"text"', {}),
        (b"7", {}),
        (b"\xff\xfe\xfa", {}),
        (b'{"a": "\xff"}', {}),
        (b"<html>Sign in to the proxy</html>", {"Content-Type": "text/html"}),
        (b"not gzip", {"Content-Encoding": "gzip"}),
    ],
    ids=["nothing", "null", "list", "text", "number", "no UTF-8", "no UTF-8 inside", "a proxy's page", "bad gzip"],
)
def test_a_strange_body_is_a_provider_error(
    nonsense: Nonsense, vendor: Vendor, body: bytes, headers: dict[str, str]
) -> None:
    nonsense.says(body, headers=headers)

    with pytest.raises(ProviderError) as caught:
        send(vendor._replace(path=""), nonsense.url)
    assert caught.value.retryable


@every_vendor
@pytest.mark.parametrize("status", [204, 302, 418])
def test_a_strange_status_is_a_provider_error(nonsense: Nonsense, vendor: Vendor, status: int) -> None:
    nonsense.says(b"", status=status, headers={"Location": "/elsewhere"})

    with pytest.raises(ProviderError):
        send(vendor._replace(path=""), nonsense.url)


@every_vendor
def test_a_spoiled_answer_is_read_or_refused_but_never_anything_else(nonsense: Nonsense, vendor: Vendor) -> None:
    escaped = []
    for name, answer in spoiled(vendor.answer):
        nonsense.says(json.dumps(answer).encode())
        try:
            reply = send(vendor._replace(path=""), nonsense.url)
        except ProviderError:
            continue
        except Exception as error:  # noqa: BLE001 - whatever escapes is listed
            escaped.append(f"{name}: {type(error).__name__}: {error}")
            continue
        if not all(isinstance(count, int) for count in reply.usage.as_dict().values()):
            escaped.append(f"{name}: usage {reply.usage}")

    assert escaped == []


def test_a_client_is_made_once_for_an_endpoint() -> None:
    first, second = endpoint(CLAUDE, "http://127.0.0.1:1"), endpoint(CLAUDE, "http://127.0.0.1:2")

    assert factory.chat_model(first) is factory.chat_model(first)
    assert factory.chat_model(first) is not factory.chat_model(second)
