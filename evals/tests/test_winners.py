"""A winner among several arms: only where each of the others is shown to be worse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.comparison import Arm, Verdict, compare
from evals.significance import ALPHA
from evals.winners import pairwise, standing

RIGHT, WRONG = 1.0, 0.0


def arm(name: str, *values: float) -> Arm:
    return Arm(name, {f"q{number:02}": value for number, value in enumerate(values)})


def share(name: str, right: int, of: int = 40) -> Arm:
    """An arm that has the first so many questions right."""
    return arm(name, *[RIGHT] * right, *[WRONG] * (of - right))


def test_an_arm_that_is_shown_to_beat_each_of_the_others_wins() -> None:
    found = standing("recall", [share("weak", 5), share("strong", 38), share("middle", 20)])

    assert (found.best, found.winner) == ("strong", "strong")
    assert (found.alike, found.level, found.worse) == ((), (), ("middle", "weak"))


def test_without_the_evidence_against_one_of_them_nobody_wins() -> None:
    found = standing("recall", [share("weak", 5), share("near", 36), share("strong", 38)])

    assert (found.best, found.winner) == ("strong", None)
    assert (found.level, found.worse) == (("near",), ("weak",))


def test_arms_with_the_same_values_are_alike_and_neither_wins() -> None:
    found = standing("recall", [share("one", 38), share("weak", 5), share("other", 38)])

    assert (found.best, found.winner, found.alike, found.worse) == ("one", None, ("other",), ("weak",))


def test_every_pair_is_read_together() -> None:
    arms = [share("a", 20), share("b", 13), share("c", 6)]

    alone = compare(metric="recall", before=arms[1], after=arms[0])
    together = {(each.after, each.before): each for each in pairwise("recall", arms)}

    assert alone.verdict is Verdict.BETTER
    assert len(together) == 3
    assert together["a", "b"].p_adjusted == pytest.approx(2 * alone.p_value)


def test_pairs_in_which_nothing_changed_do_not_count() -> None:
    twins = [share("a", 20), share("also a", 20), share("b", 14)]

    adjusted = {(each.after, each.before): each.p_adjusted for each in pairwise("recall", twins)}

    assert adjusted["a", "also a"] == 1.0
    assert adjusted["a", "b"] == pytest.approx(2 * compare(metric="", before=twins[2], after=twins[0]).p_value)


@pytest.mark.parametrize("arms", [[], [share("lonely", 3)]])
def test_one_arm_alone_is_no_comparison(arms: list[Arm]) -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        standing("recall", arms)


VALUES = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=12, max_size=12)


@given(rows=st.lists(VALUES, min_size=2, max_size=4))
def test_every_arm_stands_in_exactly_one_place_and_a_winner_beats_all(rows: list[list[float]]) -> None:
    arms = [arm(str(number), *row) for number, row in enumerate(rows)]

    found = standing("recall", arms)

    places = [found.best, *found.alike, *found.level, *found.worse]
    assert sorted(places) == sorted(each.name for each in arms)
    best = next(each for each in arms if each.name == found.best)
    assert all(sum(best.values.values()) >= sum(each.values.values()) for each in arms)  # type: ignore[arg-type]
    if found.winner:
        assert all(each.p_adjusted <= ALPHA for each in found.comparisons if each.after == found.best)
        assert set(found.worse) == {each.name for each in arms} - {found.best}
