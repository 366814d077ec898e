import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import LazySettings

from costs.ledger import Attempt
from costs.models import LedgerEntry
from costs.usage import Usage
from rag import clock, metrics
from rag.errors import ProviderUnavailable, TraceUnwritable, UnknownModule
from rag.ingest import IngestReport
from rag.metrics import bounded
from rag.tests.scraped import samples, total
from rag.tests.small_world import asked, break_provider, entries_of
from rag.trace import Trace

DIED = """
from prometheus_client import Counter, Gauge
Gauge("ragsite_breakers_open", "-", ("provider",), multiprocess_mode="livesum", registry=None).labels("cohere").set(1)
Counter("ragsite_degradations", "-", ("which",), registry=None).labels("rerank_skipped").inc(7)
"""


class Since:
    """How much a counter has grown since then: other tests of this process count, too."""

    def __init__(self, name: str, **labels: str) -> None:
        self.name, self.labels = name, labels
        self.before = total(name, **labels)

    def grown(self) -> float:
        return total(self.name, **self.labels) - self.before


def finished(**fields: object) -> Trace:
    trace = Trace(trace_id="a" * 32, timestamp=clock.now(), query="secret words", **fields)  # type: ignore[arg-type]
    trace.finish()
    return trace


def attempt(*, usage: Usage, cost_usd: Decimal | None) -> Attempt:
    return Attempt(
        at=clock.now(),
        provider="anthropic",
        model="a-model",
        operation="generate",
        provider_mode="live",
        outcome="ok",
        usage=usage,
        cost_usd=cost_usd,
        price_id=None,
        latency_ms=1.0,
    )


def test_an_answer_is_counted_once_with_its_stages_and_its_attempts(corpus: IngestReport) -> None:
    told = {"kind": "ask", "module": "m3-hybrid", "status": "200", "cached": "off", "transform": "simple"}
    asks = Since("ragsite_asks_total", **told)
    seconds = Since("ragsite_ask_duration_seconds_count", module="m3-hybrid", cached="off")
    took = Since("ragsite_ask_duration_seconds_sum", module="m3-hybrid", cached="off")
    stages = [Since("ragsite_stage_duration_seconds_count", stage=name) for name in ("embed", "vector", "bm25")]
    calls = Since("ragsite_provider_attempts_total", provider="voyage", operation="embed", outcome="ok")

    trace = asked().trace

    assert [each.grown() for each in (asks, seconds, calls, *stages)] == [1] * 6
    assert took.grown() == pytest.approx(trace.latencies_ms["total"] / 1000)


def test_tokens_and_money_are_those_of_the_ledger(corpus: IngestReport) -> None:
    kinds = {"input": "input_tokens", "output": "output_tokens"}
    tokens = {kind: Since("ragsite_provider_tokens_total", provider="anthropic", kind=kind) for kind in kinds}
    usd = Since("ragsite_provider_cost_usd_total", mode="simulated")

    booked = entries_of(asked().trace.trace_id)

    for kind, column in kinds.items():
        wanted = sum(getattr(entry, column) for entry in booked if entry.provider == "anthropic")
        assert tokens[kind].grown() == wanted > 0
    assert usd.grown() == pytest.approx(float(sum(entry.cost_usd or 0 for entry in booked)))
    assert LedgerEntry.objects.filter(cost_usd=None).count() == 0


def test_the_kinds_of_tokens_add_up_to_the_prompt_and_the_reply() -> None:
    usage = Usage(input_tokens=1, cache_write_5m=20, cache_write_1h=300, cache_read=4_000, output_tokens=50_000)
    everything = Since("ragsite_provider_tokens_total", model="a-model")
    read = Since("ragsite_provider_tokens_total", model="a-model", kind="cache_read")
    live = Since("ragsite_provider_cost_usd_total", model="a-model", mode="live")
    unpriced = Since("ragsite_warnings_total", which="unpriced")

    metrics.count(finished(attempts=[attempt(usage=usage, cost_usd=Decimal("0.25"))]))
    metrics.count(finished(attempts=[attempt(usage=Usage(), cost_usd=None)]))

    assert (everything.grown(), read.grown()) == (54_321, 4_000)
    assert (live.grown(), unpriced.grown()) == (0.25, 1)


