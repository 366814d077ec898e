"""Every fault, seen through the SDKs as an application would see it."""

import json
import time
from typing import Any

import anthropic
import cohere.core
import cohere.errors
import httpx
import httpx2
import openai
import pytest
import voyageai.error

from sandbox.tests.clients import claude, command, gpt, voyage
from sandbox.tests.conftest import Running, post
from sandbox.tests.test_messages import ANSWERING

SOON = 0.6


def ask(server: Running, key: str, **more: Any):
    return claude(server, key=key, timeout=SOON).messages.create(**ANSWERING, **more)


def embed(server: Running):
    return voyage(server, timeout=SOON).embed(["hello"], model="voyage-3.5")


def embed_openai(server: Running):
    return gpt(server, timeout=SOON).embeddings.create(model="text-embedding-3-small", input=["hello"])


def rerank(server: Running):
    return command(server, timeout=SOON).rerank(model="rerank-v3.5", query="x", documents=["y", "z"])


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.OverloadedError, "overloaded_error"),
    ],
)
def test_a_status_becomes_the_error_of_anthropic(server, key, status, error, kind):
    server.break_next("anthropic.messages", kind="status", status=status, headers={"Retry-After": "7"})

    with pytest.raises(error) as caught:
        ask(server, key)

    assert caught.value.type == kind
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.request_id


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, voyageai.error.AuthenticationError),
        (429, voyageai.error.RateLimitError),
        (500, voyageai.error.ServerError),
        (503, voyageai.error.ServiceUnavailableError),
        (529, AttributeError),
    ],
)
def test_a_status_becomes_the_error_of_voyage(server, status, error):
    server.break_next("voyage.embeddings", kind="status", status=status)

    with pytest.raises(error):
        embed(server)


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, openai.AuthenticationError), (429, openai.RateLimitError), (503, openai.InternalServerError)],
)
def test_a_status_becomes_the_error_of_openai(server, status, error):
    server.break_next("openai.embeddings", kind="status", status=status)

    with pytest.raises(error):
        embed_openai(server)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, cohere.errors.UnauthorizedError),
        (429, cohere.errors.TooManyRequestsError),
        (500, cohere.errors.InternalServerError),
        (529, cohere.core.ApiError),
    ],
)
def test_a_status_becomes_the_error_of_cohere(server, status, error):
    server.break_next("cohere.rerank", kind="status", status=status, times=None)

    with pytest.raises(error):
        command(server).rerank(model="rerank-v3.5", query="x", documents=["y"], request_options={"max_retries": 0})


def test_a_status_can_carry_its_own_body(server, key):
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": "You have reached your usage limit"}}
    server.break_next("anthropic.messages", kind="status", status=400, body=body)

    with pytest.raises(anthropic.BadRequestError, match="usage limit"):
        ask(server, key)


def test_a_hanging_server_times_out_every_client(server, key):
    for endpoint in ("anthropic.messages", "voyage.embeddings", "openai.embeddings", "cohere.rerank"):
        server.break_next(endpoint, kind="hang", times=None)

    with pytest.raises(anthropic.APITimeoutError):
        ask(server, key)
    with pytest.raises(voyageai.error.Timeout):
        embed(server)
    with pytest.raises(openai.APITimeoutError):
        embed_openai(server)
    with pytest.raises(httpx.ReadTimeout):
        rerank(server)


def test_the_server_stays_responsive_while_answers_hang(server, key):
    server.break_next("anthropic.messages", kind="hang", times=None)
    with pytest.raises(anthropic.APITimeoutError):
        ask(server, key)

    started = time.monotonic()
    server.ask("GET", "/healthz")

    assert time.monotonic() - started < 0.5


def test_a_reset_connection_is_a_connection_error(server, key):
    server.break_next("anthropic.messages", kind="reset")
    server.break_next("voyage.embeddings", kind="reset")

    with pytest.raises(anthropic.APIConnectionError):
        ask(server, key)
    with pytest.raises(voyageai.error.APIConnectionError):
        embed(server)


