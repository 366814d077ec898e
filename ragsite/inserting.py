"""INSERT for rows that every question writes: `bulk_create` composes its statement anew each time, here it is kept.

On PostgreSQL all rows of a question go as one statement, parameters apart from the text: nothing has to be parsed here, and no
transaction needs round trips of its own.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.models import Field, Model

AS_THEY_ARE = frozenset(
    {
        "BigIntegerField",
        "BooleanField",
        "CharField",
        "DateTimeField",
        "DecimalField",
        "FloatField",
        "ForeignKey",
        "IntegerField",
        "PositiveIntegerField",
        "PositiveSmallIntegerField",
        "TextField",
    }
)
"""types of fields whose values PostgreSQL's driver takes as they stand in the row"""

Fields = tuple["Field[Any, Any]", ...]
Shape = tuple[tuple[type[Model], int], ...]
"""models, and how many rows of each"""


def insert(*groups: Sequence[Model]) -> None:
    """Write new rows as they stand, each group of one model: all or none. Nothing is read back. Raises IntegrityError."""
    given = [group for group in groups if group]
    if not given:
        return
    shape = tuple((type(group[0]), len(group)) for group in given)
    if connection.vendor == "postgresql":
        execute(in_one(shape), [value for group in given for row in group for value in plain_values(row)])
        return
    with transaction.atomic(), connection.cursor() as cursor:
        for (model, count), group in zip(shape, given, strict=True):
            values = [prepared(field, row) for row in group for field in fields_of(model)]
            cursor.execute(single(model, count), values)


def execute(statement: str, values: Sequence[Any]) -> None:
    """Like a cursor of Django's, which would write the values into the text."""
    from psycopg import RawCursor  # PostgreSQL's driver is not asked for where there is none

    database = connections[DEFAULT_DB_ALIAS]
    database.close_if_health_check_failed()
    database.ensure_connection()
    database.validate_thread_sharing()
    database.validate_no_broken_transaction()
    with database.wrap_database_errors, RawCursor(database.connection) as cursor:
        cursor.execute(statement.encode(), values)


def plain_values(row: Model) -> Iterator[Any]:
    values = row.__dict__
    return (values[name] if as_it_is else prepared(field, row) for field, name, as_it_is in columns_of(type(row)))


@lru_cache(maxsize=64)
def columns_of(model: type[Model]) -> tuple[tuple["Field[Any, Any]", str, bool], ...]:
    return tuple((field, field.attname, field.get_internal_type() in AS_THEY_ARE) for field in fields_of(model))


def prepared(field: "Field[Any, Any]", row: Model) -> Any:
    return field.get_db_prep_save(getattr(row, field.attname), connection)


@lru_cache(maxsize=256)
def in_one(shape: Shape) -> str:
    """INSERTs of several tables as one statement, with places `$1`, `$2`, …"""
    inserts, number = [], 0
    for model, count in shape:
        width = len(fields_of(model))
        places = [f"${place}" for place in range(number + 1, number + count * width + 1)]
        rows = [", ".join(places[start : start + width]) for start in range(0, count * width, width)]
        inserts.append(f"{into(model)} VALUES {', '.join(f'({row})' for row in rows)}")
        number += count * width
    *firsts, last = inserts
    named = ", ".join(f"_{index} AS ({each})" for index, each in enumerate(firsts))
    return f"WITH {named} {last}" if named else last


@lru_cache(maxsize=64)
def single(model: type[Model], rows: int) -> str:
    places = ", ".join(["%s"] * len(fields_of(model)))
    return f"{into(model)} VALUES {', '.join([f'({places})'] * rows)}"


def into(model: type[Model]) -> str:
    quoted = connection.ops.quote_name
    columns = ", ".join(quoted(field.column or field.attname) for field in fields_of(model))
    return f"INSERT INTO {quoted(model._meta.db_table)} ({columns})"


@lru_cache(maxsize=64)
def fields_of(model: type[Model]) -> Fields:
    """The fields whose values an INSERT takes."""
    return tuple(field for field in model._meta.local_concrete_fields if field is not model._meta.auto_field)
