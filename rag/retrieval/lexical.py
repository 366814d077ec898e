"""BM25 over postings that every process maps from the same files.

The ranking function is `rank_bm25.BM25Okapi`, reproduced to the last bit: the ATIRE variant of BM25 (Trotman, Puurula,
Burgess, "Improvements to BM25 and Language Models Examined", 2014) with Robertson's idf, which is replaced by `epsilon`
times the mean idf where it is negative. Each posting holds its whole contribution to the score in float64, so a search
adds numbers in the order of the query's terms and nothing else.

An index is a directory of arrays. `rows` (int32) and `weights` (float64) lie side by side, sorted by term, then by
document; the postings of term `i` are `starts[i]:starts[i + 1]`. Terms are sorted, keys stand in the order of the
documents.
"""

import hashlib
import json
import math
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.retrieval.analyzer import Analyzer
from rag.retrieval.mapped import Strings, building, map_array, save_strings
from rag.values import Hit

FORMAT = 1
META = "meta.json"
ARRAYS = ("rows", "weights", "starts", "terms", "terms_offsets", "keys", "keys_offsets")
BLOCK = 1 << 20  # postings weighed at a time

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class LexicalIndexError(Exception):
    """The index cannot be used: build it again. Either `IndexMissing` or `IndexBroken`."""


class IndexMissing(LexicalIndexError):
    """There is no index in the directory."""


class IndexBroken(LexicalIndexError):
    """The index is damaged, or was written in another format or with another analyzer."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The constants of BM25Okapi."""

    k1: float = 1.5
    b: float = 0.75
    epsilon: float = 0.25


def keys_digest(keys: Iterable[str]) -> str:
    """sha256 over the keys in order: says whether an index was built from these very documents."""
    digest = hashlib.sha256()
    for key in keys:
        digest.update(key.encode() + b"\0")
    return digest.hexdigest()


def compile_index(
    *,
    keys: Sequence[str],
    texts: Iterable[str],
    analyzer: Analyzer,
    directory: Path,
    k1: float = 1.5,
    b: float = 0.75,
    epsilon: float = 0.25,
) -> None:
    """Write the index of `texts` (read once, in the order of `keys`) to `directory`, replacing what is there.

    The directory appears whole or not at all; an index that is open keeps serving its old files. One index at a time is
    built below the same parent. Raises ValueError for repeated keys or another number of texts than of keys.
    """
    if len(set(keys)) != len(keys):
        raise ValueError("keys of an index must be distinct")
    counts = _count_terms(texts, analyzer)
    if len(counts.lengths) != len(keys):
        raise ValueError(f"{len(keys)} keys for {len(counts.lengths)} texts")
    parameters = Parameters(k1, b, epsilon)
    with building(directory) as fresh:
        _write_postings(fresh, counts, parameters)
        save_strings(fresh / "terms", sorted(counts.terms))
        save_strings(fresh / "keys", keys)
        _write_meta(fresh, analyzer, parameters, keys)


@dataclass(frozen=True, slots=True)
class _Counts:
    """Terms numbered as first seen; a (term, frequency) pair for each distinct term of each document, in order."""

    terms: list[str]
    lengths: Integers
    distinct: Integers
    term_of: npt.NDArray[np.int32]
    frequency: npt.NDArray[np.int32]


def _count_terms(texts: Iterable[str], analyzer: Analyzer) -> _Counts:
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    lengths, distinct, term_of, frequency = array("q"), array("q"), array("i"), array("i")
    for text in texts:
        found = analyzer(text)
        frequencies = Counter(found)
        lengths.append(len(found))
        distinct.append(len(frequencies))
        term_of.extend(map(numbers.__getitem__, frequencies))
        frequency.extend(frequencies.values())
    return _Counts(
        terms=list(numbers),
        lengths=np.array(lengths, np.int64),
        distinct=np.array(distinct, np.int64),
        term_of=np.frombuffer(term_of, np.int32) if term_of else np.empty(0, np.int32),
        frequency=np.frombuffer(frequency, np.int32) if frequency else np.empty(0, np.int32),
    )


def _idf(document_frequencies: list[int], documents: int, epsilon: float) -> Floats:
    """idf of each term. Logarithms and the sum are Python's, in first-seen order, as BM25Okapi's: bits depend on it."""
    idf = [math.log(documents - n + 0.5) - math.log(n + 0.5) for n in document_frequencies]
    total = 0.0
    for value in idf:  # sum() compensates from Python 3.12 on, and would differ
        total += value
    floor = epsilon * (total / len(idf)) if idf else 0.0
    return np.array([floor if value < 0 else value for value in idf], np.float64)


def _write_postings(fresh: Path, counts: _Counts, parameters: Parameters) -> None:
    documents, postings = len(counts.lengths), len(counts.term_of)
    frequencies = np.bincount(counts.term_of, minlength=len(counts.terms))
    alphabetical = np.array(sorted(range(len(counts.terms)), key=counts.terms.__getitem__), np.int64)
    np.save(fresh / "starts.npy", np.concatenate(([0], np.cumsum(frequencies[alphabetical]))).astype(np.int64))

    idf = _idf(frequencies.tolist(), documents, parameters.epsilon)
    norms = _length_norms(counts.lengths, parameters)
    place = np.empty(len(alphabetical), np.int32)
    place[alphabetical] = np.arange(len(alphabetical))
    order = np.argsort(place[counts.term_of], kind="stable")
    document_of = np.repeat(np.arange(documents, dtype=np.int32), counts.distinct)

    rows = np.lib.format.open_memmap(fresh / "rows.npy", "w+", np.int32, (postings,))
    weights = np.lib.format.open_memmap(fresh / "weights.npy", "w+", np.float64, (postings,))
    for start in range(0, postings, BLOCK):
        block = order[start : start + BLOCK]
        row, frequency = document_of[block], counts.frequency[block]
        rows[start : start + BLOCK] = row
        saturated = frequency * (parameters.k1 + 1) / (frequency + norms[row])
        weights[start : start + BLOCK] = idf[counts.term_of[block]] * saturated
    rows.flush()
    weights.flush()


