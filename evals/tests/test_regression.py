"""The regression gate: what fails it, and what does not."""

import json
from pathlib import Path
from typing import Any

import pytest

from evals import regression
from evals.dataset import load_dataset
from evals.errors import EvaluationRefused
from evals.models import EvalResult, EvalRun
from evals.planning import DEFAULT_DATASET
from evals.tests.test_admin import run_of

pytestmark = pytest.mark.django_db
GOOD = [1.0] * 16 + [0.0] * 4


def measured(recalls: list[float]) -> EvalRun:
    run = run_of("v1", recalls)
    for row in run.results.all():
        row.scores = {"recall_at_5": row.scores["citation_recall"], "refusal_right": 1.0}
        row.save()
    return run


def fallen(recalls: list[float], stored: dict[str, Any]) -> list[str]:
    return [fall.metric for fall in regression.falls(measured(recalls), stored)]


@pytest.fixture
def stored() -> dict[str, Any]:
    """What a run of 16 found among 20 came to, as it is read back."""
    kept: dict[str, Any] = json.loads(json.dumps(regression.to_store(measured(GOOD))))
    return kept


def test_the_same_scores_pass(stored: dict[str, Any]) -> None:
    assert fallen(GOOD, stored) == []


def test_better_scores_pass(stored: dict[str, Any]) -> None:
    assert fallen([1.0] * 20, stored) == []


def test_a_mean_below_its_stored_interval_fails(stored: dict[str, Any]) -> None:
    low = stored["metrics"]["recall_at_5"]["low"]
    assert 0.5 < low < 0.7

    found = regression.falls(measured([1.0] * 10 + [0.0] * 10), stored)

    assert "0.5 is below the stored interval" in found[0].told


def test_six_questions_that_turn_worse_fail_by_name_within_the_interval_too(stored: dict[str, Any]) -> None:
    stored["metrics"]["recall_at_5"]["low"] = 0.1

    (fall,) = regression.falls(measured([0.0] * 6 + [1.0] * 10 + [0.0] * 4), stored)

    assert (fall.metric, "worse in q0, q1" in fall.told) == ("recall_at_5", True)


def test_a_few_questions_that_turn_worse_are_no_evidence(stored: dict[str, Any]) -> None:
    assert fallen([0.0] * 3 + [1.0] * 13 + [0.0] * 4, stored) == []


def test_a_measure_that_is_gone_fails(stored: dict[str, Any]) -> None:
    run = measured(GOOD)
    EvalResult.objects.filter(run=run).update(scores={})

    assert "recall_at_5" in [fall.metric for fall in regression.falls(run, stored)]


def test_questions_that_failed_fail_it(stored: dict[str, Any]) -> None:
    run = measured(GOOD)
    EvalResult.objects.filter(run=run, question_id="q0").update(error="provider_busy", scores={})

    assert [fall.told for fall in regression.falls(run, stored)] == ["1 failed"]


def test_scores_of_other_questions_are_refused(stored: dict[str, Any]) -> None:
    with pytest.raises(EvaluationRefused, match="--update"):
        regression.falls(measured(GOOD), stored | {"dataset_sha256": "1" * 64})


def test_a_file_that_cannot_be_read_says_how_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(EvaluationRefused, match="manage.py regression --update"):
        regression.stored(tmp_path / "nothing.json")


def test_the_shipped_scores_are_of_the_shipped_questions() -> None:
    kept, dataset = regression.stored(), load_dataset(DEFAULT_DATASET)

    assert kept["dataset_sha256"] == dataset.sha256
    assert kept["by_question"]["recall_at_5"].keys() == {question.id for question in dataset.questions}
    assert kept["metrics"]["recall_at_5"]["low"] > 0.5
