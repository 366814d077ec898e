import time
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import LazySettings, settings
from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.test import Client

from costs.models import Alert, AlertDelivery
from costs.tests.factories import make_channel
from rag import clock, tasks_queue
from rag.api.throttles import ReadThrottle
from rag.metrics_page import hurried, page
from rag.models import ApiKey, IngestJob
from rag.tests.factories import OutageFactory
from rag.tests.scraped import total

pytestmark = pytest.mark.django_db
NOWHERE = "redis://127.0.0.1:9/0"
PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"


def with_key(*scopes: str, corpora: tuple[str, ...] = ()) -> Client:
    key = ApiKey(name="prometheus", scopes=list(scopes), corpora=list(corpora))
    full_key = key.make_secret()
    key.save()
    return Client(headers={"Authorization": f"Bearer {full_key}"})


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (PROMETHEUS, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_it_is_told_to_a_key_with_its_scope_in_the_format_that_is_wanted(accept: str, content_type: str) -> None:
    response = with_key("metrics").get("/metrics", headers={"Accept": accept})

    assert (response.status_code, response["Content-Type"]) == (200, content_type)
    assert "no-store" in response["Cache-Control"]
    assert b"ragsite_build_info{" in response.content


@pytest.mark.parametrize("scopes", [("ask", "read", "costs", "prompts"), ()])
def test_other_scopes_do_not_open_it(scopes: tuple[str, ...]) -> None:
    response = with_key(*scopes).get("/metrics", headers={"Accept": PROMETHEUS})

    assert (response.status_code, response["Content-Type"]) == (403, "application/problem+json")


def test_strangers_are_told_to_bring_a_key() -> None:
    response = Client().get("/metrics", headers={"Accept": "text/plain"})

    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


def test_a_key_for_some_corpora_is_not_told_of_the_whole_service() -> None:
    response = with_key("metrics", corpora=("handbook",)).get("/metrics")

    assert response.status_code == 403
    assert "without corpora" in response.json()["detail"]


def test_staff_who_see_outages_see_it(alice: User) -> None:
    client = Client()
    client.force_login(alice)

    assert client.get("/metrics").status_code == 200


def test_the_allowance_of_reading_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReadThrottle, "THROTTLE_RATES", {"read": "1/min"})
    client = with_key("metrics")

    assert [client.get("/metrics").status_code for _ in range(2)] == [200, 429]


def test_it_tells_what_stands_in_the_rows() -> None:
    OutageFactory.create(provider="cohere", ended_at=None)
    for state in ("queued", "queued", "running", "done"):
        IngestJob.objects.create(corpus_slug="handbook", state=state)
    alert = Alert.objects.create(kind="test", key=uuid4().hex, severity="info", message="-", at=clock.now())
    for name, state in (("one", "waiting"), ("two", "failed"), ("three", "sent")):
        channel = make_channel("http://127.0.0.1:9/hook", name=name)
        AlertDelivery.objects.create(alert=alert, channel=channel, state=state, next_try_at=clock.now())

    told = page("")[0].decode()

    outages = [total("ragsite_outage_open", told, provider=name) for name in ("cohere", "voyage")]
    assert outages == [1, 0]
    assert [total("ragsite_ingest_jobs", told, state=state) for state in ("queued", "running", "done")] == [2, 1, 0]
    assert [total("ragsite_alert_deliveries", told, state=state) for state in ("waiting", "failed", "sent")] == [
        1,
        1,
        0,
    ]
    assert total("ragsite_scrape_failed", told) == 0


def test_it_tells_how_many_tasks_wait() -> None:
    before = total("ragsite_queue_messages", queue=settings.INGEST_QUEUE)
    others = total("ragsite_queue_messages", queue=settings.CELERY_TASK_DEFAULT_QUEUE)

    assert tasks_queue.send("rag.tasks.resume_ingests")

    assert total("ragsite_queue_messages", queue=settings.INGEST_QUEUE) == before + 1
    assert total("ragsite_queue_messages", queue=settings.CELERY_TASK_DEFAULT_QUEUE) == others


def test_a_part_that_cannot_be_had_is_named_and_the_others_come(settings: LazySettings) -> None:
    settings.REDIS_URL = NOWHERE
    client = with_key("metrics")

    response = client.get("/metrics")

    told = response.content.decode()
    assert response.status_code == 200
    assert [total("ragsite_scrape_failed", told, part=part) for part in ("queues", "rows", "build")] == [1, 0, 0]
    assert "ragsite_queue_messages{" not in told
    assert "ragsite_outage_open{" in told


def test_files_that_cannot_be_read_cost_the_counts_alone(settings: LazySettings, tmp_path: Path) -> None:
    settings.METRICS_DIR = tmp_path
    (tmp_path / "counter_1.db").write_bytes(b"torn")

    told = page("")[0].decode()

    assert total("ragsite_scrape_failed", told, part="counts") == 1
    assert "ragsite_build_info{" in told


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no statement that waits")
def test_a_query_that_takes_long_is_cut() -> None:
    began = time.monotonic()

    with pytest.raises(DatabaseError), hurried(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(20)")

    assert time.monotonic() - began < 10


def test_a_folder_that_is_not_there_yet_is_an_empty_one(settings: LazySettings, tmp_path: Path) -> None:
    settings.METRICS_DIR = tmp_path / "nothing"

    told = page("")[0].decode()

    assert total("ragsite_scrape_failed", told) == 0
    assert "ragsite_asks_total" not in told
