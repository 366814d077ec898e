"""What is written about metrics names series that there are; and several processes are counted as one."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml
from django.conf import settings

from rag.ingest import IngestReport
from rag.metrics import COUNTED
from rag.metrics_page import Page
from rag.models import ApiKey
from rag.tests.scraped import total
from rag.tests.serving import database_url, web_process
from rag.tests.small_world import HELD
from rag.tests.test_metrics_page import PROMETHEUS
from ragsite.management.commands.up import forget_counts
from ragsite.tests.proxied import behind_nginx

RULES = Path(settings.BASE_DIR) / "deploy" / "prometheus" / "ragsite-alerts.yaml"
DOCS = Path(settings.BASE_DIR) / "docs" / "watching.md"
SERIES = re.compile(r"\bragsite_[a-z_]+\b")
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",), "info": ("_info",)}


def families() -> dict[str, str]:
    """Name -> type of all that is ever shown, whether there is something to count or not."""
    described = [family for metric in COUNTED for family in metric.describe()]
    return {family.name: family.type for family in (*described, *Page().collect())}


def known() -> set[str]:
    return {name + suffix for name, kind in families().items() for suffix in SUFFIXES[kind]}


def test_alerts_ask_for_series_and_labels_that_there_are(db: None) -> None:
    (group,) = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    labels = {label for metric in COUNTED for label in metric._labelnames}
    labels |= {label for family in Page().collect() for sample in family.samples for label in sample.labels}

    for rule in group["rules"]:
        assert (
            {"alert", "expr", "labels", "annotations"}
            <= rule.keys()
            <= {"alert", "expr", "labels", "annotations", "for"}
        )
        asked = set(SERIES.findall(rule["expr"]))
        assert asked <= known(), rule["alert"]
        assert asked or rule["expr"] == 'up{job="ragsite"} == 0'
        wanted = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)\s*\"", rule["expr"])) - {"job"}
        grouped = re.findall(r"by \(([^)]*)\)", rule["expr"])
        wanted |= {each.strip() for names in grouped for each in names.split(",")} - {"le"}
        assert wanted <= labels, rule["alert"]


def test_the_documented_table_lists_every_series_with_its_type_and_labels(db: None) -> None:
    rows = re.findall(r"^\| `(ragsite_\w+)` \| (\w+): ([^|]+) \|", DOCS.read_text("utf-8"), re.MULTILINE)
    shown = {name: kind for name, kind, _ in rows}
    ends = {"counter": "_total", "info": "_info"}

    types = {name + ends.get(kind, ""): "gauge" if kind == "info" else kind for name, kind in families().items()}
    assert shown == types
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, _, labels in rows}
    counted = {family.name: set(metric._labelnames) for metric in COUNTED for family in metric.describe()}
    for name, labels in counted.items():
        assert documented[name + ends.get(families()[name], "")] == labels


def test_every_series_that_the_documentation_names_is_there(db: None) -> None:
    assert set(SERIES.findall(DOCS.read_text("utf-8"))) <= known() | families().keys()


def test_the_page_is_small_before_anything_happened(db: None) -> None:
    assert {
        "ragsite_build",
        "ragsite_outage_open",
        "ragsite_queue_messages",
        "ragsite_scrape_failed",
    } <= families().keys()


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_processes_of_a_host_are_counted_as_one(corpus: IngestReport, bobs_key: str, tmp_path: Path) -> None:
    full_key = key_of_prometheus()
    more = {"DATA_DIR": str(tmp_path / "data"), "METRICS_DIR": str(tmp_path / "metrics")}
    with web_process(tmp_path / "web.log", more=more | {"WEB_PROCESSES": "2"}) as (url, _):
        body = {"question": HELD, "corpus": "handbook", "module": "m3-hybrid"}
        for _ in range(4):
            reply = httpx.post(f"{url}/api/ask", json=body, headers={"Authorization": f"Bearer {bobs_key}"}, timeout=60)
            assert reply.status_code == 200, reply.text
        subprocess.run(
            [sys.executable, "manage.py", "ask", HELD, "--corpus", "handbook", "--module", "m3-hybrid"],
            env={**os.environ, **more, "DATABASE_URL": database_url(), "TRACE_DIR": str(settings.TRACE_DIR)},
            cwd=settings.BASE_DIR,
            check=True,
            capture_output=True,
            timeout=60,
        )
        pages = [
            httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {full_key}"}, timeout=30).text
            for _ in range(4)
        ]

    assert [total("ragsite_asks_total", page, status="200") for page in pages] == [5] * 4
    assert [total("ragsite_trace_failures_total", page) for page in pages] == [0] * 4
    assert len(list((tmp_path / "metrics").glob("counter_*.db"))) >= 2


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_prometheus_reads_it_through_nginx_and_the_service_logs_json(tmp_path: Path) -> None:
    full_key = key_of_prometheus()
    (tmp_path / "static").mkdir()
    with (
        behind_nginx(tmp_path, static_root=tmp_path / "static", sub_path="/ragsite") as site,
        site.client(Accept=PROMETHEUS) as stranger,
        site.client(Accept=PROMETHEUS, Authorization=f"Bearer {full_key}") as prometheus,
    ):
        refused, given = stranger.get("/metrics"), prometheus.get("/metrics")

    assert (refused.status_code, given.status_code) == (401, 200)
    assert given.headers["Content-Type"].startswith("application/openmetrics-text")
    records = [json.loads(line) for line in (tmp_path / "web.log").read_text().splitlines()]
    assert {"gunicorn.error", "django.request"} <= {record["logger"] for record in records}


def key_of_prometheus() -> str:
    key = ApiKey(name="prometheus", scopes=["metrics"])
    full_key = key.make_secret()
    key.save()
    return full_key


def test_the_supervisor_begins_with_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "counter_1.db").touch()
    (tmp_path / "something else").touch()

    forget_counts(tmp_path)
    forget_counts(tmp_path / "not there yet")

    assert [path.name for path in tmp_path.iterdir()] == ["something else"]


def test_each_data_folder_has_counts_of_its_own(tmp_path: Path) -> None:
    """A process that inherits the environment of another keeps to its own DATA_DIR."""
    asked = (
        "import django, json, os; django.setup()\n"
        "from prometheus_client import values\n"
        "print(json.dumps([os.environ['PROMETHEUS_MULTIPROC_DIR'], values.ValueClass._multiprocess]))"
    )
    env = {**os.environ, "DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "ragsite.settings"}

    done = subprocess.run(
        [sys.executable, "-c", asked], env=env, cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )

    folder, multiprocess = json.loads(done.stdout)
    assert Path(folder).is_relative_to(tmp_path / "run" / "metrics")
    assert multiprocess
