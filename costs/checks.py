"""System checks of budgets and alerts, and of what keeps the ledger unchanged."""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from costs import guards

GUARDED_SINCE = ("costs", "0101_ledger_guards")


@register
def check_alerts(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    return [*networks(settings.ALERT_ALLOWED_NETWORKS), *period(settings.ALERT_EVERY_S)]


def networks(given: Sequence[str]) -> list[CheckMessage]:
    wrong = [network for network in given if not is_network(network)]
    hint = "Write networks like 10.1.2.0/24, separated by commas, without bits behind the prefix."
    return [Error(f"ALERT_ALLOWED_NETWORKS: {each!r} is no network.", hint=hint, id="costs.E001") for each in wrong]


def is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def period(seconds: float) -> list[CheckMessage]:
    if seconds > 0:
        return []
    return [Error("ALERT_EVERY_S must be above 0.", hint="60 is every minute.", id="costs.E002")]


@register(Tags.database)
def check_ledger(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Runs with `manage.py check --database default` and before every migration."""
    if not databases or GUARDED_SINCE not in MigrationRecorder(connection).applied_migrations():
        return []
    names = guards.missing()
    hint = 'Find out who dropped them, then: manage.py shell -c "from costs import guards; guards.put_up()"'
    message = f"The ledger can be changed without a trace: the database lacks the triggers {', '.join(names)}."
    return [Error(message, hint=hint, id="costs.E003")] if names else []
