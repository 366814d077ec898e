"""From text to index terms: the same function for documents and for questions."""

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import chain
from threading import Lock

import Stemmer

RULES = 1  # raise it when the same text gives other terms, so that indexes are rebuilt
LONGEST_WORD = 128  # characters; what follows is cut, so that a page of base64 is no term
CACHED_WORDS = 1 << 16  # an analyzer keeps the terms of so many words, roughly 16 MB when full

_STOP_WORDS = """
    a about above after again against all am an and any are as at be because been before being below between both but
    by can cannot could did do does doing down during each few for from further had has have having he her here hers
    herself him himself his how i if in into is it its itself just ll me more most my myself no nor not now of off on
    once only or other our ours ourselves out over own s same she should so some such t than that the their theirs
    them themselves then there these they this those through to too under until up ve very was we were what when where
    which while who whom why will with would you your yours yourself yourselves
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

_WORD = re.compile(r"\w+")
_IDENTIFIER = re.compile(r"\w+(?:\.\w+)*")
# HTTPServer -> HTTP Server, sha256 and URLs stay in one piece. Letters beyond ASCII count as small ones.
_PIECE = re.compile(r"[A-Z]+s?(?![^\W\d_A-Z])\d*|[A-Z]?[^\W\d_A-Z]+\d*|\d+[A-Z]*[^\W\d_A-Z]*")


@dataclass(frozen=True, slots=True)
class Analyzer:
    """Case-folded terms of a text, in the order of the text, repeated as often as they occur.

    `identifiers`: `camelCase` gives `camelcase camel case` (stems, if stemming), `snake_case` gives `snake_case snake
    case`, `a.dotted.name` gives itself and the terms of its parts. Names with a dot or an underscore are kept whole
    without stemming.
    `stop_words`: common English words are dropped, unless the text holds nothing else.
    `stemming`: plain words are cut to their Snowball stem.
    """

    identifiers: bool = True
    stop_words: bool = True
    stemming: bool = True

    def __call__(self, text: str) -> list[str]:
        if not text.isascii():
            text = unicodedata.normalize("NFKC", text)
        pattern = _IDENTIFIER if self.identifiers else _WORD
        words = pattern.findall(text)
        terms = list(chain.from_iterable(map(_terms_of_words(self).__getitem__, words)))
        if not terms and words and self.stop_words:
            return replace(self, stop_words=False)(text)
        return terms

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same text may give other terms."""
        return _fingerprint(self)


class _TermsOfWords(dict[str, tuple[str, ...]]):
    """Word -> its terms, computed once; emptied when full. Safe to share between threads."""

    def __init__(self, analyze: Callable[[str], tuple[str, ...]]) -> None:
        self._analyze = analyze

    def __missing__(self, word: str) -> tuple[str, ...]:
        if len(word) > LONGEST_WORD:
            return self._analyze(word[:LONGEST_WORD])
        terms = self._analyze(word)
        if len(self) >= CACHED_WORDS:
            self.clear()
        self[word] = terms
        return terms


@cache
def _terms_of_words(analyzer: Analyzer) -> _TermsOfWords:
    plain = _plain_terms(analyzer)
    return _TermsOfWords(_identifier_terms(plain) if analyzer.identifiers else plain)


def _plain_terms(analyzer: Analyzer) -> Callable[[str], tuple[str, ...]]:
    dropped = STOP_WORDS if analyzer.stop_words else frozenset()
    stemmer = Stemmer.Stemmer("english")
    lock = Lock()  # a stemmer works in a buffer of its own and may not be entered twice

    def terms(word: str) -> tuple[str, ...]:
        folded = word.casefold()
        if folded in dropped:
            return ()
        if not analyzer.stemming:
            return (folded,)
        with lock:
            return (stemmer.stemWord(folded),)

    return terms


def _humps(name: str) -> list[str]:
    """The parts of a camelCase name; none where one would be a single letter (mRNA, CoV), which only adds noise."""
    pieces: list[str] = _PIECE.findall(name)
    return pieces if len(pieces) > 1 and min(map(len, pieces)) > 1 else []


def _identifier_terms(plain: Callable[[str], tuple[str, ...]]) -> Callable[[str], tuple[str, ...]]:
    def split(name: str, separators: str) -> tuple[str, ...]:
        if not separators:
            return (*plain(name), *chain.from_iterable(map(plain, _humps(name))))
        separator, finer = separators[0], separators[1:]
        if separator not in name:
            return split(name, finer)
        parts = [split(part, finer) for part in name.split(separator) if part]
        whole = (name.casefold(),) if name.strip("_.") else ()
        return (*whole, *chain.from_iterable(parts))

    return lambda word: split(word, "._")


@lru_cache(maxsize=8)
def _fingerprint(analyzer: Analyzer) -> str:
    parts = [RULES, analyzer, sorted(STOP_WORDS), Stemmer.version(), unicodedata.unidata_version]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
