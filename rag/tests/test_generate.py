"""Packing, the exact request, and what a reply may cite."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.texts import PromptText
from rag.generate import (
    NOTHING_FOUND,
    SOURCES_MAX_CHARACTERS,
    checked_answer,
    generation_request,
    looks_like_a_chunk_id,
    packed,
    with_known_citations,
)
from rag.providers.contracts import ChatRequest
from rag.tests.doubles import passage, said
from rag.values import Answer, Source

PROMPT = PromptText("answer", "v3", "Answer from the sources.", "Question: why", "hash")
LEAVE, TRAVEL = "leave/carrying-over#0", "travel/booking#1"
SOURCES = (Source(passage(LEAVE), 0.9), Source(passage(TRAVEL, "Book trains in the portal."), 0.5))


def sources_of(*lengths: int) -> tuple[Source, ...]:
    return tuple(Source(passage(f"a/b#{n}", "x" * length), 1.0) for n, length in enumerate(lengths))


def request_for(question: str = "When does leave lapse?", temperature: float | None = 0.0) -> ChatRequest:
    return generation_request(
        question=question,
        passages=[source.passage for source in SOURCES],
        prompt=PROMPT,
        model="claude-sonnet-4-6",
        max_tokens=800,
        temperature=temperature,
    )


def checked(text: str, sources: Sequence[Source] = SOURCES) -> Answer:
    return checked_answer(said(text), sources=sources)


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [((), 0), ((5, 5), 2), ((5, 5, 1), 2), ((11, 1), 1), ((5, 6, 1), 1), ((0, 0, 10), 3), ((10, 0), 2)],
)
def test_it_packs_the_best_sources_that_fit(lengths: tuple[int, ...], kept: int) -> None:
    sources = sources_of(*lengths)

    assert packed(sources, limit=10) == sources[:kept]


@given(lengths=st.lists(st.integers(0, 9_000), max_size=8))
def test_packed_sources_fit_or_are_just_the_first(lengths: list[int]) -> None:
    sources = sources_of(*lengths)

    kept = packed(sources)

    assert kept == sources[: len(kept)]
    assert len(kept) <= 1 or sum(len(source.passage.text) for source in kept) <= SOURCES_MAX_CHARACTERS
    assert bool(kept) == bool(sources)


def test_the_request_is_the_prompt_then_the_sources_then_the_question() -> None:
    body = request_for().body()

    assert body == {
        "model": "claude-sonnet-4-6",
        "max_tokens": 800,
        "temperature": 0.0,
        "system": [
            {"type": "text", "text": "Answer from the sources."},
            {"type": "text", "text": "Question: why"},
        ],
        "messages": [
            {
                "role": "user",
                "content": "<sources>\n"
                '<source id="leave/carrying-over#0" title="Leave &gt; Carrying over">\nLeave lapses on 31 March.\n</source>\n'
                '<source id="travel/booking#1" title="Leave &gt; Carrying over">\nBook trains in the portal.\n</source>\n'
                "</sources>\n\n<question>When does leave lapse?</question>",
            }
        ],
    }


def test_a_model_without_sampling_gets_no_temperature() -> None:
    assert "temperature" not in request_for(temperature=None).body()


def test_the_same_inputs_give_the_same_bytes() -> None:
    assert request_for().fingerprint() == request_for().fingerprint()
    assert request_for().fingerprint() == "afba2c9cb676bae2af0f58a96ba4139c0ec4c473547d5e6aabf370f67630ca94"


@given(first=st.text(max_size=40), second=st.text(max_size=40))
def test_another_question_is_another_request(first: str, second: str) -> None:
    same = request_for(first).fingerprint() == request_for(second).fingerprint()

    assert same == (request_for(first).body() == request_for(second).body())


def test_known_citations_are_kept_in_order_of_first_use() -> None:
    text = f"Trains [{TRAVEL}]. Leave [{LEAVE}]. Trains again [{TRAVEL}]."

    assert checked(text) == Answer(text, True, (TRAVEL, LEAVE), 0, "end_turn")


def test_unknown_ids_are_removed_and_counted() -> None:
    answer = checked(f"Leave lapses [made/up#3] on 31 March [{LEAVE}] [made/up#3].")

    assert answer.text == f"Leave lapses on 31 March [{LEAVE}]."
    assert (answer.citations, answer.removed) == ((LEAVE,), 2)


def test_an_id_that_is_live_but_was_not_sent_is_unknown() -> None:
    answer = checked(f"Trains [{TRAVEL}].", SOURCES[:1])

    assert (answer.text, answer.citations, answer.removed) == ("Trains.", (), 1)


def test_white_space_inside_the_brackets_does_not_hide_a_citation() -> None:
    assert checked(f"Leave [ {LEAVE} ].").citations == (LEAVE,)


@pytest.mark.parametrize(
    "text",
    ["Use `items[0]`.", "See [the docs](http://x/y).", "[note]", "[a/b]", "[x#1]", "list[int]", "[]", "a [b] #1/2"],
)
def test_other_brackets_are_text(text: str) -> None:
    assert checked(text) == Answer(text, True, (), 0, "end_turn")


@pytest.mark.parametrize("separator", [", ", ",", "; "])
def test_an_unknown_id_does_not_hide_behind_a_known_one(separator: str) -> None:
    answer = checked(f"Leave lapses [{LEAVE}{separator}made/up#3].")

    assert "made/up#3" not in answer.text
    assert (answer.citations, answer.removed) == ((LEAVE,), 1)


@given(text=st.text(st.sampled_from("ab/#01[] \n,"), max_size=60))
def test_no_unknown_id_in_brackets_is_left(text: str) -> None:
    left, cited, removed = with_known_citations(text, {"a/b#0"})

    assert set(cited) <= {"a/b#0"}
    assert removed >= 0
    if not removed:
        assert left == text


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("NO_ANSWER: The price is missing.", "The price is missing."),
        ("  NO_ANSWER: The price is missing.\n", "The price is missing."),
        ("NO_ANSWER The price is missing.", "The price is missing."),
        ("NO_ANSWER", NOTHING_FOUND),
        ("NO_ANSWER:", NOTHING_FOUND),
    ],
)
def test_a_no_answer_loses_its_marker(reply: str, text: str) -> None:
    assert checked(reply) == Answer(text, False, (), 0, "end_turn")


def test_a_no_answer_carries_no_citations() -> None:
    answer = checked(f"NO_ANSWER: Nothing on prices [{LEAVE}] here.")

    assert (answer.text, answer.citations) == ("Nothing on prices here.", ())


def test_the_marker_in_the_middle_of_an_answer_is_text() -> None:
    assert checked("The token NO_ANSWER marks it.").answered


def test_the_stop_reason_is_kept() -> None:
    assert checked_answer(said("Cut", stop_reason="max_tokens"), sources=SOURCES).stop_reason == "max_tokens"


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("a/b#0", True),
        ("topics/db/queries/f-expressions#12", True),
        ("a/b#", False),
        ("a#1", False),
        ("a/b", False),
        ("a/b#x", False),
        ("travel policy 2026/booking#1", True),
        ("and/or issue #3", False),
    ],
)
def test_it_knows_the_shape_of_a_chunk_id(text: str, claim: bool) -> None:
    assert looks_like_a_chunk_id(text) is claim
