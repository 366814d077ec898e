"""Semantic chunks: nothing lost, sizes bounded, and cuts where the text turns to something else."""

import hashlib
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.chunking.cutting import cut
from rag.chunking.semantic import FEWEST_GAPS, by_embedding, gaps_of, unit_texts
from rag.tests.test_chunking_structural import HUGE, TEXTS, parsed
from rag.values import ChunkDraft, ChunkRecipe

WIDTH = 16
Vectors = list[list[float]]


def scattered(texts: Sequence[str]) -> Vectors:
    """Vectors that say nothing but are the same for the same text."""
    return [[byte - 128.0 for byte in hashlib.sha256(text.encode()).digest()[:WIDTH]] for text in texts]


def by_topic(texts: Sequence[str]) -> Vectors:
    """One direction for each word that stands for a topic, none where there is no such word."""
    return [[float(text.count(topic)) for topic in ("cat", "tax", "sea")] for text in texts]


def cut_text(text: str, markup: str = "plain", size: int = 1800, embed=by_topic) -> tuple[ChunkDraft, ...]:
    return cut(document=parsed(text, markup), recipe=ChunkRecipe("semantic", size), distances=by_embedding(embed))


def about(topic: str, sentences: int = 8) -> str:
    return "".join(
        f"Sentence {number} is about the {topic} and goes on about it for long enough to be a unit of its own, which is a "
        "hundred and twenty characters. "
        for number in range(sentences)
    )


@given(text=TEXTS, markup=st.sampled_from(["markdown", "rst", "plain"]), size=st.integers(1, 200))
def test_every_character_that_is_not_blank_is_in_exactly_one_chunk(text, markup, size):
    chunks = cut_text(text, markup, size, scattered)

    covered = [offset for chunk in chunks for offset in range(chunk.start, chunk.end)]
    assert covered == sorted(set(covered))
    assert {offset for offset, character in enumerate(text) if not character.isspace()} <= set(covered)


@given(text=TEXTS, markup=st.sampled_from(["markdown", "rst", "plain"]), size=st.integers(1, 200))
def test_every_chunk_is_its_span_and_fits_the_size_and_has_its_own_key(text, markup, size):
    chunks = cut_text(text, markup, size, scattered)

    assert all(chunk.text == text[chunk.start : chunk.end] and chunk.text.strip() for chunk in chunks)
    assert all(len(chunk.text) <= size for chunk in chunks)
    assert len({chunk.key for chunk in chunks}) == len(chunks)


@given(text=TEXTS, markup=st.sampled_from(["markdown", "rst", "plain"]), size=st.integers(1, 200))
def test_it_asks_for_the_distances_of_the_texts_that_were_announced(text, markup, size):
    asked: list[list[str]] = []

    def embed(texts: Sequence[str]) -> Vectors:
        asked.append(list(texts))
        return scattered(texts)

    cut_text(text, markup, size, embed)

    announced = unit_texts(parsed(text, markup), ChunkRecipe("semantic", size))
    assert asked == ([announced] if announced else [])


def test_it_cuts_where_the_text_turns_to_something_else():
    chunks = cut_text(about("cat") + about("tax") + about("sea"), size=3_600)

    assert [{topic for topic in ("cat", "tax", "sea") if topic in chunk.text} for chunk in chunks] == [
        {"cat"},
        {"tax"},
        {"sea"},
    ]


def test_a_chunk_that_is_full_ends_at_the_widest_gap_it_could_end_at():
    chunks = cut_text(about("cat", 3) + about("tax", 5), size=1_000)

    assert chunks[0].text == about("cat", 3).strip()


def test_a_turn_right_after_the_last_cut_makes_no_crumb():
    chunks = cut_text(about("cat") + about("tax", 1) + about("sea"), size=3_600)

    assert all(len(chunk.text) >= 900 for chunk in chunks)


def test_a_short_document_is_one_chunk_and_nothing_is_embedded_for_it():
    def embed(texts: Sequence[str]) -> Vectors:
        raise AssertionError(f"embedded {len(texts)} texts")

    (chunk,) = cut_text(about("cat", 2) + about("tax", FEWEST_GAPS - 2), size=1_800, embed=embed)

    assert "cat" in chunk.text
    assert "tax" in chunk.text


