"""Small chunks in larger ones: both tile the document, and each child lies in its parent."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.chunking.cutting import cut
from rag.chunking.keys import child_key, parent_key
from rag.tests.test_chunking_structural import HUGE, TEXTS, parsed
from rag.values import ChunkDraft, ChunkRecipe

MARKUPS = st.sampled_from(["markdown", "rst", "plain"])
SIZES = st.integers(1, 60).flatmap(lambda size: st.tuples(st.just(size), st.integers(size, 200)))


def cut_text(text: str, markup: str = "markdown", sizes: tuple[int, int] = (450, 1800)) -> tuple[ChunkDraft, ...]:
    recipe = ChunkRecipe("hierarchical", sizes[0], parent_size=sizes[1])
    return cut(document=parsed(text, markup), recipe=recipe)


def parents_of(chunks: tuple[ChunkDraft, ...]) -> list[ChunkDraft]:
    return list({chunk.parent.key: chunk.parent for chunk in chunks if chunk.parent}.values())


@given(text=TEXTS, markup=MARKUPS, sizes=SIZES)
def test_every_character_that_is_not_blank_is_in_exactly_one_chunk(text, markup, sizes):
    chunks = cut_text(text, markup, sizes)

    covered = [offset for chunk in chunks for offset in range(chunk.start, chunk.end)]
    assert covered == sorted(set(covered))
    assert {offset for offset, character in enumerate(text) if not character.isspace()} <= set(covered)


@given(text=TEXTS, markup=MARKUPS, sizes=SIZES)
def test_every_chunk_is_its_span_within_its_parent_and_both_fit(text, markup, sizes):
    for chunk in cut_text(text, markup, sizes):
        parent = chunk.parent
        assert parent is not None
        assert parent.start <= chunk.start < chunk.end <= parent.end
        assert (chunk.text, parent.text) == (text[chunk.start : chunk.end], text[parent.start : parent.end])
        assert (len(chunk.text) <= sizes[0], len(parent.text) <= sizes[1]) == (True, True)
        assert (chunk.heading, parent_key(chunk.key)) == (parent.heading, parent.key)


@given(text=TEXTS, markup=MARKUPS, sizes=SIZES)
def test_the_parents_are_the_structural_chunks_and_none_is_without_a_child(text, markup, sizes):
    chunks = cut_text(text, markup, sizes)

    assert tuple(parents_of(chunks)) == cut(document=parsed(text, markup), recipe=ChunkRecipe("structural", sizes[1]))
    assert len({chunk.key for chunk in chunks}) == len(chunks)


def test_children_are_numbered_within_their_parent():
    chunks = cut_text("# Start\n\n" + "A sentence of words. " * 130, sizes=(450, 1800))

    keys = [chunk.key for chunk in chunks]
    assert keys[0] == "guide/start/start#0.0"
    assert {parent_key(key) for key in keys} == {"guide/start/start#0", "guide/start/start#1"}


def test_code_that_is_larger_than_a_child_is_whole_in_the_parent():
    code = "```python\n" + "x = 1\n\n" * 120 + "```"

    chunks = cut_text(f"# Start\n\nRun:\n\n{code}\n")

    assert len(chunks) > 1
    assert [code in parent.text for parent in parents_of(chunks)] == [True]


def test_parents_smaller_than_their_children_are_refused():
    with pytest.raises(ValueError, match="cannot hold"):
        cut_text("text", sizes=(450, 300))


@pytest.mark.parametrize("key", ["a/b#0", "a/b.c#12", "a#b.1/c#3", "no number", "dots.1.2"])
def test_the_key_of_a_child_leads_back_to_its_parent(key):
    assert parent_key(key) == key
    assert "#" not in key or parent_key(child_key(key, 7)) == key


@pytest.mark.parametrize("markup", ["markdown", "rst", "plain"])
@pytest.mark.parametrize("name", HUGE)
def test_it_cuts_a_huge_document_in_seconds(name, markup):
    began = time.process_time()

    cut_text(HUGE[name], markup)

    assert time.process_time() - began < 5
