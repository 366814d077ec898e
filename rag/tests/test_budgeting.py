"""Hard limits as a client meets them: 402, and what is kept is still given."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from costs.budgets import sync
from costs.models import Budget, BudgetWindow, Reservation
from costs.tests.factories import ledger_total, make_budget, spend
from rag import budgeting, clock, wiring
from rag.errors import BudgetExceeded
from rag.ingest import IngestReport
from rag.tests.small_world import HELD, asked, break_provider, line_of
from rag.values import Question

pytestmark = pytest.mark.django_db
BODY = {"question": HELD, "corpus": "handbook", "module": "m6-production"}


def post(client: APIClient, **more: Any) -> Any:
    return client.post("/api/ask", BODY | more, format="json")


def spend_all() -> None:
    """Of a hard limit of 5.00."""
    make_budget()
    spend("5.00", at=clock.now())


def test_a_question_beyond_the_limit_is_refused_with_the_time_of_the_next_window(
    corpus: IngestReport, bob: APIClient
) -> None:
    spend_all()

    response = post(bob)

    told = response.json()
    tomorrow = timezone.localdate() + timedelta(days=1)
    assert (response.status_code, told["code"]) == (402, "budget_exceeded")
    assert datetime.fromisoformat(told["resets_at"]).date() == tomorrow
    assert line_of(told["trace_id"])["status"] == 402
    assert line_of(told["trace_id"])["attempts"] == []


def test_an_answer_that_is_kept_is_still_given(corpus: IngestReport, bob: APIClient) -> None:
    first = post(bob).json()
    spend_all()

    again = post(bob)

    assert again.status_code == 200
    assert again.json()["cache"]["answer"] == "hit"
    assert again.json()["answer"] == first["answer"]
    assert post(bob, question="How are train tickets booked?").status_code == 402


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.usefixtures("short_connections")
def test_a_stream_is_refused_likewise(corpus: IngestReport, bob: APIClient) -> None:
    spend_all()

    response: Any = post(bob, stream=True)
    events = b"".join(response.streaming_content).decode().strip().split("\n\n")

    name, _, data = events[-1].partition("\ndata: ")
    told = json.loads(data)
    assert (name, told["code"], told["status"], told["partial"]) == ("event: error", "budget_exceeded", 402, False)
    assert "resets_at" in told


def test_a_follow_up_is_refused_and_its_session_stays_usable(corpus: IngestReport, bob: APIClient) -> None:
    session = post(bob, session=True).json()["session_id"]
    spend_all()

    assert post(bob, session_id=session, question="And sickness?").json()["code"] == "budget_exceeded"
    Budget.objects.update(limit_usd=10)
    assert post(bob, session_id=session, question="And sickness?").status_code == 200


def test_what_a_question_did_cost_takes_the_place_of_what_it_reserved(corpus: IngestReport) -> None:
    make_budget()

    trace = asked().trace

    window = BudgetWindow.objects.get()
    assert trace.cost_usd is not None and trace.cost_usd > 0
    assert window.reserved_usd == 0
    assert window.spent_usd == sync(window.pk, clock.now()).spent_usd
    assert not Reservation.objects.exists()


def test_a_question_that_fails_gives_back_what_it_did_not_spend(
    corpus: IngestReport, bob: APIClient, providers: str
) -> None:
    make_budget()
    break_provider(providers, "anthropic.messages", kind="status", status=401)

    response = post(bob, module="m3-hybrid")

    assert response.status_code == 503
    assert not Reservation.objects.exists()
    assert BudgetWindow.objects.get().reserved_usd == 0


def test_no_answer_costs_more_than_was_reserved_for_it(corpus: IngestReport) -> None:
    for module in ("m1-baseline", "m3-hybrid", "m4-transform", "m6-production"):
        for transform in ("simple", "hyde", "multi_query", "decompose"):
            wired = wiring.parts_for(Question(HELD, "handbook", module, transform=transform))
            trace = asked(module=module, transform=transform, anew=True).trace
            assert trace.cost_usd is not None
            assert trace.cost_usd <= budgeting.dearest(wired, None)


def test_without_a_hard_limit_nothing_is_asked_about_budgets(corpus: IngestReport) -> None:
    make_budget(hard=False)
    asked()

    with connection.execute_wrapper(no_budgets):
        asked("How are train tickets booked?")


def no_budgets(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """Only the stamp may name the table of budgets."""
    assert "costs_reservation" not in sql and "costs_budgetwindow" not in sql
    assert "costs_budget" not in sql or "active_version_id" in sql
    return execute(sql, params, many, context)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_fifty_real_questions_at_once_stay_within_the_limit(corpus: IngestReport) -> None:
    wired = wiring.parts_for(Question(HELD, "handbook", "m3-hybrid"))
    limit = budgeting.dearest(wired, None) * Decimal("5.5")
    make_budget(limit_usd=(limit + ledger_total()).quantize(Decimal("0.0001")))

    def ask_one(number: int) -> bool:
        try:
            asked(f"{HELD} ({number})")
        except BudgetExceeded:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(50) as pool:
        answered = sum(pool.map(ask_one, range(50)))

    window = sync(BudgetWindow.objects.get().pk, clock.now())
    assert answered >= 5
    assert window.spent_usd <= window.budget.limit_usd
    assert window.reserved_usd == 0
