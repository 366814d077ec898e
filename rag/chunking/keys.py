"""Keys of chunks: `source/slug#n`, unique within a document, and `source/slug#n.m` for the parts of one."""

import re
import unicodedata
from collections import Counter

_LONGEST_SLUG = 60
_NAMELESS = "section"
_NOT_WORD = re.compile(r"[^a-z0-9_]+")


def slug_of(title: str) -> str:
    """ASCII letters, digits, `_` and `-`; `section` where a title has none of them."""
    ascii_only = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return _NOT_WORD.sub("-", ascii_only.lower())[:_LONGEST_SLUG].strip("-") or _NAMELESS


class Keys:
    """Numbers the pieces of one document under each slug, from 0 in the order of the text."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._seen: Counter[str] = Counter()

    def next(self, slug: str) -> str:
        number = self._seen[slug]
        self._seen[slug] += 1
        return f"{self._source}/{slug}#{number}"


def child_key(parent: str, number: int) -> str:
    """The key of the piece with that number, from 0, of the chunk `parent`."""
    return f"{parent}.{number}"


def parent_key(key: str) -> str:
    """The key of what is sent where the chunk `key` is found: its parent's, or its own where it has none."""
    stem, mark, number = key.rpartition("#")
    parent, dot, _ = number.partition(".")
    return f"{stem}#{parent}" if mark and dot else key
