"""Histograms that can be added up, against the values themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.sketches import ACCURACY, LEAST_MS, Bins, bin_of, merged, packed, percentiles, unpacked

TIMES = st.lists(st.floats(LEAST_MS, 1e7), min_size=1, max_size=200)


def binned(times):
    return Bins(map(bin_of, times))


@given(times=TIMES)
def test_percentiles_are_within_one_per_cent_of_the_nearest_rank(times) -> None:
    ranked = sorted(times)

    for percent, name in ((50, "p50"), (95, "p95"), (99, "p99")):
        exact = next(v for n, v in enumerate(ranked, 1) if n * 100 >= percent * len(ranked))
        assert percentiles(binned(times))[name] == pytest.approx(exact, rel=ACCURACY + 1e-9, abs=1e-6)


@given(parts=st.lists(TIMES, max_size=5))
def test_parts_add_up_to_the_histogram_of_all(parts) -> None:
    assert merged(packed(binned(part)) for part in parts) == binned([ms for part in parts for ms in part])


@given(times=TIMES)
def test_what_is_packed_comes_out_again(times) -> None:
    assert unpacked(packed(binned(times))) == binned(times)


def test_what_took_no_time_is_zero() -> None:
    assert percentiles(binned([0.0, 0.0, LEAST_MS / 2])) == {"p50": 0.0, "p95": 0.0, "p99": 0.0}


def test_without_values_there_is_no_percentile() -> None:
    assert percentiles(Bins()) == {"p50": None, "p95": None, "p99": None}
