"""INSERT for rows that every question writes: `bulk_create` composes its statement anew each time, here it is kept."""

from collections.abc import Sequence
from functools import lru_cache

from django.db import connection
from django.db.models import Field, Model


def insert(rows: Sequence[Model]) -> None:
    """Write new rows of one model in one statement; their primary keys are not read back. Raises IntegrityError."""
    if not rows:
        return
    statement, fields = composed(type(rows[0]), len(rows))
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for row in rows for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


@lru_cache(maxsize=64)
def composed(model: type[Model], rows: int) -> tuple[str, tuple["Field[object, object]", ...]]:
    """The statement, and the fields whose values it takes, row by row."""
    fields = tuple(field for field in model._meta.local_concrete_fields if field is not model._meta.auto_field)
    quoted = connection.ops.quote_name
    columns = ", ".join(quoted(field.column or field.attname) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    table = quoted(model._meta.db_table)
    return f"INSERT INTO {table} ({columns}) VALUES {', '.join([f'({places})'] * rows)}", fields  # noqa: S608 - our own names
