"""A folder in BEIR layout is ingested once and evaluated like any other set."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from evals.beir_corpus import corpus_name, source_of
from evals.models import EvalRun
from rag.models import ChunkSet, Corpus, CorpusVersion, Document

pytestmark = pytest.mark.django_db

DOCUMENTS = [
    {
        "_id": "<dbpedia:Leave_(rest), 1>",
        "title": "Leave",
        "text": "Unused annual leave of up to five days may be kept.",
    },
    {"_id": "http://x.org/trains#2", "title": "Trains", "text": "Train tickets are booked through the portal."},
    {"_id": "d3", "title": "Empty", "text": ""},
]
QUERIES: list[dict[str, Any]] = [
    {"_id": "q1", "text": "How much unused annual leave may be kept?", "answers": ["five days"]},
    {"_id": "q2", "text": "Where are train tickets booked?"},
    {"_id": "q3", "text": "Who won the football world cup of 1954?", "answerable": False},
]
QRELS = [("q1", "<dbpedia:Leave_(rest), 1>", 1), ("q2", "http://x.org/trains#2", 2)]


@pytest.fixture
def folder(beir: Callable[..., Path], providers: str) -> Path:
    return beir(corpus=DOCUMENTS, queries=QUERIES, qrels=QRELS)


def evaluate(folder: Path, modules: str) -> dict[str, Any]:
    report = folder / "report.json"
    command = ["evaluate", "--dataset", str(folder), "--modules", modules, "--no-judge", "--parallel", "1"]
    call_command(*command, "--json", str(report))
    read: dict[str, Any] = json.loads(report.read_text())
    return read


def test_a_collection_gets_a_corpus_of_its_own_and_is_measured(folder: Path) -> None:
    (run,) = evaluate(folder, "m3")["runs"]

    assert run["corpus"] == "beir-small"
    assert run["metrics"]["recall_at_5"] == run["metrics"]["mrr"] == run["metrics"]["citation_recall"] == 1.0
    assert run["metrics"]["refusal_recall"] == 1.0
    assert Document.objects.count() == 3


def test_only_the_chunks_that_the_modules_read_are_made_and_they_are_made_once(folder: Path) -> None:
    evaluate(folder, "m3")
    evaluate(folder, "m3,m2")

    assert CorpusVersion.objects.count() == 1
    assert [chunk_set.chunker for chunk_set in ChunkSet.objects.all()] == ["structural"]


def test_chunks_of_another_kind_are_added_and_the_others_stay(folder: Path) -> None:
    evaluate(folder, "m3")
    evaluate(folder, "m1")

    active = Corpus.objects.get(slug="beir-small").active_version
    assert active is not None
    assert {chunk_set.chunker for chunk_set in active.chunk_sets.all()} == {"fixed", "structural"}


def test_a_collection_that_changed_becomes_the_next_version(folder: Path) -> None:
    evaluate(folder, "m3")
    corpus = folder / "corpus.jsonl"
    corpus.write_text(corpus.read_text().replace("five days", "six days"))

    evaluate(folder, "m3")

    first, second = EvalRun.objects.order_by("pk")
    assert (first.corpus_version, second.corpus_version) == ("v1", "v2")
    assert first.dataset_sha256 != second.dataset_sha256


def test_a_collection_is_not_judged_on_other_documents(folder: Path) -> None:
    with pytest.raises(CommandError, match="brings its own documents"):
        call_command("evaluate", "--dataset", str(folder), "--corpus", "handbook")


def test_usual_ids_stay_as_they_are_and_unsafe_ones_are_encoded() -> None:
    assert source_of("a0p0") == "a0p0"
    assert source_of("doc-1.txt") == "doc-1.txt"
    assert source_of("<x, y>#1") == "%3Cx%2C%20y%3E%231"
    assert source_of("100%") != source_of("100%25")


@pytest.mark.parametrize(
    ("folder_name", "name"), [("squad2_dev", "beir-squad2-dev"), ("A b!", "beir-a-b"), ("x" * 60, "beir-" + "x" * 35)]
)
def test_the_corpus_is_named_after_the_folder(tmp_path: Path, folder_name: str, name: str) -> None:
    assert corpus_name(tmp_path / folder_name) == name
