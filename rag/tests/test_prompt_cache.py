"""Prompt caching: what is marked, when marking pays, and what the provider billed for it."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from rest_framework.test import APIClient

from costs.ledger import load_price_table
from costs.models import LedgerEntry
from costs.prices import Price, uses_to_break_even
from costs.usage import Usage
from prompts.texts import PromptText
from rag.generate import generation_request
from rag.ingest import IngestReport
from rag.providers.contracts import ChatRequest
from rag.tests.doubles import passage
from rag.tests.serving import web_process
from rag.tests.small_world import asked, bill, line_of, row_of
from rag.values import Conversation, Exchange, Source, sha256
from rag.warming import Uses, complaint, pays

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SONNET = Price(
    1,
    "anthropic",
    "claude-sonnet-4-6",
    NOW,
    Decimal(3),
    Decimal("3.75"),
    Decimal(6),
    Decimal("0.30"),
    Decimal(15),
    min_cacheable_tokens=2_048,
)
PROMPT = PromptText("answer", "v1", "Answer from the sources. " * 200, "Example. " * 500, "0" * 64)


def request(question: str, *, conversation: Conversation | None = None, keep_system: bool = True) -> ChatRequest:
    return generation_request(
        question=question,
        passages=[passage(f"a/{sha256(question)[:6]}#0", question)],
        prompt=PROMPT,
        model="claude-sonnet-4-6",
        max_tokens=500,
        temperature=0.0,
        keep_system=keep_system,
        keep_turns=keep_system,
        conversation=conversation,
    )


def test_the_stable_prefix_is_the_same_in_a_thousand_requests() -> None:
    prefixes = set()
    for number in range(1_000):
        body = request(f"Question {number}? \u00e4 <source> {'x' * number}").body()
        prefixes.add(sha256(json.dumps([body["model"], body["system"]])))

    assert len(prefixes) == 1


def marks(body: dict[str, object]) -> list[str]:
    """The lifetimes asked for, in the order of the prompt."""
    blocks = [*body["system"]]  # type: ignore[misc]
    for message in body["messages"]:  # type: ignore[attr-defined]
        blocks += message["content"] if isinstance(message["content"], list) else []
    return [block["cache_control"].get("ttl", "5m") for block in blocks if "cache_control" in block]


def test_a_lone_question_marks_the_system_prompt_for_an_hour_and_nothing_else() -> None:
    assert marks(request("Why?").body()) == ["1h"]
    assert marks(request("Why?", keep_system=False).body()) == []


@pytest.mark.parametrize("turns", [0, 1, 5, 19])
def test_a_conversation_marks_one_block_more_behind_it(turns: int) -> None:
    exchanges = tuple(
        Exchange(f"Q{n}?", (Source(passage(f"a/{n}#0"), 1.0),) if n % 2 else (), f"A{n}.") for n in range(turns)
    )

    assert marks(request("Why?", conversation=Conversation((), exchanges)).body()) == ["1h", "5m"]


def test_the_turns_before_stay_byte_for_byte_as_they_were_sent() -> None:
    first = request("Why?", conversation=Conversation()).body()
    sent = Source(passage(f"a/{sha256('Why?')[:6]}#0", "Why?"), 1.0)
    second = request("And how?", conversation=Conversation(("Why?",), (Exchange("Why?", (sent,), "So."),))).body()

    assert unmarked(second["messages"][0]) == unmarked(first["messages"][0])
    assert second["system"] == first["system"]


def unmarked(message: dict[str, list[dict[str, str]]]) -> list[dict[str, str]]:
    return [{name: value for name, value in block.items() if name != "cache_control"} for block in message["content"]]


def test_an_hour_pays_from_the_third_use_and_five_minutes_from_the_second() -> None:
    assert uses_to_break_even(write_usd=SONNET.cache_write_1h_usd, price=SONNET) == 3
    assert uses_to_break_even(write_usd=SONNET.cache_write_5m_usd, price=SONNET) == 2


@pytest.mark.django_db
def test_every_model_that_caches_has_a_number_of_uses_from_which_it_pays() -> None:
    table = load_price_table()
    for row in (row for rows in table._rows.values() for row in rows if row.cache_write_1h_usd):
        uses = uses_to_break_even(write_usd=row.cache_write_1h_usd, price=row)
        assert uses is not None
        written = row.cache_write_1h_usd + (uses - 1) * row.cache_read_usd
        assert written < uses * row.input_usd
        assert written - row.cache_read_usd >= (uses - 1) * row.input_usd


@pytest.mark.parametrize(
    ("minutes_ago", "kept", "expected"),
    [
        (10, False, True),  # thin traffic that got denser
        (40, False, False),  # one use in 40 minutes makes no three an hour
        (40, True, True),  # still there: reading costs a tenth
        (90, True, False),  # gone, and too long ago
    ],
)
def test_whether_marking_pays_depends_on_the_last_use(minutes_ago: int, kept: bool, expected: bool) -> None:
    last = NOW - timedelta(minutes=minutes_ago)

    assert pays(Uses(last, last + timedelta(minutes=58) if kept else None), SONNET, NOW) is expected


def test_a_prefix_that_was_never_used_is_given_the_benefit_of_the_doubt() -> None:
    assert pays(None, SONNET, NOW)
    assert not pays(None, None, NOW)


class TestComplaint:
    usage = Usage(input_tokens=1_000)

    def test_too_short(self) -> None:
        told = complaint(request("Why?"), self.usage, minimum=2_048, before=None)

        assert "keeps none below 2,048" in told

    def test_changed(self) -> None:
        before = [sha256(PROMPT.instructions), sha256("other examples")]

        told = complaint(request("Why?"), Usage(input_tokens=9_000), minimum=2_048, before=before)

        assert "block 2 of the system prompt is another one" in told


@pytest.mark.django_db
def test_a_marked_prompt_that_is_too_short_is_told(
    corpus: IngestReport, bob: APIClient, settings: object, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ANSWER_MODEL = "claude-haiku-4-5"  # type: ignore[attr-defined]  # keeps nothing below 4,096 tokens

    answer = asked(module="m6-production", transform="simple", anew=True)

    (warning,) = line_of(answer.trace.trace_id)["warnings"]
    assert "keeps none below 4,096" in warning
    assert warning in caplog.messages


@pytest.mark.django_db
def test_the_row_says_what_was_saved_net_of_writing(corpus: IngestReport, providers: str) -> None:
    httpx.post(f"{providers}/_control/clock", json={"advance_s": 7_200}).raise_for_status()
    first, second = (asked(module="m6-production", transform="simple", anew=True) for _ in range(2))

    wrote, read = (line_of(answer.trace.trace_id)["prompt_cache"] for answer in (first, second))
    assert wrote["write_1h"] == read["read"] >= 2_048
    assert row_of(first.trace.trace_id).prompt_saved_usd == -wrote["write_1h"] * Decimal("0.000003")
    assert row_of(second.trace.trace_id).prompt_saved_usd == read["read"] * Decimal("0.0000027")


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_a_cold_burst_writes_once(corpus: IngestReport, bobs_key: str, providers: str, tmp_path: Path) -> None:
    httpx.post(f"{providers}/_control/clock", json={"advance_s": 7_200}).raise_for_status()
    httpx.post(f"{providers}/_control/latency", json={"generate_ms": 600}).raise_for_status()
    seen = bill(providers)["count"]
    headers = {"Authorization": f"Bearer {bobs_key}"}

    def ask(number: int) -> httpx.Response:
        body = {"question": f"What about leave, case {number}?", "corpus": "handbook", "transform": "simple"}
        return httpx.post(f"{url}/api/ask", json=body, headers=headers, timeout=60)

    try:
        with web_process(tmp_path / "web.log") as (url, _), ThreadPoolExecutor(12) as clients:
            statuses = {response.status_code for response in clients.map(ask, range(12))}
    finally:
        httpx.post(f"{providers}/_control/latency", json={"generate_ms": 0}).raise_for_status()

    billed = [entry["usage"] for entry in bill(providers, since=seen)["entries"] if entry["operation"] == "messages"]
    assert statuses == {200}
    assert len([usage for usage in billed if usage["cache_write_1h_tokens"]]) == 1
    assert len([usage for usage in billed if usage["cache_read_tokens"]]) == len(billed) - 1 == 11
    booked = LedgerEntry.objects.filter(operation="generate").values_list("cache_write_1h", "cache_read")
    assert sum(write for write, _ in booked) == sum(usage["cache_write_1h_tokens"] for usage in billed)
    assert sum(read for _, read in booked) == sum(usage["cache_read_tokens"] for usage in billed)
