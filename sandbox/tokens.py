"""Counting tokens: word pieces of the encoder's tokenizer, or a quarter of the length when there is no model."""

from collections.abc import Sequence
from typing import Protocol

from tokenizers import Tokenizer

from sandbox.lru import LruDict, digest

KEPT = 50_000
CHARACTERS_PER_TOKEN = 4


class TokenCounter(Protocol):
    def count(self, text: str) -> int: ...

    def count_all(self, texts: Sequence[str]) -> list[int]: ...

    def cut(self, text: str, *, limit: int) -> str:
        """The longest beginning of `text` that is at most `limit` tokens."""
        ...


class WordPieceCounter:
    """Counts are remembered by digest. `tokenizer` must not pad, truncate or be used for anything else."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._counts: LruDict[int] = LruDict(capacity=KEPT)

    def count(self, text: str) -> int:
        return self.count_all([text])[0]

    def count_all(self, texts: Sequence[str]) -> list[int]:
        keys = [digest(text) for text in texts]
        known = {key: count for key in keys if (count := self._counts.get(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            pieces = self._tokenizer.encode_batch_fast(list(missing.values()), add_special_tokens=False)
            for key, encoded in zip(missing, pieces, strict=True):
                known[key] = len(encoded)
                self._counts.put(key, len(encoded))
        return [known[key] for key in keys]

    def cut(self, text: str, *, limit: int) -> str:
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        if len(offsets) <= limit:
            return text
        return text[: offsets[limit - 1][1]] if limit > 0 else ""


class LengthCounter:
    """Four characters a token, rounded up."""

    def count(self, text: str) -> int:
        return -(-len(text) // CHARACTERS_PER_TOKEN)

    def count_all(self, texts: Sequence[str]) -> list[int]:
        return [self.count(text) for text in texts]

    def cut(self, text: str, *, limit: int) -> str:
        return text[: max(limit, 0) * CHARACTERS_PER_TOKEN]
