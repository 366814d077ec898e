import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient
from rest_framework.throttling import SimpleRateThrottle

from rag import clock
from rag.ask import LONGEST_QUESTION
from rag.ingest import IngestReport
from rag.models import ApiKey, TraceSummary
from rag.tests.small_world import (
    HELD,
    break_provider,
    entries_of,
    line_of,
    row_of,
    trace_lines,
    trace_paths,
)

ASK = {"question": HELD, "corpus": "handbook", "module": "m3-hybrid"}
ANSWER_KEYS = {
    "transform",
    "trace_id",
    "latencies_ms",
    "provider_mode",
    "answered",
    "prompt_version",
    "model",
    "corpus",
    "cache",
    "cost_usd",
    "avoided_usd",
    "corpus_version",
    "session_id",
    "turn",
    "module",
    "answer",
    "citations",
    "degraded",
    "sources",
}
PROBLEM_KEYS = {"type", "title", "status", "detail", "code", "trace_id"}


def client_of(**fields: Any) -> APIClient:
    """A client with a key of its own."""
    key = ApiKey(name="client", **{"scopes": ["ask", "read"], **fields})
    full_key = key.make_secret()
    key.save()
    return with_key(full_key)


def with_key(full_key: str) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {full_key}")
    return client


def post(client: Client, body: object = ASK, **headers: Any) -> Any:
    """POST /api/ask with a body of bytes, or of JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body)
    return client.post("/api/ask", content, content_type="application/json", **headers)


def problem(response: HttpResponse, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem document of a refused request, after looking at its shape."""
    assert response.status_code == status, response.content[:500]
    assert response.headers["Content-Type"].startswith("application/problem+json")
    body: dict[str, Any] = json.loads(response.content)
    assert set(body) >= PROBLEM_KEYS
    assert body["status"] == status
    assert code is None or body["code"] == code
    return body


def traced(body: dict[str, Any]) -> dict[str, Any]:
    """The line of a problem, which has its row too."""
    line = line_of(body["trace_id"])
    row = row_of(body["trace_id"])
    assert (line["status"], line["error"]["code"]) == (row.status, row.error) == (body["status"], body["code"])
    return line


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """The throttle rates, to be changed by a test."""
    changed = dict(SimpleRateThrottle.THROTTLE_RATES)
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", changed)
    return changed


class TestAnswer:
    def test_it_has_exactly_the_published_keys(self, bob: APIClient, corpus: IngestReport) -> None:
        body = post(bob).json()

        assert set(body) == ANSWER_KEYS
        assert set(body["cache"]) == {"answer", "prompt", "from"}
        assert {frozenset(source) for source in body["sources"]} == {
            frozenset({"id", "title", "heading", "url", "text", "score"})
        }

    def test_it_answers_with_citations_of_its_sources(self, bob: APIClient, corpus: IngestReport) -> None:
        body = post(bob).json()

        assert body["answered"] is True
        assert "five days" in body["answer"]
        assert set(body["citations"]) <= {source["id"] for source in body["sources"]}
        assert (body["module"], body["corpus"], body["corpus_version"]) == ("m3-hybrid", "handbook", "v1")

    def test_its_trace_is_the_callers(self, bob: APIClient, corpus: IngestReport) -> None:
        body = post(bob).json()

        key = ApiKey.objects.get()
        assert line_of(body["trace_id"])["api_key_id"] == row_of(body["trace_id"]).api_key_id == key.pk
        assert {entry.api_key_id for entry in entries_of(body["trace_id"])} == {key.pk}

    def test_the_short_name_of_a_module_is_enough(self, bob: APIClient, corpus: IngestReport) -> None:
        assert post(bob, ASK | {"module": "m3", "transform": "simple", "top_k": 1}).json()["module"] == "m3-hybrid"

    def test_left_out_fields_fall_back_to_the_settings(
        self, bob: APIClient, corpus: IngestReport, settings: Settings
    ) -> None:
        settings.DEFAULT_CORPUS, settings.DEFAULT_MODULE = "handbook", "m1-baseline"

        body = post(bob, {"question": HELD}).json()

        assert (body["corpus"], body["module"]) == ("handbook", "m1-baseline")


