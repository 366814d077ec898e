"""The Celery application: `celery -A ragsite.celery worker`."""

import os
from typing import Any

from celery import Celery
from celery.signals import celeryd_init
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ragsite.settings")
# Celery runs the system checks when it starts and throws away what they say; they would import every page of the site.
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")

app = Celery("ragsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
if not settings.REDIS_URL:
    for folder in ("queue", "control"):  # the filesystem transport expects them to be there
        (settings.BROKER_DIR / folder).mkdir(parents=True, exist_ok=True)


@celeryd_init.connect  # type: ignore[untyped-decorator]
def find_tasks(**kwargs: Any) -> None:
    """Workers alone import the tasks: beat sends them by their names."""
    app.autodiscover_tasks(force=True)
