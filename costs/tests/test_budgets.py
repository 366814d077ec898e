"""Hard limits: reserved, settled, set right by the ledger, and never passed by many at once."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from costs import budgets
from costs.budgets import EXPIRES_AFTER, FRESH_FOR, LimitReached, Spender, settle, sync
from costs.models import Budget, BudgetWindow, Reservation
from costs.spend import spent
from costs.tests.factories import NOON, ledger_total, make_budget, spend
from costs.windows import window_of

pytestmark = pytest.mark.django_db
THREADS = 50
NOTHING = Decimal(0)


def reserve(
    usd: str, *, trace_id: str = "", key: int | None = None, corpus: str = "handbook", now: datetime = NOON
) -> None:
    spender = Spender(trace_id or uuid4().hex, key, corpus)
    budgets.reserve(spender=spender, estimate_usd=Decimal(usd), mode="simulated", now=now)


def window() -> BudgetWindow:
    return BudgetWindow.objects.get()


class TestAReservation:
    def test_is_refused_where_it_would_pass_the_limit(self):
        make_budget(limit_usd=Decimal(1))
        reserve("0.60")

        with pytest.raises(LimitReached) as refused:
            reserve("0.50")

        assert refused.value.resets_at == NOON.replace(hour=0) + timedelta(days=1)
        assert window().reserved_usd == Decimal("0.60")

    def test_may_fill_the_limit_exactly(self):
        make_budget(limit_usd=Decimal(1))

        for _ in range(10):
            reserve("0.10")

        with pytest.raises(LimitReached):
            reserve("0.00000001")

    def test_that_is_settled_makes_room_for_what_it_did_not_cost(self):
        make_budget(limit_usd=Decimal(1))
        reserve("0.60", trace_id="a")
        spend("0.10", trace_id="a")

        settle(trace_id="a", actual_usd=Decimal("0.10"))

        reserve("0.90")
        assert (window().spent_usd, window().reserved_usd) == (Decimal("0.10"), Decimal("0.90"))

    def test_is_settled_once(self):
        make_budget()
        reserve("0.60", trace_id="a")

        settle(trace_id="a", actual_usd=Decimal("0.10"))
        settle(trace_id="a", actual_usd=Decimal("0.10"))

        assert (window().spent_usd, window().reserved_usd) == (Decimal("0.10"), NOTHING)

    def test_of_a_process_that_died_expires(self):
        make_budget(limit_usd=Decimal(1))
        reserve("1.00")

        reserve("1.00", now=NOON + EXPIRES_AFTER + FRESH_FOR)

        assert Reservation.objects.count() == 1

    def test_is_made_in_every_window_or_in_none(self):
        make_budget()
        make_budget(scope="corpus", target="handbook", limit_usd=Decimal("0.10"))

        with pytest.raises(LimitReached):
            reserve("0.20")

        assert {each.reserved_units for each in BudgetWindow.objects.all()} == {0}

    @pytest.mark.parametrize(("scope", "target"), [("api_key", "8"), ("corpus", "other")])
    def test_is_not_held_up_by_a_limit_on_others(self, scope: str, target: str):
        make_budget(scope=scope, target=target, limit_usd=Decimal("0.01"))

        reserve("0.20", key=7)

    @pytest.mark.parametrize(("scope", "target"), [("api_key", "7"), ("corpus", "handbook"), ("service", "")])
    def test_is_held_up_by_a_limit_that_concerns_it(self, scope: str, target: str):
        make_budget(scope=scope, target=target, limit_usd=Decimal("0.01"))

        with pytest.raises(LimitReached):
            reserve("0.20", key=7)

    def test_meets_no_limit_that_only_warns_or_is_off(self):
        make_budget(limit_usd=Decimal("0.01"), hard=False)
        make_budget(period="month", limit_usd=Decimal("0.01"), active=False)

        reserve("0.20")

        assert not BudgetWindow.objects.exists()


class TestAWindow:
    def test_begins_with_what_the_ledger_knows_already(self):
        spend("4.95")
        make_budget()

        with pytest.raises(LimitReached):
            reserve("0.10")

    def test_counts_the_service_s_own_mode_alone(self):
        spend("100", provider_mode="live")
        make_budget()

        reserve("0.10")

        assert window().spent_usd == 0

    def test_learns_of_what_never_reserved_when_it_is_held_against_the_ledger(self):
        make_budget()
        reserve("0.10", trace_id="a")
        spend("1.00", kind="ingest")
        spend("0.07", trace_id="a")

        found = sync(window().pk, NOON)

        assert (found.spent_usd, found.reserved_usd) == (Decimal("1.00"), Decimal("0.10"))
        settle(trace_id="a", actual_usd=Decimal("0.07"))
        assert window().spent_usd == sync(window().pk, NOON).spent_usd == Decimal("1.07")

    def test_is_held_against_the_ledger_before_it_refuses(self):
        make_budget(limit_usd=Decimal(1))
        reserve("0.10", trace_id="a")
        settle(trace_id="a", actual_usd=Decimal("1.00"))  # which the ledger does not confirm

        reserve("0.50", now=NOON + FRESH_FOR + timedelta(seconds=1))

        assert window().spent_usd == 0

    def test_gives_way_to_the_next_one_at_midnight_of_the_zone(self, settings):
        settings.TIME_ZONE = "Europe/Berlin"
        make_budget(limit_usd=Decimal(1))
        reserve("1.00", now=NOON.replace(hour=22, minute=59))

        with pytest.raises(LimitReached):
            reserve("1.00", now=NOON.replace(hour=22, minute=59))
        reserve("1.00", now=NOON.replace(hour=23, minute=1))

        assert BudgetWindow.objects.count() == 2


class TestABudget:
    def test_counts_its_part_of_the_ledger(self):
        spend("1", api_key_id=7, corpus="handbook")
        spend("2", api_key_id=8, corpus="handbook")
        spend("4", corpus="other")
        spend(None)
        day = window_of(period="day", now=NOON, zone=ZoneInfo("UTC"))

        def counted(**fields: str) -> Decimal:
            return spent(budget=Budget(**fields), window=day, mode="simulated")

        assert counted(scope="service") == 7
        assert counted(scope="api_key", target="7") == 1
        assert counted(scope="corpus", target="handbook") == 3

    def test_of_the_settings_is_made_by_migrate_and_refuses_nothing(self):
        first = Budget.objects.get()

        assert (first.scope, first.period, first.limit_usd, first.hard) == ("service", "day", Decimal("5.00"), False)
        assert first.thresholds() == [50, 80, 100]

    @pytest.mark.parametrize("wrong", [{"limit_usd": 0}, {"target": "x"}, {"scope": "corpus"}])
    def test_that_makes_no_sense_is_refused_by_the_database(self, wrong: dict[str, object]):
        Budget.objects.all().delete()

        with pytest.raises(IntegrityError), transaction.atomic():
            Budget.objects.create(**({"limit_usd": 1} | wrong))


def ask_once(
    number: int,
    estimate: Decimal,
    actual: Decimal,
    *,
    gate: threading.Barrier,
    on_its_way: threading.Barrier | None = None,
) -> bool:
    """As a question does: reserve, spend, book, settle. False: it was refused."""
    trace_id = f"{number:032x}"
    gate.wait()
    try:
        try:
            budgets.reserve(
                spender=Spender(trace_id, None, "handbook"), estimate_usd=estimate, mode="simulated", now=timezone.now()
            )
        except LimitReached:
            return False
        if on_its_way is not None:
            on_its_way.wait()
        if random.random() < 0.3:
            sync(BudgetWindow.objects.get().pk, timezone.now())  # as beat does meanwhile
        spend(str(actual), at=timezone.now(), trace_id=trace_id)
        settle(trace_id=trace_id, actual_usd=actual)
        return True
    finally:
        connection.close()


def race(*, rounds: int, estimate: str, actual: str) -> tuple[Decimal, int]:
    """USD that were spent when 50 ask at once, again and again; and how many were answered."""
    gate = threading.Barrier(THREADS)

    def ask_often(thread: int) -> int:
        numbers = range(thread * rounds, (thread + 1) * rounds)
        amounts = Decimal(estimate), Decimal(actual)
        return sum(ask_once(number, *amounts, gate=gate) for number in numbers)

    with ThreadPoolExecutor(THREADS) as pool:
        answered = sum(pool.map(ask_often, range(THREADS)))
    return ledger_total(), answered


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
class TestFiftyAtOnce:
    def test_do_not_pass_five_dollars_together(self):
        make_budget()

        total, answered = race(rounds=3, estimate="0.23", actual="0.23")

        assert answered == 21
        assert total == Decimal("4.83")
        assert (window().spent_usd, window().reserved_usd) == (total, NOTHING)

    def test_that_cost_less_than_they_reserved_use_what_is_left(self):
        make_budget()

        race(rounds=2, estimate="0.20", actual="0.05")
        number, alone = 1_000, threading.Barrier(1)
        while ask_once(number, Decimal("0.20"), Decimal("0.05"), gate=alone):
            number += 1

        assert Decimal("4.80") < window().spent_usd <= Decimal("5.00")
        assert sync(window().pk, timezone.now()).spent_usd == window().spent_usd

    def test_that_cost_more_than_they_reserved_overshoot_by_the_difference_at_most(self):
        """The largest overshoot: all are on their way at once, and all cost more than they had reserved."""
        make_budget()
        all_reserved = threading.Barrier(THREADS)

        def overspend(thread: int) -> bool:
            return ask_once(thread, Decimal("0.10"), Decimal("0.25"), gate=all_reserved, on_its_way=all_reserved)

        with ThreadPoolExecutor(THREADS) as pool:
            assert all(pool.map(overspend, range(THREADS)))

        assert ledger_total() == Decimal("5.00") + THREADS * Decimal("0.15")
        with pytest.raises(LimitReached):
            reserve("0.01", now=timezone.now())

    def test_settle_and_set_right_end_at_the_truth(self):
        make_budget(limit_usd=Decimal(1000))
        make_budget(period="month", limit_usd=Decimal(1000), hard=False)

        total, answered = race(rounds=3, estimate="0.02", actual="0.01")

        assert answered == 150
        assert (window().spent_usd, window().reserved_usd) == (total, NOTHING)