class TestCaller:
    @pytest.mark.parametrize("header", ["Bearer ", "Api-Key ", "bearer "])
    def test_a_key_may_come_under_either_scheme(self, header: str, bobs_key: str) -> None:
        response = APIClient().get("/api/corpora", HTTP_AUTHORIZATION=header + bobs_key)

        assert response.status_code == 200

    def test_a_missing_key_is_told_and_traced(self, db: None) -> None:
        response = post(APIClient())

        body = problem(response, 401, "unauthenticated")
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert traced(body)["query"] == ""

    @pytest.mark.parametrize(
        "header",
        ["Bearer", "Bearer rk_", "Bearer rk_00000000_" + "x" * 43, "Basic Ym9iOmJvYg==", "Bearer \x00\xff", "x" * 5000],
    )
    def test_a_garbage_key_is_told_and_traced(self, header: str, db: None) -> None:
        traced(problem(post(APIClient(), HTTP_AUTHORIZATION=header), 401, "unauthenticated"))

    def test_a_key_with_a_wrong_secret_is_refused(self, bobs_key: str) -> None:
        wrong = bobs_key[:-1] + ("A" if bobs_key[-1] != "A" else "B")

        traced(problem(post(with_key(wrong)), 401, "unauthenticated"))

    def test_an_expired_key_is_refused(self, db: None) -> None:
        body = problem(post(client_of(expires_at=clock.now() - timedelta(seconds=1))), 401)

        assert "expired" in body["detail"]
        traced(body)

    def test_a_revoked_key_is_refused(self, db: None) -> None:
        body = problem(post(client_of(revoked_at=clock.now() - timedelta(seconds=1))), 401)

        assert "revoked" in body["detail"]
        traced(body)

    def test_a_key_without_the_scope_may_not_ask(self, db: None) -> None:
        body = problem(post(client_of(scopes=["read"])), 403, "forbidden")

        assert "ask" in body["detail"]
        assert traced(body)["api_key_id"] is not None

    def test_a_key_without_the_scope_may_not_read(self, db: None) -> None:
        problem(client_of(scopes=["ask"]).get("/api/corpora"), 403, "forbidden")

    def test_staff_ask_by_session_with_a_csrf_token(self, alice: User, corpus: IngestReport) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(alice)
        token = client.get("/").cookies["csrftoken"].value

        response = post(client, HTTP_X_CSRFTOKEN=token)

        assert response.status_code == 200
        assert row_of(response.json()["trace_id"]).user_id == alice.pk

    def test_staff_without_a_csrf_token_are_refused(self, alice: User, providers: str) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(alice)

        body = problem(post(client), 403, "forbidden")

        assert "CSRF" in body["detail"]
        traced(body)

    def test_the_session_of_one_who_is_not_staff_is_nobodys(self, db: None) -> None:
        client = Client()
        client.force_login(User.objects.create_user("charlie"))

        assert traced(problem(post(client), 401, "unauthenticated"))["user_id"] is None

    def test_the_key_appears_nowhere_in_clear(
        self, bob: APIClient, bobs_key: str, corpus: IngestReport, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        secret = bobs_key.split("_", 2)[2]

        post(bob)
        post(with_key(bobs_key[:-1]))
        call_command("dumpdata", output=str(trace_paths()[0].parent / "everything.json"))

        written = [path.read_text("utf-8") for path in trace_paths()[0].parent.iterdir()]
        assert len(written) == 2
        assert not any(secret[:-1] in text for text in [*written, caplog.text])


class TestThrottle:
    def test_a_key_over_its_rate_is_told_when_to_come_back(
        self, bob: APIClient, corpus: IngestReport, rates: dict[str, str | None]
    ) -> None:
        rates["ask"] = "1/day"
        post(bob)

        response = post(bob)

        body = problem(response, 429, "throttled")
        assert 1 <= int(response.headers["Retry-After"]) <= 86_401
        assert traced(body)["api_key_id"] is not None

    def test_another_key_is_not_held_up(
        self, bob: APIClient, corpus: IngestReport, rates: dict[str, str | None]
    ) -> None:
        rates["ask"] = "1/day"
        post(bob)

        assert post(client_of()).status_code == 200

    def test_guessing_keys_is_limited_by_address(self, db: None, rates: dict[str, str | None]) -> None:
        rates["bad_key"] = "2/min"
        guesses = [post(with_key(f"rk_00000000_{'x' * 43}")) for _ in range(2)]

        response = post(with_key(f"rk_00000000_{'x' * 43}"), HTTP_X_FORWARDED_FOR="10.1.2.3")

        assert [guess.status_code for guess in guesses] == [401, 401]
        traced(problem(response, 429, "throttled"))
        assert int(response.headers["Retry-After"]) >= 1

    def test_guesses_at_another_address_do_not_hold_up_a_client(
        self, bob: APIClient, corpus: IngestReport, rates: dict[str, str | None]
    ) -> None:
        rates["bad_key"] = "1/min"
        post(with_key(f"rk_00000000_{'x' * 43}"), REMOTE_ADDR="10.1.2.3")

        assert post(bob).status_code == 200


class TestBadRequest:
    @pytest.mark.parametrize("question", ["?", "x" * LONGEST_QUESTION])
    def test_questions_of_1_to_2000_characters_are_taken(
        self, question: str, bob: APIClient, corpus: IngestReport
    ) -> None:
        assert post(bob, ASK | {"question": question}).status_code == 200

    @pytest.mark.parametrize(
        "question",
        [
            "",
            "   ",
            "\n\t",
            "x" * (LONGEST_QUESTION + 1),
            "bell\x07",
            "nul\0",
            "delete\x7f",
            "next\x85",
            "half \ud800 pair",
        ],
        ids=ascii,
    )
    def test_another_question_is_refused_and_traced(self, question: str, bob: APIClient) -> None:
        body = problem(post(bob, ASK | {"question": question}), 400, "bad_request")

        assert body["detail"].startswith("question")
        assert traced(body)["api_key_id"] is not None

    @pytest.mark.parametrize(
        "change",
        [
            {"question": None},
            {"question": ["a"]},
            {"question": {"a": 1}},
            {"question": True},
            {"corpus": None},
            {"corpus": ["handbook"]},
            {"corpus": "hand\0book"},
            {"corpus": "hand\ud800book"},
            {"module": {}},
            {"module": "m\0"},
            {"transform": "magic"},
            {"transform": None},
            {"top_k": 0},
            {"top_k": 21},
            {"top_k": -1},
            {"top_k": "many"},
            {"top_k": 1e400},
            {"top_k": [1]},
            {"temperature": 1},
            {"Question": "again"},
            {"x" * 10_000: 1},
            {"\0": 1},
            {"\ud800": 1},
        ],
        ids=lambda change: ascii(change)[:40],
    )
    def test_a_wrong_field_is_named_and_traced(self, change: dict[str, Any], bob: APIClient) -> None:
        body = problem(post(bob, ASK | change), 400, "bad_request")

        traced(body)

    def test_a_question_that_is_missing_is_named(self, bob: APIClient) -> None:
        body = problem(post(bob, {}), 400)

        assert body["errors"] == [{"field": "question", "message": "This field is required."}]

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"null",
            b"[]",
            b'"text"',
            b"1",
            b"{",
            b"question=x",
            b'{"question": "\xff\xfe"}',
            b'{"question": NaN}',
            b'{"question": "' + b"\xed\xa0\x80" + b'"}',
            b"[" * 100_000,
            b'{"top_k": ' + b"9" * 10_000 + b"}",
        ],
        ids=lambda content: ascii(content)[:30],
    )
    def test_a_body_that_is_no_json_object_is_refused_and_traced(self, content: bytes, bob: APIClient) -> None:
        bob.raise_request_exception = False

        traced(problem(post(bob, content), 400, "bad_request"))

    def test_a_huge_body_is_refused_unread(self, bob: APIClient) -> None:
        content = json.dumps(ASK | {"question": "x" * 2_000_000}).encode()

        traced(problem(post(bob, content), 413, "too_large"))

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
    )
    def test_another_content_type_is_refused_and_traced(self, content_type: str, bob: APIClient) -> None:
        response = bob.generic("POST", "/api/ask", "question=x", content_type=content_type)

        traced(problem(response, 415, "unsupported_media_type"))

    def test_another_method_is_refused_and_traced(self, bob: APIClient) -> None:
        response = bob.get("/api/ask")

        traced(problem(response, 405, "method_not_allowed"))
        assert "POST" in response.headers["Allow"]

    def test_another_wanted_type_is_refused_and_traced(self, bob: APIClient) -> None:
        traced(problem(post(bob, HTTP_ACCEPT="text/html"), 406, "not_acceptable"))

    @pytest.mark.parametrize(
        ("change", "status", "code"),
        [({"corpus": "nowhere"}, 404, "unknown_corpus"), ({"module": "m99"}, 400, "unknown_module")],
    )
    def test_an_unknown_name_is_told_and_traced(
        self, change: dict[str, str], status: int, code: str, bob: APIClient, corpus: IngestReport
    ) -> None:
        assert traced(problem(post(bob, ASK | change), status, code))["query"] == HELD

    @pytest.mark.parametrize("path", ["/api/", "/api/nothing", "/api/ask/", "/api/ask/x", "/api/%ff%00"])
    def test_an_unknown_address_is_a_problem_not_a_page(self, path: str, bob: APIClient) -> None:
        problem(bob.post(path, b"{}", content_type="application/json"), 404, "not_found")


