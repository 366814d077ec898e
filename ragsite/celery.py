"""The Celery application: `celery -A ragsite.celery worker`."""

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ragsite.settings")

app = Celery("ragsite")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
if not settings.REDIS_URL:
    for folder in ("queue", "control"):  # the filesystem transport expects them to be there
        (settings.BROKER_DIR / folder).mkdir(parents=True, exist_ok=True)
