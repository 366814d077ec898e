"""`manage.py drill`, against the small world and the real sandbox."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection

from rag import breaking, clock, drill
from rag.failure_table import CASES, find_cases
from rag.ingest import IngestReport
from rag.models import ApiKey
from rag.tests.small_world import HELD, break_provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(corpus: IngestReport, impatient: None, settings: LazySettings) -> None:
    settings.DEFAULT_CORPUS = "handbook"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    call_command("drill", *arguments)
    return capsys.readouterr().out


def orders(sandbox: str) -> list[dict[str, Any]]:
    faults: list[dict[str, Any]] = httpx.get(f"{sandbox}/_control").json()["faults"]
    return faults


def usable_keys() -> list[ApiKey]:
    return [key for key in ApiKey.objects.all() if key.refusal(clock.now()) is None]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_every_case_passes(
    world: None, providers: str, short_connections: None, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = said(capsys, "--question", HELD).splitlines()

    assert len(printed) == 1 + 1 + len(CASES) + 1 + 1, "heads, unbroken, the cases, mended, how it ended"
    assert printed[-1].startswith(f"all {len(CASES) + 2} pass")
    assert max(len(line) for line in printed) <= 100
    assert orders(providers) == []
    assert usable_keys() == []


def test_json_is_one_object(world: None, capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(said(capsys, "cohere-429", "--json"))

    assert report["passed"]
    assert [result["case"] for result in report["results"]] == ["unbroken", "cohere-429", "mended"]
    broken = report["results"][1]
    assert (broken["status"], broken["degraded"], broken["why"]) == (200, ["rerank_skipped"], "")


def test_lines_are_one_object_each(world: None, capsys: pytest.CaptureFixture[str]) -> None:
    results = [json.loads(line) for line in said(capsys, "transform", "--lines").splitlines()]

    assert [result["case"] for result in results] == ["unbroken", "transform-500", "transform-timeout", "mended"]


def test_a_promise_that_is_not_kept_ends_with_exit_status_1(
    world: None, settings: LazySettings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.FALLBACK_EMBEDDING_DIMENSIONS = 256  # the corpus has no such index, so there is nowhere to fall back to

    with pytest.raises(SystemExit) as ended:
        call_command("drill", "voyage-500")

    printed = capsys.readouterr().out
    assert ended.value.code == 1
    assert "FAIL\n    status 503 instead of 200; code no_embedding instead of None; " in printed
    assert "1 of 3 failed" in printed


def test_a_service_that_does_not_work_unbroken_is_not_broken_further(
    world: None, providers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    break_provider(providers, "cohere.rerank", kind="status", status=500)

    with pytest.raises(SystemExit) as ended:
        call_command("drill", "voyage")

    printed = capsys.readouterr().out
    assert ended.value.code == 1
    assert "voyage" not in printed
    assert "the service does not work even unbroken" in printed


@pytest.mark.parametrize("name", ["anthropic", "voyage", "openai", "cohere"])
def test_it_is_refused_when_a_provider_is_real(name: str, world: None, settings: LazySettings) -> None:
    settings.PROVIDERS = settings.PROVIDERS | {name: settings.PROVIDERS[name] | {"mode": "live"}}

    with pytest.raises(CommandError, match=rf"providers are real \({name}\)") as refused:
        call_command("drill")

    assert refused.value.returncode == 2
    assert not ApiKey.objects.exists()


def test_it_is_refused_without_a_sandbox(world: None, settings: LazySettings) -> None:
    with breaking.refusing_port() as nowhere:
        settings.SANDBOX_URL = nowhere
        with pytest.raises(CommandError, match="does not answer") as refused:
            call_command("drill")

    assert refused.value.returncode == 2


def test_it_is_refused_without_a_corpus(providers: str, settings: LazySettings) -> None:
    settings.DEFAULT_CORPUS = "nothing"

    with pytest.raises(CommandError, match="nothing to ask") as refused:
        call_command("drill")

    assert refused.value.returncode == 2


def test_an_unknown_case_is_refused(db: None) -> None:
    with pytest.raises(CommandError, match="groups: voyage") as refused:
        call_command("drill", "azure")

    assert refused.value.returncode == 2


def test_there_is_one_drill_at_a_time(world: None, settings: LazySettings) -> None:
    with drill.only_one(Path(settings.DATA_DIR)), pytest.raises(CommandError, match="another drill") as refused:
        call_command("drill", "cohere-429")

    assert refused.value.returncode == 2


@pytest.mark.django_db(transaction=True, serialized_rollback=True)  # stopped in a query, its connection is made anew
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_drill_leaves_nothing_broken(
    number: signal.Signals, world: None, providers: str, settings: LazySettings
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with Ctrl-C ignored
    settings.RERANK_TIMEOUT_S = 30.0
    break_provider(providers, "cohere.rerank", kind="status", status=500, match="somebody else's")
    stop = threading.Thread(target=stop_when_broken, args=(providers, number))
    stop.start()

    with pytest.raises(CommandError, match="stopped") as stopped:
        call_command("drill", "cohere-timeout")
    stop.join()

    assert stopped.value.returncode == 130
    assert [order["match"] for order in orders(providers)] == ["somebody else's"]
    assert ApiKey.objects.exists()
    assert usable_keys() == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="a query of SQLite is over when it is interrupted")
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_key_is_revoked_even_when_its_connection_was_stopped_in_a_query() -> None:
    key = ApiKey(name="drill", scopes=["ask"])
    key.make_secret()
    key.save()
    connection.connection.pgconn.send_query(b"SELECT 1")  # whose answer nobody reads

    drill.revoke(key)

    assert usable_keys() == []


def stop_when_broken(sandbox: str, number: signal.Signals) -> None:
    """Send this process the signal once the sandbox was told to let the drill hang."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not any(order["kind"] == "hang" for order in orders(sandbox)):
        time.sleep(0.01)
    os.kill(os.getpid(), number)