def test_a_prompt_that_the_provider_did_not_keep_is_a_warning() -> None:
    warnings = Since("ragsite_warnings_total", which="prompt_cache")

    metrics.count(finished(warnings=["a prompt of 900 tokens is too short to be kept"]))

    assert warnings.grown() == 1


def test_a_kept_answer_is_counted_as_one(corpus: IngestReport) -> None:
    hits = Since("ragsite_asks_total", module="m6-production", cached="hit")
    fast = Since("ragsite_ask_duration_seconds_count", module="m6-production", cached="hit")

    for _ in range(2):
        asked(module="m6-production")

    assert (hits.grown(), fast.grown()) == (1, 1)


def test_what_could_not_be_had_is_counted_and_so_is_what_failed(corpus: IngestReport, providers: str) -> None:
    skipped = Since("ragsite_degradations_total", which="rerank_skipped")
    failed = Since("ragsite_asks_total", status="503")
    slow = Since("ragsite_ask_duration_seconds_count")
    break_provider(providers, "cohere.rerank", kind="status", status=500)
    asked(module="m6-production", transform="simple")
    break_provider(providers, "anthropic.messages", kind="status", status=500)

    with pytest.raises(ProviderUnavailable):
        asked()

    assert (skipped.grown(), failed.grown(), slow.grown()) == (1, 1, 1)


def test_an_open_breaker_is_shown_until_it_closes(corpus: IngestReport, providers: str) -> None:
    assert total("ragsite_breakers_open", provider="cohere") == 0
    break_provider(providers, "cohere.rerank", kind="status", status=500)

    for number in range(3):
        asked(f"{number}?", module="m6-production", transform="simple")

    assert total("ragsite_breakers_open", provider="cohere") == 1


def test_a_trace_that_cannot_be_written_is_a_failure_and_no_answer(
    corpus: IngestReport, settings: LazySettings, tmp_path: Path
) -> None:
    lines = Since("ragsite_trace_failures_total", part="line")
    refused, given = (Since("ragsite_asks_total", status=status) for status in ("503", "200"))
    (tmp_path / "file").touch()
    settings.TRACE_DIR = tmp_path / "file" / "traces"

    with pytest.raises(TraceUnwritable):
        asked()

    assert (lines.grown(), refused.grown(), given.grown()) == (1, 1, 0)


def test_an_answer_goes_out_although_it_cannot_be_counted(
    corpus: IngestReport, settings: LazySettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    settings.METRICS_DIR = tmp_path / "file" / "metrics"
    metrics.child.cache_clear()

    answered = asked()

    assert answered.outcome.answer.answered
    assert [record.trace_id for record in caplog.records if record.message == "not counted"] == [  # type: ignore[attr-defined]
        answered.trace.trace_id
    ]


def test_a_name_that_a_stranger_chose_becomes_no_label(corpus: IngestReport) -> None:
    unknown = Since("ragsite_asks_total", module="other", status=str(UnknownModule.status))

    with pytest.raises(UnknownModule):
        asked("Where is Waldo?", module="no-such-module")

    assert unknown.grown() == 1
    labels = {value for sample in samples() for value in sample.labels.values()}
    assert not [each for each in labels if "no-such-module" in each or "Waldo" in each]


@pytest.mark.parametrize(("module", "told"), [(None, "none"), ("m6-production", "m6-production"), ("m6", "other")])
def test_a_module_is_told_by_its_whole_name(module: str | None, told: str) -> None:
    assert bounded(module) == told


def test_what_has_not_happened_is_there_as_0() -> None:
    metrics.begin()

    parts = {sample.labels["part"] for sample in samples() if sample.name == "ragsite_trace_failures_total"}
    assert parts == {"line", "rows", "outages"}


def test_a_process_that_ended_leaves_its_counters_and_takes_its_gauges(settings: LazySettings, tmp_path: Path) -> None:
    settings.METRICS_DIR = tmp_path
    subprocess.run([sys.executable, "-c", DIED], env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}, check=True)
    assert len(list(tmp_path.glob("gauge_livesum_*.db"))) == 1

    assert total("ragsite_degradations_total", which="rerank_skipped") == 7
    assert total("ragsite_breakers_open", provider="cohere") == 0
    assert not list(tmp_path.glob("gauge_*"))
