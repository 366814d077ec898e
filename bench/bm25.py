"""Our compiled BM25 against rank_bm25 in one run: `python -m bench.bm25 [--documents 100000]`.

Zipf-distributed words, 150 a document out of a vocabulary of 200,000; queries of 8 terms drawn from documents; seeded.
Both sides get the same terms. rank_bm25 is timed over `get_scores` and the best 20, ours over `search`.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rank_bm25 import BM25Okapi

from rag.retrieval.analyzer import Analyzer
from rag.retrieval.lexical import LexicalIndex, compile_index

VOCABULARY = 200_000
WORDS = 150
QUERY_TERMS = 8
LIMIT = 20
ANALYZER = Analyzer(identifiers=False, stop_words=False, stemming=False)
Words = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


def zipf_corpus(*, documents: int, seed: int) -> Words:
    """Word numbers, documents x WORDS; the probability of word `n` is proportional to 1 / (n + 1)."""
    shares = 1 / np.arange(1, VOCABULARY + 1)
    borders = np.cumsum(shares) / shares.sum()
    drawn = np.random.default_rng(seed).random((documents, WORDS))
    return np.searchsorted(borders, drawn).clip(max=VOCABULARY - 1).astype(np.int32)


def draw_queries(*, corpus: Words, queries: int, seed: int) -> list[list[str]]:
    """Each the distinct positions of one document, so that frequent words stay frequent."""
    random = np.random.default_rng(seed)
    documents = random.choice(len(corpus), size=queries, replace=False)
    return [_spell(random.choice(corpus[document], size=QUERY_TERMS, replace=False)) for document in documents]


def _spell(words: Words) -> list[str]:
    return [f"w{word}" for word in words.tolist()]


def _texts(corpus: Words) -> Iterator[str]:
    return (" ".join(_spell(words)) for words in corpus)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Milliseconds of each query on both sides, and how far the answers lie apart."""

    reference_ms: tuple[float, ...]
    ours_ms: tuple[float, ...]
    difference: float
    same_top: int


def compare(*, reference: Any, index: LexicalIndex, queries: list[list[str]]) -> Comparison:
    """`reference` is a BM25Okapi over the same terms; the best are compared with ties in document order."""
    reference_ms, ours_ms, differences, same_top = [], [], [], 0
    for terms in queries:
        text = " ".join(terms)
        scores, top, milliseconds = _reference_search(reference, terms)
        reference_ms.append(milliseconds)
        start = time.perf_counter()
        hits = index.search(query=text, limit=LIMIT)
        ours_ms.append((time.perf_counter() - start) * 1000)
        differences.append(float(np.abs(index.scores(text) - scores).max()))
        same_top += [(hit.key, hit.score) for hit in hits] == [(f"d{row}", scores[row]) for row in top]
    return Comparison(tuple(reference_ms), tuple(ours_ms), max(differences), same_top)


def _reference_search(reference: Any, terms: list[str]) -> tuple[Floats, list[int], float]:
    start = time.perf_counter()
    scores = reference.get_scores(terms)
    top = np.argsort(-scores, kind="stable")[:LIMIT]
    return scores, top.tolist(), (time.perf_counter() - start) * 1000


def report(comparison: Comparison) -> None:
    reference, ours = (np.percentile(ms, (50, 95)) for ms in (comparison.reference_ms, comparison.ours_ms))
    print("| | p50 ms | p95 ms |\n| --- | --- | --- |")
    print(f"| rank_bm25 get_scores + top {LIMIT} | {reference[0]:.1f} | {reference[1]:.1f} |")
    print(f"| compiled index, search | {ours[0]:.2f} | {ours[1]:.2f} |")
    print(f"| times faster | {reference[0] / ours[0]:.0f} | {reference[1] / ours[1]:.0f} |")
    print(f"\nmax abs difference of all scores: {comparison.difference}")
    print(f"identical top {LIMIT} (keys and scores): {comparison.same_top} of {len(comparison.ours_ms)} queries")


def main() -> None:
    parser = argparse.ArgumentParser(description="compiled BM25 against rank_bm25")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    corpus = zipf_corpus(documents=options.documents, seed=options.seed)
    queries = draw_queries(corpus=corpus, queries=options.queries, seed=options.seed)
    keys = [f"d{row}" for row in range(len(corpus))]
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "index"
        start = time.perf_counter()
        compile_index(keys=keys, texts=_texts(corpus), analyzer=ANALYZER, directory=directory)
        built = time.perf_counter()
        index = LexicalIndex.open(directory)
        opened = time.perf_counter()
        disk = sum(path.stat().st_size for path in directory.iterdir())
        print(f"{options.documents:,} documents of {WORDS} words, {options.queries} queries of {QUERY_TERMS} terms")
        print(f"build {built - start:.1f} s, disk {disk / 1e6:.0f} MB, open {(opened - built) * 1000:.1f} ms")
        print(f"peak memory so far {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB\n")
        reference = BM25Okapi([_spell(words) for words in corpus])
        report(compare(reference=reference, index=index, queries=queries))


if __name__ == "__main__":
    main()
