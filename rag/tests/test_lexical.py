import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from rag.retrieval.analyzer import Analyzer
from rag.retrieval.lexical import (
    ARRAYS,
    IndexBroken,
    IndexMissing,
    LexicalIndex,
    compile_index,
    keys_digest,
    top_positions,
)
from rag.values import Hit

PLAIN = Analyzer(identifiers=False, stop_words=False, stemming=False)
WORDS = st.sampled_from(["ant", "bee", "cat", "dog", "eel", "fox", "ärger"])
TEXTS = st.lists(st.lists(WORDS, max_size=12).map(" ".join), min_size=1, max_size=12)
QUERIES = st.lists(st.one_of(WORDS, st.just("unknown")), max_size=6).map(" ".join)
FACTORS = st.floats(0.1, 3)
SHARES = st.floats(0, 0.95)


def build(directory: Path, texts: list[str], *, analyzer: Analyzer = PLAIN, **parameters: float) -> LexicalIndex:
    keys = [f"d{number}" for number in range(len(texts))]
    compile_index(keys=keys, texts=texts, analyzer=analyzer, directory=directory, **parameters)
    return LexicalIndex.open(directory)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "index"


class TestScores:
    @given(TEXTS.filter(any), QUERIES, FACTORS, SHARES, SHARES)
    def test_they_are_those_of_rank_bm25_to_the_last_bit(self, texts, query, k1, b, epsilon):
        reference = BM25Okapi([PLAIN(text) for text in texts], k1=k1, b=b, epsilon=epsilon)

        with tempfile.TemporaryDirectory() as scratch:
            index = build(Path(scratch) / "index", texts, k1=k1, b=b, epsilon=epsilon)

            assert np.array_equal(index.scores(query), reference.get_scores(PLAIN(query)))

    def test_they_are_those_of_rank_bm25_over_many_documents(self, directory):
        random = np.random.default_rng(5)
        texts = [" ".join(f"w{word}" for word in random.zipf(1.3, size=60) % 5000) for _ in range(2000)]
        reference = BM25Okapi([PLAIN(text) for text in texts])

        index = build(directory, texts)

        for query in texts[:20]:
            assert np.array_equal(index.scores(query), reference.get_scores(PLAIN(query)))

    def test_they_are_zero_for_unknown_terms(self, directory):
        index = build(directory, ["ant bee", "cat"])

        assert index.scores("unknown").tolist() == [0.0, 0.0]

    def test_a_repeated_term_counts_twice(self, directory):
        index = build(directory, ["ant", "bee", "cat", "dog"])

        assert index.scores("ant ant")[0] == 2 * index.scores("ant")[0]


class TestSearch:
    @given(TEXTS, QUERIES, st.integers(0, 15))
    def test_it_equals_the_slow_obvious_way(self, texts, query, limit):
        terms = set(PLAIN(query))

        with tempfile.TemporaryDirectory() as scratch:
            index = build(Path(scratch) / "index", texts)
            scores = index.scores(query).tolist()
            sharing = [row for row, text in enumerate(texts) if terms & set(PLAIN(text))]
            best = sorted(sharing, key=lambda row: -scores[row])[:limit]

            hits = index.search(query=query, limit=limit)

        assert hits == tuple(Hit(f"d{row}", scores[row]) for row in best)

    @pytest.mark.parametrize("texts", [["ant"], ["ant", "bee"], ["ant bee", "ant", "ant cat"]])
    def test_it_finds_hits_in_tiny_corpora_whose_scores_are_not_positive(self, directory, texts):
        index = build(directory, texts)

        hits = index.search(query="ant", limit=5)

        assert {hit.key for hit in hits} == {f"d{row}" for row, text in enumerate(texts) if "ant" in text}
        assert all(hit.score <= 0 for hit in hits)

    def test_it_has_no_hits_for_unknown_terms(self, directory):
        assert build(directory, ["ant", "bee"]).search(query="unknown", limit=5) == ()

    def test_it_has_no_hits_for_an_empty_query(self, directory):
        assert build(directory, ["ant", "bee"]).search(query=" ?! ", limit=5) == ()

    def test_it_gives_ties_in_the_order_of_the_documents(self, directory):
        index = build(directory, ["ant", "bee"] * 50)

        hits = index.search(query="bee", limit=3)

        assert [hit.key for hit in hits] == ["d1", "d3", "d5"]

    def test_it_analyzes_the_query_as_the_documents(self, directory):
        index = build(directory, ["Use select_related on a QuerySet", "bee", "cat", "dog"], analyzer=Analyzer())

        assert [hit.key for hit in index.search(query="the querysets", limit=5)] == ["d0"]

    def test_it_serves_threads_at_once(self, directory):
        index = build(directory, ["ant bee", "bee cat", "cat dog", "dog ant ant"] * 30)
        queries = ["ant", "bee cat", "dog dog ant"] * 50
        alone = [index.search(query=query, limit=7) for query in queries]

        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda query: index.search(query=query, limit=7), queries))

        assert together == alone


@given(st.lists(st.integers(-3, 3).map(float), max_size=40), st.integers(1, 45))
def test_top_positions_are_the_head_of_a_stable_sort(scores, limit):
    found = top_positions(scores=np.array(scores), limit=limit)

    assert found.tolist() == sorted(range(len(scores)), key=lambda place: -scores[place])[:limit]


