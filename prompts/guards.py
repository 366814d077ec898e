"""The triggers that keep versions and activations as they were written, by whatever way a statement reaches the table.

A SQLite migration that rebuilds one of these tables drops its triggers without a word: it has to call `put_up` afterwards.
"""

from dataclasses import dataclass

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper


@dataclass(frozen=True, slots=True)
class Guarded:
    """A table without deletions, where no column of `fixed` changes (none given: no column at all)."""

    table: str
    says: str
    keys: tuple[tuple[str, ...], ...]
    """what a new row may not share with one that is there"""
    fixed: tuple[str, ...] = ()


TABLES = (
    Guarded(
        "prompts_promptversion",
        "a prompt version never changes and never goes away: bump the prompt instead",
        keys=(("id",), ("prompt_id", "number")),
    ),
    Guarded(
        "prompts_activation",
        "an activation never changes and never goes away: activate again instead",
        keys=(("id",),),
    ),
    Guarded(
        "prompts_prompt",
        "a prompt keeps its name and never goes away: the pipelines ask for it by name",
        keys=(("id",), ("name",)),
        fixed=("id", "name"),
    ),
)
REFUSE = """
    CREATE FUNCTION prompts_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'restrict_violation'; END $$
"""
STANDING = {
    "postgresql": """
        SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE NOT tgisinternal AND tgenabled = 'A' AND pg_table_is_visible(tgrelid)
    """,
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
}


def put_up(on: BaseDatabaseWrapper = connection) -> None:
    """Create the triggers; those that stand are made anew. Raises KeyError for a database that has none written for it."""
    take_down(on)
    triggers = TRIGGERS[on.vendor]
    with on.cursor() as cursor:
        if on.vendor == "postgresql":
            cursor.execute(REFUSE)
        for guarded in TABLES:
            for name, statement in triggers(guarded).items():
                cursor.execute(f"CREATE TRIGGER {name} {statement}")
                if on.vendor == "postgresql":  # also where triggers are off for everybody, as in a replica's session
                    cursor.execute(f"ALTER TABLE {guarded.table} ENABLE ALWAYS TRIGGER {name}")


def take_down(on: BaseDatabaseWrapper = connection) -> None:
    """Drop them: to undo the migration, and for tests that empty the tables. Nothing else calls this."""
    with on.cursor() as cursor:
        for guarded in TABLES:
            for name in TRIGGERS[on.vendor](guarded):
                where = f" ON {guarded.table}" if on.vendor == "postgresql" else ""
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}{where}")
        if on.vendor == "postgresql":
            cursor.execute("DROP FUNCTION IF EXISTS prompts_refuse()")


def missing(on: BaseDatabaseWrapper = connection) -> list[str]:
    """The names of the triggers that should stand and do not, or are switched off."""
    with on.cursor() as cursor:
        cursor.execute(STANDING[on.vendor])
        standing = {name for (name,) in cursor.fetchall()}
    return [name for guarded in TABLES for name in TRIGGERS[on.vendor](guarded) if name not in standing]


def on_postgresql(guarded: Guarded) -> dict[str, str]:
    """Trigger -> what it does. TRUNCATE is refused for the table as a whole, also when it cascades from another one."""
    table, refuse = guarded.table, f"EXECUTE FUNCTION prompts_refuse('{guarded.says}')"
    changed = only_if_changed(guarded, "IS DISTINCT FROM")
    return {
        f"{table}_unchanged": f"BEFORE UPDATE ON {table} FOR EACH ROW {changed} {refuse}",
        f"{table}_undeleted": f"BEFORE DELETE ON {table} FOR EACH ROW {refuse}",
        f"{table}_untruncated": f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}",
    }


def on_sqlite(guarded: Guarded) -> dict[str, str]:
    """Trigger -> what it does. INSERT OR REPLACE deletes without waking the delete trigger: the insert is looked at."""
    table, refuse = guarded.table, f"BEGIN SELECT RAISE(ABORT, '{guarded.says}'); END"
    same = " OR ".join(" AND ".join(f"{column} = NEW.{column}" for column in key) for key in guarded.keys)
    exists = f"EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608 - names from above
    return {
        f"{table}_unchanged": f"BEFORE UPDATE ON {table} {only_if_changed(guarded, 'IS NOT')} {refuse}",
        f"{table}_undeleted": f"BEFORE DELETE ON {table} {refuse}",
        f"{table}_unreplaced": f"BEFORE INSERT ON {table} WHEN {exists} {refuse}",
    }


def only_if_changed(guarded: Guarded, differs: str) -> str:
    changed = " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in guarded.fixed)
    return f"WHEN ({changed})" if changed else ""


TRIGGERS = {"postgresql": on_postgresql, "sqlite": on_sqlite}
