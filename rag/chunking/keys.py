"""Keys of chunks: `source/slug#n`, unique within a document."""

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