def test_others_do_not_meet_the_faults_of_a_drill(world: None, providers: str, bobs_key: str) -> None:
    case = find_cases("cohere-500")[0]
    service = drill.LocalApi(bobs_key, "handbook")

    with breaking.broken(case, sandbox=providers, mark="drill-0"):
        hers = service.ask(f"{drill.QUESTION} (drill-0)", transform="simple")
        his = service.ask(drill.QUESTION, transform="simple")

    assert (hers.degraded, his.degraded) == (("rerank_skipped",), ())


def test_list_and_markdown_break_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(said(capsys, "--list").splitlines()) == len(CASES)
    assert said(capsys, "--markdown").startswith("| what breaks |")


def test_an_old_answer_cannot_be_given_where_there_was_none(world: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("drill", "embedders-stale")  # its own question is about another corpus

    assert "status 503 instead of 200; code no_embedding instead of None; " in capsys.readouterr().out


class Scripted:
    """Answers what is asked with these replies, in order; the last one again and again."""

    def __init__(self, *bodies: dict[str, Any]) -> None:
        self._bodies = list(bodies)
        self.asked: list[str] = []

    def ask(self, question: str, *, transform: str, stream: bool = False) -> drill.Reply:
        self.asked.append(question)
        return drill.Reply(200, self._bodies.pop(0) if len(self._bodies) > 1 else self._bodies[0], None)


ANSWERED = {"answered": True, "degraded": []}


@pytest.mark.parametrize(
    "unkept", [{"answered": False, "degraded": []}, {"answered": True, "degraded": ["rerank_skipped"]}]
)
def test_what_must_have_been_answered_before_is_asked_under_a_mark_with_a_kept_answer(unkept: dict[str, Any]) -> None:
    service = Scripted(unkept, ANSWERED)

    mark = drill.mark_for(STALE, service=service, question="Why?")

    assert len(set(service.asked)) == 2
    assert service.asked[-1] == f"Why? ({mark})"


def test_a_question_that_no_mark_gets_an_answer_to_is_given_up() -> None:
    service = Scripted({"answered": False, "degraded": []})

    mark = drill.mark_for(STALE, service=service, question="Why?")

    assert len(service.asked) == drill.MARKS_TRIED
    assert f"Why? ({mark})" not in service.asked


def test_what_need_not_have_been_answered_is_not_asked_before() -> None:
    service = Scripted(ANSWERED)

    drill.mark_for(FALLBACK, service=service, question="Why?")

    assert service.asked == []


@pytest.mark.parametrize(
    ("events", "reply"),
    [
        (b'event: meta\ndata: {}\n\n:\n\nevent: done\ndata: {"answered": true}\n\n', (200, {"answered": True}, None)),
        (
            b'event: error\ndata: {"status": 503, "retry_after_s": 10, "partial": true}\n\n',
            (503, {"status": 503, "retry_after_s": 10, "partial": True}, "10"),
        ),
        (b'event: delta\ndata: {"text": "and"}\n\n', (200, {}, None)),
        (b"", (200, {}, None)),
    ],
)
def test_the_last_event_is_what_counts(events: bytes, reply: tuple[int, dict[str, Any], str | None]) -> None:
    assert drill.streamed_reply(events) == drill.Reply(*reply)


FALLBACK = find_cases("cohere-500")[0]
REFUSAL = find_cases("anthropic-529")[0]
GOOD = {"answered": True, "sources": [{}], "degraded": ["rerank_skipped"]}
BUSY = {"code": "provider_busy"}
STALE = find_cases("embedders-stale")[0]
BROKEN_OFF = find_cases("stream-cut")[0]
OLD = {"answered": True, "sources": [{}], "degraded": ["stale_answer"], "cache": {"from": {"age_s": 0}}}
CUT = {"code": "answer_interrupted", "partial": True}


@pytest.mark.parametrize(
    ("case", "status", "body", "retry_after", "seconds", "why"),
    [
        (FALLBACK, 200, GOOD, None, 1.0, ""),
        (FALLBACK, 503, GOOD, None, 1.0, "status 503 instead of 200"),
        (FALLBACK, 200, GOOD | {"degraded": []}, None, 1.0, "degraded [] instead of ['rerank_skipped']"),
        (FALLBACK, 200, GOOD | {"sources": []}, None, 1.0, "no sources"),
        (FALLBACK, 200, GOOD, "10", 1.0, "Retry-After beside an answer"),
        (FALLBACK, 200, GOOD, None, 2.01, "2.01 s instead of at most 2.00 s"),
        (REFUSAL, 503, BUSY, "10", 1.0, ""),
        (REFUSAL, 503, BUSY, None, 1.0, "no Retry-After"),
        (STALE, 200, OLD, None, 1.0, ""),
        (STALE, 200, OLD | {"cache": {"from": None}}, None, 1.0, "no age"),
        (BROKEN_OFF, 503, CUT, "10", 1.0, ""),
        (BROKEN_OFF, 503, CUT | {"partial": False}, "10", 1.0, "partial False instead of True"),
        (REFUSAL, 503, {"code": "internal_error"}, "10", 1.0, "code internal_error instead of provider_busy"),
    ],
)
def test_a_result_says_what_is_not_as_promised(case, status, body, retry_after, seconds, why) -> None:
    result = drill.judged(case, drill.Reply(status, body, retry_after), seconds=seconds, limit_s=2.0)

    assert (result.passed, result.why) == (not why, why)
