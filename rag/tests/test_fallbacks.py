"""The failures of docs/failures.md, each on the real wire: the sandbox is made to fail, the SDKs meet it."""

import time
from typing import Any

import pytest
from django.conf import LazySettings
from rest_framework.test import APIClient

from rag import drill, provider_stack, trace_reading, wiring
from rag.failure_table import CASES
from rag.failures import Case
from rag.ingest import IngestReport
from rag.pipeline import TOO_LATE
from rag.providers.breaker import State
from rag.tests.doubles import Relay
from rag.tests.small_world import HELD, break_provider

QUESTION = "Until when can I take the holiday I had left at the end of last year?"
SPARE_S = 2.0  # the drill is stricter; here the machine may be busy with other tests
pytestmark = pytest.mark.django_db


def ask(client: APIClient, **more: Any) -> tuple[int, dict[str, Any]]:
    """The answer, made anew even where an earlier one could be given."""
    question = {"question": QUESTION, "corpus": "handbook", **more}
    response = client.post("/api/ask", question, format="json", headers={"Cache-Control": "no-cache"})
    return response.status_code, response.json()


def attempts_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    line = trace_reading.find_line(str(body["trace_id"]))
    assert line is not None
    attempts: list[dict[str, Any]] = line["attempts"]
    return attempts


def promised(case: Case, *, sandbox: str, key: str) -> None:
    service = drill.LocalApi(key, "handbook")

    result = drill.run(case, service=service, question=HELD, sandbox=sandbox, spare_s=SPARE_S)

    assert result.passed, result.why


@pytest.mark.parametrize("case", [case for case in CASES if not case.stream], ids=lambda case: case.name)
def test_the_client_sees_what_the_table_promises(
    case: Case, providers: str, corpus: IngestReport, bobs_key: str, impatient: None
) -> None:
    promised(case, sandbox=providers, key=bobs_key)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("case", [case for case in CASES if case.stream], ids=lambda case: case.name)
def test_who_is_streamed_to_sees_what_the_table_promises(
    case: Case, providers: str, corpus: IngestReport, bobs_key: str, impatient: None, short_connections: None
) -> None:
    promised(case, sandbox=providers, key=bobs_key)


def test_a_question_that_voyage_did_not_embed_was_embedded_by_openai(
    providers: str, corpus: IngestReport, bob: APIClient
) -> None:
    break_provider(providers, "voyage.embeddings", kind="status", status=429)

    _, body = ask(bob)

    assert body["answered"]
    embeds = [(a["provider"], a["outcome"]) for a in attempts_of(body) if a["operation"] == "embed"]
    assert embeds == [("voyage", "provider_busy"), ("voyage", "provider_busy"), ("openai", "ok")]


@pytest.mark.parametrize(("status", "tries"), [(500, 2), (529, 2), (401, 1), (400, 1)])
def test_when_anthropic_fails_no_lesser_model_answers(
    providers: str, corpus: IngestReport, bob: APIClient, status: int, tries: int
) -> None:
    break_provider(providers, "anthropic.messages", match="<source id=", kind="status", status=status)

    _, body = ask(bob, transform="simple")

    assert "please try again" in body["detail"]
    asked = [attempt["model"] for attempt in attempts_of(body) if attempt["provider"] == "anthropic"]
    assert asked == ["claude-sonnet-4-6"] * tries


def test_without_a_rerank_the_question_is_answered_from_the_fused_order(
    providers: str, corpus: IngestReport, bob: APIClient
) -> None:
    break_provider(providers, "cohere.rerank", kind="short_results")

    _, body = ask(bob)

    line = trace_reading.find_line(str(body["trace_id"]))
    assert line is not None
    assert body["answered"]
    fused = [hit["id"] for hit in line["fused_top_20"]]
    assert [source["id"] for source in body["sources"]] == fused[: len(body["sources"])]


@pytest.mark.parametrize("kind", ["hang", "drip", "hang_mid_stream"])
def test_when_the_answer_is_late_its_cost_is_estimated(
    providers: str, corpus: IngestReport, bob: APIClient, impatient: None, kind: str
) -> None:
    break_provider(providers, "anthropic.messages", match="<source id=", kind=kind)

    _, body = ask(bob)

    assert (body["answer"], body["citations"]) == (TOO_LATE, [])
    assert body["sources"]
    assert attempts_of(body)[-1]["estimated"]


def test_when_the_transform_fails_the_question_goes_on_as_it_is(
    providers: str, corpus: IngestReport, bob: APIClient
) -> None:
    break_provider(providers, "anthropic.messages", match="multi_query", kind="status", status=500)

    code, body = ask(bob)

    assert (code, body["degraded"], body["transform"]) == (200, ["transform_skipped"], "simple")


def test_a_module_without_fallbacks_fails_instead(providers: str, corpus: IngestReport, bob: APIClient) -> None:
    break_provider(providers, "cohere.rerank", kind="status", status=500)

    code, body = ask(bob, module="m3")

    assert (code, body["code"]) == (503, "provider_unavailable")


def test_when_chroma_dies_and_is_started_again_it_is_found_by_itself(
    providers: str, corpus: IngestReport, bob: APIClient, settings: LazySettings
) -> None:
    relay = Relay(settings.CHROMA_URL)
    relay.open()
    settings.CHROMA_URL = relay.url
    before, _ = ask(bob)
    relay.close()

    meanwhile, body = ask(bob)
    relay.open()
    after, _ = ask(bob)
    relay.close()

    assert (before, meanwhile, body["code"], after) == (200, 503, "index_unavailable", 200)


def test_a_provider_that_keeps_failing_is_not_asked_for_a_while(
    providers: str, corpus: IngestReport, bob: APIClient
) -> None:
    break_provider(providers, "cohere.rerank", kind="status", status=500)
    for _ in range(3):
        ask(bob)

    _, body = ask(bob)

    assert provider_stack.breaker("cohere").snapshot().state is State.OPEN
    assert body["degraded"] == ["rerank_skipped"]
    assert all(attempt["provider"] != "cohere" for attempt in attempts_of(body))


def test_the_whole_request_has_a_deadline(
    providers: str, corpus: IngestReport, bob: APIClient, settings: LazySettings
) -> None:
    ask(bob)
    settings.REQUEST_TIMEOUT_S = 0.5
    break_provider(providers, "cohere.rerank", kind="hang")
    started = time.monotonic()

    code, _ = ask(bob)

    assert code in (200, 503)
    assert time.monotonic() - started < 0.5 + 0.6
    assert wiring.vector_store().alive()
