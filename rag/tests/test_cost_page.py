"""The cost page, for people and for programs."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Permission, User
from django.test import Client
from rest_framework.test import APIClient

from costs.tests.factories import spend
from rag import clock
from rag.charts import Series, stack
from rag.cost_links import links
from rag.cost_report import report
from rag.cost_tables import csv_of
from rag.models import TraceSummary
from rag.tests.factories import ApiKeyFactory, CorpusFactory, OutageFactory, StaffFactory, TraceSummaryFactory

pytestmark = pytest.mark.django_db
PAGES = ["/admin/costs", "/progress/costs"]
JSON = "/admin/costs.json"


@pytest.fixture
def page(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def staff(*permissions: str) -> User:
    user = StaffFactory.create()
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def asked(usd: str = "0.25", *, ago: timedelta = timedelta(0), **fields: Any) -> TraceSummary:
    """A question and its one call."""
    at = clock.now() - ago
    trace = TraceSummaryFactory.create(timestamp=at, total_ms=120, transform="hyde", **fields)
    spend(usd, at=at, trace_id=trace.trace_id, module=trace.module, corpus=trace.corpus)
    return trace


@pytest.mark.parametrize("url", PAGES)
def test_the_page_shows_the_sums_and_that_they_are_equal(page: Client, url: str) -> None:
    asked()
    asked("0.50", module="m1-baseline")

    text = text_of(page, url)

    assert text.count("$0.75000000") == 8
    assert "Every split adds up to the ledger." in text
    assert "simulated" in text and "(so far)" in text
    assert "claude-sonnet-4-6" in text and "hyde" in text and "m1-baseline" in text
    assert "http://" not in text.replace("http://www.w3.org", "")


@pytest.mark.parametrize("url", PAGES)
def test_every_chart_has_its_values_a_name_and_a_table_and_nothing_runs_inline(page: Client, url: str) -> None:
    asked(degraded=["rerank_skipped"], prompt_version="v1")
    asked(answer_cache="miss", tokens_in=10, cache_read=5)

    text = text_of(page, url)

    charts = re.findall(r'<canvas class="cost-chart" data-chart="([^"]+)" role="img" aria-label="([^"]+)"', text)
    assert len(charts) == 13
    for key, about in charts:
        assert f'<script id="{key}" type="application/json">' in text
        assert about.endswith("The figures are in the table that follows.")
        after = text[text.index(f'data-chart="{key}"') :]
        assert after.index("<table>") < after.find('<canvas class="cost-chart"', 1) % len(text)
    body = text[text.index('<div class="costs">') :]
    assert not re.search(r'<script(?! id="[^"]+" type="application/json")', body.split("</footer>")[0])
    assert not re.search(r"<[^>]+ (?:on[a-z]+|style)=", body.split("</footer>")[0])
    assert "unfold/js/chart/chart.js" in text and "costs.js" in text


@pytest.mark.parametrize("url", PAGES)
def test_a_page_without_rows_is_a_page(page: Client, url: str) -> None:
    assert "Every split adds up to the ledger." in text_of(page, url)


@pytest.mark.parametrize("url", PAGES)
def test_only_staff_who_may_see_the_ledger_see_it(client: Client, url: str) -> None:
    assert client.get(url).status_code == 302

    client.force_login(staff())
    assert client.get(url).status_code == 403

    client.force_login(staff("view_ledgerentry"))
    assert client.get(url).status_code == 200


def test_without_leave_to_see_traces_nothing_leads_there(client: Client) -> None:
    asked()
    client.force_login(staff("view_ledgerentry"))

    text = text_of(client, "/progress/costs")

    assert "/rag/tracesummary/?" not in text
    assert "/costs/ledgerentry/?" in text


def test_the_json_is_for_keys_with_the_scope_and_for_staff_with_the_permission(client: Client) -> None:
    asked()
    for scope, status in (("costs", 200), ("ask", 403)):
        key = ApiKeyFactory.build(scopes=[scope])
        secret = key.make_secret()
        key.owner = None
        key.save()
        api = APIClient()
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
        assert api.get(JSON).status_code == status

    assert client.get(JSON).status_code == 401
    client.force_login(staff())
    assert client.get(JSON).status_code == 403
    client.force_login(staff("view_ledgerentry"))
    body = client.get(JSON).json()
    assert (body["totals"]["spend_usd"], body["totals"]["questions"], len(body["daily"])) == (0.25, 1, 30)
    assert [day["partial"] for day in body["daily"]] == [False] * 29 + [True]
    assert {"by_model", "by_module", "by_query_type", "by_key", "cache", "latency_ms", "provider_mode"} <= body.keys()


def test_range_module_corpus_and_money_are_chosen(page: Client) -> None:
    CorpusFactory(slug="handbook")
    asked("1", module="m1-baseline", corpus="handbook", ago=timedelta(days=10))
    asked("2", corpus="handbook")

    def spent(query: str) -> float:
        return float(page.get(f"{JSON}?{query}").json()["totals"]["spend_usd"])

    day = (clock.now() - timedelta(days=10)).date()
    assert spent("days=7") == 2
    assert spent("days=30") == spent("corpus=handbook") == spent("kind=ask") == 3
    assert spent("module=m1-baseline") == 1
    assert spent(f"first={day}&last={day}") == 1
    assert spent("provider_mode=live") == spent("kind=ingest") == 0


@pytest.mark.parametrize("query", ["first=2026-02-30", "first=2026-02-02&last=2026-02-01", "days=8", "module=m9"])
def test_what_cannot_be_shown_is_told(page: Client, query: str) -> None:
    assert [page.get(f"{url}?{query}").status_code for url in (*PAGES, JSON)] == [400, 400, 400]


def test_at_most_a_year_at_once(page: Client) -> None:
    assert page.get(f"{JSON}?first=2024-01-01&last=2025-06-01").status_code == 400


def test_days_are_those_of_the_time_zone(page: Client, settings: LazySettings) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    spend("1", at=datetime(2026, 9, 26, 11, 59, tzinfo=UTC))
    spend("2", at=datetime(2026, 9, 26, 12, 0, tzinfo=UTC))  # the 27th there, the day with 23 hours

    body = page.get(f"{JSON}?first=2026-09-26&last=2026-09-28").json()

    assert [(day["date"], day["spend_usd"]) for day in body["daily"]] == [
        ("2026-09-26", 1.0),
        ("2026-09-27", 2.0),
        ("2026-09-28", 0.0),
    ]


SPENT = ["daily", "hourly", "by_model", "by_module", "by_query_type", "by_key", "by_prompt_version", "by_kind"]
COUNTED = ["latency", "latency_daily", "prompt_versions", "degraded", "degraded_daily", "by_status", "outages"]


@pytest.mark.parametrize("name", [*SPENT, *COUNTED])
def test_every_table_comes_as_csv(page: Client, name: str) -> None:
    asked(degraded=["rerank_skipped"], prompt_version="v1")
    OutageFactory.create()

    response = page.get(f"/admin/costs?days=2&csv={name}")

    assert response["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    assert rows
    if name in SPENT:
        assert sum(float(row["spend_usd"]) for row in rows) == 0.25
    assert page.get("/admin/costs?csv=secrets").status_code == 404


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_name_that_a_spreadsheet_would_run_is_defused(name: str) -> None:
    _, line = csv.reader(io.StringIO(csv_of([{"name": name, "spend_usd": -0.5}]), newline=""))

    assert line == [f"'{name}", "-0.5"]


def test_every_link_leads_to_the_traces_or_calls_behind_it(page: Client) -> None:
    mine, _ = asked(prompt_version="v3"), asked("1", ago=timedelta(days=3), module="m1-baseline")
    found = re.findall(r'href="(/admin/(?:rag/tracesummary|costs/ledgerentry)/\?[^"]+)"', text_of(page, "/admin/costs"))
    urls = {url.replace("&amp;", "&") for url in found}

    assert all(page.get(url).status_code == 200 for url in urls)
    of_today = urlencode({"timestamp__gte": f"{mine.timestamp:%Y-%m-%dT00:00:00+00:00}"})
    assert {listed(page, url) for url in urls if of_today in url} == {1}
    assert {listed(page, url) for url in urls if "module=m1-baseline" in url or "prompt_version=v3" in url} <= {1}
    assert {listed(page, url) for url in urls if "transform=hyde" in url or "kind=ask" in url} == {2}
    assert {listed(page, url) for url in urls if "ledgerentry" in url} == {2}


def listed(page: Client, url: str) -> int:
    return len(page.get(url).context["cl"].result_list)


def test_the_sidebar_leads_to_the_page(page: Client) -> None:
    assert 'href="/admin/costs"' in text_of(page, "/admin/")


def test_each_number_leads_to_as_many_traces(page: Client) -> None:
    fields: dict[str, Any]
    for fields in (
        {"answer_cache": "hit"},
        {"answer_cache": "miss", "degraded": ["rerank_skipped"]},
        {"degraded": ["rerank_skipped", "generation_timeout"]},
        {"prompt_version": "v2"},
        {"status": 402, "error": "budget_exceeded"},
    ):
        asked(**fields)
    told = report(clock.now().date(), clock.now().date(), "simulated")
    link = links(told, may_see_traces=True)

    def traces(row: dict[str, Any]) -> int:
        return listed(page, link(row))

    by_way = {row["answers"]: row for row in told["latency_daily"]}
    counted = {way: (row["count"], traces(row)) for way, row in by_way.items()}
    assert counted == {"hit": (1, 1), "degraded": (2, 2), "full": (1, 1)}
    for name, count in (("degraded", "answers"), ("degraded_daily", "answers"), ("by_status", "questions")):
        assert [traces(row) for row in told[name]] == [row[count] for row in told[name]], name
    assert [traces(row) for row in told["prompt_versions"]] == [1]
    assert traces(told["hourly"][-1]) == told["hourly"][-1]["questions"] == 5


def test_a_range_typed_into_the_list_is_of_the_time_zone(page: Client, settings: LazySettings) -> None:
    settings.TIME_ZONE = "Asia/Kathmandu"
    asked(ago=timedelta(days=40))
    TraceSummaryFactory.create(timestamp=datetime(2026, 3, 1, 18, 14, tzinfo=UTC))
    TraceSummaryFactory.create(timestamp=datetime(2026, 3, 1, 18, 15, tzinfo=UTC))  # midnight there
    typed = {"timestamp_from_0": "2026-03-02", "timestamp_from_1": "00:00", "timestamp_to_0": "2026-03-02"}

    assert listed(page, "/admin/rag/tracesummary/?" + urlencode(typed | {"timestamp_to_1": "23:59:59"})) == 1
    assert (
        listed(page, "/admin/costs/ledgerentry/?" + urlencode({"at_from_0": "2026-03-02", "at_from_1": "00:00"})) == 1
    )


def test_a_stack_has_nothing_where_a_day_has_none() -> None:
    rows = [{"date": "a", "how": "x", "n": 2}, {"date": "c", "how": "y", "n": 1}, {"date": "c", "how": "x", "n": 3}]

    assert stack(rows, ["a", "b", "c"], at="date", named="how", value="n") == [
        Series("x", [2, 0, 3]),
        Series("y", [0, 0, 1]),
    ]


def test_what_is_left_out_of_a_long_table_is_in_the_csv(page: Client) -> None:
    for n in range(40):
        asked(module="m6-production", prompt_version=f"v{n}")

    assert "9 more rows in the CSV." in text_of(page, "/admin/costs")
    rows = list(csv.DictReader(io.StringIO(text_of(page, "/admin/costs?csv=by_prompt_version"))))
    assert {row["prompt_version"] for row in rows} == {"none", *(f"v{n}" for n in range(40))}
