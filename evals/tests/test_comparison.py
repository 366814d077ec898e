import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.comparison import Arm, Comparison, PairedTest, Verdict, compare, read_together


def arm(name, *values) -> Arm:
    return Arm(name, {f"q{place:02}": value for place, value in enumerate(values, start=1)})


def compared(before, after, **options) -> Comparison:
    return compare(metric="recall_at_5", before=arm("old", *before), after=arm("new", *after), **options)


def test_it_lists_what_got_better_and_worse_the_largest_change_first():
    comparison = compared([0.0, 1.0, 0.5, 0.0, 0.5], [0.5, 0.5, 0.5, 1.0, 0.0])

    assert [pair.question_id for pair in comparison.wins] == ["q04", "q01"]
    assert [pair.question_id for pair in comparison.losses] == ["q02", "q05"]
    assert comparison.ties == 1
    assert comparison.difference == pytest.approx(0.1)
    assert comparison.mean_before == pytest.approx(0.4)
    assert comparison.mean_after == pytest.approx(0.5)


def test_zeros_and_ones_are_compared_by_mcnemars_test_and_grades_by_flipping_signs():
    assert compared([0.0] * 6, [1.0] * 6).test is PairedTest.MCNEMAR
    assert compared([0.0] * 6, [0.5] * 6).test is PairedTest.SIGN_FLIP


def test_an_improvement_beyond_luck_is_called_better():
    comparison = compared([0.0] * 8 + [1.0] * 16, [1.0] * 24)

    assert comparison.verdict is Verdict.BETTER
    assert comparison.p_value == pytest.approx(2 / 2**8)


def test_a_prompt_that_drops_the_citations_is_called_worse():
    comparison = compared([1.0] * 20 + [0.5] * 4, [0.0] * 24)

    assert comparison.verdict is Verdict.WORSE
    assert comparison.interval_excludes_zero


def test_less_is_better_where_the_metric_says_so():
    comparison = compared([0.02 + place / 1000 for place in range(24)], [0.01] * 24, higher_is_better=False)

    assert comparison.verdict is Verdict.BETTER
    assert len(comparison.wins) == 24
    assert comparison.difference is not None
    assert comparison.difference < 0


def test_a_change_of_nothing_is_no_difference():
    comparison = compared([1.0, 0.0, 0.5], [1.0, 0.0, 0.5])

    assert comparison.verdict is Verdict.NOT_SHOWN
    assert (comparison.p_value, comparison.detectable) == (1.0, None)


def test_one_question_shows_nothing_whatever_it_says():
    comparison = compared([0.0], [1.0])

    assert comparison.verdict is Verdict.NOT_SHOWN
    assert (comparison.interval, comparison.p_value, comparison.wins_needed) == (None, 1.0, None)


def test_five_flips_all_one_way_show_nothing_although_the_interval_excludes_zero():
    comparison = compared([0.0] * 5 + [1.0] * 5, [1.0] * 10)

    assert comparison.interval_excludes_zero
    assert comparison.verdict is Verdict.NOT_SHOWN
    assert comparison.wins_needed == 6


def test_losses_raise_the_number_of_wins_needed():
    assert compared([1.0, *[0.0] * 23], [0.0, *[0.0] * 23]).wins_needed == 8


def test_questions_without_a_value_are_left_out_and_counted():
    comparison = compared([1.0, None, None, 0.5], [1.0, None, 1.0, None])

    assert (len(comparison.pairs), comparison.left_out, comparison.one_sided) == (1, 1, 2)


@pytest.mark.parametrize("values", [[], [None, None]])
def test_without_pairs_there_is_nothing_to_compare(values):
    comparison = compared(values, values)

    assert comparison.verdict is Verdict.NOTHING_TO_COMPARE
    assert (comparison.difference, comparison.interval) == (None, None)


def test_runs_over_different_questions_are_refused():
    with pytest.raises(ValueError, match="old and new did not ask the same questions; 1 are in one only: q02"):
        compared([1.0, 1.0], [1.0])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="new has a value that is not a number for q02"):
        compared([1.0, 1.0], [1.0, value])


def test_several_comparisons_read_together_claim_less():
    before = arm("old", *[0.0] * 24)
    alone = [compare(metric="mrr", before=before, after=arm("new", *[1.0] * 6, *[0.0] * 18)) for _ in range(2)]

    together = read_together(alone)

    assert [each.verdict for each in alone] == [Verdict.BETTER] * 2
    assert [each.verdict for each in together] == [Verdict.NOT_SHOWN] * 2
    assert [each.p_adjusted for each in together] == [pytest.approx(2 / 32)] * 2


scores = st.lists(st.tuples(*[st.sampled_from([0.0, 0.25, 0.5, 1.0, None])] * 2), max_size=25)
mirrored = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}


@given(scores=scores)
def test_swapping_the_arms_swaps_wins_and_losses_and_mirrors_the_rest(scores):
    there = compared([before for before, _ in scores], [after for _, after in scores])
    back = compared([after for _, after in scores], [before for before, _ in scores])

    assert [pair.question_id for pair in back.wins] == [pair.question_id for pair in there.losses]
    assert (back.difference or 0.0) == -(there.difference or 0.0)
    assert back.interval == (there.interval and pytest.approx((-there.interval[1], -there.interval[0])))
    assert (back.p_value, back.ties, back.detectable) == (there.p_value, there.ties, there.detectable)
    assert back.verdict is mirrored.get(there.verdict, there.verdict)


@given(scores=scores)
def test_wins_losses_ties_and_what_is_left_out_make_up_all_questions(scores):
    comparison = compared([before for before, _ in scores], [after for _, after in scores])

    parts = [len(comparison.wins), len(comparison.losses), comparison.ties, comparison.left_out, comparison.one_sided]
    assert sum(parts) == len(scores)
