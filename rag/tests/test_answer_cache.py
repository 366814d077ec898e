"""The answer cache as a client meets it: what is given again, what never is, and what an activation makes of it."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import LazySettings, settings
from rest_framework.test import APIClient

from prompts.models import Prompt
from prompts.publishing import activate, bump
from rag.ingest import IngestReport, ingest
from rag.replaying import replay
from rag.tests.serving import web_process
from rag.tests.small_world import HELD, NOT_HELD, bill, break_provider, entries_of, line_of, row_of, trace_lines

pytestmark = pytest.mark.django_db


def ask(client: APIClient, question: str = HELD, *, headers: dict[str, str] | None = None, **more: Any) -> Any:
    body = {"question": question, "corpus": "handbook"} | more
    response = client.post("/api/ask", body, format="json", headers=headers)
    return response.json()


def test_the_same_question_is_answered_again_for_nothing(corpus: IngestReport, bob: APIClient, providers: str) -> None:
    first = ask(bob)
    seen = bill(providers)["count"]

    second = ask(bob, f"  {HELD.upper()}!")

    assert (first["cache"]["answer"], second["cache"]["answer"]) == ("miss", "hit")
    same = ("answer", "answered", "sources", "citations", "transform", "prompt_version", "corpus_version", "model")
    assert {name: second[name] for name in same} == {name: first[name] for name in same}
    assert second["trace_id"] != first["trace_id"]
    assert second["cache"]["from"] == {"trace_id": first["trace_id"], "age_s": second["cache"]["from"]["age_s"]}
    assert (second["cost_usd"], second["avoided_usd"]) == (0, first["cost_usd"])
    assert bill(providers)["count"] == seen


def test_a_hit_leaves_its_own_trace_and_costs_nothing_in_the_ledger(corpus: IngestReport, bob: APIClient) -> None:
    first = ask(bob)
    second = ask(bob)

    line, row = line_of(second["trace_id"]), row_of(second["trace_id"])
    assert (line["cache_hit"], line["answer_cache"], line["attempts"]) == (True, "hit", [])
    assert line["answer_from"]["trace_id"] == first["trace_id"]
    assert line["final_answer"] == first["answer"]
    assert (row.answer_cache, row.cost_usd) == ("hit", Decimal(0))
    assert float(row.avoided_usd) == first["cost_usd"]
    assert entries_of(second["trace_id"]) == []
    assert replay(line).identical


def test_a_hit_needs_no_chroma(corpus: IngestReport, bob: APIClient, settings: LazySettings) -> None:
    ask(bob)
    settings.CHROMA_URL = "http://127.0.0.1:9"

    assert ask(bob)["cache"]["answer"] == "hit"


def test_at_most_two_writes(corpus: IngestReport, bob: APIClient, django_assert_max_num_queries: Any) -> None:
    ask(bob)

    with django_assert_max_num_queries(12) as captured:
        ask(bob)

    assert sum(query["sql"].startswith(("INSERT", "UPDATE", "DELETE")) for query in captured.captured_queries) <= 2


def test_a_client_may_want_a_new_answer(corpus: IngestReport, bob: APIClient) -> None:
    first = ask(bob)

    second = ask(bob, headers={"Cache-Control": "max-age=0, no-cache"})
    third = ask(bob)

    assert (second["cache"]["answer"], second["cost_usd"]) == ("bypass", first["cost_usd"])
    assert third["cache"]["from"]["trace_id"] == second["trace_id"]


def test_what_was_asked_differently_is_another_answer(corpus: IngestReport, bob: APIClient) -> None:
    ask(bob)

    assert ask(bob, top_k=2)["cache"]["answer"] == "miss"
    assert ask(bob, transform="simple")["cache"]["answer"] == "miss"
    assert ask(bob, module="m4")["cache"]["answer"] == "off"


def test_after_its_time_an_answer_is_made_anew(corpus: IngestReport, bob: APIClient, settings: LazySettings) -> None:
    ask(bob)
    settings.ANSWER_CACHE_TTL_S = 0

    assert ask(bob)["cache"]["answer"] == "miss"


def test_what_the_documents_do_not_hold_is_looked_for_again(corpus: IngestReport, bob: APIClient) -> None:
    first, second = ask(bob, NOT_HELD), ask(bob, NOT_HELD)

    assert (first["answered"], second["cache"]["answer"]) == (False, "miss")


def test_a_degraded_answer_is_not_kept(corpus: IngestReport, bob: APIClient, providers: str) -> None:
    break_provider(providers, "cohere.rerank", kind="status", status=500, times=2)
    degraded = ask(bob)

    whole = ask(bob)

    assert degraded["degraded"] == ["rerank_skipped"]
    assert (whole["degraded"], whole["cache"]["answer"]) == ([], "miss")


def test_a_new_corpus_version_makes_older_answers_unreachable(
    corpus: IngestReport, bob: APIClient, documents: Path
) -> None:
    before = ask(bob)
    leave = documents / "handbook" / "leave.md"
    leave.write_text(leave.read_text().replace("five days", "nine days"))
    ingest(path=documents, corpus="handbook")

    after = ask(bob)

    assert "five days" in before["answer"]
    assert "nine days" in after["answer"]
    assert after["cache"]["answer"] == "miss"


def test_a_new_prompt_makes_older_answers_unreachable(corpus: IngestReport, bob: APIClient) -> None:
    ask(bob)
    prompt = Prompt.objects.get(name="answer")
    v1 = prompt.versions.get(number=1)
    bumped = bump(
        prompt=prompt, instructions=f"{v1.instructions}\nBe brief.", examples=v1.examples, note="test", author=None
    )
    activate(version=bumped.version, who=None, why="test")

    after = ask(bob)

    assert (after["cache"]["answer"], after["prompt_version"]) == ("miss", "v2")


def test_when_nothing_can_be_embedded_a_recent_answer_is_given_and_marked(
    corpus: IngestReport, bob: APIClient, providers: str, settings: LazySettings
) -> None:
    first = ask(bob)
    settings.ANSWER_CACHE_TTL_S = 0
    for endpoint in ("voyage.embeddings", "openai.embeddings"):
        break_provider(providers, endpoint, kind="status", status=500)

    stale = ask(bob)
    never_asked = ask(bob, "When are full backups run?")

    assert (stale["answer"], stale["sources"]) == (first["answer"], first["sources"])
    assert (stale["degraded"], stale["cache"]["answer"]) == (["stale_answer"], "stale")
    assert stale["cache"]["from"]["trace_id"] == first["trace_id"]
    assert stale["cache"]["from"]["age_s"] >= 0
    line = line_of(stale["trace_id"])
    assert {attempt["provider"] for attempt in line["attempts"] if attempt["operation"] == "embed"} == {
        "voyage",
        "openai",
    }
    assert line["avoided_usd"] == 0
    assert (never_asked["status"], never_asked["code"]) == (503, "no_embedding")


def test_a_stale_answer_of_an_older_corpus_version_is_not_given(
    corpus: IngestReport, bob: APIClient, providers: str, documents: Path
) -> None:
    ask(bob)
    shutil.rmtree(documents / "ops")
    ingest(path=documents, corpus="handbook")
    for endpoint in ("voyage.embeddings", "openai.embeddings"):
        break_provider(providers, endpoint, kind="status", status=500)

    assert ask(bob)["code"] == "no_embedding"


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("question", [HELD, NOT_HELD])
def test_fifty_at_once_make_one_generation(corpus: IngestReport, bobs_key: str, tmp_path: Path, question: str) -> None:
    body = {"question": question, "corpus": "handbook"}
    headers = {"Authorization": f"Bearer {bobs_key}"}
    httpx.post(f"{settings.SANDBOX_URL}/_control/latency", json={"generate_ms": 1500}).raise_for_status()
    try:
        with web_process(tmp_path / "web.log", threads=50) as (url, _), ThreadPoolExecutor(50) as clients:
            posts = [
                clients.submit(httpx.post, f"{url}/api/ask", json=body, headers=headers, timeout=60) for _ in range(50)
            ]
            answers = [post.result().json() for post in posts]
    finally:
        httpx.post(f"{settings.SANDBOX_URL}/_control/latency", json={"generate_ms": 0}).raise_for_status()

    assert len({answer["answer"] for answer in answers}) == 1
    made = [line for line in trace_lines() if any(a["operation"] == "generate" for a in line["attempts"])]
    assert len(made) == 1
    assert len(trace_lines()) == 50


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_another_process_never_serves_what_was_cached_before_an_ingest(
    corpus: IngestReport, bobs_key: str, documents: Path, tmp_path: Path
) -> None:
    body, headers = {"question": HELD, "corpus": "handbook"}, {"Authorization": f"Bearer {bobs_key}"}
    with (
        web_process(tmp_path / "web.log") as (url, _),
        httpx.Client(base_url=url, headers=headers, timeout=60) as client,
    ):
        before = [client.post("/api/ask", json=body).json() for _ in range(2)]
        leave = documents / "handbook" / "leave.md"
        leave.write_text(leave.read_text().replace("five days", "nine days"))
        ingest(path=documents, corpus="handbook")
        after = client.post("/api/ask", json=body).json()

    assert [answer["cache"]["answer"] for answer in (*before, after)] == ["miss", "hit", "miss"]
    assert "nine days" in after["answer"]
