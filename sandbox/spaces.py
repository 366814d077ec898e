"""The encoder's vectors as each vendor would return them: another rotation and another width per model family.

Cosines inside a space are those of the encoder; across two spaces they mean nothing, as with the real vendors.
"""

import hashlib
from functools import lru_cache

import numpy as np

from sandbox.encoder import WIDTH, Matrix


@lru_cache(maxsize=16)
def rotation(space: str) -> Matrix:
    """A fixed random orthogonal (WIDTH, WIDTH) matrix, seeded by the name of the space."""
    seed = int.from_bytes(hashlib.sha256(space.encode()).digest()[:8], "big")
    gaussian = np.random.default_rng(seed).standard_normal((WIDTH, WIDTH))
    orthogonal, upper = np.linalg.qr(gaussian)
    return np.asarray(orthogonal * np.sign(np.diag(upper)), dtype=np.float32)


def into_space(rows: Matrix, *, space: str, width: int) -> Matrix:
    """Rotate, then pad with zeros to `width`, or cut to it and normalise again (a shorter vector knows less)."""
    # One row at a time: a matrix product may round differently by the number of rows, a vector must not.
    turned = np.stack([rotation(space) @ row for row in rows])
    if width >= WIDTH:
        padded: Matrix = np.pad(turned, ((0, 0), (0, width - WIDTH)))
        return padded
    cut = turned[:, :width]
    shortened: Matrix = cut / np.linalg.norm(cut, axis=1, keepdims=True)
    return shortened
