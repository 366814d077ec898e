"""`manage.py tune` on real parts: what it measures is what is served, and the file changes only when something wins."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from costs.models import LedgerEntry
from evals.asking import sum_of
from evals.dataset import load_dataset
from evals.errors import EvaluationRefused
from evals.models import EvalResult
from evals.planning import Plan, planned
from evals.running import carry_out
from evals.tests.conftest import jsonl
from evals.tuning import Tuning, TuningPlan, tune
from evals.tuning_collections import collected, collection, providers, spending
from evals.tuning_questions import Collection, Half
from rag import clock, modules, wiring
from rag.ingest import IngestReport
from rag.modules import AUTO, M5, MODULES, TUNED, Module
from rag.providers.metered import Meter
from rag.replaying import replay
from rag.retrieval.passages import StoredPassages
from rag.tests.small_world import asked, line_of, trace_lines
from rag.tuned import CORPUS_KNOBS, FILE, GENERAL_KNOBS, read_content, read_tuned

pytestmark = pytest.mark.django_db
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "by ranks": {"fusion": "ranks", "rrf_k": 10, "dense_weight": 0.3, "lexical_weight": 0.7, "rerank": False},
    "by scores": {
        "fusion": "scores",
        "dense_weight": 0.6,
        "lexical_weight": 0.4,
        "rerank": False,
        "transform": "simple",
    },
    "few candidates": {"vector_candidates": 2, "bm25_candidates": 1, "fused_candidates": 2, "source_floor": 0.9},
    "transformed": {"transform": AUTO, "sure_overlap": 0, "top_k": 2},
    "fixed chunks": {"chunker": "fixed", "rerank": True, "fused_candidates": 4},
}


@pytest.fixture(autouse=True)
def handbook(settings: Settings) -> None:
    settings.DEFAULT_CORPUS = "handbook"


@pytest.fixture
def meter(db: None) -> Meter:
    return Meter(prices=wiring.latest_prices(), now=clock.now)


@pytest.fixture
def small(corpus: IngestReport, small_set: Path, meter: Meter) -> Collection:
    """The small set on the small world."""
    return collection(load_dataset(str(small_set)), "handbook", M5, None, providers(meter))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A copy of the shipped file without corpora of their own."""
    path = tmp_path / "tuned.json"
    path.write_text(json.dumps(read_content(FILE) | {"corpora": {}}), "utf-8")
    return path


PARTS = [f"{''.join(random.Random(number).choices('bcdfghklmnprstvwz', k=9))}" for number in range(64)]

PREAMBLE = "Every part is kept in the hall. " * 45  # more than the 256 word pieces that the sandbox's encoder reads


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    """A BEIR folder in which only words tell the documents apart: what differs stands behind what a vector can hold."""
    folder = tmp_path / "stock"
    folder.mkdir()
    rows = [
        {"_id": f"d{number}", "title": "Stock", "text": f"{PREAMBLE}The part {part} is on a shelf."}
        for number, part in enumerate(PARTS)
    ]
    queries = [{"_id": f"q{number}", "text": f"Where is {part}?"} for number, part in enumerate(PARTS)]
    (folder / "corpus.jsonl").write_text(jsonl(rows), "utf-8")
    (folder / "queries.jsonl").write_text(jsonl(queries), "utf-8")
    pairs = "".join(f"q{number}\td{number}\t1\n" for number in range(len(PARTS)))
    (folder / "qrels.tsv").write_text(f"query-id\tcorpus-id\tscore\n{pairs}", "utf-8")
    return folder


WITHOUT_WORDS = replace(
    M5,
    vector_candidates=1,
    bm25_candidates=1,
    fused_candidates=1,
    dense_weight=1.0,
    lexical_weight=0.0,
    rerank=False,
    transform="simple",
)


@pytest.fixture
def tuned(providers: str, stock: Path, file: Path) -> Tuning:
    """The stock, tuned from a configuration that does not look at words."""
    return tune(TuningPlan(datasets=(), folders=(stock,), incumbent=WITHOUT_WORDS, file=file))


