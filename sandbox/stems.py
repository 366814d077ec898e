"""Words as the sandbox compares them: lower case, English stems, without the commonest words."""

import re
from collections.abc import Iterable

import Stemmer

WORD = re.compile(r"[^\W_]+(?:'[a-z]+)?")
_STOP_WORDS = (
    "a about all also am an and any are as at be because been being but by can could did do does doing for from "
    "get had has have having he her here hers him his how i if in into is it its just let like may me might more "
    "most must my no not of on once one only or other our ours out own per put same shall she should since so "
    "some such than that the their theirs them then there these they this those through to too under until up "
    "upon use used uses using very was we were what when where whether which while who whom whose why will with "
    "within without would you your "
)
STOP_WORDS = frozenset(_STOP_WORDS.split())
_stem = Stemmer.Stemmer("english").stemWord


def words(text: str) -> list[str]:
    """Lower-case words in order, stop words included; `snake_case` and dotted names fall into their parts."""
    return WORD.findall(text.lower())


def content_words(text: str) -> list[str]:
    """The words that carry meaning, in order."""
    return [word for word in words(text) if word not in STOP_WORDS]


def stem_list(text: str) -> list[str]:
    """Stems of the content words, in order, with repeats."""
    return [_stem(word) for word in content_words(text)]


def stem_set(text: str) -> frozenset[str]:
    return frozenset(stem_list(text))


def share_of(wanted: Iterable[str], present: frozenset[str]) -> float:
    """Which part of `wanted` is in `present`, 0.0 to 1.0; 0.0 when nothing is wanted."""
    distinct = frozenset(wanted)
    return len(distinct & present) / len(distinct) if distinct else 0.0
