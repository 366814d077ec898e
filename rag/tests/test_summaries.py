"""From a trace line to its rows, exactly and as often as one likes."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costs.ledger import Attempt
from costs.models import LedgerEntry, ModelPrice
from costs.usage import Usage
from rag.models import TraceSummary
from rag.summaries import attempt_of, decimal_of, save_rows
from rag.tests.trace_lines import attempt_line, trace_line
from rag.trace import Trace, number
from rag.trace import attempt_line as line_of_attempt

AT = datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)
MONEY = st.integers(0, 10**14 - 1).map(lambda units: Decimal(units).scaleb(-8))
USAGES = st.builds(Usage, *(st.integers(0, 2_000_000) for _ in range(6)))


@pytest.fixture
def price(db: None) -> ModelPrice:
    return ModelPrice.objects.get(model="claude-sonnet-4-6")


def attempt(price: ModelPrice, **changes: object) -> Attempt:
    known: dict[str, object] = {
        "at": AT,
        "provider": "anthropic",
        "model": "claude-sonnet-4-6",
        "operation": "generate",
        "provider_mode": "simulated",
        "outcome": "ok",
        "usage": Usage(1, 20, 300, 4_000, 50, 6),
        "cost_usd": Decimal("0.00000001"),
        "price_id": price.pk,
        "latency_ms": 12.345,
        "request_id": "req_1",
        "estimated": True,
    }
    return Attempt(**(known | changes))  # type: ignore[arg-type]


def whole_trace(price: ModelPrice) -> Trace:
    return Trace(
        trace_id="t1",
        timestamp=AT,
        query="When does leave lapse? ☃",
        module="m3-hybrid",
        corpus="handbook",
        corpus_version="v2",
        provider_mode="simulated",
        session_id="s1",
        api_key_id=7,
        user_id=8,
        transform="simple",
        model="claude-sonnet-4-6",
        prompt_version="v3",
        answered=True,
        degraded=("rerank_skipped",),
        attempts=(attempt(price), attempt(price, operation="embed", cost_usd=None, price_id=None)),
        cost_usd=Decimal("0.12345678"),
        latencies_ms={"embed": 1.5, "vector": 2.5, "rerank": 3.5, "generate": 4.5, "total": 12.0},
    )


def written(trace: Trace) -> dict[str, object]:
    """The trace as it is read back from its file."""
    line: dict[str, object] = json.loads(json.dumps(trace.as_line()))
    return line


def test_the_summary_holds_what_the_line_says(price: ModelPrice) -> None:
    save_rows(written(whole_trace(price)))

    row = TraceSummary.objects.get()
    assert (row.trace_id, row.timestamp, row.kind, row.status, row.error) == ("t1", AT, "ask", 200, "")
    assert (row.query, row.module, row.transform) == ("When does leave lapse? ☃", "m3-hybrid", "simple")
    assert (row.corpus, row.corpus_version, row.prompt_version) == ("handbook", "v2", "v3")
    assert (row.model, row.provider_mode) == ("claude-sonnet-4-6", "simulated")
    assert (row.session_id, row.api_key_id, row.user_id) == ("s1", 7, 8)
    assert (row.answered, row.answer_cache, row.degraded) == (True, "off", ["rerank_skipped"])
    assert (row.tokens_in, row.tokens_out) == (4_321, 50)
    assert (row.cache_read, row.cache_write_5m, row.cache_write_1h) == (4_000, 20, 300)
    assert (row.cost_usd, row.avoided_usd) == (Decimal("0.12345678"), Decimal(0))
    assert (row.embed_ms, row.vector_ms, row.bm25_ms) == (1.5, 2.5, None)
    assert (row.rerank_ms, row.generate_ms, row.total_ms) == (3.5, 4.5, 12.0)


def test_the_ledger_gets_one_entry_an_attempt(price: ModelPrice) -> None:
    save_rows(written(whole_trace(price)))

    first, second = LedgerEntry.objects.order_by("attempt")
    assert (first.at, first.usage(), first.cost_usd) == (AT, Usage(1, 20, 300, 4_000, 50, 6), Decimal("0.00000001"))
    assert (first.price_id, first.estimated, first.latency_ms) == (price.pk, True, 12.345)
    assert (first.trace_id, first.module, first.corpus) == ("t1", "m3-hybrid", "handbook")
    assert (first.prompt_version, first.api_key_id, first.kind) == ("v3", 7, "ask")
    assert (second.operation, second.cost_usd, second.price_id) == ("embed", None, None)


def test_saving_twice_changes_nothing(price: ModelPrice) -> None:
    save_rows(written(whole_trace(price)))
    before = (list(TraceSummary.objects.values()), list(LedgerEntry.objects.values()))

    save_rows(written(whole_trace(price)))

    assert (list(TraceSummary.objects.values()), list(LedgerEntry.objects.values())) == before


def test_what_is_missing_is_added_by_saving_again(price: ModelPrice) -> None:
    line = written(whole_trace(price))
    save_rows(line | {"attempts": line["attempts"][:1]})  # type: ignore[index]
    TraceSummary.objects.all().delete()

    save_rows(line)

    assert (TraceSummary.objects.count(), LedgerEntry.objects.count()) == (1, 2)


def test_a_failure_is_summed_up_by_its_code(db: None) -> None:
    trace = Trace(trace_id="t1", timestamp=AT, query="?", status=503, error={"code": "provider_busy", "message": "no"})

    save_rows(written(trace))

    row = TraceSummary.objects.get()
    assert (row.status, row.error, row.answered, row.cost_usd) == (503, "provider_busy", None, None)
    assert (row.module, row.corpus, row.session_id, row.total_ms) == ("", "", "", None)


def test_a_line_of_another_hand_is_saved_the_same_way(db: None) -> None:
    save_rows(trace_line(attempts=[attempt_line(price_id=None)]))

    assert TraceSummary.objects.get().trace_id == LedgerEntry.objects.get().trace_id == "a" * 32


@given(amount=MONEY)
def test_money_comes_back_exactly(amount: Decimal) -> None:
    read = decimal_of(json.loads(json.dumps(number(amount))))

    assert read == amount
    assert str(read) == str(amount.quantize(Decimal("0.00000001")))


@pytest.mark.parametrize("amount", [0, 0.0, 1e-08, 999_999.99999999])
def test_the_edges_of_the_column_come_back_exactly(amount: float) -> None:
    assert decimal_of(amount) == Decimal(repr(amount))


def test_unknown_money_stays_unknown() -> None:
    assert decimal_of(None) is None


@given(usage=USAGES, cost=st.none() | MONEY, latency=st.floats(0, 1e6), estimated=st.booleans())
def test_an_attempt_survives_the_line(usage: Usage, cost: Decimal | None, latency: float, estimated: bool) -> None:
    before = attempt(
        ModelPrice(pk=3), usage=usage, cost_usd=cost, latency_ms=latency, estimated=estimated, outcome="provider_busy"
    )

    assert attempt_of(json.loads(json.dumps(line_of_attempt(before)))) == before
