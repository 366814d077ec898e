"""Hours from commits, by the rule that is printed beside them."""

import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion.hours import Commit, hours_of

HOUR = 3_600


def commit(at: int, *, patch: str = "", parents: int = 1, name: str = "Ada", email: str = "ada@example.com") -> Commit:
    """Every commit changes something of its own unless `patch` says what."""
    return Commit(f"{at:040}", parents, at, name, email, patch or f"patch of {at}")


def hours(*times: float) -> Decimal:
    return hours_of([commit(int(each * HOUR)) for each in times]).hours


def test_one_commit_counts_as_half_an_hour() -> None:
    assert hours(10) == Decimal("0.5")


def test_a_session_counts_from_half_an_hour_before_its_first_commit() -> None:
    assert hours(10, 11, 12.5) == Decimal("3.0")


def test_a_gap_of_two_hours_exactly_still_belongs_to_the_session() -> None:
    assert hours(10, 12) == Decimal("2.5")


def test_a_longer_gap_begins_a_new_session() -> None:
    found = hours_of([commit(10 * HOUR), commit(12 * HOUR + 1)])

    assert (found.hours, found.sessions) == (Decimal("1.0"), 2)


def test_no_commit_is_no_work() -> None:
    assert hours_of([]).seconds == 0
    assert hours_of([]).first_at is None


def test_merges_are_left_out() -> None:
    found = hours_of([commit(0), commit(HOUR, parents=2)])

    assert (found.commits, found.merges, found.hours) == (1, 1, Decimal("0.5"))


def test_of_equal_patches_the_one_that_was_authored_first_counts() -> None:
    found = hours_of([commit(9 * HOUR, patch="same"), commit(0, patch="same"), commit(HOUR)])

    assert (found.commits, found.duplicates, found.hours) == (2, 1, Decimal("1.5"))


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("dependabot[bot]", "49699333+dependabot[bot]@users.noreply.github.com"),
        ("renovate", "bot@renovateapp.com"),
        ("Release Bot", "release@example.com"),
        ("deploy-bot", "x@example.com"),
        ("Someone", "12345+github-actions@users.noreply.github.com"),
    ],
)
def test_bots_are_left_out(name: str, email: str) -> None:
    assert hours_of([commit(0, name=name, email=email)]).bots == 1


@pytest.mark.parametrize("name", ["Abbot", "Bob Talbot", "Botond", "Roberto"])
def test_people_whose_names_hold_the_letters_are_people(name: str) -> None:
    assert hours_of([commit(0, name=name)]).commits == 1


times = st.lists(st.integers(0, 40 * HOUR), max_size=40)


@given(times, st.randoms(use_true_random=False))
def test_the_order_of_the_commits_changes_nothing(moments: list[int], chance: random.Random) -> None:
    commits = [commit(at, patch=f"{number}") for number, at in enumerate(moments)]
    shuffled = chance.sample(commits, len(commits))

    assert hours_of(shuffled) == hours_of(commits)


@given(times)
def test_it_is_what_counting_the_seconds_one_by_one_says(moments: list[int]) -> None:
    """A second is worked when it lies between two commits of at most two hours apart; and 30 minutes for each beginning."""
    ordered = sorted(moments)
    steps = [later - earlier for earlier, later in zip(ordered, ordered[1:], strict=False)]
    slow = sum(step for step in steps if step <= 2 * HOUR) + 1_800 * (
        bool(ordered) + sum(step > 2 * HOUR for step in steps)
    )

    assert hours_of([commit(at, patch=f"{number}") for number, at in enumerate(moments)]).seconds == slow
