from decimal import Decimal

import pytest
from pytest_django.fixtures import Settings

from costs.models import LedgerEntry
from rag.ask import ask, check_question
from rag.errors import (
    CorpusNotReady,
    IndexUnavailable,
    ProviderUnavailable,
    QuestionRefused,
    RagError,
    TraceUnwritable,
    UnknownCorpus,
    UnknownModule,
)
from rag.ingest import IngestReport
from rag.models import Corpus, TraceSummary
from rag.modules import MODULES
from rag.tests.small_world import HELD, NOT_HELD, asked, break_provider, entries_of, line_of, row_of, trace_lines
from rag.trace import STAGES
from rag.values import Caller, Question

SCHEMA = {
    "api_key_id",
    "prompt_version",
    "query",
    "final_answer",
    "answer_cache",
    "cache_hit",
    "bm25_candidates",
    "sources",
    "transform",
    "trace_id",
    "kind",
    "error",
    "model",
    "corpus",
    "prompt_length_chars",
    "corpus_version",
    "request_sha256",
    "hypothetical",
    "generation_tokens_out",
    "vector_candidates",
    "provider_mode",
    "cost_usd",
    "module",
    "timestamp",
    "prompt_cache",
    "degraded",
    "reranked_top_5",
    "sub_queries",
    "fused_top_20",
    "latencies_ms",
    "generation_tokens_in",
    "session_id",
    "attempts",
}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_answers_from_the_documents(module: str, corpus: IngestReport) -> None:
    found = asked(module=module).outcome

    assert found.answer.answered
    assert "five days" in found.answer.text
    assert found.answer.citations
    assert set(found.answer.citations) <= {source.passage.key for source in found.sources}


@pytest.mark.parametrize("transform", ["simple", "hyde", "multi_query", "decompose", "auto"])
def test_every_transform_answers(transform: str, corpus: IngestReport) -> None:
    found = asked(module="m4-transform", transform=transform)

    assert found.outcome.answer.answered
    assert found.outcome.transform in ("simple", "hyde", "multi_query", "decompose")
    assert transform in ("auto", found.outcome.transform)


def test_a_question_that_the_documents_do_not_answer_gets_no_citations(corpus: IngestReport) -> None:
    found = asked(NOT_HELD)

    assert found.outcome.answer.answered is False
    assert found.outcome.answer.citations == ()
    assert "NO_ANSWER" not in found.outcome.answer.text
    assert row_of(found.trace.trace_id).answered is False


def test_top_k_limits_the_sources(corpus: IngestReport) -> None:
    found = asked(top_k=2)

    assert len(found.outcome.sources) == 2


def test_the_line_has_every_key_of_the_schema(corpus: IngestReport) -> None:
    found = asked()

    line = line_of(found.trace.trace_id)
    assert set(line) >= SCHEMA
    assert set(STAGES) <= set(line["latencies_ms"])
    assert set(line["prompt_cache"]) == {"read", "write_5m", "write_1h", "uncached"}


def test_the_line_tells_the_whole_path(corpus: IngestReport) -> None:
    found = asked()

    line = line_of(found.trace.trace_id)
    keys = {source.passage.key for source in found.outcome.sources}
    assert {hit["id"] for hit in line["vector_candidates"]} >= keys
    assert {hit["id"] for hit in line["reranked_top_5"]} == keys
    assert [source["id"] for source in line["sources"]] == [source.passage.key for source in found.outcome.sources]
    assert line["final_answer"] == found.outcome.answer.text
    assert line["generation_tokens_in"] == sum(line["prompt_cache"].values()) > 0


def test_every_attempt_is_booked_and_the_cost_is_their_sum(corpus: IngestReport) -> None:
    found = asked()

    entries = entries_of(found.trace.trace_id)
    assert [entry.operation for entry in entries] == ["embed", "rerank", "generate"]
    assert sum((entry.cost_usd or Decimal(0) for entry in entries), Decimal(0)) == row_of(found.trace.trace_id).cost_usd
    assert {entry.provider_mode for entry in entries} == {"simulated"}


