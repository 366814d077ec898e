"""System check of the database: what keeps the record of changes stands."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from ragsite import audit_guards

GUARDED_SINCE = ("ragsite", "0002_audit_guards")


@register(Tags.database)
def check_record(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Runs with `manage.py check --database default` and before every migration."""
    if not databases or GUARDED_SINCE not in MigrationRecorder(connection).applied_migrations():
        return []
    names = audit_guards.missing()
    if not names:
        return []
    hint = (
        'Find out who dropped them, then: manage.py shell -c "from ragsite import audit_guards; audit_guards.put_up()"'
    )
    message = f"The record of changes can be altered: the database lacks the triggers {', '.join(names)}."
    return [Error(message, hint=hint, id="ragsite.E020")]
