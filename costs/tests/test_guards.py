"""The database itself keeps the ledger as it is, whoever asks it to change it and how."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import IntegrityError, connection, models, transaction

from costs import guards
from costs.checks import check_ledger
from costs.models import LedgerEntry
from costs.recosting import recost
from costs.tests.test_recosting import RANGE, booked, corrected_price

pytestmark = pytest.mark.django_db

ENTRIES: models.QuerySet = models.QuerySet(LedgerEntry)  # Django's own, without our refusals
SQL = (
    "UPDATE costs_ledgerentry SET cost_usd = 0",
    "UPDATE costs_ledgerentry SET api_key_id = NULL WHERE kind = 'ask'",
    "DELETE FROM costs_ledgerentry",
    "DELETE FROM costs_ledgerentry WHERE kind = 'adjustment'",
)
POSTGRESQL = (
    "TRUNCATE costs_ledgerentry",
    "SET LOCAL session_replication_role = replica; DELETE FROM costs_ledgerentry",
)
SQLITE = (
    "INSERT OR REPLACE INTO costs_ledgerentry SELECT * FROM costs_ledgerentry",
    "UPDATE OR IGNORE costs_ledgerentry SET cost_usd = 0",
)


@contextmanager
def refused() -> Iterator[None]:
    booked()
    corrected_price("2")
    recost(**RANGE, dry_run=False)
    connection.check_constraints()  # PostgreSQL truncates no table for which checks are still due
    before = list(ENTRIES.order_by("pk").values())
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        yield
    assert list(ENTRIES.order_by("pk").values()) == before


BY_THE_ORM: dict[str, Callable[[], object]] = {
    "update": lambda: ENTRIES.update(cost_usd=0),
    "raw delete": lambda: ENTRIES.filter(kind="adjustment")._raw_delete("default"),
    "delete": lambda: ENTRIES.filter(kind="adjustment").delete(),
    "save_base": lambda: models.Model.save_base(ENTRIES.earliest("pk"), raw=True),
}


@pytest.mark.parametrize("attempt", BY_THE_ORM)
def test_the_orm_cannot(attempt: str) -> None:
    with refused():
        BY_THE_ORM[attempt]()


@pytest.mark.parametrize("statement", SQL)
def test_sql_cannot(statement: str) -> None:
    with refused(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("number", range(2))
def test_nor_can_what_only_this_database_has(number: int) -> None:
    statements = POSTGRESQL if connection.vendor == "postgresql" else SQLITE
    with refused(), connection.cursor() as cursor:
        cursor.execute(statements[number])


def test_replacing_by_the_key_of_a_call_cannot() -> None:
    if connection.vendor == "postgresql":
        return  # it has no such statement
    columns = ", ".join(field.attname for field in LedgerEntry._meta.fields if field.attname != "id")
    replace = f"REPLACE INTO costs_ledgerentry ({columns}) SELECT {columns} FROM costs_ledgerentry"  # noqa: S608
    with refused(), connection.cursor() as cursor:
        cursor.execute(replace)


def test_the_check_is_content_with_a_database_as_it_should_be() -> None:
    assert check_ledger(None, databases=["default"]) == []


def test_the_check_names_triggers_that_are_gone() -> None:
    guards.take_down()

    (message,) = check_ledger(None, databases=["default"])

    assert (message.id, "costs_ledgerentry_undeleted" in message.msg) == ("costs.E003", True)
    guards.put_up()
