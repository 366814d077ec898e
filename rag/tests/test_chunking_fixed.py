"""Fixed windows, and the choice of a chunker by its name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.chunking.cutting import cut
from rag.values import ChunkRecipe, ParsedDocument


def parsed(text: str) -> ParsedDocument:
    return ParsedDocument(source="guide/start", title="Start", text=text, markup="plain")


def test_it_cuts_a_window_every_size_less_overlap():
    chunks = cut(document=parsed("abcdefghij"), recipe=ChunkRecipe("fixed", 4, 1))

    assert [chunk.text for chunk in chunks] == ["abcd", "defg", "ghij"]
    assert [chunk.key for chunk in chunks] == ["guide/start/c#0", "guide/start/c#1", "guide/start/c#2"]
    assert {chunk.heading for chunk in chunks} == {""}


def test_a_text_shorter_than_the_overlap_is_one_chunk():
    chunks = cut(document=parsed("ab"), recipe=ChunkRecipe("fixed", 1800, 200))

    assert [chunk.text for chunk in chunks] == ["ab"]


@given(text=st.text(max_size=200), size=st.integers(1, 20), data=st.data())
def test_windows_are_spans_and_miss_nothing_that_is_not_blank(text, size, data):
    overlap = data.draw(st.integers(0, size - 1))

    chunks = cut(document=parsed(text), recipe=ChunkRecipe("fixed", size, overlap))

    covered = {offset for chunk in chunks for offset in range(chunk.start, chunk.end)}
    assert all(chunk.text == text[chunk.start : chunk.end] and len(chunk.text) <= size for chunk in chunks)
    assert {offset for offset, character in enumerate(text) if not character.isspace()} <= covered


def test_an_unknown_chunker_is_refused_with_the_known_names():
    with pytest.raises(ValueError, match="'astral'; known: fixed, hierarchical, semantic, structural"):
        cut(document=parsed("text"), recipe=ChunkRecipe("astral", 10))


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (-1, 0), (10, 10), (10, -1)])
@pytest.mark.parametrize("chunker", ["fixed", "structural"])
def test_sizes_that_cannot_be_are_refused(chunker, size, overlap):
    with pytest.raises(ValueError, match="cannot"):
        cut(document=parsed("text"), recipe=ChunkRecipe(chunker, size, overlap))
