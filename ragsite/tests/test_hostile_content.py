"""What strangers, documents and models write is shown as text: on every page, in charts, in CSV and in the log."""

import csv
import io
import logging
from html.parser import HTMLParser

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client

from ragsite.access import routes, rules
from ragsite.headers import ADMIN, BY_PATH, STRICT, written
from ragsite.logs import LineFormatter
from ragsite.tests.whole_site import address_of, make_world

pytestmark = pytest.mark.django_db
MARK = "xss'\"`"
HOSTILE = f"=1+1</script></title></textarea>--><img src=x onerror=alert(1)><svg onload={MARK}>{{{{7*7}}}}${{7*7}}\n\r"
OWN_SCRIPTS = ("/static/", "/admin/jsi18n/", "/api/docs?script")


class Page(HTMLParser):
    """What a browser would run of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        handlers = [name for name in given if name.startswith("on")]
        links = [given.get(name) or "" for name in ("href", "src", "action", "formaction")]
        if handlers or any(link.strip().lower().startswith(("javascript:", "data:text")) for link in links):
            self.found.append(f"<{tag} {given}>")
        if tag == "script" and not self.allowed(given):
            self.found.append(f"<script {given}>")
        if tag in ("svg", "img") and given.get("src") == "x":
            self.found.append(f"<{tag} {given}>")

    def allowed(self, given: dict[str, str | None]) -> bool:
        data = given.get("type") == "application/json" or "popup-response" in (given.get("id") or "")
        return data or (given.get("src") or "").startswith(OWN_SCRIPTS) or is_data_carrier(given)


def is_data_carrier(given: dict[str, str | None]) -> bool:
    """Django's admin reads its constants from attributes of scripts without a text of their own."""
    return (given.get("id") or "").startswith("django-admin-") and (given.get("src") or "").startswith("/static/")


@pytest.fixture
def page(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def test_what_would_run_is_found() -> None:
    assert len(Page(HOSTILE).found) == 3
    assert Page("<a href='JavaScript:x'>x</a><script>x</script>").found != []
    assert Page("<script src='/static/ask.js'></script>").found == []


def test_no_page_runs_what_others_wrote(page: Client, alice: User) -> None:
    world = make_world(HOSTILE, by=alice)
    seen = 0
    for route in routes():
        if rules()[route.key].look is None:
            continue
        address = address_of(route, world)
        response = page.get(address)
        if response.status_code == 200 and "text/html" in response.headers["Content-Type"]:
            text = response.content.decode()
            assert Page(text).found == [], address
            seen += MARK in text or "xss&#x27;&quot;`" in text
    assert seen > 20, "the hostile text should be shown, as text"


def test_pages_with_a_choice_of_their_own_escape_it(page: Client, alice: User) -> None:
    make_world(by=alice)
    for address in (
        "/admin/rag/tracesummary/?q=",
        "/admin/costs?module=",
        "/admin/costs?first=",
        "/admin/login/?next=",
        "/api/docs?lang=",
        "/api/docs?script&lang=",
        "/admin/search/?s=",
    ):
        response = page.get(address + "%3C/script%3E%3Cscript%3Ealert(1)%3C/script%3E%22%27")
        assert "<script>alert(1)" not in response.content.decode(), address


def test_a_spreadsheet_runs_no_cell(page: Client, alice: User) -> None:
    make_world(HOSTILE, by=alice)
    for table in ("by_model", "by_key", "by_prompt_version", "by_query_type", "degraded", "outages"):
        response = page.get(f"/admin/costs?csv={table}&provider_mode=simulated")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        rows = list(csv.reader(io.StringIO(response.content.decode())))
        assert len(rows) > 1, table
        for cell in (cell for row in rows for cell in row):
            assert not cell.startswith(("=", "+", "@", "\t", "\r")), f"{table}: {cell}"


def test_a_log_line_cannot_be_forged(settings: LazySettings) -> None:
    forged = "x\n2026-11-22T00:00:00.000Z CRITICAL forged all is lost\r\x1b[31m\u2028y"
    record = logging.LogRecord("rag.ask", logging.INFO, "", 0, "asked: %s", (forged,), None)
    record.corpus = forged

    (line,) = LineFormatter().format(record).splitlines()

    assert "\\n2026-11-22T00:00:00.000Z CRITICAL" in line
    assert "\x1b" not in line


def test_nor_by_what_stands_in_an_exception() -> None:
    try:
        raise ValueError("x\n2026-11-22T00:00:00.000Z CRITICAL forged all is lost")
    except ValueError as error:
        record = logging.LogRecord("rag", logging.ERROR, "", 0, "failed", None, (ValueError, error, None))

    first, *others = LineFormatter().format(record).splitlines()

    assert first.endswith("failed")
    assert all(line.startswith("  ") for line in others)


def test_an_anonymous_question_reaches_no_page_at_all(client: Client) -> None:
    """What a stranger sends is refused, and not kept."""
    response = client.post("/api/ask", {"question": HOSTILE}, content_type="application/json")

    assert response.status_code == 401
    assert "alert(1)" not in response.content.decode()


@pytest.mark.parametrize(
    ("address", "policy"),
    [("/", STRICT), ("/admin/", ADMIN), ("/admin/login/", ADMIN), ("/progress/costs", STRICT), ("/healthz", STRICT)],
)
def test_pages_carry_the_policy_of_their_kind(page: Client, address: str, policy: dict[str, str]) -> None:
    assert page.get(address).headers["Content-Security-Policy"] == written(policy)


def test_no_policy_lets_in_other_hosts_or_inline_scripts() -> None:
    for _, policy in BY_PATH:
        sources = dict(part.split(" ", 1) for part in policy.split("; ") if part)
        scripts = sources.get("script-src", sources.get("default-src", ""))
        assert "unsafe-inline" not in scripts
        assert "http" not in policy
        assert "*" not in policy
    assert "unsafe" not in written(STRICT)


def test_every_answer_carries_the_other_headers(client: Client) -> None:
    for address in ("/admin/login/", "/api/ask", "/api/schema", "/healthz", "/nothing-here"):
        headers = client.get(address).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["X-Frame-Options"] == "DENY"
        assert "camera=()" in headers["Permissions-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_answers_of_the_api_are_not_kept_by_anybody(client: Client) -> None:
    assert client.get("/api/corpora").headers["Cache-Control"] == "no-store"


def test_pages_for_people_have_no_style_inside(page: Client, alice: User) -> None:
    """Their policy would not apply it."""
    make_world(by=alice)
    for address in ("/", "/progress/costs", "/progress/scoreboard"):
        text = page.get(address).content.decode()
        assert " style=" not in text, address
        assert "<style" not in text, address
