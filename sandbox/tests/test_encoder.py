import numpy as np
import pytest

from sandbox import encoder
from sandbox.encoder import ModelMissing, load_minilm
from sandbox.hashing import HashingEncoder


@pytest.fixture(scope="module")
def minilm() -> encoder.MiniLmEncoder:
    return load_minilm()


def test_a_vector_does_not_depend_on_its_neighbours(minilm):
    texts = ["short", "A somewhat longer sentence about caching pages.", "word " * 300]

    together = minilm.encode(texts)

    assert np.array_equal(together, np.vstack([minilm.encode([text]) for text in texts]))
    assert np.array_equal(together[::-1], minilm.encode(texts[::-1]))


def test_rows_have_length_one(minilm):
    rows = minilm.encode(["", "a", "Ünïcödé \u4e2d\u6587 🙂", "x" * 5_000])

    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert rows.dtype == np.float32


def test_meaning_is_closer_than_words(minilm):
    question, paraphrase, other = minilm.encode(["How do I log in?", "Signing into an account", "Logs of wood burn"])

    assert question @ paraphrase > question @ other


def test_only_the_first_256_word_pieces_count(minilm):
    first, second = minilm.encode(["word " * 400 + "cat", "word " * 400 + "dog"])

    assert np.array_equal(first, second)


def test_unknown_weights_are_refused(monkeypatch):
    monkeypatch.setattr(encoder, "MODEL_SHA256", "0" * 64)

    with pytest.raises(ModelMissing, match="not the model"):
        load_minilm()


def test_hashed_vectors_share_stems_and_ignore_order():
    rows = HashingEncoder().encode(["caching the pages", "page cache", "bananas", "the of and"])

    assert rows[0] == pytest.approx(rows[1])
    assert abs(rows[0] @ rows[2]) < 0.1
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1)