def _length_norms(lengths: Integers, parameters: Parameters) -> Floats:
    if not lengths.any():
        return np.zeros(len(lengths))
    average = int(lengths.sum()) / len(lengths)
    relative = parameters.b * lengths / average
    return np.asarray(parameters.k1 * (1 - parameters.b + relative), np.float64)


def _write_meta(fresh: Path, analyzer: Analyzer, parameters: Parameters, keys: Sequence[str]) -> None:
    meta = {
        "format": FORMAT,
        "analyzer": asdict(analyzer),
        "fingerprint": analyzer.fingerprint,
        "count": len(keys),
        "keys_sha256": keys_digest(keys),
        **asdict(parameters),
        "bytes": {name: (fresh / f"{name}.npy").stat().st_size for name in ARRAYS},
    }
    (fresh / META).write_text(json.dumps(meta, indent=2) + "\n")


class LexicalIndex:
    """A compiled index, open for searching. Threads and forks may share it."""

    def __init__(self, *, analyzer: Analyzer, meta: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> None:
        self.analyzer = analyzer
        self.fingerprint: str = meta["fingerprint"]
        self.keys_sha256: str = meta["keys_sha256"]
        self.count: int = meta["count"]
        self.parameters = Parameters(meta["k1"], meta["b"], meta["epsilon"])
        self._rows, self._weights, self._starts = arrays["rows"], arrays["weights"], arrays["starts"]
        self._terms = Strings(arrays["terms"], arrays["terms_offsets"])
        self._keys = Strings(arrays["keys"], arrays["keys_offsets"])
        self._places = lru_cache(maxsize=10_000)(self._find)

    @classmethod
    def open(cls, directory: Path, *, analyzer: Analyzer | None = None) -> "LexicalIndex":
        """Map the files of `directory`. With `analyzer`, refuse an index that was built by another one.

        Raises IndexMissing or IndexBroken.
        """
        meta = _read_meta(directory)
        try:
            built_by = Analyzer(**meta["analyzer"])
            if meta["fingerprint"] != (analyzer or built_by).fingerprint:
                raise IndexBroken(f"{directory}: built with another analyzer")
            arrays = {name: map_array(directory / f"{name}.npy", size=meta["bytes"][name]) for name in ARRAYS}
            return cls(analyzer=built_by, meta=meta, arrays=arrays)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IndexBroken(f"{directory}: {error!r}") from error

    def search(self, *, query: str, limit: int) -> tuple[Hit, ...]:
        """The best `limit` documents that share a term with `query`, best first, ties in the order of the documents."""
        slices = self._postings(query)
        if not slices or limit <= 0:
            return ()
        rows, scores = self._add(slices)
        # Every weight of a term has the sign of its idf, so the sum tells who was touched when all idfs are positive.
        positive = all(self._weights[found.start] > 0 for found in slices)
        touched = np.flatnonzero(scores > 0 if positive else np.bincount(rows, minlength=self.count))
        best = touched[top_positions(scores=scores[touched], limit=limit)].tolist()
        return tuple(Hit(self._keys[row].decode(), float(scores[row])) for row in best)

    def scores(self, query: str) -> Floats:
        """The score of every document, in their order: what `BM25Okapi.get_scores` returns."""
        slices = self._postings(query)
        return self._add(slices)[1] if slices else np.zeros(self.count)

    def _postings(self, query: str) -> list[slice]:
        return [found for term in self.analyzer(query) if (found := self._places(term)) is not None]

    def _find(self, word: str) -> slice | None:
        """The postings of a term; questions share most of their words, so what was found is remembered."""
        term = word.encode()
        place = bisect_left(self._terms, term)
        if place == len(self._terms) or self._terms[place] != term:
            return None
        return slice(int(self._starts[place]), int(self._starts[place + 1]))

    def _add(self, slices: list[slice]) -> tuple[npt.NDArray[np.int32], Floats]:
        """bincount adds one by one in the order given, hence in the order of the query's terms."""
        rows = np.concatenate([self._rows[found] for found in slices])
        weights = np.concatenate([self._weights[found] for found in slices])
        return rows, np.asarray(np.bincount(rows, weights=weights, minlength=self.count), np.float64)


def top_positions(*, scores: Floats, limit: int) -> Integers:
    """Positions of the `limit` highest scores: the head of a stable sort by descending score."""
    if limit >= len(scores):
        return np.argsort(-scores, kind="stable")
    border = len(scores) - limit
    contenders = np.flatnonzero(scores >= np.partition(scores, border)[border])
    return contenders[np.argsort(-scores[contenders], kind="stable")[:limit]]


def _read_meta(directory: Path) -> dict[str, Any]:
    try:
        meta = json.loads((directory / META).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise IndexMissing(f"{directory}: no index") from error
    except (OSError, ValueError) as error:
        raise IndexBroken(f"{directory}: {error!r}") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise IndexBroken(f"{directory}: not format {FORMAT}")
    return meta
