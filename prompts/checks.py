"""System checks of the database: what keeps prompt versions unchanged stands, and no text differs from its hash."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from prompts import guards
from prompts.models import PromptVersion
from prompts.texts import content_hash

GUARDED_SINCE = ("prompts", "0004_guards")


@register(Tags.database)
def check_versions(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[Any]:
    """Runs with `manage.py check --database default` and before every migration."""
    if not databases or GUARDED_SINCE not in MigrationRecorder(connection).applied_migrations():
        return []
    return [*fallen_guards(), *altered_texts()]


def fallen_guards() -> Iterator[CheckMessage]:
    if names := guards.missing():
        hint = 'Find out who dropped them, then: manage.py shell -c "from prompts import guards; guards.put_up()"'
        message = f"Prompts can be changed without a trace: the database lacks the triggers {', '.join(names)}."
        yield Error(message, hint=hint, id="prompts.E001")


def altered_texts() -> Iterator[CheckMessage]:
    rows = PromptVersion.objects.values_list("prompt__name", "number", "instructions", "examples", "content_hash")
    for name, number, instructions, examples, stored in rows.order_by("prompt__name", "number").iterator():
        if content_hash(instructions=instructions, examples=examples) != stored:
            message = f"{name} v{number} is not the text that was saved: its content hash is another one."
            yield Error(
                message, hint="Restore it from a backup, or activate a version that is whole.", id="prompts.E002"
            )