class TestFailure:
    def test_a_provider_that_is_down_is_a_503_with_receipts(
        self, bob: APIClient, corpus: IngestReport, providers: str
    ) -> None:
        break_provider(providers, "anthropic.messages", kind="status", status=529)

        response = post(bob)

        body = problem(response, 503, "provider_busy")
        assert int(response.headers["Retry-After"]) >= 1
        assert "Service unavailable, please try again." in body["detail"]
        assert traced(body)["query"] == HELD
        assert entries_of(body["trace_id"])[-1].outcome == "provider_busy"

    def test_the_provider_says_when_to_come_back(self, bob: APIClient, corpus: IngestReport, providers: str) -> None:
        break_provider(providers, "voyage.embeddings", kind="status", status=429, headers={"retry-after": "42"})

        assert post(bob).headers["Retry-After"] == "42"

    def test_a_crash_is_a_problem_without_its_reason(
        self, bob: APIClient, corpus: IngestReport, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.BM25_DIR = None

        body = problem(post(bob), 500, "internal_error")

        assert "NoneType" not in body["detail"]
        assert "NoneType" in caplog.text
        traced(body)

    def test_an_unwritable_trace_is_a_503(self, bob: APIClient, corpus: IngestReport, settings: Settings) -> None:
        settings.TRACE_DIR = "/dev/null/traces"

        problem(post(bob), 503, "trace_unwritable")

    def test_an_unwritable_trace_of_a_refusal_is_a_503(self, db: None, settings: Settings) -> None:
        settings.TRACE_DIR = "/dev/null/traces"

        problem(post(APIClient(raise_request_exception=False)), 503, "trace_unwritable")


class TestTraces:
    def test_the_owner_reads_the_whole_line(self, bob: APIClient, corpus: IngestReport) -> None:
        trace_id = post(bob).json()["trace_id"]

        assert bob.get(f"/api/traces/{trace_id}").json() == line_of(trace_id)

    def test_another_key_does_not_learn_that_it_exists(self, bob: APIClient, corpus: IngestReport) -> None:
        trace_id = post(bob).json()["trace_id"]

        body = problem(client_of().get(f"/api/traces/{trace_id}"), 404)

        assert body["detail"] == problem(bob.get("/api/traces/nothing"), 404)["detail"].replace("nothing", trace_id)

    def test_staff_read_every_trace(self, bob: APIClient, alice: User, corpus: IngestReport) -> None:
        trace_id = post(bob).json()["trace_id"]
        client = Client()
        client.force_login(alice)

        assert client.get(f"/api/traces/{trace_id}").json()["trace_id"] == trace_id

    def test_a_trace_whose_row_is_missing_is_found_all_the_same(self, bob: APIClient, corpus: IngestReport) -> None:
        trace_id = post(bob).json()["trace_id"]
        TraceSummary.objects.all().delete()

        assert bob.get(f"/api/traces/{trace_id}").json()["trace_id"] == trace_id

    @pytest.mark.parametrize(
        "trace_id",
        [
            "0" * 32,
            "..%2f..%2fsecret_key",
            "..",
            "%2e%2e%2f",
            "%00",
            "a%00b",
            "%ff",
            "x" * 5_000,
            "%22",
            "*",
            "%0a",
        ],
    )
    def test_an_id_of_nothing_is_not_found(self, trace_id: str, bob: APIClient) -> None:
        bob.raise_request_exception = False

        problem(bob.get(f"/api/traces/{trace_id}"), 404, "not_found")

    def test_a_stranger_reads_nothing(self, corpus: IngestReport, bob: APIClient) -> None:
        trace_id = post(bob).json()["trace_id"]

        problem(APIClient().get(f"/api/traces/{trace_id}"), 401, "unauthenticated")


class TestCorpora:
    def test_it_lists_what_can_be_asked(self, bob: APIClient, corpus: IngestReport) -> None:
        (shown,) = bob.get("/api/corpora").json()

        assert shown.pop("activated_at")
        assert shown == {
            "name": "handbook",
            "version": "v1",
            "documents": 4,
            "chunks": {"fixed": 4, "structural": corpus.chunks["structural"]},
        }

    def test_a_stranger_sees_no_corpus(self, db: None) -> None:
        problem(APIClient().get("/api/corpora"), 401, "unauthenticated")


class TestSchema:
    def test_it_is_valid_openapi_without_a_warning(self, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("spectacular", validate=True, fail_on_warn=True)

        assert "/api/ask" in capsys.readouterr().out

    def test_the_docs_page_needs_nothing_from_elsewhere(self, client: Client, db: None) -> None:
        page = client.get("/api/docs").content.decode()

        assert "swagger" in page
        assert "http://" not in page.replace("http://testserver", "")
        assert "https://" not in page
        assert 'src="//' not in page

    def test_every_answer_fits_the_schema(self, bob: APIClient, corpus: IngestReport) -> None:
        schema = bob.get("/api/schema", HTTP_ACCEPT="application/vnd.oai.openapi+json").json()

        properties = schema["components"]["schemas"]["Answer"]["properties"]
        assert set(properties) == set(post(bob).json())
        assert not [line for line in trace_lines() if line["error"]]
