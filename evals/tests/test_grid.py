"""`manage.py compare_chunking`: chunkers and embedders on the same questions, without an answer being written."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from costs.models import LedgerEntry
from evals.grid import GridPlan, searching
from evals.models import EvalRun
from evals.retrieving import parts_of, retrieved
from evals.tests.test_beir_corpus import DOCUMENTS, QRELS, QUERIES
from rag import clock, provider_stack, wiring
from rag.ingest import IngestReport
from rag.models import ChunkSet, CorpusVersion, ParentChunk
from rag.modules import MODULES, find_module
from rag.providers.metered import Meter
from rag.tests.small_world import HELD, bill, billed, break_provider, trace_lines

pytestmark = pytest.mark.django_db
CHUNKERS = ("fixed", "structural", "semantic", "hierarchical")


def compared(dataset: Path, *more: str, corpus: str | None = "handbook") -> dict[str, Any]:
    """What the command writes as JSON."""
    report = dataset.with_suffix(".grid.json")
    of = ["--corpus", corpus] if corpus else []
    call_command("compare_chunking", "--dataset", str(dataset), *of, "--json", str(report), *more)
    read: dict[str, Any] = json.loads(report.read_text())
    return read


def refusal(*command: str) -> str:
    with pytest.raises(CommandError) as refused:
        call_command("compare_chunking", *command)
    assert refused.value.returncode == 2
    return str(refused.value)


class TestTheTable:
    def test_it_has_every_combination_with_every_measure_and_its_interval(
        self, corpus: IngestReport, small_set: Path
    ) -> None:
        grid = compared(small_set)

        assert [(arm["chunker"], arm["embedder"]) for arm in grid["arms"]] == [
            (chunker, embedder) for chunker in CHUNKERS for embedder in ("voyage", "openai")
        ]
        assert (grid["questions"], grid["corpus_version"], grid["provider_mode"]) == (12, "v2", "simulated")
        for arm in grid["arms"]:
            assert set(arm["metrics"]) == set(arm["intervals"]) == {"recall_at_5", "recall_at_10", "mrr", "ndcg_at_10"}
            assert arm["metrics"]["recall_at_5"] == 1.0

    def test_where_all_is_found_by_all_nobody_wins(self, corpus: IngestReport, small_set: Path) -> None:
        standings = compared(small_set)["standings"]

        assert set(standings) == {
            "all combinations",
            *(f"chunkers with {name}" for name in ("voyage", "openai")),
            *(f"embedders of {name}" for name in CHUNKERS),
        }
        assert all(each["winner"] is None for each in standings.values())
        assert len(standings["all combinations"]["same_values"]) == 7

    def test_markdown_says_so_and_that_the_providers_are_simulated(
        self, corpus: IngestReport, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        compared(small_set, "--chunkers", "fixed,structural", "--markdown", str(tmp_path / "grid.md"))

        written = (tmp_path / "grid.md").read_text()
        assert written in capsys.readouterr().out
        assert "| fixed | openai | 4 | 1.000 (1.00 to 1.00) |" in written
        assert "embedders of fixed: no winner. fixed with voyage and fixed with openai have the same value" in written
        assert "Simulated providers" in written

    def test_it_retrieves_what_the_served_module_retrieves(self, corpus: IngestReport, small_set: Path) -> None:
        call_command(
            "evaluate",
            "--dataset",
            str(small_set),
            "--corpus",
            "handbook",
            "--modules",
            "m3",
            "--no-judge",
            "--parallel",
            "1",
        )

        (arm,) = compared(small_set, "--module", "m3", "--chunkers", "structural", "--embedders", "voyage")["arms"]

        (run,) = EvalRun.objects.all()
        served = {row.question_id: row.scores["mrr"] for row in run.results.all() if row.scores["mrr"] is not None}
        assert arm["metrics"]["mrr"] == pytest.approx(sum(served.values()) / len(served))

    def test_one_combination_alone_is_shown_without_a_verdict(self, corpus: IngestReport, small_set: Path) -> None:
        grid = compared(small_set, "--chunkers", "fixed", "--embedders", "openai", "--limit", "3")

        assert (len(grid["arms"]), grid["standings"], grid["questions"]) == (1, {}, 3)

    def test_gold_is_matched_by_the_span_of_the_parent_that_is_sent(
        self, corpus: IngestReport, small_set: Path
    ) -> None:
        compared(small_set, "--chunkers", "hierarchical", "--embedders", "voyage")
        module = searching(find_module("m2"), "hierarchical")
        meter = Meter(prices=wiring.latest_prices(), now=clock.now)
        parts = parts_of(corpus="handbook", module=module, spec=provider_stack.query_embedder(), meter=meter)

        found = retrieved(HELD, parts)

        spans = set(ParentChunk.objects.values_list("document__source", "start", "end"))
        assert found.ranked
        assert set(found.ranked) <= spans
        assert found.sent == sum(end - start for _, start, end in found.ranked)


class TestWhatItCosts:
    def test_questions_are_embedded_booked_to_the_cent_and_nothing_is_generated(
        self, corpus: IngestReport, small_set: Path, providers: str
    ) -> None:
        before = bill(providers)["count"]

        grid = compared(small_set, "--chunkers", "fixed,structural")

        entries = bill(providers, since=before)["entries"]
        rows = LedgerEntry.objects.filter(kind="eval")
        assert {(row.operation, row.module, row.corpus) for row in rows} == {("embed", "m2-chunking", "handbook")}
        assert len(entries) == rows.count() == 12 * 4
        assert Decimal(str(grid["cost_usd"])) == billed(entries)
        assert trace_lines() == []

    def test_the_embedding_of_each_arm_is_the_one_it_is_named_after(
        self, corpus: IngestReport, small_set: Path, providers: str
    ) -> None:
        before = bill(providers)["count"]

        compared(small_set, "--chunkers", "fixed", "--embedders", "openai")

        assert {entry["provider"] for entry in bill(providers, since=before)["entries"]} == {"openai"}

    def test_what_was_prepared_once_is_not_prepared_again(self, corpus: IngestReport, small_set: Path) -> None:
        compared(small_set)
        compared(small_set)

        assert CorpusVersion.objects.count() == 2

    def test_a_provider_that_fails_stops_it_and_what_was_spent_is_booked(
        self, corpus: IngestReport, small_set: Path, providers: str
    ) -> None:
        break_provider(providers, "openai.embeddings", kind="status", status=401)

        said = refusal("--dataset", str(small_set), "--corpus", "handbook", "--chunkers", "fixed")

        assert "openai" in said
        assert LedgerEntry.objects.filter(kind="eval", outcome="ok").count() == 12
        assert LedgerEntry.objects.filter(kind="eval").exclude(outcome="ok").count() == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("command", "said"),
        [
            (["--chunkers", "magic"], "unknown chunker magic; known: fixed, structural, semantic"),
            (["--embedders", "word2vec"], "unknown embedder word2vec; known: voyage, openai"),
            (["--limit", "0"], "at least one question"),
            (["--module", "m77"], "there is no module 'm77'"),
            (["--dataset", "no-such-set"], "no data set"),
            (["--corpus", "nowhere"], "there is no corpus 'nowhere'"),
            (["--json", "/no/such/folder/grid.json"], "no such folder"),
        ],
    )
    def test_what_cannot_be_measured_is_refused_with_the_reason(self, command: list[str], said: str) -> None:
        assert said in refusal(*command)

    def test_a_collection_brings_its_own_documents(self, beir: Callable[..., Path]) -> None:
        folder = beir(corpus=DOCUMENTS, queries=QUERIES, qrels=QRELS)

        assert "brings its own documents" in refusal("--dataset", str(folder), "--corpus", "handbook")


class TestCollections:
    def test_a_collection_is_cut_by_the_chunkers_that_are_compared(
        self, beir: Callable[..., Path], providers: str
    ) -> None:
        folder = beir(corpus=DOCUMENTS, queries=QUERIES, qrels=QRELS)

        grid = compared(folder, "--chunkers", "structural,hierarchical", corpus=None)

        assert (grid["corpus"], grid["questions"]) == ("beir-small", 2)
        assert {row.chunker for row in ChunkSet.objects.all()} == {"structural", "hierarchical"}
        assert all(arm["metrics"]["recall_at_5"] == 1.0 for arm in grid["arms"])


def test_a_module_keeps_its_retrieval_and_gives_up_its_fallback() -> None:
    module = MODULES["m6-production"]

    found = searching(module, "fixed")

    assert (found.chunker, found.fallbacks) == ("fixed", False)
    assert (found.bm25_candidates, found.rerank) == (module.bm25_candidates, module.rerank)


def test_measures_look_at_ten_places_even_where_five_are_sent() -> None:
    plan = GridPlan(dataset="django-topics")

    found = searching(find_module(plan.module), "structural")

    assert (found.vector_candidates, found.top_k) == (10, 5)
