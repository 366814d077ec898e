"""One row by one column, for what every request asks: the query and its converters are composed once, not each time."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model

Row = TypeVar("Row", bound=Model)
Converter = Callable[[Any], Any]


def look_up(model: type[Row], column: str, value: str | int) -> Row | None:
    """The row whose `column`, which is unique, has that value."""
    statement, names, converters = composed(model, column, connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(statement, [value])
        found = cursor.fetchone()
    if found is None:
        return None
    values = list(found)
    for place, convert in converters:
        values[place] = convert(values[place])
    return model.from_db(connection.alias, names, values)


@lru_cache(maxsize=16)
def composed(model: type[Model], column: str, vendor: str) -> tuple[str, list[str], tuple[tuple[int, Converter], ...]]:
    quoted, fields = connection.ops.quote_name, model._meta.concrete_fields
    columns = ", ".join(quoted(field.column or field.attname) for field in fields)
    statement = f"SELECT {columns} FROM {quoted(model._meta.db_table)} WHERE {quoted(column)} = %s"  # noqa: S608 - our names
    converters = []
    for place, field in enumerate(fields):
        expression = field.get_col(model._meta.db_table)
        for convert in (*connection.ops.get_db_converters(expression), *expression.get_db_converters(connection)):
            converters.append((place, bound(convert, expression)))
    return statement, [field.attname for field in fields], tuple(converters)


def bound(convert: Callable[[Any, Any, Any], Any], expression: Any) -> Converter:
    return lambda value: convert(value, expression, connection)
