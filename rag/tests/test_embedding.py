"""Batches by tokens, and what makes two vector spaces the same."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.embedding import BATCH_TEXTS, BATCH_TOKENS, CHARACTERS_PER_TOKEN, EmbedderSpec, batches
from rag.providers.contracts import Endpoint

SPEC = EmbedderSpec(Endpoint("voyage", "http://x", "secret", "live", 3.0), "voyage-3.5", 1024)


def tokens_of(text: str) -> int:
    return len(text) // CHARACTERS_PER_TOKEN + 1


def text_of(tokens: int) -> str:
    return "x" * ((tokens - 1) * CHARACTERS_PER_TOKEN)


def test_no_texts_make_no_batches() -> None:
    assert list(batches([])) == []


def test_long_texts_are_batched_by_their_tokens() -> None:
    half = text_of(BATCH_TOKENS // 2)

    assert [len(batch) for batch in batches([half] * 5)] == [2, 2, 1]


def test_a_batch_may_be_exactly_full() -> None:
    assert [len(batch) for batch in batches([text_of(BATCH_TOKENS - 1), "", ""])] == [2, 1]


def test_short_texts_are_batched_by_their_number() -> None:
    assert [len(batch) for batch in batches(["x"] * (2 * BATCH_TEXTS + 1))] == [BATCH_TEXTS, BATCH_TEXTS, 1]


def test_a_text_beyond_every_batch_travels_alone() -> None:
    giant = text_of(BATCH_TOKENS + 1)

    assert [len(batch) for batch in batches(["a", giant, "b"])] == [1, 1, 1]


@given(sizes=st.lists(st.integers(1, BATCH_TOKENS + 10_000), max_size=12) | st.lists(st.just(1), max_size=400))
def test_batches_hold_every_text_in_order_within_the_limits(sizes: list[int]) -> None:
    texts = [text_of(size) for size in sizes]

    cut = list(batches(texts))

    assert [text for batch in cut for text in batch] == texts
    assert all(0 < len(batch) <= BATCH_TEXTS for batch in cut)
    assert all(len(batch) == 1 or sum(map(tokens_of, batch)) <= BATCH_TOKENS for batch in cut)


@pytest.mark.parametrize(
    "other",
    [
        replace(SPEC, model="voyage-4"),
        replace(SPEC, dimensions=512),
        replace(SPEC, endpoint=replace(SPEC.endpoint, mode="simulated")),
        replace(SPEC, endpoint=replace(SPEC.endpoint, vendor="openai")),
    ],
)
def test_another_maker_model_width_or_mode_is_another_space(other: EmbedderSpec) -> None:
    assert other.identity() != SPEC.identity()


def test_an_address_a_key_or_a_time_out_make_no_other_space() -> None:
    other = replace(SPEC, endpoint=Endpoint("voyage", "http://y", "other", "live", 120.0))

    assert other.identity() == SPEC.identity()


def test_a_key_is_never_shown() -> None:
    assert "secret" not in repr(SPEC)
