"""How much a mean of so many questions can be trusted: interval, exact tests, and what would have been too small to see.

Random numbers come from a fixed seed, so the same values always give the same result, and swapping the arms of a comparison
only changes signs.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from statistics import NormalDist, stdev

import numpy as np
from numpy.typing import NDArray

ALPHA = 0.05
POWER = 0.8
RESAMPLES = 10_000
SEED = 20_240_229
EXACT_UP_TO = 20
"""Sign flips of so many differences are all tried (about a million); beyond, RESAMPLES random ones are."""

_BATCH_NUMBERS = 2_000_000
_Floats = NDArray[np.float64]


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Bootstrap interval of the mean, 95 %: the middle of the means of RESAMPLES samples drawn with replacement.

    Widened by sqrt(n / (n - 1)), because resamples spread too little by that factor, which matters for few questions
    (Hesterberg 2015, section 3.2, "narrowness bias"). None for fewer than two values, whose spread is unknown.
    """
    if len(values) < 2:
        return None
    array, n = np.asarray(values, dtype=np.float64), len(values)
    centre, rng = float(array.mean()), np.random.default_rng(SEED)
    drawn = (array[rng.integers(n, size=(size, n), dtype=np.int32)].mean(axis=1) for size in _batches(n))
    low, high = np.quantile(np.concatenate(list(drawn)), [ALPHA / 2, 1 - ALPHA / 2])
    widening = math.sqrt(n / (n - 1))
    return centre + (float(low) - centre) * widening, centre + (float(high) - centre) * widening


def share_interval(part: int, whole: int) -> tuple[float, float] | None:
    """Interval of a share, 95 % (Wilson 1927): not empty, as the bootstrap is, where all or none were counted. None of none."""
    if not whole:
        return None
    z2, share = NormalDist().inv_cdf(1 - ALPHA / 2) ** 2, part / whole
    centre = (share + z2 / (2 * whole)) / (1 + z2 / whole)
    reach = math.sqrt(z2 * share * (1 - share) / whole + (z2 / (2 * whole)) ** 2) / (1 + z2 / whole)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def mcnemar(*, wins: int, losses: int) -> float:
    """Exact two-sided p-value of McNemar's test: were the changed questions tosses of a fair coin?

    McNemar 1947 in its binomial form; questions that did not change do not enter.
    """
    changed, term, tail = wins + losses, 1, 0
    for losing in range(min(wins, losses) + 1):
        tail += term
        term = term * (changed - losing) // (losing + 1)
    return min(1.0, 2 * tail / (1 << changed))


def sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p-value of the paired permutation test on the sum (Fisher 1935): how often would differences of these
    sizes, with signs tossed by a coin, sum to as much?

    Exact for up to EXACT_UP_TO differences other than 0, else from RESAMPLES tosses, the observed one counted as one of
    them, so that it never is 0.
    """
    changed = np.asarray([difference for difference in differences if difference], dtype=np.float64)
    least = abs(math.fsum(changed)) - 1e-9 * float(np.abs(changed).sum())
    if len(changed) <= EXACT_UP_TO:
        return float(np.mean(np.abs(_all_sums(changed)) >= least))
    rng, reached = np.random.default_rng(SEED), 0
    for size in _batches(len(changed)):
        signs = rng.integers(2, size=(size, len(changed)), dtype=np.int8) * 2.0 - 1.0
        reached += int(np.count_nonzero(np.abs(signs @ changed) >= least))
    return (reached + 1) / (RESAMPLES + 1)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values of several comparisons that are read together: none is claimed by luck in more than ALPHA of all
    such readings (Holm 1979)."""
    adjusted, floor = dict[str, float](), 0.0
    for place, (name, p_value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        floor = max(floor, min(1.0, p_value * (len(p_values) - place)))
        adjusted[name] = floor
    return {name: adjusted[name] for name in p_values}


def detectable(differences: Sequence[float]) -> float | None:
    """The smallest true mean difference that so many questions, spread as these are, show with POWER at level ALPHA.

    (z(1 - ALPHA/2) + z(POWER)) * s / sqrt(n), the normal approximation (Cohen 1988). None where the spread is unknown:
    fewer than two differences, or all the same.
    """
    if len(differences) < 2 or not (spread := stdev(differences)):
        return None
    normal = NormalDist()
    return (normal.inv_cdf(1 - ALPHA / 2) + normal.inv_cdf(POWER)) * spread / math.sqrt(len(differences))


def fewest_wins(*, losses: int = 0) -> int:
    """The fewest wins that McNemar's test tells from luck against so many losses. Without losses: 6."""
    return next(wins for wins in count(losses + 1) if mcnemar(wins=wins, losses=losses) <= ALPHA)


def _all_sums(values: _Floats) -> _Floats:
    """The sums of `values` under all 2^n choices of signs."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _batches(columns: int) -> Iterator[int]:
    """RESAMPLES in parts, so that no array of part times columns grows large."""
    most = max(1, _BATCH_NUMBERS // columns)
    for start in range(0, RESAMPLES, most):
        yield min(most, RESAMPLES - start)
