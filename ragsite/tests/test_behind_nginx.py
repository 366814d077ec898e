"""End to end, as customers meet it: TLS, nginx, gunicorn, every page, the stream, uploads, a sub-path, and people who lie."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.urls import URLPattern, URLResolver, get_resolver

from rag.api.errors import nothing_here
from rag.ingest import IngestReport
from rag.models import IngestJob
from rag.tests.small_world import HELD, break_provider, trace_lines
from rag.tests.test_streams import events_of
from ragsite.tests.proxied import NAME, SERVICE, UPLOAD_MB, Proxied, behind_nginx, signed_in, token_in

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
SUB_PATHS = ["", "/tools/ragsite"]
MIB = 1024 * 1024
LINK = re.compile(r"""(?:href|src|action)=["'](/[^"'#]*)""")
EVERYWHERE = {200, 302, 403, 405}
"""shown; to a better address; not for a browser; not by GET"""

NOT_THERE_YET = {"/verify/certificate.pem"}
"""what is made only once somebody issues an artifact"""


@pytest.fixture(scope="session")
def static_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `collectstatic` gathers for a deployment."""
    folder = tmp_path_factory.mktemp("static")
    environment = SERVICE | {"STATIC_ROOT": str(folder), "DATA_DIR": str(settings.DATA_DIR), "ENV_FILE": ""}
    command = [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"]
    subprocess.run(command, cwd=settings.BASE_DIR, env=environment, check=True)
    return folder


@pytest.fixture(params=SUB_PATHS, ids=["own name", "sub-path"])
def sub_path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(corpus: IngestReport, static_root: Path, sub_path: str, tmp_path: Path) -> Iterator[Proxied]:
    with behind_nginx(tmp_path, static_root=static_root, sub_path=sub_path) as proxied:
        yield proxied


@pytest.fixture
def plain_site(corpus: IngestReport, static_root: Path, tmp_path: Path) -> Iterator[Proxied]:
    """With a name of its own, for what a sub-path does not change."""
    with behind_nginx(tmp_path, static_root=static_root, BAD_KEY_RATE="2/min") as proxied:
        yield proxied


@pytest.fixture
def alice(alice: User) -> User:
    """As the web process knows passwords: the tests' own hasher is not among those of the site."""
    alice.password = PBKDF2PasswordHasher().encode("alice", "salt-of-alice-in-this-test")
    alice.save()
    return alice


def addresses(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    """Every address of the site that takes no arguments."""
    for pattern in patterns:
        address = before + re.sub(r"\\Z|[\^$]", "", str(pattern.pattern))
        if "<" in address or "(" in address or getattr(pattern, "callback", None) is nothing_here:
            continue
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, address)
        else:
            yield "/" + address


def test_every_page_and_all_that_it_loads_comes_through(site: Proxied, sub_path: str, alice: User) -> None:
    """Every link stays below the site's path, and every style sheet, script and image is there."""
    loaded: set[str] = set()
    with signed_in(site) as browser:
        pages = [each for each in sorted(set(addresses(get_resolver().url_patterns))) if "logout" not in each]
        for page in pages:
            reply = browser.get(page)
            expected = {404} if page in NOT_THERE_YET else EVERYWHERE
            assert reply.status_code in expected, (page, reply.status_code, reply.text[:300])
            assert reply.headers["Strict-Transport-Security"]
            if reply.headers.get("Content-Type", "").startswith("text/html"):
                links = LINK.findall(reply.text)
                assert [link for link in links if not link.startswith(f"{sub_path}/")] == [], page
                loaded |= {link for link in links if "/static/" in link}
        missing = [link for link in sorted(loaded) if browser.get(link.removeprefix(sub_path)).status_code != 200]

    assert len(pages) > 30
    assert len(loaded) > 15
    assert missing == []


def test_a_question_is_answered_and_traced_page_and_all(
    site: Proxied, sub_path: str, alice: User, bobs_key: str
) -> None:
    with site.client(Authorization=f"Bearer {bobs_key}") as client:
        reply = client.post("/api/ask", json={"question": HELD, "corpus": "handbook"})
        body = reply.json()
        trace = client.get(f"/api/traces/{body['trace_id']}")
    with signed_in(site) as browser:
        page = browser.get("/admin/rag/tracesummary/")

    assert (reply.status_code, body["answered"], trace.status_code) == (200, True, 200)
    assert f"{sub_path}/admin/rag/tracesummary/" in page.text


def test_the_first_piece_of_a_stream_arrives_before_the_answer_is_done(
    site: Proxied, providers: str, bobs_key: str
) -> None:
    """An answer is traced before its last event is sent; nothing was traced when the first piece came."""
    break_provider(providers, "anthropic.messages", kind="drip", interval_ms=250, match="<source id=")
    asked = {"question": HELD, "corpus": "handbook", "module": "m3-hybrid", "stream": True}
    seen: list[tuple[str, int]] = []
    with (
        site.client(Authorization=f"Bearer {bobs_key}", **{"Accept-Encoding": "gzip"}) as client,
        client.stream("POST", "/api/ask", json=asked) as reply,
    ):
        for name, _ in events_of(reply.iter_lines()):
            seen.append((name, len(trace_lines())))

    names = [name for name, _ in seen]
    assert (reply.status_code, names[0], names[-1]) == (200, "meta", "done")
    assert "Content-Encoding" not in reply.headers
    assert seen[names.index("delta")] == ("delta", 0)
    assert seen[-1] == ("done", 1)


def test_plain_http_is_sent_to_https(plain_site: Proxied) -> None:
    reply = httpx.get(f"{plain_site.http_url}/api/corpora?x=1", headers={"Host": NAME})

    assert reply.status_code == 301
    assert reply.headers["Location"] == f"https://{plain_site.host}/api/corpora?x=1"


def test_past_the_proxy_without_tls_nothing_is_served(plain_site: Proxied) -> None:
    reply = httpx.get(f"{plain_site.web_url}/admin/login/", headers={"Host": NAME})

    assert (reply.status_code, reply.headers["Location"]) == (301, f"https://{NAME}/admin/login/")


def test_a_stranger_s_name_for_the_site_is_refused(plain_site: Proxied) -> None:
    with plain_site.client(Host="evil.example.com") as client:
        assert client.get("/admin/login/").status_code == 400


def guess(client: httpx.Client, **headers: str) -> httpx.Response:
    key = f"Bearer rk_00000000_{'x' * 43}"
    return client.post("/api/ask", json={"question": "?"}, headers={"Authorization": key} | headers)


def test_who_guesses_keys_is_throttled_whatever_address_he_claims(plain_site: Proxied) -> None:
    """Two guesses a minute are allowed to an address (BAD_KEY_RATE)."""
    claims: list[dict[str, str]] = [
        {"X-Forwarded-For": "198.51.100.1"},
        {"X-Forwarded-For": "198.51.100.2, 127.0.0.1", "X-Real-IP": "198.51.100.2"},
        {"X-Forwarded-For": "198.51.100.3", "Forwarded": "for=198.51.100.3"},
    ]
    with plain_site.client() as client:
        replies = [guess(client, **claim) for claim in claims]

    assert [reply.status_code for reply in replies] == [401, 401, 429]


def test_behind_an_outer_proxy_clients_are_told_apart_by_its_word(
    corpus: IngestReport, static_root: Path, tmp_path: Path
) -> None:
    """The outer proxy is this machine here; what stands left of its entry was written by the client."""
    with (
        behind_nginx(tmp_path, static_root=static_root, outer_proxies=("127.0.0.1",), BAD_KEY_RATE="1/min") as proxied,
        proxied.client() as client,
    ):
        seen = [
            guess(client, **{"X-Forwarded-For": f"{spoofed}, {true}"}).status_code
            for spoofed, true in [
                ("198.51.100.1", "192.0.2.7"),
                ("198.51.100.2", "192.0.2.7"),
                ("198.51.100.1", "192.0.2.8"),
            ]
        ]

    assert seen == [401, 429, 401]


def test_a_body_that_is_too_large_is_refused_in_the_words_of_the_api(site: Proxied, bobs_key: str) -> None:
    with site.client(Authorization=f"Bearer {bobs_key}") as client:
        reply = client.post("/api/ask", content=b"x" * (MIB + 1), headers={"Content-Type": "application/json"})

    assert (reply.status_code, reply.headers["Content-Type"]) == (413, "application/problem+json")
    assert reply.json()["code"] == "too_large"


def upload(browser: httpx.Client, site: Proxied, size: int) -> httpx.Response:
    token = token_in(browser.get("/admin/rag/ingestjob/add/"))
    form: dict[str, Any] = {"csrfmiddlewaretoken": token, "corpus_slug": "notes", "chunkers": ["structural", "fixed"]}
    words = b"The garage closes at ten. " * (size // 26 + 1)
    return browser.post(
        "/admin/rag/ingestjob/add/",
        data=form,
        files={"uploads": ("notes.txt", words[:size], "text/plain")},
        headers={"Referer": f"{site.address}/admin/rag/ingestjob/add/"},
    )


def test_uploads_come_through_up_to_the_limit_and_no_further(site: Proxied, sub_path: str, alice: User) -> None:
    with signed_in(site) as browser:
        taken = upload(browser, site, UPLOAD_MB * MIB - 1000)
        refused = upload(browser, site, (UPLOAD_MB + 2) * MIB)

    assert taken.status_code == 302, taken.text[:2000]
    assert IngestJob.objects.filter(corpus_slug="notes").count() == 1
    assert refused.status_code == 413


def test_static_files_come_from_nginx_compressed_and_to_be_kept(site: Proxied, sub_path: str, alice: User) -> None:
    with signed_in(site) as browser:
        sheet = re.search(r'href="([^"]*/static/ask\.[0-9a-f]{12}\.css)"', browser.get("/").text)
        assert sheet is not None
        reply = browser.get(sheet.group(1).removeprefix(sub_path), headers={"Accept-Encoding": "gzip"})

    assert reply.headers["Server"].startswith("nginx")
    assert (reply.headers["Content-Type"], reply.headers["Content-Encoding"]) == ("text/css", "gzip")
    assert "max-age=31536000" in reply.headers["Cache-Control"]
    assert "immutable" in reply.headers["Cache-Control"]