@pytest.mark.parametrize(
    ("markup", "block"),
    [
        ("markdown", "```python\n" + "cat = tax\n\nsea = cat\n\n" * 10 + "```"),
        ("markdown", "| cat | tax |\n| --- | --- |\n" + "| sea | cat |\n" * 20),
        ("rst", ".. code-block:: python\n    :caption: x\n\n" + "    cat = tax\n\n    sea = 1\n\n" * 10),
        ("rst", "=====  =====\na      b\n=====  =====\n" + "cat    tax\n\n" * 20 + "=====  ====="),
    ],
)
def test_it_keeps_code_and_tables_whole(markup, block):
    chunks = cut_text(f"{about('cat', 6)}\n\n{block}\n\n{about('sea', 6)}", markup, size=900)

    assert any(block.strip() in chunk.text for chunk in chunks)


def test_a_heading_and_a_sentence_that_announces_are_never_the_end_of_a_chunk():
    text = f"# Start\n\n{about('cat')}\n\n## Tax\n\nRun this:\n\n```\ntax sea\n```\n\n{about('tax')}"

    chunks = cut_text(text, "markdown", size=900)

    assert any("## Tax\n\nRun this:\n\n```" in chunk.text for chunk in chunks)


def test_the_heading_of_a_chunk_is_the_path_that_all_of_it_is_under():
    text = (
        f"# Start\n\n## Cats\n\n{about('cat')}\n\n## Taxes\n\n{about('tax', 4)}\n\n### More taxes\n\n{about('tax', 4)}"
    )

    chunks = cut_text(text, "markdown", size=3_000)

    assert [chunk.heading for chunk in chunks] == ["Start > Cats", "Start > Taxes"]
    assert [chunk.key for chunk in chunks] == ["guide/start/cats#0", "guide/start/taxes#0"]


def test_it_is_deterministic_up_to_the_noise_of_an_embedder():
    text = " ".join(about(topic, 3) for topic in ("cat", "tax", "sea", "cat", "sea"))

    def noisy(texts: Sequence[str]) -> Vectors:
        return [[number + 1e-7 * (place - 1) for place, number in enumerate(row)] for row in scattered(texts)]

    assert cut_text(text, embed=scattered) == cut_text(text, embed=noisy)


@pytest.mark.parametrize("nothing", [0.0, float("nan"), float("inf")])
def test_vectors_without_a_direction_do_no_harm(nothing):
    text = about("cat", 30)

    chunks = cut_text(text, embed=lambda texts: [[nothing] * WIDTH for _ in texts])

    assert "".join(chunk.text for chunk in chunks).replace(" ", "") == text.replace(" ", "")


def test_an_embedder_that_gives_too_few_vectors_is_refused():
    with pytest.raises(ValueError, match="shorter"):
        cut_text(about("cat", 30), embed=lambda texts: scattered(texts)[1:])


def test_it_cannot_cut_without_distances():
    with pytest.raises(ValueError, match="distances"):
        cut(document=parsed("text"), recipe=ChunkRecipe("semantic", 1800))


def test_the_key_of_a_gap_changes_with_the_texts_around_it_alone():
    texts = [f"text {number}" for number in range(20)]
    changed = [*texts[:10], "another", *texts[11:]]

    keys, others = ([gap.key for gap in gaps_of(each)] for each in (texts, changed))

    assert [place for place, (key, other) in enumerate(zip(keys, others, strict=True)) if key != other] == [
        *range(7, 13)
    ]


def test_a_text_that_moves_to_the_other_side_of_a_gap_changes_its_key():
    assert gaps_of(["a", "b"])[0].key != gaps_of(["b", "a"])[0].key
    assert len({gap.key for gap in gaps_of(["a", "b", "c"])}) == 2


@pytest.mark.parametrize("markup", ["markdown", "rst", "plain"])
@pytest.mark.parametrize("name", HUGE)
def test_it_cuts_a_huge_document_in_seconds(name, markup):
    began = time.process_time()

    cut_text(HUGE[name], markup, embed=scattered)

    assert time.process_time() - began < 5
