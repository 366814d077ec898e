import pytest

from evals.models import EvalResult
from evals.summary import Repeatability, costs_by_component, interval, mean_if_all_known, percentile, repeatability


def judged(*marks: tuple[int, int]) -> EvalResult:
    verdicts = [{"correctness": one, "groundedness": other, "reason": ""} for one, other in marks]
    return EvalResult(judge={"verdicts": verdicts, "malformed": 0, "error": ""})


@pytest.mark.parametrize(("share", "value"), [(50, 2), (95, 4), (100, 4), (25, 1)])
def test_a_percentile_is_the_nearest_rank(share: int, value: float) -> None:
    assert percentile([4.0, None, 2.0, 1.0, 3.0], share) == value


def test_without_values_there_is_no_percentile() -> None:
    assert percentile([None], 50) is None


def test_one_unknown_price_makes_the_mean_unknown() -> None:
    assert mean_if_all_known([1.0, None]) is None
    assert mean_if_all_known([1.0, 2.0]) == 1.5


def test_a_component_that_some_questions_did_not_need_costs_them_nothing() -> None:
    rows = [EvalResult(costs={"generate": 3.0, "transform": 1.0}), EvalResult(costs={"generate": 1.0})]

    assert costs_by_component(rows) == {"generate": 2.0, "transform": 0.5}


def test_a_judge_that_changes_its_mind_is_told_by_share_and_spread() -> None:
    rows = [judged((4, 5), (4, 5), (4, 5)), judged((2, 5), (4, 5), (3, 4)), judged((1, 1))]

    assert repeatability(rows) == Repeatability(
        answers=2, times=3, identical=0.5, correctness_spread=1.0, groundedness_spread=0.5
    )


def test_answers_judged_once_say_nothing_of_repeating() -> None:
    assert repeatability([judged((4, 5))]) is None


def test_an_interval_stays_within_what_the_measure_can_be() -> None:
    assert interval("recall_at_5", [1.0, 1.0, 1.0, 0.0]) == pytest.approx((0.2, 1.0), abs=0.1)
    assert interval("judge_correctness", [5.0]) is None