@pytest.mark.parametrize("texts", [[], [""], ["", " ... "]])
def test_an_index_of_nothing_is_valid_and_empty(directory, texts):
    index = build(directory, texts)

    assert index.count == len(texts)
    assert index.scores("ant").tolist() == [0.0] * len(texts)
    assert index.search(query="ant", limit=5) == ()


class TestCompiling:
    def test_it_keeps_what_a_reader_must_compare(self, directory):
        index = build(directory, ["ant", "bee"], k1=1.2)

        assert index.count == 2
        assert index.fingerprint == PLAIN.fingerprint
        assert index.analyzer == PLAIN
        assert index.keys_sha256 == keys_digest(["d0", "d1"])
        assert index.parameters.k1 == 1.2

    def test_it_replaces_an_index_under_the_feet_of_its_readers(self, directory):
        old = build(directory, ["ant", "bee", "cat"])

        new = build(directory, ["dog"])

        assert [hit.key for hit in old.search(query="cat", limit=5)] == ["d2"]
        assert [hit.key for hit in new.search(query="dog", limit=5)] == ["d0"]
        assert os.listdir(directory.parent) == ["index"]

    def test_it_leaves_the_old_index_when_reading_fails(self, directory):
        build(directory, ["ant"])

        def texts() -> Iterator[str]:
            yield "bee"
            raise OSError("the database went away")

        with pytest.raises(OSError, match="went away"):
            compile_index(keys=["x", "y"], texts=texts(), analyzer=PLAIN, directory=directory)

        assert LexicalIndex.open(directory).search(query="ant", limit=1)[0].key == "d0"
        assert os.listdir(directory.parent) == ["index"]

    def test_a_killed_builder_leaves_no_half_index(self, directory):
        program = (
            "import os, signal, sys; from pathlib import Path; from rag.retrieval.mapped import building\n"
            "with building(Path(sys.argv[1])) as fresh:\n"
            "    (fresh / 'rows.npy').write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
        )

        killed = subprocess.run([sys.executable, "-c", program, directory], check=False)

        assert killed.returncode == -signal.SIGKILL
        with pytest.raises(IndexMissing):
            LexicalIndex.open(directory)
        assert build(directory, ["ant"]).count == 1
        assert os.listdir(directory.parent) == ["index"]

    def test_it_refuses_repeated_keys(self, directory):
        with pytest.raises(ValueError, match="distinct"):
            compile_index(keys=["a", "a"], texts=["ant", "bee"], analyzer=PLAIN, directory=directory)

    @pytest.mark.parametrize("texts", [["ant"], ["ant", "bee", "cat"]])
    def test_it_refuses_another_number_of_texts(self, directory, texts):
        with pytest.raises(ValueError, match="2 keys"):
            compile_index(keys=["a", "b"], texts=texts, analyzer=PLAIN, directory=directory)


class TestOpening:
    def test_it_says_when_there_is_no_index(self, directory):
        with pytest.raises(IndexMissing):
            LexicalIndex.open(directory)

    @pytest.mark.parametrize("name", ARRAYS)
    def test_it_refuses_a_truncated_file(self, directory, name):
        build(directory, ["ant bee", "cat"])
        path = directory / f"{name}.npy"

        os.truncate(path, path.stat().st_size - 1)

        with pytest.raises(IndexBroken):
            LexicalIndex.open(directory)

    @pytest.mark.parametrize("name", ARRAYS)
    def test_it_refuses_a_file_of_another_index(self, directory, name):
        build(directory, ["ant bee", "cat"])
        build(directory.with_name("other"), ["ant bee", "cat dog elephant", "fox"] * 5)

        (directory.with_name("other") / f"{name}.npy").replace(directory / f"{name}.npy")

        with pytest.raises(IndexBroken):
            LexicalIndex.open(directory)

    @pytest.mark.parametrize("name", ARRAYS)
    def test_it_refuses_a_missing_file(self, directory, name):
        build(directory, ["ant bee", "cat"])

        (directory / f"{name}.npy").unlink()

        with pytest.raises(IndexBroken):
            LexicalIndex.open(directory)

    @pytest.mark.parametrize(
        "meta", ["", "[]", "{", "{}", '{"format": 0}', '{"format": 1}', '{"format": 1, "analyzer": 3}']
    )
    def test_it_refuses_a_damaged_or_foreign_meta_file(self, directory, meta):
        build(directory, ["ant"])

        (directory / "meta.json").write_text(meta)

        with pytest.raises(IndexBroken):
            LexicalIndex.open(directory)

    def test_it_refuses_an_index_of_other_analyzer_rules(self, directory):
        build(directory, ["ant"])
        meta = json.loads((directory / "meta.json").read_text())

        (directory / "meta.json").write_text(json.dumps(meta | {"fingerprint": "of yesterday"}))

        with pytest.raises(IndexBroken, match="another analyzer"):
            LexicalIndex.open(directory)

    def test_it_refuses_an_index_of_another_analyzer_than_asked_for(self, directory):
        build(directory, ["ant"])

        with pytest.raises(IndexBroken, match="another analyzer"):
            LexicalIndex.open(directory, analyzer=Analyzer())
