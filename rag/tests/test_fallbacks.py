"""The five failures of docs/failures.md, each on the real wire: the sandbox is made to fail, the SDKs meet it."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.conf import LazySettings
from rest_framework.test import APIClient

from rag import provider_stack, trace_reading, wiring
from rag.ingest import IngestReport
from rag.pipeline import TOO_LATE
from rag.providers.breaker import State

QUESTION = "Until when can I take the holiday I had left at the end of last year?"
pytestmark = pytest.mark.django_db


def break_it(sandbox: str, endpoint: str, *, match: str | None = None, **fault: Any) -> None:
    order = {"endpoint": endpoint, "fault": fault, "times": None} | ({"match": match} if match else {})
    httpx.post(f"{sandbox}/_control", json=order).raise_for_status()


def ask(client: APIClient, **more: Any) -> tuple[int, dict[str, Any]]:
    response = client.post("/api/ask", {"question": QUESTION, "corpus": "handbook", **more}, format="json")
    return response.status_code, response.json()


def status(code: int) -> dict[str, Any]:
    return {"kind": "status", "status": code}


@pytest.mark.parametrize(
    "fault", [status(429), status(529), status(500), {"kind": "malformed"}, {"kind": "hang"}], ids=str
)
def test_when_voyage_fails_the_question_is_embedded_and_searched_in_the_other_space(
    providers: str, corpus: IngestReport, bob: APIClient, settings: LazySettings, fault: dict[str, Any]
) -> None:
    settings.EMBEDDING_TIMEOUT_S = 0.6
    break_it(providers, "voyage.embeddings", **fault)

    code, body = ask(bob)

    assert (code, body["degraded"], body["answered"]) == (200, ["embedding_fallback"], True)
    line = trace_reading.find_line(str(body["trace_id"]))
    assert line is not None
    assert [a["provider"] for a in line["attempts"] if a["operation"] == "embed" and a["outcome"] == "ok"] == ["openai"]


def test_when_both_embedders_fail_there_is_no_answer(providers: str, corpus: IngestReport, bob: APIClient) -> None:
    break_it(providers, "voyage.embeddings", **status(500))
    break_it(providers, "openai.embeddings", **status(500))

    code, body = ask(bob)

    assert (code, body["code"]) == (503, "no_embedding")


@pytest.mark.parametrize("code", [500, 529, 401, 400])
def test_when_anthropic_fails_no_lesser_model_answers(
    providers: str, corpus: IngestReport, bob: APIClient, code: int
) -> None:
    break_it(providers, "anthropic.messages", **status(code))

    response = bob.post("/api/ask", {"question": QUESTION, "corpus": "handbook"}, format="json")

    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert "please try again" in response.json()["detail"]


@pytest.mark.parametrize(
    "fault", [status(429), status(500), {"kind": "malformed"}, {"kind": "short_results"}, {"kind": "hang"}], ids=str
)
def test_when_the_rerank_fails_the_fused_order_is_used(
    providers: str, corpus: IngestReport, bob: APIClient, settings: LazySettings, fault: dict[str, Any]
) -> None:
    settings.RERANK_TIMEOUT_S = 0.6
    break_it(providers, "cohere.rerank", **fault)

    code, body = ask(bob)

    assert (code, body["degraded"], body["answered"]) == (200, ["rerank_skipped"], True)


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_when_the_answer_is_late_the_sources_come_without_it(
    providers: str, corpus: IngestReport, bob: APIClient, settings: LazySettings, kind: str
) -> None:
    settings.GENERATION_TIMEOUT_S = 0.8
    ask(bob)  # imports and connections are not what is timed
    break_it(providers, "anthropic.messages", match="<source id=", kind=kind)
    started = time.monotonic()

    code, body = ask(bob)

    assert (code, body["answer"], body["degraded"]) == (200, TOO_LATE, ["generation_timeout"])
    assert body["sources"]
    assert body["citations"] == []
    assert time.monotonic() - started < 0.8 + 0.8
    line = trace_reading.find_line(str(body["trace_id"]))
    assert line is not None
    assert line["attempts"][-1]["estimated"]


def test_when_the_transform_fails_the_question_goes_on_as_it_is(
    providers: str, corpus: IngestReport, bob: APIClient
) -> None:
    break_it(providers, "anthropic.messages", match="multi_query", **status(500))

    code, body = ask(bob)

    assert (code, body["degraded"], body["transform"]) == (200, ["transform_skipped"], "simple")


def test_a_module_without_fallbacks_fails_instead(providers: str, corpus: IngestReport, bob: APIClient) -> None:
    break_it(providers, "cohere.rerank", **status(500))

    code, body = ask(bob, module="m3")

    assert (code, body["code"]) == (503, "provider_unavailable")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are accepted and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []
        accept = threading.Thread(target=lambda: hold(server, held), daemon=True)
        accept.start()
        yield server.getsockname()[1]
        for each in held:
            each.close()


def hold(server: socket.socket, held: list[socket.socket]) -> None:
    while True:
        try:
            held.append(server.accept()[0])
        except OSError:
            return


def test_when_chroma_refuses_there_is_no_answer_and_it_recovers_by_itself(
    providers: str, corpus: IngestReport, bob: APIClient, settings: LazySettings
) -> None:
    there = settings.CHROMA_URL
    settings.CHROMA_URL = "http://127.0.0.1:9"

    code, body = ask(bob)
    settings.CHROMA_URL = there
    again, _ = ask(bob)

    assert (code, body["code"], again) == (503, "index_unavailable", 200)


def test_when_chroma_hangs_the_client_does_not_wait_for_it(
    providers: str, corpus: IngestReport, bob: APIClient, settings: LazySettings, silent_port: int
) -> None:
    ask(bob)
    settings.CHROMA_URL, settings.CHROMA_TIMEOUT_S = f"http://127.0.0.1:{silent_port}", 0.4
    started = time.monotonic()

    code, body = ask(bob)

    assert (code, body["code"]) == (503, "index_unavailable")
    assert time.monotonic() - started < 4 * 0.4 + 2.5


def test_a_provider_that_keeps_failing_is_not_asked_for_a_while(
    providers: str, corpus: IngestReport, bob: APIClient
) -> None:
    break_it(providers, "cohere.rerank", **status(500))
    for _ in range(3):
        ask(bob)

    _, body = ask(bob)

    assert provider_stack.breaker("cohere").snapshot().state is State.OPEN
    assert body["degraded"] == ["rerank_skipped"]
    line = trace_reading.find_line(str(body["trace_id"]))
    assert line is not None
    assert all(attempt["provider"] != "cohere" for attempt in line["attempts"])


def test_the_whole_request_has_a_deadline(
    providers: str, corpus: IngestReport, bob: APIClient, settings: LazySettings
) -> None:
    ask(bob)
    settings.REQUEST_TIMEOUT_S = 0.5
    break_it(providers, "cohere.rerank", kind="hang")
    started = time.monotonic()

    code, _ = ask(bob)

    assert code in (200, 503)
    assert time.monotonic() - started < 0.5 + 0.6
    assert wiring.vector_store().alive()
