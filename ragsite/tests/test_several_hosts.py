"""Two web processes, as on two hosts: one database, one Redis, one vector store, one trace folder; a data folder each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import User

from prompts.models import Prompt
from prompts.publishing import activate, bump
from rag import trace_checking
from rag.ingest import IngestReport, ingest
from rag.models import ChunkSet
from rag.tests.serving import web_process
from rag.tests.small_world import HELD

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
Hosts = tuple[httpx.Client, httpx.Client]
shared = pytest.mark.skipif(not settings.REDIS_URL, reason="without REDIS_URL two processes share no cache")
RATE = 4


@pytest.fixture
def hosts(corpus: IngestReport, bobs_key: str, tmp_path: Path) -> Iterator[Hosts]:
    """The second host has nothing in its data folder, and neither has the first."""
    more = {"ASK_RATE": f"{RATE}/min"}
    with (
        web_process(tmp_path / "one.log", more=more | {"DATA_DIR": str(tmp_path / "one")}) as (one, _),
        web_process(tmp_path / "two.log", more=more | {"DATA_DIR": str(tmp_path / "two")}) as (two, _),
        httpx.Client(base_url=one, headers={"Authorization": f"Bearer {bobs_key}"}, timeout=60) as first,
        httpx.Client(base_url=two, headers={"Authorization": f"Bearer {bobs_key}"}, timeout=60) as second,
    ):
        yield first, second


def asked(host: httpx.Client, **more: Any) -> dict[str, Any]:
    body = {"question": HELD, "corpus": "handbook", "module": "m3-hybrid"} | more
    reply = host.post("/api/ask", json=body)
    assert reply.status_code == 200, reply.text
    told: dict[str, Any] = reply.json()
    return told


def test_a_host_that_has_nothing_answers_the_same_and_builds_its_bm25_index_from_the_rows(
    hosts: Hosts, tmp_path: Path
) -> None:
    answers = [asked(host) for host in hosts]

    ids = [[source["id"] for source in answer["sources"]] for answer in answers]
    assert ids[0] == ids[1]
    assert answers[0]["answer"] == answers[1]["answer"]
    wanted = ChunkSet.objects.get(chunker="structural").pk
    built = [(tmp_path / name / "bm25" / f"chunk-set-{wanted}").is_dir() for name in ("one", "two")]
    assert built == [True, True]


def test_both_hosts_write_into_one_trace_folder_that_is_whole(hosts: Hosts) -> None:
    for host in hosts * 2:
        asked(host)

    found = trace_checking.verify(repair=False)

    assert (found.lines, found.problems) == (4, [])


def test_a_prompt_and_a_corpus_that_are_activated_serve_on_both_at_once(
    hosts: Hosts, alice: User, documents: Path
) -> None:
    before = [asked(host) for host in hosts]
    prompt = Prompt.objects.get(name="answer")
    text = prompt.versions.get(number=1)
    made = bump(
        prompt=prompt, author=alice, based_on=None, instructions="Quote.", examples=text.examples, note="shorter"
    ).version
    activate(version=made, who=alice, why="a test", share=100)
    (documents / "garage.txt").write_text("The garage closes at ten.")
    ingest(path=documents, corpus="handbook")

    after = [asked(host) for host in hosts]

    assert [(each["prompt_version"], each["corpus_version"]) for each in before] == [("v1", "v1")] * 2
    assert [(each["prompt_version"], each["corpus_version"]) for each in after] == [("v2", "v2")] * 2


def test_a_conversation_goes_on_at_the_other_host(hosts: Hosts) -> None:
    first, second = hosts
    begun = asked(first, session=True)

    followed = asked(second, session_id=begun["session_id"], question="And when does it lapse?")

    assert (followed["session_id"], followed["turn"]) == (begun["session_id"], 2)


@shared
def test_an_answer_that_one_host_has_made_the_other_gives_for_nothing(hosts: Hosts) -> None:
    first, second = hosts
    made = asked(first, module="m6-production", transform="simple")

    given = asked(second, module="m6-production", transform="simple")

    assert (given["cache"]["answer"], given["cost_usd"]) == ("hit", 0)
    assert given["cache"]["from"]["trace_id"] == made["trace_id"]


@shared
def test_a_client_has_one_allowance_for_both(hosts: Hosts) -> None:
    for host in hosts * (RATE // 2):
        asked(host)

    replies = [host.post("/api/ask", json={"question": HELD, "corpus": "handbook"}) for host in hosts]

    assert [reply.status_code for reply in replies] == [429, 429]
