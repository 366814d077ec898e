"""A cheap encoder for load tests: hashed bags of stems. No model, no meaning beyond shared words."""

import hashlib
from collections.abc import Sequence

import numpy as np

from sandbox import stems
from sandbox.encoder import WIDTH, Matrix

MAX_KNOWN_WORDS = 200_000


class _Slots(dict[str, int]):
    """Word -> slot in 0..2*WIDTH-1: the upper half counts as negative, so that unrelated words cancel out."""

    def __missing__(self, word: str) -> int:
        if len(self) >= MAX_KNOWN_WORDS:
            self.clear()
        stem = (stems.stem_list(word) or [""])[0]
        number = int.from_bytes(hashlib.sha256(stem.encode()).digest()[:8], "big")
        slot = number % (2 * WIDTH) if stem else 2 * WIDTH
        self[word] = slot
        return slot


class HashingEncoder:
    """Stop words fall into one extra slot that is thrown away."""

    name = "hashing"
    texts_per_turn = 256

    def __init__(self) -> None:
        self._slots = _Slots()

    def encode(self, texts: Sequence[str]) -> Matrix:
        rows = np.empty((len(texts), WIDTH), dtype=np.float32)
        for row, text in enumerate(texts):
            slots = [self._slots[word] for word in stems.words(text)]
            counts = np.bincount(slots, minlength=2 * WIDTH + 1)
            rows[row] = counts[:WIDTH] - counts[WIDTH : 2 * WIDTH]
        rows[~rows.any(axis=1), 0] = 1.0
        normalised: Matrix = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return normalised
