"""What each feature of the analyzer does to BM25: `python -m bench.analyzer DIR...`, folders in BEIR layout.

Prints a Markdown table of Recall@5 and nDCG@10 (linear gains, log2 discounts) in percent, averaged over the queries
that have a relevant document. A document is its title, a line break and its text.
"""

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.beir import BeirFolder, BeirQuery, read_beir
from rag.retrieval.analyzer import Analyzer
from rag.retrieval.lexical import LexicalIndex, compile_index

ANALYZERS = {
    "plain": Analyzer(identifiers=False, stop_words=False, stemming=False),
    "+ identifiers": Analyzer(identifiers=True, stop_words=False, stemming=False),
    "+ stop words": Analyzer(identifiers=False, stop_words=True, stemming=False),
    "+ stemming": Analyzer(identifiers=False, stop_words=False, stemming=True),
    "stop words, stemming": Analyzer(identifiers=False, stop_words=True, stemming=True),
    "all": Analyzer(identifiers=True, stop_words=True, stemming=True),
}


def recall(ranking: Sequence[str], query: BeirQuery, depth: int) -> float:
    """Share of the relevant documents among the first `depth`."""
    relevant = {key for key, _ in query.grades}
    return len(relevant.intersection(ranking[:depth])) / len(relevant)


def ndcg(ranking: Sequence[str], query: BeirQuery, depth: int) -> float:
    """Discounted cumulative gain over that of the ideal order (Järvelin, Kekäläinen 2002), gain = grade."""
    grades = dict(query.grades)
    ideal = sorted(grades.values(), reverse=True)[:depth]
    return _dcg([grades.get(key, 0) for key in ranking[:depth]]) / _dcg(ideal)


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def measure(folder: BeirFolder, analyzer: Analyzer) -> tuple[float, float]:
    """Mean Recall@5 and nDCG@10, both from 0 to 1."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "index"
        compile_index(
            keys=[document.key for document in folder.documents],
            texts=(f"{document.title}\n{document.text}" for document in folder.documents),
            analyzer=analyzer,
            directory=directory,
        )
        index = LexicalIndex.open(directory)
        rankings = [[hit.key for hit in index.search(query=query.text, limit=10)] for query in folder.queries]
    pairs = list(zip(rankings, folder.queries, strict=True))
    return (
        math.fsum(recall(ranking, query, 5) for ranking, query in pairs) / len(pairs),
        math.fsum(ndcg(ranking, query, 10) for ranking, query in pairs) / len(pairs),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Recall@5 / nDCG@10 of BM25 by analyzer feature")
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    folders = [read_beir(folder) for folder in parser.parse_args().folders]
    names = (f"{folder.name} ({len(folder.documents):,} / {len(folder.queries):,})" for folder in folders)
    print("| analyzer |", " | ".join(names), "|")
    print("| --- |", " | ".join("---" for _ in folders), "|")
    for name, analyzer in ANALYZERS.items():
        cells = (f"{100 * r:.1f} / {100 * n:.1f}" for r, n in (measure(folder, analyzer) for folder in folders))
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