class TestWhatIsMeasured:
    @pytest.mark.parametrize("name", CONFIGURATIONS)
    def test_a_configuration_scores_as_it_does_in_the_pipeline(
        self, name: str, small: Collection, small_set: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = replace(M5, **CONFIGURATIONS[name])
        monkeypatch.setitem(MODULES, M5.name, module)

        scored = {**small.results(module, Half.SEARCH), **small.results(module, Half.CONFIRM)}

        runs = planned(Plan(dataset=str(small_set), corpus="handbook", modules=("m5",), judge=False))
        carry_out(runs, parallel=1)
        rows = EvalResult.objects.filter(run=runs[0], answerable=True)
        served = {row.question_id: row for row in rows}
        assert len(served) == 12
        assert {key: found.recall for key, found in scored.items()} == {
            key: row.scores["recall_at_5"] for key, row in served.items()
        }
        sent = {line["trace_id"]: sum(map(len, texts(line))) for line in trace_lines()}
        assert {key: found.sent_characters for key, found in scored.items()} == {
            key: sent[row.trace_id] for key, row in served.items()
        }

    def test_what_is_known_is_not_asked_again(self, small: Collection, meter: Meter) -> None:
        module = replace(M5, transform="simple", rerank=True)
        small.results(module, Half.SEARCH)
        asked_once = [attempt.operation for attempt in meter.attempts]

        small.results(replace(module, top_k=2), Half.SEARCH)
        small.results(replace(module, source_floor=0.1), Half.SEARCH)

        assert asked_once.count("embed") == 1
        assert asked_once.count("rerank") == len(small.halves[Half.SEARCH])
        assert [attempt.operation for attempt in meter.attempts] == asked_once

    def test_nothing_is_generated_and_what_was_spent_is_in_the_ledger(
        self, corpus: IngestReport, small_set: Path, file: Path
    ) -> None:
        tuning = tune(TuningPlan(datasets=(str(small_set),), file=file))

        booked = LedgerEntry.objects.filter(kind="tune")
        assert set(booked.values_list("operation", flat=True)) >= {"embed", "rerank"}
        assert "generate" not in booked.values_list("operation", flat=True)
        assert sum_of(*booked.values_list("cost_usd", flat=True)) == tuning.spent_usd

    def test_what_was_spent_before_a_failure_is_in_the_ledger_too(self, corpus: IngestReport, small_set: Path) -> None:
        with pytest.raises(ConnectionError), spending() as spent:
            again = collection(load_dataset(str(small_set)), "handbook", M5, None, providers(spent.meter))
            again.results(replace(M5, rerank=False, transform="simple"), Half.SEARCH)
            raise ConnectionError

        assert LedgerEntry.objects.filter(kind="tune", operation="embed").count() == 1


def texts(line: dict[str, Any]) -> Iterator[str]:
    """Of the sources that the model was sent."""
    chunk_set = wiring.serving_for("handbook", wiring.current_stamp("handbook").version_id, line["chunker"], "")
    parts = StoredPassages(chunk_set_id=chunk_set.chunk_set_id, url_template="")
    live = parts.load([source["id"] for source in line["sources"]])
    yield from (passage.text for passage in live.values())


class TestWhatIsWritten:
    def test_what_wins_is_written_with_its_evidence(self, tuned: Tuning, file: Path) -> None:
        assert tuned.written
        chosen = read_content(file)["general"]
        assert set(chosen["knobs"]) == set(GENERAL_KNOBS)
        assert chosen["knobs"]["lexical_weight"] > 0
        evidence, decision = chosen["evidence"], chosen["evidence"]["decisions"][0]
        assert evidence["datasets"][0]["name"] == "stock"
        assert (evidence["datasets"][0]["searched"], evidence["datasets"][0]["confirmed"]) == (32, 32)
        assert evidence["datasets"][0]["sha256"]
        assert evidence["decided_at"] and evidence["models"]["embedding"]
        assert decision["beaten"]["lexical_weight"] == 0.0
        assert decision["confirmation"]["interval_95"][0] > 0
        assert decision["confirmation"]["difference"] == pytest.approx(
            decision["confirmation"]["after"] - decision["confirmation"]["before"]
        )

    def test_the_file_can_be_served(self, tuned: Tuning, file: Path) -> None:
        read = read_tuned(
            file,
            choices={"chunker": modules.RECIPES, "transform": (*modules.TRANSFORMS, AUTO), "fusion": modules.FUSIONS},
        )

        assert Module(name="m5-tuned", **read.general) == tuned.decisions[1].after

    def test_where_nothing_wins_the_file_is_not_touched(
        self, corpus: IngestReport, small_set: Path, file: Path
    ) -> None:
        before = file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino

        told = command("--dataset", str(small_set), "--file", str(file))

        assert (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino) == before
        assert "nothing won on the confirming half: the file was not touched" in told

    def test_a_dry_run_tells_what_wins_and_writes_nothing(self, providers: str, stock: Path, file: Path) -> None:
        before = file.read_bytes()

        tuning = tune(TuningPlan((), (stock,), incumbent=WITHOUT_WORDS, dry_run=True, file=file))

        assert tuning.decisions[0].wins and not tuning.written
        assert file.read_bytes() == before

    def test_a_corpus_with_knobs_of_its_own_is_served_with_them_and_replays(
        self, corpus: IngestReport, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = {name: M5.config()[name] for name in CORPUS_KNOBS} | {"fusion": "scores", "lexical_weight": 0.9}
        monkeypatch.setattr(modules, "TUNED", replace(TUNED, corpora={"handbook": own}))

        line = line_of(asked(module="m6", transform="simple").trace.trace_id)

        assert (line["config"]["fusion"], line["config"]["lexical_weight"]) == ("scores", 0.9)
        assert replay(line).identical


def command(*arguments: str) -> str:
    """What `tune` prints."""
    out = StringIO()
    call_command("tune", *arguments, stdout=out)
    return out.getvalue()


class TestCommand:
    def test_it_says_what_was_decided_as_json(self, corpus: IngestReport, small_set: Path, file: Path) -> None:
        report = json.loads(command("--dataset", str(small_set), "--file", str(file), "--json"))

        assert report["written"] is False
        assert [(each["decided"], each["corpus"]) for each in report["decisions"]] == [
            ("finding", None),
            ("sources", None),
            ("finding", "handbook"),
        ]
        assert report["datasets"][0]["searched"] == report["datasets"][0]["confirmed"] == 6

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["--dataset", "nowhere"], "no data set 'nowhere'"),
            (["--limit", "3"], "at least four questions"),
            (["--limit", "-5"], "at least four questions"),
            (["--dataset", "django-topics", "--dataset", "django-topics"], "named twice"),
            ([], "there is no corpus 'handbook'"),
        ],
    )
    def test_it_refuses_what_cannot_be_tuned(self, arguments: list[str], told: str, db: None, providers: str) -> None:
        with pytest.raises(CommandError, match=told) as refused:
            command(*arguments)

        assert refused.value.returncode == 2
        assert not LedgerEntry.objects.exists()

    def test_a_folder_without_documents_is_refused(self, db: None, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="neither qrels.tsv"):
            command("--beir", str(tmp_path))

    def test_a_chunker_that_the_corpus_lacks_is_ingested_when_it_is_named(
        self, corpus: IngestReport, small_set: Path, meter: Meter
    ) -> None:
        (found,) = collected(
            datasets=[str(small_set)],
            folders=[],
            recipes=["structural-900"],
            base=M5,
            limit=None,
            meter=meter,
            progress=lambda stage, done, total: None,
        )

        assert "structural-900" in found.recipes


def test_a_set_too_small_to_be_halved_is_refused(
    corpus: IngestReport, providers: str, beir: Callable[..., Path], file: Path
) -> None:
    with pytest.raises(EvaluationRefused, match="too few questions with gold"):
        tune(TuningPlan(datasets=(), folders=(beir(),), file=file))