def test_a_failed_attempt_is_booked_beside_the_one_that_succeeded(corpus: IngestReport, providers: str) -> None:
    break_provider(providers, "voyage.embeddings", times=1, kind="status", status=503)

    found = asked()

    outcomes = [entry.outcome for entry in entries_of(found.trace.trace_id) if entry.operation == "embed"]
    assert outcomes == ["provider_unavailable", "ok"]


@pytest.mark.parametrize(
    ("question", "error"),
    [
        (Question("   ", "handbook", "m3-hybrid"), QuestionRefused),
        (Question(HELD, "nowhere", "m3-hybrid"), UnknownCorpus),
        (Question(HELD, "handbook", "m99"), UnknownModule),
    ],
)
def test_a_refused_question_leaves_a_trace(question: Question, error: type[RagError], corpus: IngestReport) -> None:
    with pytest.raises(error):
        ask(question=question, caller=Caller())

    (line,) = trace_lines()
    assert line["error"]["code"] == error.code
    assert row_of(line["trace_id"]).status == error.status
    assert entries_of(line["trace_id"]) == []


def test_a_corpus_without_an_active_version_says_so(providers: str, db: None) -> None:
    Corpus.objects.create(slug="empty")

    with pytest.raises(CorpusNotReady, match="ingest"):
        asked(corpus="empty")


def test_an_answering_model_that_is_down_leaves_trace_and_attempts(corpus: IngestReport, providers: str) -> None:
    break_provider(providers, "anthropic.messages", kind="status", status=500)

    with pytest.raises(ProviderUnavailable):
        asked()

    (line,) = trace_lines()
    outcomes = [(entry.operation, entry.outcome) for entry in entries_of(line["trace_id"])]
    assert line["status"] == 503
    assert line["final_answer"] is None
    assert outcomes[-2:] == [("generate", "provider_unavailable")] * 2


def test_a_connection_that_was_cut_is_booked_as_an_estimate(corpus: IngestReport, providers: str) -> None:
    break_provider(providers, "anthropic.messages", times=1, kind="cut")

    found = asked()

    first, second = entries_of(found.trace.trace_id)[-2:]
    assert (first.estimated, second.estimated) == (True, False)
    assert first.input_tokens > 0


def test_a_vector_store_that_is_away_is_told_as_one(corpus: IngestReport, settings: Settings) -> None:
    settings.CHROMA_URL = "http://127.0.0.1:9"

    with pytest.raises(IndexUnavailable):
        asked()

    (line,) = trace_lines()
    assert (line["status"], line["error"]["code"]) == (503, "index_unavailable")


def test_a_crash_is_traced_as_one(corpus: IngestReport, settings: Settings) -> None:
    settings.BM25_DIR = None

    with pytest.raises(TypeError):
        asked()

    (line,) = trace_lines()
    assert (line["status"], line["error"]["code"]) == (500, "internal_error")
    assert row_of(line["trace_id"]).error == "internal_error"


def test_no_answer_goes_out_without_its_line(corpus: IngestReport, settings: Settings) -> None:
    settings.TRACE_DIR = "/dev/null/traces"

    with pytest.raises(TraceUnwritable):
        asked()

    assert not TraceSummary.objects.exists()
    booked = LedgerEntry.objects.values_list("operation", flat=True)
    assert "generate" in booked, "the providers were paid all the same"


def test_text_that_an_index_still_holds_but_the_rows_do_not_is_never_sent(corpus: IngestReport) -> None:
    before = asked()
    cited = before.outcome.answer.citations[0]
    version = Corpus.objects.get(slug="handbook").active_version
    assert version is not None
    version.documents.filter(chunks__key=cited).delete()

    after = asked()

    assert cited not in {source.passage.key for source in after.outcome.sources}
    assert "five days" not in after.outcome.answer.text


@pytest.mark.parametrize("text", ["a", "x" * 2_000, "line\nbreak\tand\rreturn", "Überstunden? 休暇 🌴"])
def test_it_takes_a_question_of_ordinary_text(text: str) -> None:
    check_question(text)


@pytest.mark.parametrize("text", ["", " \n\t ", "x" * 2_001, "a\0b", "a\x1bb", "a\x7fb", "a\x85b", "a\ud800b"])
def test_it_refuses_a_question_that_is_none(text: str) -> None:
    with pytest.raises(QuestionRefused):
        check_question(text)
