"""System checks: what keeps artifacts unchanged stands, and where they say that they can be verified."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from completion import guards

GUARDED_SINCE = ("completion", "0002_guards")


@register
def check_settings(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.ARTIFACT_KEY_FILE and not Path(settings.ARTIFACT_KEY_FILE).is_file():
        message = f"ARTIFACT_KEY_FILE is {settings.ARTIFACT_KEY_FILE}, where no file is: no artifact can be issued."
        found.append(Warning(message, hint="Put the key there, or leave the variable empty.", id="completion.W001"))
    absent = [str(file) for file in settings.ARTIFACT_FONTS if not Path(file).is_file()]
    if absent:
        message = f"ARTIFACT_FONTS names files that are not there: {', '.join(absent)}."
        found.append(Warning(message, hint="Install the fonts, or take them out of the list.", id="completion.W002"))
    return found


@register(Tags.database)
def check_guards(app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **kwargs: Any) -> list[Any]:
    """Runs with `manage.py check --database default` and before every migration."""
    if not databases or GUARDED_SINCE not in MigrationRecorder(connection).applied_migrations():
        return []
    names = guards.missing()
    if not names:
        return []
    hint = 'Find out who dropped them, then: manage.py shell -c "from completion import guards; guards.put_up()"'
    message = f"Artifacts can be changed without a trace: the database lacks the triggers {', '.join(names)}."
    return [Error(message, hint=hint, id="completion.E001")]
