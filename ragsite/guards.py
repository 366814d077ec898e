"""Triggers that keep rows of a table as they were written, by whatever way a statement reaches it.

Each room lists its tables as `Guards`. A SQLite migration that rebuilds one of them drops its triggers without a word: it has
to call `put_up` afterwards.
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


STANDING = {
    "postgresql": """
        SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE NOT tgisinternal AND tgenabled = 'A' AND pg_table_is_visible(tgrelid)
    """,
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
}


@dataclass(frozen=True, slots=True)
class Guards:
    """The guarded tables of one room. `refuse` is the name of the function that its triggers call on PostgreSQL."""

    refuse: str
    tables: tuple[Guarded, ...]

    def put_up(self, on: BaseDatabaseWrapper = connection) -> None:
        """Create the triggers; those that stand are made anew. Raises KeyError for a database that has none written for it."""
        self.take_down(on)
        with on.cursor() as cursor:
            if on.vendor == "postgresql":
                cursor.execute(
                    f"CREATE FUNCTION {self.refuse}() RETURNS trigger LANGUAGE plpgsql AS $$ "
                    "BEGIN RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'restrict_violation'; END $$"
                )
            for guarded in self.tables:
                for name, statement in self.triggers(guarded, on.vendor).items():
                    cursor.execute(f"CREATE TRIGGER {name} {statement}")
                    if (
                        on.vendor == "postgresql"
                    ):  # also where triggers are off for everybody, as in a replica's session
                        cursor.execute(f"ALTER TABLE {guarded.table} ENABLE ALWAYS TRIGGER {name}")

    def take_down(self, on: BaseDatabaseWrapper = connection) -> None:
        """Drop them: to undo the migration, and for tests that empty the tables. Nothing else calls this."""
        with on.cursor() as cursor:
            for guarded in self.tables:
                for name in self.triggers(guarded, on.vendor):
                    where = f" ON {guarded.table}" if on.vendor == "postgresql" else ""
                    cursor.execute(f"DROP TRIGGER IF EXISTS {name}{where}")
            if on.vendor == "postgresql":
                cursor.execute(f"DROP FUNCTION IF EXISTS {self.refuse}()")

    def missing(self, on: BaseDatabaseWrapper = connection) -> list[str]:
        """The names of the triggers that should stand and do not, or are switched off."""
        with on.cursor() as cursor:
            cursor.execute(STANDING[on.vendor])
            standing = {name for (name,) in cursor.fetchall()}
        return [name for each in self.tables for name in self.triggers(each, on.vendor) if name not in standing]

    def triggers(self, guarded: Guarded, vendor: str) -> dict[str, str]:
        """Trigger -> what it does. Raises KeyError for a database that has none written for it."""
        return {"postgresql": self._on_postgresql, "sqlite": self._on_sqlite}[vendor](guarded)

    def _on_postgresql(self, guarded: Guarded) -> dict[str, str]:
        """TRUNCATE is refused for the table as a whole, also when it cascades from another one."""
        table, refuse = guarded.table, f"EXECUTE FUNCTION {self.refuse}('{guarded.says}')"
        changed = only_if_changed(guarded, "IS DISTINCT FROM")
        return {
            f"{table}_unchanged": f"BEFORE UPDATE ON {table} FOR EACH ROW {changed} {refuse}",
            f"{table}_undeleted": f"BEFORE DELETE ON {table} FOR EACH ROW {refuse}",
            f"{table}_untruncated": f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}",
        }

    def _on_sqlite(self, guarded: Guarded) -> dict[str, str]:
        """INSERT OR REPLACE deletes without waking the delete trigger: the insert is looked at."""
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
