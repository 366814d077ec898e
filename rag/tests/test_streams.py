"""Streamed answers through the real web server, as a client meets them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag.ingest import IngestReport
from rag.tests.serving import web_process
from rag.tests.small_world import HELD, NOT_HELD, break_provider, entries_of, line_of, trace_lines

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
WRITING = "<source id="
"""what only the request for the answer holds"""


@pytest.fixture
def site(corpus: IngestReport, bobs_key: str, tmp_path: Path) -> Iterator[httpx.Client]:
    with web_process(tmp_path / "web.log") as (url, _):
        headers = {"Authorization": f"Bearer {bobs_key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
            yield client


def events_of(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def body(question: str = HELD, **more: Any) -> dict[str, Any]:
    return {"question": question, "corpus": "handbook", "module": "m6", "transform": "simple", "stream": True} | more


def told(site: httpx.Client, question: str = HELD, **more: Any) -> list[tuple[str, dict[str, Any]]]:
    with site.stream("POST", "/api/ask", json=body(question, **more)) as response:
        assert response.status_code == 200
        return list(events_of(response.iter_lines()))


def text_of(events: list[tuple[str, dict[str, Any]]]) -> str:
    return "".join(data["text"] for name, data in events if name == "delta")


@pytest.mark.parametrize("question", [HELD, NOT_HELD])
def test_the_pieces_add_up_to_the_answer_that_comes_without_streaming(site: httpx.Client, question: str) -> None:
    events = told(site, question)
    plain = site.post("/api/ask", json=body(question, stream=False), headers={"Cache-Control": "no-cache"}).json()

    assert [name for name, _ in events if name != "delta"] == ["meta", "sources", "done"]
    done = events[-1][1]
    same = ("answer", "answered", "sources", "citations", "cost_usd", "prompt_version", "model")
    assert {key: done[key] for key in same} == {key: plain[key] for key in same}
    assert set(done) == set(plain)
    assert text_of(events) == done["answer"]
    assert events[0][1]["trace_id"] == done["trace_id"]
    assert events[1][1]["sources"] == done["sources"]


def test_proxies_are_asked_not_to_hold_it_back(site: httpx.Client) -> None:
    with site.stream("POST", "/api/ask", json=body(), headers={"Accept": "text/event-stream"}) as response:
        response.read()

    assert response.headers["Content-Type"] == "text/event-stream"
    assert (response.headers["Cache-Control"], response.headers["X-Accel-Buffering"]) == ("no-cache", "no")


def test_what_is_refused_at_once_has_a_status_of_its_own(site: httpx.Client) -> None:
    response = site.post("/api/ask", json=body(corpus="atlantis"))

    assert (response.status_code, response.json()["code"]) == (404, "unknown_corpus")


def test_a_failure_before_the_first_piece_is_an_error_event(providers: str, site: httpx.Client) -> None:
    break_provider(providers, "anthropic.messages", kind="overloaded_stream", after_deltas=0, match=WRITING)

    events = told(site)

    assert [name for name, _ in events] == ["meta", "sources", "error"]
    problem = events[-1][1]
    assert (problem["status"], problem["code"], problem["partial"]) == (503, "provider_busy", False)
    assert problem["retry_after_s"] >= 1
    assert len(line_of(problem["trace_id"])["attempts"]) >= 4  # asked once more: nothing had been shown


@pytest.mark.parametrize("kind", ["overloaded_stream", "cut", "truncated_body"])
def test_an_answer_that_breaks_off_is_neither_begun_anew_nor_kept(
    providers: str, site: httpx.Client, kind: str
) -> None:
    break_provider(providers, "anthropic.messages", kind=kind, after_deltas=2, match=WRITING)

    events = told(site)

    names = [name for name, _ in events]
    assert names[:2] == ["meta", "sources"]
    assert names[2:] == ["delta"] * (len(names) - 3) + ["error"]
    assert "delta" in names
    problem = events[-1][1]
    assert (problem["code"], problem["partial"]) == ("answer_interrupted", True)
    line = line_of(problem["trace_id"])
    assert (line["status"], line["final_answer"], line["degraded"]) == (503, None, [])
    generations = [attempt for attempt in line["attempts"] if attempt["operation"] == "generate"]
    assert len(generations) == 1
    assert generations[0]["estimated"]
    assert generations[0]["usage"]["input_tokens"] > 0
    assert generations[0]["usage"]["output_tokens"] > 0


def test_a_late_answer_that_had_not_begun_becomes_the_sentence(
    providers: str, corpus: IngestReport, bobs_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENERATION_TIMEOUT_S", "1.2")
    break_provider(providers, "anthropic.messages", kind="hang", match=WRITING)
    with (
        web_process(tmp_path / "web.log") as (url, _),
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {bobs_key}"}, timeout=30) as client,
        client.stream("POST", "/api/ask", json=body()) as response,
    ):
        lines = list(response.iter_lines())

    events = list(events_of(iter(lines)))
    assert ":" in lines  # heartbeats while nothing came
    assert events[-1][0] == "done"
    assert events[-1][1]["degraded"] == ["generation_timeout"]
    assert text_of(events) == events[-1][1]["answer"]


def test_a_client_that_goes_away_stops_the_paid_call_within_a_second_and_pays_for_it(
    providers: str, site: httpx.Client
) -> None:
    break_provider(providers, "anthropic.messages", kind="endless_stream", interval_ms=50, match=WRITING)
    with site.stream("POST", "/api/ask", json=body()) as response:
        events = events_of(response.iter_lines())
        trace_id = next(events)[1]["trace_id"]
        assert next(events)[0] == "sources"
        assert next(events)[0] == "delta"
    left = time.monotonic()

    while not any(line["trace_id"] == trace_id for line in trace_lines()):
        assert time.monotonic() - left < 3
        time.sleep(0.01)

    assert time.monotonic() - left < 1.2
    line = line_of(trace_id)
    assert (line["status"], line["error"]["code"], line["final_answer"]) == (499, "client_gone", None)
    generation = line["attempts"][-1]
    assert (generation["outcome"], generation["estimated"]) == ("cancelled", True)
    assert generation["usage"]["input_tokens"] > 0
    wait_until(lambda: len(entries_of(trace_id)) == len(line["attempts"]))


def test_a_client_that_goes_away_in_silence_is_noticed_too(providers: str, site: httpx.Client) -> None:
    break_provider(providers, "anthropic.messages", kind="hang", match=WRITING)
    with site.stream("POST", "/api/ask", json=body()) as response:
        trace_id = next(events_of(response.iter_lines()))[1]["trace_id"]
        time.sleep(0.3)
    left = time.monotonic()

    wait_until(lambda: any(line["trace_id"] == trace_id for line in trace_lines()))

    assert time.monotonic() - left < 1.5
    assert line_of(trace_id)["attempts"][-1]["outcome"] == "cancelled"


def wait_until(holds: Any) -> None:
    limit = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.02)