def test_a_delay_only_delays(server, key):
    server.break_next("anthropic.messages", kind="delay", delay_ms=200)
    started = time.monotonic()

    answer = ask(server, key)

    assert answer.stop_reason == "end_turn"
    assert time.monotonic() - started >= 0.2


def test_a_malformed_body_is_not_json(server, key):
    server.break_next("anthropic.messages", kind="malformed")
    server.break_next("voyage.embeddings", kind="malformed")

    with pytest.raises(json.JSONDecodeError):
        ask(server, key)
    with pytest.raises(voyageai.error.APIError):
        embed(server)


def test_an_empty_object_is_an_answer_without_content(server, key):
    for endpoint in ("anthropic.messages", "openai.embeddings", "cohere.rerank"):
        server.break_next(endpoint, kind="empty_object")

    assert ask(server, key).content is None
    assert rerank(server).results is None
    with pytest.raises(ValueError, match="No embedding data"):
        embed_openai(server)


def test_a_truncated_body_is_a_connection_error(server, key):
    server.break_next("anthropic.messages", kind="truncated_body")
    server.break_next("cohere.rerank", kind="truncated_body")

    with pytest.raises(anthropic.APIConnectionError):
        ask(server, key)
    with pytest.raises(httpx.RemoteProtocolError):
        rerank(server)


def test_a_dripping_body_outlives_the_timeout_of_the_sdk(server, key):
    server.break_next("anthropic.messages", kind="drip", interval_ms=4)

    started = time.monotonic()
    answer = ask(server, key)

    assert answer.stop_reason == "end_turn"
    assert time.monotonic() - started > SOON


def test_short_results_miss_some_of_what_was_asked(server):
    server.break_next("cohere.rerank", kind="short_results")
    server.break_next("openai.embeddings", kind="short_results")

    assert len(rerank(server).results) == 1
    with pytest.raises(ValueError, match="No embedding data"):
        embed_openai(server)


def test_a_stream_can_be_cut_after_some_words(server, key):
    server.break_next("anthropic.messages", kind="cut", after_deltas=1)
    words = []

    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        for event in ask(server, key, stream=True):
            words += [event.delta.text] if event.type == "content_block_delta" else []

    assert len(words) == 1


def test_a_stream_can_hang_after_some_words(server, key):
    server.break_next("anthropic.messages", kind="hang_mid_stream")

    with pytest.raises(httpx2.ReadTimeout):
        list(ask(server, key, stream=True))


@pytest.mark.parametrize("after_deltas", [0, 2])
def test_a_stream_can_report_overload_inside_a_200(server, key, after_deltas):
    server.break_next("anthropic.messages", kind="overloaded_stream", after_deltas=after_deltas)
    words = []

    with pytest.raises(anthropic.APIStatusError) as caught:
        for event in ask(server, key, stream=True):
            words += [event.delta.text] if event.type == "content_block_delta" else []

    assert (caught.value.status_code, caught.value.type) == (200, "overloaded_error")
    assert len(words) == after_deltas


def test_an_endless_stream_never_ends_by_itself(server, key):
    server.break_next("anthropic.messages", kind="endless_stream", interval_ms=1)
    stream = ask(server, key, stream=True)

    events = [next(stream) for _ in range(200)]
    stream.close()

    assert events[-1].type == "content_block_delta"


def test_a_fault_can_wait_for_words_in_the_request(server, key):
    server.break_next("anthropic.messages", kind="status", status=500, match="QuerySet", times=None)
    other: dict[str, Any] = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hello"}],
    }

    assert claude(server, key=key).messages.create(**other).stop_reason == "max_tokens"
    with pytest.raises(anthropic.InternalServerError):
        ask(server, key)


def test_faults_stop_after_their_number_of_times(server, key):
    server.break_next("anthropic.messages", kind="status", status=500, times=2)

    statuses = [post(server, "/anthropic/v1/messages", ANSWERING).status_code for _ in range(3)]

    assert statuses == [500, 500, 200]


def test_an_overloaded_whole_answer_is_a_529(server, key):
    server.break_next("anthropic.messages", kind="overloaded_stream")

    with pytest.raises(anthropic.OverloadedError):
        ask(server, key)
