"""Histograms of durations that can be added up, and percentiles from them that are within 1 %. Plain Python.

The bins are those of DDSketch (Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
guarantees", PVLDB 12(12), 2019, section 2): with g = (1 + a) / (1 - a) bin i holds what is above g^(i-1) and up to g^i, and
2 g^i / (g + 1) is within the share a of all of it. Adding two histograms loses nothing.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

ACCURACY = 0.01
GROWTH = (1 + ACCURACY) / (1 - ACCURACY)
LOG_GROWTH = math.log(GROWTH)
LEAST_MS = 0.001
"""What took less counts as 0."""
ZERO = -32_768
PAIR = np.dtype([("bin", "<i2"), ("count", "<u4")])
PERCENTS = (50, 95, 99)

Bins = Counter[int]


def bin_of(ms: float) -> int:
    return ZERO if ms < LEAST_MS else math.ceil(math.log(ms) / LOG_GROWTH)


def middle_of(number: int) -> float:
    """The value, in ms, that is told for all of a bin."""
    return 0.0 if number == ZERO else 2 * GROWTH**number / (GROWTH + 1)


def packed(bins: Mapping[int, int]) -> bytes:
    return np.array(sorted(bins.items()), dtype=PAIR).tobytes()


def unpacked(data: bytes) -> Bins:
    return merged([data])


def merged(parts: Iterable[bytes]) -> Bins:
    """All of them in one."""
    pairs = np.frombuffer(b"".join(parts), dtype=PAIR)
    bins, places = np.unique(pairs["bin"], return_inverse=True)
    counts = np.bincount(places, weights=pairs["count"], minlength=len(bins))
    return Counter(dict(zip(bins.tolist(), (int(count) for count in counts), strict=True)))


def percentiles(bins: Mapping[int, int]) -> dict[str, float | None]:
    """By nearest rank: the bin of the value that so many per cent do not exceed. None without values."""
    total = sum(bins.values())
    return {f"p{percent}": ranked(bins, -(-total * percent // 100)) if total else None for percent in PERCENTS}


def ranked(bins: Mapping[int, int], rank: int) -> float:
    """The value of that rank, counted from 1. Raises ValueError when there are fewer."""
    passed = 0
    for number in sorted(bins):
        passed += bins[number]
        if passed >= rank:
            return round(middle_of(number), 6)
    raise ValueError(f"{rank} of {passed}")
