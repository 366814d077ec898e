import math
import random
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.significance import ALPHA, detectable, fewest_wins, holm, mcnemar, mean_interval, sign_flip

DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Darwin's fifteen pairs of maize plants, crossed minus self-fertilised, in eighths of an inch (Fisher 1935, section 17)."""


def test_sign_flip_gives_the_value_that_fisher_counted_for_darwins_maize():
    assert sign_flip(DARWIN) == pytest.approx(2 * 863 / 2**15)


def test_mcnemar_gives_the_hand_worked_binomial_tail():
    assert mcnemar(wins=10, losses=2) == pytest.approx(2 * (1 + 12 + 66) / 4096)
    assert mcnemar(wins=6, losses=0) == pytest.approx(1 / 32)
    assert mcnemar(wins=0, losses=0) == mcnemar(wins=3, losses=3) == 1.0


def test_mcnemar_stands_thousands_of_changes():
    assert mcnemar(wins=3100, losses=2900) == pytest.approx(0.0102, abs=2e-4)
    assert mcnemar(wins=6000, losses=0) == 0.0


def test_holm_gives_the_textbook_values():
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})

    assert adjusted == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}


def test_detectable_is_two_point_eight_standard_errors():
    spread_of_one = [1.0, -1.0] * 50

    assert detectable(spread_of_one) == pytest.approx(2.8016 * math.sqrt(100 / 99) / 10, rel=1e-4)


def test_a_detectable_difference_is_detected_about_four_times_in_five():
    n, rng = 40, np.random.default_rng(3)
    true = detectable([1.0, -1.0] * (n // 2))
    assert true is not None

    found = [sign_flip(list(sample)) <= ALPHA for sample in rng.normal(true, 1, size=(200, n))]

    assert np.mean(found) == pytest.approx(0.8, abs=0.08)


@pytest.mark.parametrize("differences", [[], [0.5], [0.0, 0.0], [0.25] * 9])
def test_without_a_spread_nobody_can_say_what_is_detectable(differences):
    assert detectable(differences) is None


def test_six_wins_are_the_fewest_that_are_no_luck_and_losses_ask_for_more():
    assert [fewest_wins(losses=losses) for losses in range(4)] == [6, 8, 10, 12]


@pytest.mark.parametrize("differences", [[], [0.0], [0.3]])
def test_fewer_than_two_values_have_no_interval(differences):
    assert mean_interval(differences) is None


def test_equal_values_have_an_interval_without_width():
    assert mean_interval([0.25] * 9) == (0.25, 0.25)


def test_the_same_values_always_give_the_same_interval():
    assert mean_interval(DARWIN) == mean_interval(DARWIN)


@given(values=st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=2, max_size=30))
def test_swapping_the_arms_mirrors_interval_and_keeps_the_p_value(values):
    low, high = mean_interval(values) or (0.0, 0.0)
    swapped = [-value for value in values]

    assert mean_interval(swapped) == pytest.approx((-high, -low))
    assert sign_flip(swapped) == sign_flip(values)


@given(wins=st.integers(0, 9), losses=st.integers(0, 9), ties=st.integers(0, 5))
def test_mcnemar_is_the_sign_flip_test_of_changes_of_one(wins, losses, ties):
    assert mcnemar(wins=wins, losses=losses) == pytest.approx(sign_flip([1.0] * wins + [-1.0] * losses + [0.0] * ties))


@given(values=st.lists(st.sampled_from([-1.0, -1 / 3, 0.0, 0.1, 0.2, 0.5]), max_size=9))
def test_sign_flip_equals_the_obvious_slow_count(values):
    reached = [
        abs(math.fsum(sign * value for sign, value in zip(signs, values, strict=True)))
        >= abs(math.fsum(values)) - 1e-12
        for signs in product([1, -1], repeat=len(values))
    ]

    assert sign_flip(values) == pytest.approx(sum(reached) / len(reached))


def test_random_tosses_come_close_to_the_exact_count():
    """Thirty changes of one are too many for all flips; McNemar's test knows their exact value."""
    assert sign_flip([1.0] * 21 + [-1.0] * 9) == pytest.approx(mcnemar(wins=21, losses=9), abs=0.005)


def changes(rng: random.Random, *, better: float, worse: float, n: int) -> list[float]:
    """Differences of a binary metric on n questions."""
    return rng.choices([1.0, -1.0, 0.0], weights=[better, worse, 1 - better - worse], k=n)


@pytest.mark.parametrize(("better", "worse", "n"), [(0.25, 0.08, 24), (0.1, 0.1, 24), (0.2, 0.1, 100)])
def test_the_interval_holds_the_true_difference_about_as_often_as_it_says(better, worse, n):
    rng, held = random.Random(7), 0
    for _ in range(250):
        low, high = mean_interval(changes(rng, better=better, worse=worse, n=n)) or (0.0, 0.0)
        held += low <= better - worse <= high

    assert 0.90 <= held / 250 <= 0.99


def test_mcnemar_claims_too_much_in_no_more_than_five_percent():
    """All outcomes of n coin tosses, weighed: no simulation needed."""
    for n in range(1, 60):
        claimed = sum(math.comb(n, wins) for wins in range(n + 1) if mcnemar(wins=wins, losses=n - wins) <= ALPHA)
        assert claimed / 2**n <= ALPHA


@pytest.mark.parametrize("n", [10, 40])
def test_sign_flip_claims_too_much_in_about_five_percent(n):
    rng = random.Random(11)
    runs = [[rng.choice([-1, 1]) * rng.random() for _ in range(n)] for _ in range(300)]

    assert sum(sign_flip(run) <= ALPHA for run in runs) / 300 <= 0.08
