"""What docs/evaluation.md says that so many questions can show."""

import re
from pathlib import Path

import pytest

from evals.significance import detectable, fewest_wins, mcnemar, mean_interval

TEXT = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text("utf-8")


def row(beginning: str) -> list[str]:
    (line,) = re.findall(rf"^ *\| {beginning} \|(.*)\|$", TEXT, re.MULTILINE)
    return [cell.strip() for cell in line.split("|")]


def changes(questions: int, *, better: float, worse: float) -> list[float]:
    """Differences of a right-or-wrong measure."""
    ups, downs = round(questions * better), round(questions * worse)
    return [1.0] * ups + [-1.0] * downs + [0.0] * (questions - ups - downs)


def test_the_wins_that_are_needed() -> None:
    losses = map(int, row("turned worse"))

    assert row("must turn better") == [str(fewest_wins(losses=count)) for count in losses]
    assert f"(p = {mcnemar(wins=6, losses=0):.3f})" in TEXT
    assert f"(p = {mcnemar(wins=5, losses=0):.3f})" in TEXT


@pytest.mark.parametrize("questions", [24, 30, 100, 200, 1000])
def test_the_smallest_difference_that_shows(questions: int) -> None:
    one_way = detectable(changes(questions, better=0.2, worse=0.0))
    both_ways = detectable(changes(questions, better=0.1, worse=0.1))

    assert row(f"{questions:,}") == [f"{value:.2f}" for value in (one_way, both_ways) if value is not None]


@pytest.mark.parametrize(("found", "of"), [(19, 24), (160, 200)])
def test_the_interval_of_one_mean(found: int, of: int) -> None:
    interval = mean_interval([1.0] * found + [0.0] * (of - found))

    assert interval is not None
    words = " ".join(TEXT.split())
    assert re.search(rf"{found} of {of} [^.]*\.\d\d.*? from? ?{interval[0]:.2f} to {interval[1]:.2f}", words)
