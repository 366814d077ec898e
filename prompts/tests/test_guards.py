"""The database itself keeps versions and activations as they are, whoever asks it to change them and how."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.models import F

from prompts import guards
from prompts.checks import check_versions
from prompts.models import Activation, Prompt, PromptVersion
from prompts.publishing import activate, bump
from prompts.texts import content_hash

pytestmark = pytest.mark.django_db

VERSIONS: models.QuerySet = models.QuerySet(PromptVersion)  # Django's own, without our refusals
ACTIVATIONS: models.QuerySet = models.QuerySet(Activation)


def rows() -> list[tuple]:
    """Everything that may not change."""
    tables = (VERSIONS.values_list(), ACTIVATIONS.values_list(), Prompt.objects.values_list("id", "name"))
    return [row for table in tables for row in table.order_by("id")]


@contextmanager
def refused() -> Iterator[None]:
    """The database says no, in words, and everything is as it was."""
    before = rows()
    with pytest.raises(IntegrityError, match="never goes away|stays on record"), transaction.atomic():
        yield
    assert rows() == before


def overwrite(table: models.QuerySet, **values: str) -> None:
    """An upsert over the first row."""
    row = table.order_by("id")[0]
    vars(row).update(values)
    table.bulk_create([row], update_conflicts=True, update_fields=list(values), unique_fields=["id"])


def bulk_update(table: models.QuerySet, **values: str) -> None:
    row = table.order_by("id")[0]
    vars(row).update(values)
    table.bulk_update([row], list(values))


BY_THE_ORM: dict[str, Callable[[], object]] = {
    "update of a version": lambda: VERSIONS.update(instructions="another"),
    "update of one column": lambda: VERSIONS.filter(number=1).update(number=F("number") + 1),
    "update of a time": lambda: VERSIONS.update(created_at=F("created_at")),
    "bulk_update": lambda: bulk_update(VERSIONS.all(), note="another"),
    "upsert": lambda: overwrite(VERSIONS.all(), instructions="another"),
    "save_base": lambda: models.Model.save_base(PromptVersion.objects.all()[0], raw=True),
    "delete": lambda: VERSIONS.filter(pk=bump_hyde().pk).delete(),
    "raw delete": lambda: VERSIONS.all()._raw_delete("default"),
    "delete of one": lambda: models.Model.delete(bump_hyde()),
    "update of activations": lambda: Activation.objects.update(why="another"),
    "bulk_update of activations": lambda: bulk_update(ACTIVATIONS.all(), why="another"),
    "upsert of activations": lambda: overwrite(ACTIVATIONS.all(), why="another"),
    "delete of activations": lambda: Activation.objects.all().delete(),
    "a prompt under another name": lambda: Prompt.objects.filter(name="hyde").update(name="hide"),
    "raw delete of prompts": lambda: Prompt.objects.all()._raw_delete("default"),
}
SQL = (
    "UPDATE prompts_promptversion SET instructions = 'another'",
    "UPDATE prompts_promptversion SET number = 7 WHERE number = 1",
    "DELETE FROM prompts_promptversion",
    "UPDATE prompts_activation SET version_id = previous_id",
    "DELETE FROM prompts_activation WHERE id = (SELECT MAX(id) FROM prompts_activation)",
    "UPDATE prompts_prompt SET name = name || 's'",
    "UPDATE prompts_prompt SET id = id + 1000",
    "DELETE FROM prompts_prompt",
    "INSERT INTO prompts_activation SELECT * FROM prompts_activation WHERE true ON CONFLICT (id) DO UPDATE SET why = 'x'",
)
POSTGRESQL = (
    "TRUNCATE prompts_activation",
    "TRUNCATE prompts_promptversion, prompts_activation",
    "TRUNCATE prompts_prompt CASCADE",
    "TRUNCATE auth_user CASCADE",
    "SET LOCAL session_replication_role = replica; DELETE FROM prompts_activation",
    "WITH gone AS (DELETE FROM prompts_activation RETURNING id) SELECT * FROM gone",
    "MERGE INTO prompts_activation a USING prompts_prompt p ON p.id = a.prompt_id WHEN MATCHED THEN UPDATE SET why = 'x'",
)
SQLITE = (
    "INSERT OR REPLACE INTO prompts_promptversion SELECT * FROM prompts_promptversion",
    "REPLACE INTO prompts_activation SELECT * FROM prompts_activation",
    "REPLACE INTO prompts_prompt (id, name, purpose) VALUES (1, 'other', '')",
    "REPLACE INTO prompts_prompt (name, purpose) VALUES ('answer', '')",
    "REPLACE INTO prompts_promptversion (prompt_id, number, instructions, examples, note, created_at, content_hash)"
    " SELECT prompt_id, number, 'another', '', 'x', created_at, '' FROM prompts_promptversion",
    "UPDATE OR REPLACE prompts_prompt SET id = 1 WHERE name = 'hyde'",
    "UPDATE OR IGNORE prompts_promptversion SET note = 'x'",
)


def bump_hyde() -> PromptVersion:
    """A version that never answered and never was active."""
    prompt = Prompt.objects.get(name="hyde")
    return bump(prompt=prompt, instructions="x", examples="", note="draft", author=None).version


@pytest.mark.parametrize("attempt", BY_THE_ORM)
def test_the_orm_cannot(attempt: str) -> None:
    with refused():
        BY_THE_ORM[attempt]()


@pytest.mark.parametrize("statement", SQL)
def test_sql_cannot(statement: str) -> None:
    with refused(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_nor_can_what_only_this_database_has() -> None:
    for statement in POSTGRESQL if connection.vendor == "postgresql" else SQLITE:
        with refused(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_nor_can_flush() -> None:
    before = rows()

    with pytest.raises(CommandError, match="couldn't be flushed"), transaction.atomic():
        call_command("flush", interactive=False)

    assert rows() == before


def test_an_author_cannot_be_deleted_from_under_a_version(alice: User) -> None:
    version = bump_hyde()
    activate(version=version, who=alice, why="test")

    with pytest.raises(models.ProtectedError):
        alice.delete()


def test_what_a_prompt_is_for_may_be_worded_better() -> None:
    Prompt.objects.filter(name="hyde").update(purpose="Imagines a passage.")

    assert Prompt.objects.get(name="hyde").purpose == "Imagines a passage."


def test_a_number_is_given_once() -> None:
    version = bump_hyde()
    twin = PromptVersion(prompt=version.prompt, number=version.number, instructions="y", note="twin")

    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save()


def test_every_text_is_the_one_that_its_hash_was_made_from() -> None:
    bump_hyde()

    for row in PromptVersion.objects.all():
        assert row.content_hash == content_hash(instructions=row.instructions, examples=row.examples)


def test_the_check_is_content_with_a_database_as_it_should_be() -> None:
    assert check_versions(None, databases=["default"]) == []


def test_the_check_looks_into_no_database_unasked(django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        assert check_versions(None) == []


def test_the_check_names_triggers_that_are_gone() -> None:
    with connection.cursor() as cursor:
        on = " ON prompts_activation" if connection.vendor == "postgresql" else ""
        cursor.execute(f"DROP TRIGGER prompts_activation_undeleted{on}")

    (message,) = check_versions(None, databases=["default"])

    assert (message.id, "prompts_activation_undeleted" in message.msg) == ("prompts.E001", True)
    guards.put_up()
    assert check_versions(None, databases=["default"]) == []


def test_the_check_names_triggers_that_are_switched_off() -> None:
    if connection.vendor != "postgresql":
        return  # only PostgreSQL can switch one off
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE prompts_promptversion DISABLE TRIGGER prompts_promptversion_unchanged")

    assert guards.missing() == ["prompts_promptversion_unchanged"]


def test_the_check_names_texts_that_were_altered_all_the_same() -> None:
    guards.take_down()
    VERSIONS.filter(prompt__name="hyde").update(instructions="another")
    guards.put_up()

    (message,) = check_versions(None, databases=["default"])

    assert (message.id, "hyde v1" in message.msg) == ("prompts.E002", True)
