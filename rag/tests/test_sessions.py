"""Conversations as a client has them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from rag import clock, sessions
from rag.ingest import IngestReport, ingest
from rag.models import ApiKey, Turn
from rag.replaying import replay
from rag.tests.serving import web_process
from rag.tests.small_world import HELD, break_provider, line_of

pytestmark = pytest.mark.django_db
FOLLOW_UP = "And when does it lapse?"


def ask(client: APIClient, question: str, **more: Any) -> Any:
    body = {"question": question, "corpus": "handbook", "transform": "simple"} | more
    return client.post("/api/ask", body, format="json").json()


def test_a_follow_up_is_understood_and_answered_with_the_sources_of_both_turns(
    corpus: IngestReport, bob: APIClient
) -> None:
    first = ask(bob, HELD, session=True)

    second = ask(bob, FOLLOW_UP, session_id=first["session_id"])

    assert (first["turn"], second["turn"]) == (1, 2)
    assert second["answered"]
    assert second["session_id"] == first["session_id"]
    line = line_of(second["trace_id"])
    assert line["query"] == FOLLOW_UP
    assert "leave" in line["standalone"].lower()
    known = {source["id"] for source in (*first["sources"], *second["sources"])}
    assert set(second["citations"]) <= known


def test_what_the_model_has_already_is_not_sent_again_and_is_read_from_the_cache(
    corpus: IngestReport, bob: APIClient, providers: str
) -> None:
    httpx.post(f"{providers}/_control/clock", json={"advance_s": 7200}).raise_for_status()  # nothing is kept any more
    first = ask(bob, HELD, session=True)
    second = ask(bob, FOLLOW_UP, session_id=first["session_id"])

    one, two = line_of(first["trace_id"]), line_of(second["trace_id"])
    sent_before = set(one["sources_sent"])
    assert sent_before
    assert not sent_before & set(two["sources_sent"])
    wrote, read = one["prompt_cache"], two["prompt_cache"]
    assert (wrote["write_1h"] >= 2_048, wrote["write_5m"] > 0, wrote["read"]) == (True, True, 0)
    assert read["read"] == wrote["write_1h"] + wrote["write_5m"]


def test_each_turn_replays(corpus: IngestReport, bob: APIClient) -> None:
    first = ask(bob, HELD, session=True)
    second = ask(bob, FOLLOW_UP, session_id=first["session_id"])
    third = ask(bob, "And who approves it?", session_id=first["session_id"])

    replays = [replay(line_of(body["trace_id"])) for body in (first, second, third)]

    assert [(each.rebuilt, each.differences) for each in replays] == [(True, ())] * 3


def test_a_follow_up_is_never_taken_from_the_answer_cache(corpus: IngestReport, bob: APIClient) -> None:
    session = ask(bob, HELD, session=True)["session_id"]
    ask(bob, FOLLOW_UP)

    follow_up = ask(bob, FOLLOW_UP, session_id=session)

    assert follow_up["cache"]["answer"] == "off"


def test_a_session_may_begin_with_a_kept_answer(corpus: IngestReport, bob: APIClient) -> None:
    ask(bob, HELD)

    first = ask(bob, HELD, session=True)
    second = ask(bob, FOLLOW_UP, session_id=first["session_id"])

    assert first["cache"]["answer"] == "hit"
    assert second["answered"]
    assert set(second["citations"]) <= {source["id"] for source in first["sources"]}


def test_a_session_belongs_to_the_key_that_began_it(corpus: IngestReport, bob: APIClient, alice: User) -> None:
    session = ask(bob, HELD, session=True)["session_id"]
    key = ApiKey(name="eve", scopes=["ask"])
    secret = key.make_secret()
    key.save()
    eve, staff = APIClient(), APIClient()
    eve.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    staff.force_login(alice)

    answers = [ask(client, FOLLOW_UP, session_id=session) for client in (eve, staff)]

    assert [(answer["status"], answer["code"]) for answer in answers] == [(404, "unknown_session")] * 2


def test_an_expired_session_is_unknown(corpus: IngestReport, bob: APIClient, settings: LazySettings) -> None:
    session = ask(bob, HELD, session=True)["session_id"]
    settings.SESSION_TTL_S = 0

    assert ask(bob, FOLLOW_UP, session_id=session)["code"] == "unknown_session"


def test_a_session_has_an_end(corpus: IngestReport, bob: APIClient, settings: LazySettings) -> None:
    settings.SESSION_MAX_TURNS = 1
    session = ask(bob, HELD, session=True)["session_id"]

    assert ask(bob, FOLLOW_UP, session_id=session)["code"] == "session_full"


def test_a_session_stays_with_its_module(corpus: IngestReport, bob: APIClient) -> None:
    session = ask(bob, HELD, session=True)["session_id"]

    assert ask(bob, FOLLOW_UP, session_id=session, module="m4")["code"] == "session_mismatch"


def test_nonsense_for_a_session_is_refused(corpus: IngestReport, bob: APIClient) -> None:
    assert ask(bob, FOLLOW_UP, session_id="../../etc")["status"] == 400
    assert ask(bob, FOLLOW_UP, session_id="0" * 32)["code"] == "unknown_session"


def test_after_a_new_corpus_version_nothing_of_the_old_one_is_shown_to_the_model(
    corpus: IngestReport, bob: APIClient, documents: Path
) -> None:
    first = ask(bob, HELD, session=True)
    leave = documents / "handbook" / "leave.md"
    leave.write_text(leave.read_text().replace("five days", "nine days").replace("31 March", "30 June"))
    ingest(path=documents, corpus="handbook")

    second = ask(bob, FOLLOW_UP, session_id=first["session_id"])

    assert "nine days" in second["answer"]
    line = line_of(second["trace_id"])
    assert line["sources_sent"] == [source["id"] for source in line["sources"]]
    assert line["standalone"]
    assert replay(line).rebuilt


def test_a_turn_that_failed_is_not_remembered(corpus: IngestReport, bob: APIClient, providers: str) -> None:
    session = ask(bob, HELD, session=True)["session_id"]
    break_provider(providers, "anthropic.messages", kind="status", status=500, match="<source id=", times=2)
    failed = ask(bob, FOLLOW_UP, session_id=session)

    again = ask(bob, FOLLOW_UP, session_id=session)

    assert (failed["status"], again["turn"]) == (503, 2)
    assert Turn.objects.count() == 2


def test_a_follow_up_that_cannot_be_rewritten_goes_on_as_it_is(
    corpus: IngestReport, bob: APIClient, providers: str
) -> None:
    session = ask(bob, HELD, session=True)["session_id"]
    break_provider(providers, "anthropic.messages", kind="status", status=500, match="standalone question")

    answer = ask(bob, FOLLOW_UP, session_id=session)

    assert answer["degraded"] == ["transform_skipped"]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_one_turn_at_a_time(corpus: IngestReport, bobs_key: str, providers: str, tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {bobs_key}"}
    body = {"question": HELD, "corpus": "handbook", "transform": "simple"}
    with (
        web_process(tmp_path / "web.log") as (url, _),
        httpx.Client(base_url=url, headers=headers, timeout=60) as client,
        ThreadPoolExecutor(4) as clients,
    ):
        session = client.post("/api/ask", json=body | {"session": True}).json()["session_id"]
        break_provider(providers, "anthropic.messages", kind="delay", delay_ms=800, match="<source id=")
        turn = body | {"session_id": session, "question": FOLLOW_UP}
        answers = list(clients.map(lambda _: client.post("/api/ask", json=turn).json(), range(4)))

    codes = [answer.get("code") for answer in answers]
    assert codes.count("session_busy") == 3
    assert codes.count(None) == 1


def test_conversations_are_forgotten_after_their_time(corpus: IngestReport, bob: APIClient) -> None:
    first = ask(bob, HELD, session=True)
    second = ask(bob, FOLLOW_UP, session_id=first["session_id"])

    assert sessions.forget(clock.now() + timedelta(days=89)) == 0
    assert sessions.forget(clock.now() + timedelta(days=91)) > 0

    assert not Turn.objects.exists()
    (difference,) = replay(line_of(second["trace_id"])).differences
    assert difference.what == "conversation"
