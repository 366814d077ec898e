"""The database itself keeps artifacts, revocations and certificates, whoever asks it to change them and how."""

from collections.abc import Callable
from functools import partial

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from completion import guards
from completion.checks import check_guards
from completion.issuing import revoke
from completion.models import Artifact, Revocation, SigningCertificate

pytestmark = pytest.mark.django_db
ROWS: list[models.QuerySet] = [
    models.QuerySet(model) for model in (Artifact, Revocation, SigningCertificate)
]  # Django's own, without our refusals
SQL = (
    "UPDATE completion_artifact SET name = 'Mallory'",
    "UPDATE completion_artifact SET manifest = '{}'",
    "UPDATE completion_artifact SET issued_by_id = NULL",
    "DELETE FROM completion_artifact",
    "UPDATE completion_revocation SET reason = 'a mistake'",
    "DELETE FROM completion_revocation",
    "UPDATE completion_signingcertificate SET pem = ''",
    "DELETE FROM completion_signingcertificate",
)
POSTGRESQL = (
    "TRUNCATE completion_revocation",
    "TRUNCATE completion_artifact CASCADE",
    "SET LOCAL session_replication_role = replica; DELETE FROM completion_revocation",
)
SQLITE = (
    "REPLACE INTO completion_revocation SELECT * FROM completion_revocation",
    "REPLACE INTO completion_artifact SELECT * FROM completion_artifact",
    "UPDATE OR IGNORE completion_artifact SET name = 'Mallory'",
)


@pytest.fixture
def revoked(artifact: Artifact) -> Artifact:
    revoke(artifact=artifact, why="wrong person", who=None, now=timezone.now())
    connection.check_constraints()  # TRUNCATE is refused while the test's own rows wait for it
    return artifact


def contents() -> list[tuple]:
    return [row for rows in ROWS for row in rows.order_by("pk").values_list()]


def refuses(attempt: Callable[[], object]) -> None:
    before = contents()
    with pytest.raises(IntegrityError, match="never goes away"), transaction.atomic():
        attempt()
    assert contents() == before


def test_no_statement_changes_or_deletes_them(revoked: Artifact) -> None:
    for statement in (*SQL, *(POSTGRESQL if connection.vendor == "postgresql" else SQLITE)):
        with connection.cursor() as cursor:
            refuses(partial(cursor.execute, statement))


def test_nor_does_the_orm_by_its_back_doors(revoked: Artifact) -> None:
    artifacts = ROWS[0]
    for attempt in (
        lambda: artifacts.update(name="Mallory"),
        lambda: artifacts.bulk_update([revoked], ["name"]),
        lambda: models.Model.save_base(revoked, raw=True),
        lambda: ROWS[1].all()._raw_delete("default"),
    ):
        refuses(attempt)


def test_a_missing_trigger_is_an_error_of_the_system_check() -> None:
    assert check_guards(None, databases=["default"]) == []

    guards.take_down()

    (error,) = check_guards(None, databases=["default"])
    assert error.id == "completion.E001"
    assert "completion_artifact_unchanged" in error.msg


@pytest.mark.django_db(transaction=True)
def test_the_migration_puts_them_up_and_takes_them_down() -> None:
    call_command("migrate", "completion", "0001", verbosity=0)
    assert len(guards.missing()) == len(SQL) + 1

    call_command("migrate", "completion", verbosity=0)
    assert guards.missing() == []
