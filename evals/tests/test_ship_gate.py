"""The ship gate as plain values: which figures pass which line."""

from dataclasses import replace
from typing import Any

import pytest

from evals.module_scores import METRICS, Metric, ModuleScore
from evals.ship_gate import NEEDED, PRODUCTION, REFERENCE, Evidence, Finding, Gate, Traffic, judge

GOOD = Finding("all of them")
EVIDENCE = Evidence(
    best_recall=0.80,
    recall_compared="No difference shown.",
    prompt_reads=29,
    traffic=Traffic(requests=200, plain_usd=0.016, cached_usd=0.006, answer_hits=0.3, prompt_hits=0.9),
    failures=GOOD,
    traces=GOOD,
    prompt_versions=GOOD,
    cost_page=GOOD,
    proxy=GOOD,
)


def score(module: str, *, cost: float | None = 0.016, failed: int = 0, **values: float | None) -> ModuleScore:
    known = {"recall_at_5": 0.80, "judge_correctness": 4.0, "judge_groundedness": 4.0} | values
    metrics = {name: Metric(known.get(name, 0.5), 0.1, 0.9) for name in METRICS}
    return ModuleScore(module, 1, 30, failed, "v1", metrics, cost, {"p50": 10.0, "p95": 20.0})


def judged(*, evidence: Evidence = EVIDENCE, reference: ModuleScore | None = None, **production: object) -> Gate:
    own = score(PRODUCTION, **{"cost": 0.009} | production)  # type: ignore[arg-type]
    return judge((reference or score(REFERENCE), own), evidence)


def failing(gate: Gate) -> dict[str, str]:
    return {line.name: line.why for line in gate.failing}


def test_it_passes_when_every_line_does() -> None:
    gate = judged()

    assert (gate.passed, gate.failing) == (True, ())
    assert [line.name for line in gate.lines] == list(NEEDED)


@pytest.mark.parametrize(
    ("recall", "passes"), [(0.95, True), (0.78, True), (0.7799, False), (0.5, False), (None, False)]
)
def test_recall_may_be_two_points_below_the_best(recall: float | None, passes: bool) -> None:
    assert judged(recall_at_5=recall).passed is passes


def test_the_best_run_of_the_reference_counts_not_only_the_newest() -> None:
    gate = judged(evidence=replace(EVIDENCE, best_recall=0.83))

    assert failing(gate) == {"recall": "Recall@5 is lower by 0.030"}


@pytest.mark.parametrize("mark", ["judge_correctness", "judge_groundedness"])
@pytest.mark.parametrize(("value", "passes"), [(4.5, True), (3.7, True), (3.69, False), (None, False)])
def test_either_judge_score_may_be_three_tenths_lower(mark: str, value: float | None, passes: bool) -> None:
    given: dict[str, Any] = {mark: value}

    assert judged(**given).passed is passes


@pytest.mark.parametrize(("cost", "passes"), [(0.012, True), (0.01201, False), (0.02, False), (None, False)])
def test_a_query_must_be_a_quarter_cheaper_on_the_questions(cost: float | None, passes: bool) -> None:
    assert judged(cost=cost).passed is passes


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cached_usd": 0.0121}, "that is less than 25%"),
        ({"answer_hits": 0.0}, "the answer cache was never hit"),
        ({"prompt_hits": None}, "the prompt cache was never hit"),
        ({"faults": ("the ledger is not the bill",)}, "the ledger is not the bill"),
    ],
)
def test_on_traffic_both_caches_must_work_and_pay(change: dict[str, object], why: str) -> None:
    assert isinstance(EVIDENCE.traffic, Traffic)
    traffic = replace(EVIDENCE.traffic, **change)  # type: ignore[arg-type]

    assert failing(judged(evidence=replace(EVIDENCE, traffic=traffic))) == {"cost_on_traffic": why}


def test_traffic_that_could_not_be_replayed_fails_with_the_reason() -> None:
    gate = judged(evidence=replace(EVIDENCE, traffic="refused: providers are real"))

    assert failing(gate) == {"cost_on_traffic": "refused: providers are real"}


def test_a_prompt_cache_that_was_never_read_fails_however_cheap_it_was() -> None:
    assert failing(judged(evidence=replace(EVIDENCE, prompt_reads=0))) == {
        "cost_on_questions": "the prompt cache was never hit"
    }


@pytest.mark.parametrize("name", ["failures", "traces", "prompt_versions", "cost_page", "proxy"])
def test_each_check_fails_its_own_line_with_all_its_faults(name: str) -> None:
    gate = judged(evidence=replace(EVIDENCE, **{name: Finding("1 of 2", ("one", "another"))}))  # type: ignore[arg-type]

    assert failing(gate) == {name: "one; another"}


def test_a_module_without_a_run_fails_what_is_about_it() -> None:
    gate = judge((score(REFERENCE),), EVIDENCE)

    assert failing(gate).keys() == {"recall", "judge", "cost_on_questions"}
    assert all(line.why == f"{PRODUCTION} has no run" for line in gate.failing)


def test_questions_that_failed_are_no_way_to_better_means() -> None:
    assert failing(judged(failed=2)).keys() == {"recall", "judge", "cost_on_questions"}
