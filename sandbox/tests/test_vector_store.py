import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sandbox.embedding import Embedding
from sandbox.hashing import HashingEncoder
from sandbox.lru import LruDict, digest
from sandbox.vector_store import VectorStore


class CountingEncoder(HashingEncoder):
    texts_per_turn = 2

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def encode(self, texts):
        self.seen += texts
        return super().encode(texts)


@pytest.fixture
def worker():
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool


def vectors(embedding: Embedding, *texts: str):
    return asyncio.run(embedding.vectors(texts))


def test_a_stored_vector_comes_back_unchanged(tmp_path):
    row = np.random.default_rng(2).standard_normal((1, 384)).astype(np.float32)
    store = VectorStore(tmp_path / "deep" / "v.sqlite3")
    store.put([b"k"], row)
    store.close()

    store = VectorStore(tmp_path / "deep" / "v.sqlite3")
    found, absent = store.get(b"k"), store.get(b"other")
    store.close()

    assert found is not None
    assert np.array_equal(found, row[0])
    assert absent is None


def test_a_text_is_encoded_once(worker):
    encoder = CountingEncoder()
    embedding = Embedding(encoder=encoder, worker=worker)

    rows = vectors(embedding, "a", "b", "a", "c")
    vectors(embedding, "c", "b")

    assert sorted(encoder.seen) == ["a", "b", "c"]
    assert np.array_equal(rows[0], rows[2])


def test_a_restart_encodes_nothing_again(worker, tmp_path):
    for expected in (["a", "b", "c"], []):
        encoder, store = CountingEncoder(), VectorStore(tmp_path / "v.sqlite3")
        vectors(Embedding(encoder=encoder, worker=worker, store=store), "a", "b", "c")
        store.close()

        assert encoder.seen == expected


def test_no_texts_are_no_rows(worker):
    assert vectors(Embedding(encoder=CountingEncoder(), worker=worker)).shape == (0, 384)


def test_what_was_used_longest_ago_is_forgotten():
    kept: LruDict[int] = LruDict(capacity=2)
    kept.put(b"a", 1)
    kept.put(b"b", 2)
    kept.get(b"a")
    kept.put(b"c", 3)

    assert [kept.get(key) for key in (b"a", b"b", b"c")] == [1, None, 3]


def test_any_text_has_a_digest():
    assert digest("\ud800") != digest("?")
