"""A prompt version on trial, and one that a client chooses."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction
from rest_framework.test import APIClient

from prompts.models import Activation, Prompt, PromptVersion
from prompts.publishing import TrialImpossible, activate, bump
from prompts.versions import active_texts, serving
from rag import wiring
from rag.ingest import IngestReport
from rag.models import ApiKey
from rag.tests.small_world import HELD, asked, entries_of, line_of
from rag.values import Question

pytestmark = pytest.mark.django_db


def version_of(number: int) -> PromptVersion:
    return PromptVersion.objects.get(prompt__name="answer", number=number)


def bumped(name: str = "answer", words: str = "Be brief.") -> PromptVersion:
    prompt = Prompt.objects.get(name=name)
    newest = prompt.versions.order_by("-number").first()
    assert newest is not None
    text = f"{newest.instructions}\n{words}"
    return bump(prompt=prompt, instructions=text, examples=newest.examples, note="try", author=None).version


def arms(askers: int = 1_000) -> Counter[str]:
    answering = serving()["answer"]
    return Counter(answering.text_for(f"key:{number}").version for number in range(askers))


def test_a_trial_gets_its_share_of_the_askers_always_the_same_ones(db: None) -> None:
    activate(version=bumped(), who=None, why="shorter answers", share=10)

    assert 70 <= arms()["v2"] <= 130
    assert arms() == arms()
    assert active_texts()["answer"].version == "v1"


def test_two_trials_divide_the_askers_independently(db: None) -> None:
    activate(version=bumped(), who=None, why="a", share=50)
    activate(version=bumped("hyde"), who=None, why="b", share=50)

    now = serving()
    pairs = Counter(
        (now["answer"].text_for(f"key:{n}").version, now["hyde"].text_for(f"key:{n}").version) for n in range(1_000)
    )

    assert all(200 <= count <= 300 for count in pairs.values())


def test_finishing_gives_it_to_all_and_cancelling_to_none(db: None) -> None:
    v2 = bumped()
    activate(version=v2, who=None, why="try", share=10)
    activate(version=v2, who=None, why="better")
    finished = arms()
    activate(version=bumped(), who=None, why="try", share=10)
    activate(version=v2, who=None, why="worse")

    assert finished == {"v2": 1_000}
    assert arms() == {"v2": 1_000}


def test_a_version_is_not_tried_against_itself(db: None) -> None:
    with pytest.raises(TrialImpossible, match="serves already"):
        activate(version=version_of(1), who=None, why="?", share=10)


@pytest.mark.parametrize("share", [0, 101])
def test_a_share_is_a_percentage(db: None, share: int) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        activate(version=bumped(), who=None, why="?", share=share)


def test_a_new_trial_replaces_the_one_before(db: None) -> None:
    v2, v3 = bumped(), bumped()
    activate(version=v2, who=None, why="try", share=10)
    activate(version=v3, who=None, why="try", share=20)

    assert set(arms()) == {"v1", "v3"}
    assert Activation.objects.order_by("-id")[0].previous == version_of(1)


def test_an_answer_names_the_arm_that_made_it(corpus: IngestReport, bob: APIClient) -> None:
    activate(version=bumped(), who=None, why="try", share=50)

    bodies = [ask(bob, f"{HELD} ({number})", session=True) for number in range(12)]

    versions = Counter(body["prompt_version"] for body in bodies)
    assert set(versions) == {"v1", "v2"}
    one = bodies[0]
    again = ask(bob, "And when does it lapse?", session_id=one["session_id"])
    assert again["prompt_version"] == one["prompt_version"]


def ask(client: APIClient, question: str = HELD, **more: Any) -> Any:
    body = {"question": question, "corpus": "handbook", "transform": "simple"} | more
    return client.post("/api/ask", body, format="json").json()


class TestPin:
    def test_it_needs_a_scope(self, corpus: IngestReport, bob: APIClient) -> None:
        refused = ask(bob, prompt_version="v1")

        assert (refused["status"], refused["code"]) == (403, "forbidden")

    def test_it_chooses_the_version(self, corpus: IngestReport, bob: APIClient, bobs_key: str) -> None:
        ApiKey.objects.update(scopes=["ask", "prompts"])
        bumped()

        chosen, active = ask(bob, prompt_version="v2"), ask(bob)

        assert (chosen["prompt_version"], active["prompt_version"]) == ("v2", "v1")
        assert (chosen["cache"]["answer"], active["cache"]["answer"]) == ("miss", "miss")

    def test_an_unknown_one_is_told(self, corpus: IngestReport, bob: APIClient) -> None:
        ApiKey.objects.update(scopes=["ask", "prompts"])

        assert ask(bob, prompt_version="v9")["code"] == "unknown_prompt_version"
        assert ask(bob, prompt_version="latest")["status"] == 400


def test_every_call_names_the_prompt_it_sent(corpus: IngestReport) -> None:
    answered = asked(module="m4-transform", transform="hyde")

    sent = {attempt["operation"]: attempt["prompt"] for attempt in line_of(answered.trace.trace_id)["attempts"]}
    booked = {entry.operation: entry.prompt for entry in entries_of(answered.trace.trace_id)}
    assert sent == booked == {"transform": "hyde v1", "embed": "", "rerank": "", "generate": "answer v1"}


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_fifty_who_ask_while_two_activate_never_see_a_stale_version(corpus: IngestReport, tmp_path: Path) -> None:
    """Whoever begins after an activation returned gets that version or a later one, whole."""
    v2, v3 = bumped(words="Second."), bumped(words="Third.")
    texts = {f"v{n}": version_of(n).as_text() for n in (1, 2, 3)}
    order: list[str] = []
    lock, done, wrong = threading.Lock(), threading.Event(), []

    def activating(version: PromptVersion) -> None:
        for _ in range(15):
            with lock:  # one after the other, so that there is an order to hold the readers against
                activate(version=version, who=None, why="race")
                order.append(version.label)
        connections.close_all()

    def asking() -> None:
        while not done.is_set():
            floor = len(order)
            seen = wiring.parts_for(Question(HELD, "handbook", "m6")).parts.prompt
            ceiling = len(order) + 1
            allowed = set(order[max(0, floor - 1) : ceiling]) | ({"v1"} if floor == 0 else set())
            late = not allowed or seen.version not in allowed | upcoming()
            if late or seen != texts[seen.version]:
                wrong.append((seen.version, floor, list(order)))
        connections.close_all()

    def upcoming() -> set[str]:
        """An activation that is committed and not yet in `order`."""
        newest = Activation.objects.order_by("-id").values_list("version__number", flat=True)[0]
        return {f"v{newest}"}

    readers = [threading.Thread(target=asking) for _ in range(50)]
    writers = [threading.Thread(target=activating, args=(version,)) for version in (v2, v3)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    connection.close()

    assert len(order) == 30
    assert wrong == []
    assert active_texts()["answer"].version == order[-1]
