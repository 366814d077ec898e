"""The page that Prometheus reads: what all processes of this host have counted, and how things stand at this moment.

How things stand is read when the page is asked for, within hard limits of time. A part that cannot be had is left out, and the
page says so (`ragsite_scrape_failed`): a gap in one series must not be one in all.
"""

import logging
import os
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import django
import redis
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from costs.models import AlertDelivery
from rag.models import IngestJob, Outage

log = logging.getLogger(__name__)

REDIS_S = 0.5
"""to connect, and for the answer"""
QUERY = "SET LOCAL statement_timeout = '1s'"
LIVE_GAUGES = re.compile(r"gauge_live[a-z]+_(\d+)\.db")


def page(accept: str) -> tuple[bytes, str]:
    """The page and its content type, in the format that `accept` (the HTTP header) prefers."""
    registry = CollectorRegistry()
    registry.register(Page())
    encoder, content_type = choose_encoder(accept)
    return encoder(registry), content_type


class Page(Collector):
    def collect(self) -> Iterator[Metric]:
        failed = GaugeMetricFamily(
            "ragsite_scrape_failed", "1: this part of the page could not be had.", labels=["part"]
        )
        for part, read in PARTS.items():
            try:
                yield from list(read())
            except Exception:  # noqa: BLE001 - the other parts are still worth having
                log.exception("metrics of a part not had", extra={"part": part})
                failed.add_metric([part], 1)
            else:
                failed.add_metric([part], 0)
        yield failed


def counted() -> Iterable[Metric]:
    """What the processes have counted. A gauge counts as long as its process lives."""
    folder = Path(settings.METRICS_DIR)
    if not folder.is_dir():  # nothing was counted yet
        return []
    for name in os.listdir(folder):
        found = LIVE_GAUGES.fullmatch(name)
        if found and not runs(int(found.group(1))):
            with suppress(FileNotFoundError):  # another process makes the page, too
                mark_process_dead(int(found.group(1)), str(folder))
    return list(MultiProcessCollector(None, str(folder)).collect())


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's, and there
        return True
    return True


def build() -> Iterable[Metric]:
    told = InfoMetricFamily("ragsite_build", "What is running.")
    version = settings.SPECTACULAR_SETTINGS["VERSION"]
    told.add_metric([], {"version": str(version), "python": platform.python_version(), "django": django.get_version()})
    return [told]


def rows() -> Iterable[Metric]:
    """What several hosts see alike, from the database that they share."""
    with hurried():
        down = set(Outage.objects.filter(ended_at=None).values_list("provider", flat=True))
        jobs = by_state(IngestJob, (IngestJob.State.QUEUED, IngestJob.State.RUNNING))
        deliveries = by_state(AlertDelivery, (AlertDelivery.State.WAITING, AlertDelivery.State.FAILED))
    open_outages = {provider: int(provider in down) for provider in Outage.Provider.values}
    return [
        gauge("ragsite_outage_open", "1: the provider fails what is asked of it.", "provider", open_outages),
        gauge("ragsite_ingest_jobs", "Ingests asked for in the admin that are not done.", "state", jobs),
        gauge("ragsite_alert_deliveries", "Alerts that have not reached a channel.", "state", deliveries),
    ]


@contextmanager
def hurried() -> Iterator[None]:
    """No query takes longer than a second. On SQLite there is nobody to wait for: readers do not wait for writers."""
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(QUERY)
        yield


def by_state(model: type[IngestJob] | type[AlertDelivery], states: tuple[str, ...]) -> dict[str, int]:
    rows = model._default_manager.filter(state__in=states).values_list("state").annotate(Count("pk"))
    return dict.fromkeys(map(str, states), 0) | dict(rows)


def queues() -> Iterable[Metric]:
    names = (settings.CELERY_TASK_DEFAULT_QUEUE, settings.INGEST_QUEUE)
    waiting = in_redis(names) if settings.REDIS_URL else in_files(names)
    return [gauge("ragsite_queue_messages", "Tasks that no worker has taken yet.", "queue", waiting)]


def in_redis(names: tuple[str, ...]) -> Mapping[str, int]:
    with redis.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=REDIS_S, socket_timeout=REDIS_S, retry=None
    ) as broker:
        lengths = broker.pipeline(transaction=False)
        for name in names:
            lengths.llen(name)
        return dict(zip(names, lengths.execute(), strict=True))


def in_files(names: tuple[str, ...]) -> Mapping[str, int]:
    """In the folder of Celery's file transport, which writes one file a message."""
    folder = Path(settings.BROKER_DIR) / "queue"
    return {name: sum(1 for _ in folder.glob(f"*.{name}.msg")) for name in names}


def gauge(name: str, meaning: str, label: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    told = GaugeMetricFamily(name, meaning, labels=[label])
    for value, number in values.items():
        told.add_metric([value], number)
    return told


PARTS: Mapping[str, Callable[[], Iterable[Metric]]] = {
    "counts": counted,
    "build": build,
    "rows": rows,
    "queues": queues,
}
