"""Rows of several tables: written as the ORM would, all or none."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError

from rag.models import Forgetting, TraceSummary
from ragsite.inserting import insert

pytestmark = pytest.mark.django_db
WHEN = datetime(2026, 11, 22, 20, 30, 1, 250_000, tzinfo=UTC)


def summary(trace_id: str) -> TraceSummary:
    return TraceSummary(
        trace_id=trace_id,
        timestamp=WHEN,
        kind="ask",
        status=200,
        query="100 % of 'what' ${1} \\ ?",
        answered=None,
        degraded=["rerank_skipped"],
        tokens_in=40_000,
        cost_usd=Decimal("0.01234567"),
        total_ms=12.25,
    )


def test_what_is_written_is_what_the_orm_writes() -> None:
    insert([summary("a"), summary("b")], [Forgetting(at=WHEN, what="key 7", lines=3)])
    summary("c").save()

    def told(trace_id: str) -> dict[str, object]:
        row = TraceSummary.objects.filter(trace_id=trace_id).values().get()
        return {name: value for name, value in row.items() if name not in ("id", "trace_id")}

    assert told("a") == told("b") == told("c")
    assert Forgetting.objects.get().lines == 3


@pytest.mark.django_db(transaction=True)
def test_all_or_none() -> None:
    insert([summary("a")])

    with pytest.raises(IntegrityError):
        insert([Forgetting(at=WHEN, what="key 7", lines=3)], [summary("b"), summary("a")])

    assert (TraceSummary.objects.count(), Forgetting.objects.count()) == (1, 0)


def test_nothing_is_no_statement(django_assert_num_queries: Callable[[int], AbstractContextManager[object]]) -> None:
    with django_assert_num_queries(0):
        insert([], [])
