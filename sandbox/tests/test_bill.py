import time
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import anthropic
import pytest

from sandbox.bill import Bill, money
from sandbox.bill_entry import Entry
from sandbox.tests.clients import claude, command, gpt, voyage
from sandbox.tests.conftest import Running
from sandbox.tests.test_messages import ANSWERING


def entry(cost: str, *, model: str = "m", provider: str = "p") -> Entry:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    return Entry(at, provider, model, "messages", "1234", "req_1", {"input_tokens": 1}, Decimal(cost))


def test_totals_are_kept_by_model_and_provider():
    bill = Bill()
    for cost, model in (("0.1", "a"), ("0.2", "b"), ("0.3", "a")):
        bill.add(entry(cost, model=model))

    report = bill.report()

    assert report["total_usd"] == "0.60000000"
    assert report["by_model"] == {"a": "0.40000000", "b": "0.20000000"}
    assert report["by_provider"] == {"p": "0.60000000"}


def test_totals_survive_entries_that_were_dropped():
    bill = Bill(capacity=2)
    for _ in range(5):
        bill.add(entry("1"))

    report = bill.report()

    assert (report["total_usd"], report["count"], report["first"], len(report["entries"])) == ("5.00000000", 5, 3, 2)


@pytest.mark.parametrize(("since", "listed"), [(0, 3), (2, 1), (3, 0), (9, 0)])
def test_only_entries_from_a_number_on_are_listed(since, listed):
    bill = Bill()
    for _ in range(3):
        bill.add(entry("1"))

    assert len(bill.report(since=since)["entries"]) == listed


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("0", "0.00000000"), ("1E-9", "0.000000001"), ("12.5", "12.50000000"), ("1E+2", "100.00000000")],
)
def test_money_is_exact_and_plain(amount, shown):
    assert money(Decimal(amount)) == shown


def test_every_provider_is_billed_for_what_it_served(server, key):
    usage = claude(server, key=key).messages.create(**ANSWERING).usage
    voyage(server).embed(["hello"], model="voyage-3.5")
    gpt(server).embeddings.create(model="text-embedding-3-small", input=["hello"])
    command(server).rerank(model="rerank-v3.5", query="x", documents=["y"])

    entries = server.bill()["entries"]

    assert [row["provider"] for row in entries] == ["anthropic", "voyage", "openai", "cohere"]
    assert entries[0]["usage"]["input_tokens"] == usage.input_tokens
    assert Decimal(entries[0]["cost_usd"]) == (usage.input_tokens * 3 + usage.output_tokens * 15) / Decimal(1_000_000)
    assert (entries[0]["key"], entries[3]["cost_usd"]) == (key[-4:], "0.00200000")


def test_counting_tokens_is_free(server, key):
    claude(server, key=key).messages.count_tokens(model="claude-sonnet-4-6", messages=ANSWERING["messages"])

    assert server.bill()["entries"] == []


@pytest.mark.parametrize("kind", ["status", "malformed", "empty_object", "reset"])
def test_faults_before_the_answer_cost_nothing(server, key, kind):
    server.break_next("anthropic.messages", kind=kind)

    with suppress(anthropic.AnthropicError, ValueError):
        claude(server, key=key).messages.create(**ANSWERING)

    assert server.bill()["entries"] == []


def test_a_refused_request_costs_nothing(server, key):
    with pytest.raises(anthropic.NotFoundError):
        claude(server, key=key).messages.create(**ANSWERING | {"model": "claude-nobody"})

    assert server.bill()["entries"] == []


def test_a_truncated_answer_is_billed_in_full(server, key):
    server.break_next("anthropic.messages", kind="truncated_body")
    with pytest.raises(anthropic.APIConnectionError):
        claude(server, key=key).messages.create(**ANSWERING)
    broken = server.bill()["entries"][0]

    claude(server, key=key).messages.create(**ANSWERING)

    assert broken["usage"] == server.bill()["entries"][1]["usage"]


def test_a_cut_stream_is_billed_for_the_input_and_the_words_that_were_sent(server, key):
    server.break_next("anthropic.messages", kind="overloaded_stream", after_deltas=1)
    with pytest.raises(anthropic.APIStatusError):
        list(claude(server, key=key).messages.create(**ANSWERING, stream=True))
    whole = claude(server, key=key).messages.create(**ANSWERING).usage

    usage = server.bill()["entries"][0]["usage"]

    assert usage["input_tokens"] == whole.input_tokens
    assert 0 < usage["output_tokens"] < whole.output_tokens


def test_a_client_that_leaves_a_stream_stops_paying(server, key):
    server.pace(generate_ms=3_000)
    stream = claude(server, key=key).messages.create(**ANSWERING, stream=True)
    for event in stream:
        if event.type == "content_block_delta":
            break
    stream.close()

    (row,) = wait_for_bill(server)

    assert 0 < row["usage"]["output_tokens"] < 15


def test_a_client_that_leaves_a_whole_answer_pays_for_all_of_it(server, key):
    server.pace(generate_ms=700)
    with pytest.raises(anthropic.APITimeoutError):
        claude(server, key=key, timeout=0.3).messages.create(**ANSWERING)

    (row,) = wait_for_bill(server)

    assert row["usage"]["output_tokens"] > 15


def wait_for_bill(server: Running) -> Any:
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        if entries := server.bill()["entries"]:
            return entries
        time.sleep(0.05)
    raise AssertionError("nothing was billed")
