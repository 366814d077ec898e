import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.encoder import load_tokenizer
from sandbox.tokens import LengthCounter, WordPieceCounter

PIECES = WordPieceCounter(load_tokenizer())
COUNTERS = pytest.mark.parametrize("counter", [PIECES, LengthCounter()], ids=["pieces", "length"])


def test_word_pieces_are_counted_without_special_tokens():
    assert PIECES.count_all(["", "hello", "hello world", "hello"]) == [0, 1, 2, 1]


def test_long_texts_are_not_cut_while_counting():
    assert PIECES.count("word " * 1_000) == 1_000


@COUNTERS
@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=200), limit=st.integers(0, 60))
def test_a_cut_text_is_a_beginning_within_the_limit(counter, text, limit):
    cut = counter.cut(text, limit=limit)

    assert text.startswith(cut)
    assert counter.count(cut) <= limit or cut == text
