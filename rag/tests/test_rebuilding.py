"""The vector store may be lost: the rows are the authority, and no text is paid for that is stored somewhere."""

import shutil
from io import StringIO
from pathlib import Path

import pytest
from django.conf import LazySettings, settings
from django.core.management import CommandError, call_command

from costs.models import LedgerEntry
from rag import wiring
from rag.errors import IndexOutdated
from rag.ingest import IngestReport, ingest
from rag.models import CorpusVersion, VectorIndex
from rag.rebuilding import Rebuilt, rebuild
from rag.tests.small_world import HELD, asked

pytestmark = pytest.mark.django_db


def again(version: CorpusVersion | None = None) -> Rebuilt:
    return rebuild(version=version or CorpusVersion.objects.get(), progress=lambda *_: None)


def lose(collections: list[str]) -> None:
    for collection in collections:
        wiring.build_store().drop(collection)


def all_collections() -> list[str]:
    return list(VectorIndex.objects.values_list("collection", flat=True))


def test_a_lost_store_and_lost_files_are_made_again(corpus: IngestReport) -> None:
    before = asked(HELD).outcome.sources
    lose(all_collections())
    shutil.rmtree(Path(settings.BM25_DIR))
    wiring._lexical_index.cache_clear()
    with pytest.raises(IndexOutdated):
        asked(HELD)

    report = again()

    after = asked(HELD).outcome.sources
    assert [source.passage.key for source in after] == [source.passage.key for source in before]
    assert (report.found, report.embedded + report.reused) == (0, 16)


def test_what_it_costs_is_booked_beside_the_ingest(corpus: IngestReport) -> None:
    booked = LedgerEntry.objects.count()
    lose(all_collections())

    again()

    fresh = LedgerEntry.objects.order_by("pk")[booked:]
    assert fresh
    assert all(entry.trace_id.startswith("rebuild-") and entry.cost_usd for entry in fresh)


def test_what_is_whole_costs_nothing(corpus: IngestReport) -> None:
    assert again() == Rebuilt("handbook", "v1", found=16, reused=0, embedded=0)


def test_only_what_is_missing_is_embedded(corpus: IngestReport) -> None:
    for name in all_collections():
        collection = wiring.build_store()._collection(name)
        collection.delete(ids=collection.get(limit=1)["ids"])

    report = again()

    assert report.found == 12
    assert report.embedded + report.reused == 4


def test_vectors_of_another_version_are_copied(corpus: IngestReport, documents: Path) -> None:
    (documents / "garage.txt").write_text("The garage closes at ten.")
    ingest(path=documents, corpus="handbook")
    first = CorpusVersion.objects.get(number=1)
    lose(list(VectorIndex.objects.filter(chunk_set__version=first).values_list("collection", flat=True)))

    report = again(first)

    assert (report.found, report.reused, report.embedded) == (0, 16, 0)


def test_a_collection_that_holds_too_much_is_made_anew(corpus: IngestReport) -> None:
    name = all_collections()[0]
    store = wiring.build_store()
    key = store._collection(name).get(limit=1)["ids"][0]
    store.write(collection=name, keys=["left/over#0"], vectors=store.read(collection=name, keys=[key])[key][None])

    again()

    assert store.count(name) == 4


def test_vectors_of_an_embedder_that_the_settings_do_not_name_are_refused(
    corpus: IngestReport, settings: LazySettings
) -> None:
    settings.EMBEDDING_DIMENSIONS = 512

    with pytest.raises(IndexOutdated, match="ingest the corpus again"):
        again()


def test_the_command_tells_what_it_did(corpus: IngestReport) -> None:
    out = StringIO()

    call_command("rebuild", "handbook", stdout=out)

    assert out.getvalue() == "handbook v1 is whole: 16 vectors were there, 0 reused, 0 texts embedded; BM25 built\n"


def test_the_command_names_the_corpora_that_there_are(corpus: IngestReport) -> None:
    with pytest.raises(CommandError, match="there is no corpus atlantis; there are: handbook"):
        call_command("rebuild", "atlantis")
