from decimal import Decimal

from evals.purse import Purse


def purse(budget: str | None, *, spent: str = "0", expected: str = "1") -> Purse:
    return Purse(budget=Decimal(budget) if budget else None, spent=Decimal(spent), expected=Decimal(expected))


def test_without_a_budget_nothing_is_refused() -> None:
    free = purse(None, spent="1000")

    assert free.reserve()
    assert not free.exhausted


def test_what_is_under_way_counts_as_spent() -> None:
    shared = purse("2.5")

    assert [shared.reserve() for _ in range(3)] == [True, True, False]
    assert shared.exhausted


def test_a_question_that_was_cheaper_than_expected_makes_room() -> None:
    shared = purse("2.5")
    shared.reserve()

    shared.settle(Decimal("0.1"))

    assert sum(shared.reserve() for _ in range(100)) == 24


def test_the_dearest_question_so_far_is_what_the_next_may_cost() -> None:
    shared = purse("10")
    for cost in ("1", "4", "1"):
        shared.reserve()
        shared.settle(Decimal(cost))

    assert shared.reserve()
    assert not shared.reserve()


def test_what_was_spent_before_counts() -> None:
    assert not purse("2", spent="1.5").reserve()
