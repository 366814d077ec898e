import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from costs.models import LedgerEntry
from rag import clock, corpora, provider_stack, wiring
from rag.building import VerificationFailed
from rag.errors import CorpusNotReady, IngestRefused, ProviderBusy, ProviderRefused
from rag.ingest import IngestReport, ingest
from rag.models import Chunk, Corpus, CorpusVersion, VectorIndex
from rag.reading.limits import MIB
from rag.retrieval.lexical_files import directory_of
from rag.tests import samples
from rag.tests.factories import CorpusFactory, CorpusVersionFactory
from rag.tests.small_world import asked, bill, billed, break_provider

TEN_DAYS = "Unused annual leave of up to ten days may be carried over into the next calendar year.\n"
NEW_LINE = "handbook\n"


def active_label(slug: str = "handbook") -> str:
    version = Corpus.objects.get(slug=slug).active_version
    assert version is not None
    return version.label


def again(documents: Path, *, add: bool = False) -> IngestReport:
    return ingest(path=documents, corpus="handbook", add=add)


def change(documents: Path, text: str = TEN_DAYS) -> None:
    (documents / "handbook" / "leave.md").write_text(f"# Leave policy\n\n{text}")


def at_stage(beginning: str, act: Callable[[], None]) -> Callable[[str, int, int], None]:
    """A progress callback that acts once, when a stage of that name is first told."""
    acted: list[str] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage.startswith(beginning) and not acted:
            acted.append(stage)
            act()

    return progress


class TestVersions:
    def test_the_first_ingest_is_version_1_and_serves(self, corpus: IngestReport) -> None:
        assert (corpus.version, corpus.documents, corpus.reused, corpus.unchanged) == ("v1", 4, 0, False)
        assert active_label() == "v1"

    def test_every_chunk_is_in_rows_and_in_both_spaces(self, corpus: IngestReport) -> None:
        spaces = [(spec.provider, spec.dimensions) for spec in provider_stack.ingest_embedders()]
        indexes = VectorIndex.objects.values_list("chunk_set__chunker", "provider", "dimensions", "count")

        assert set(indexes) == {
            (chunker, provider, width, count) for chunker, count in corpus.chunks.items() for provider, width in spaces
        }
        assert Chunk.objects.count() == sum(corpus.chunks.values()) == corpus.embedded / 2

    def test_an_unchanged_folder_makes_no_version_and_embeds_nothing(
        self, corpus: IngestReport, documents: Path, providers: str
    ) -> None:
        before = bill(providers)["count"]

        report = again(documents)

        assert (report.unchanged, report.version, report.embedded) == (True, "v1", 0)
        assert CorpusVersion.objects.count() == 1
        assert bill(providers)["count"] == before

    def test_only_the_chunks_of_a_changed_document_are_embedded(
        self, corpus: IngestReport, documents: Path, providers: str
    ) -> None:
        known = set(Chunk.objects.values_list("sha256", flat=True))
        before = bill(providers)["count"]
        change(documents)

        report = again(documents)

        fresh = Chunk.objects.filter(chunk_set__version__number=2).exclude(sha256__in=known)
        entries = bill(providers, since=before)["entries"]
        assert {chunk.document.source for chunk in fresh} == {"handbook/leave"}
        assert report.embedded == 2 * fresh.count()
        assert report.reused == 2 * (sum(report.chunks.values()) - fresh.count())
        assert sum(entry["usage"]["total_tokens"] for entry in entries) < 200

    def test_a_new_version_answers_from_its_own_text(self, corpus: IngestReport, documents: Path) -> None:
        change(documents)

        again(documents)

        found = asked()
        assert "ten days" in found.outcome.answer.text
        assert found.trace.corpus_version == "v2"

    def test_a_document_that_left_the_folder_leaves_the_corpus(self, corpus: IngestReport, documents: Path) -> None:
        (documents / "handbook" / "leave.md").unlink()

        assert again(documents).documents == 3

    def test_add_keeps_the_other_documents(self, corpus: IngestReport, tmp_path: Path) -> None:
        folder = samples.written(tmp_path / "more", "parking.md", "# Parking\n\nThe garage closes at 22:00.").parent

        report = again(folder, add=True)

        assert report.documents == 5
        assert "22:00" in asked("When does the garage close?").outcome.answer.text
        assert "five days" in asked().outcome.answer.text

    def test_add_replaces_a_document_of_the_same_name(self, corpus: IngestReport, tmp_path: Path) -> None:
        samples.written(tmp_path / "more", "handbook/leave.md", TEN_DAYS)

        assert again(tmp_path / "more", add=True).documents == 4
        assert "ten days" in asked().outcome.answer.text

    def test_a_roll_back_serves_the_earlier_text(self, corpus: IngestReport, documents: Path) -> None:
        change(documents)
        again(documents)

        corpora.roll_back(corpus=Corpus.objects.get(), who_id=None, why="ten was wrong")

        assert active_label() == "v1"
        assert "five days" in asked().outcome.answer.text

    def test_there_is_nothing_to_roll_back_to_before_version_1(self, corpus: IngestReport) -> None:
        with pytest.raises(CorpusNotReady):
            corpora.roll_back(corpus=Corpus.objects.get(), who_id=None, why="too far")

    def test_every_activation_leaves_a_line(self, corpus: IngestReport, documents: Path) -> None:
        change(documents)
        again(documents)

        lines = Corpus.objects.get().activations.order_by("id").values_list("version__number", "previous_number")
        assert list(lines) == [(1, None), (2, 1)]

    def test_pruning_keeps_the_newest_and_deletes_the_rest_everywhere(
        self, corpus: IngestReport, documents: Path, settings: Settings
    ) -> None:
        settings.KEEP_CORPUS_VERSIONS = 1
        index = VectorIndex.objects.filter(chunk_set__version__number=1)[0]
        change(documents)

        report = again(documents)

        assert report.pruned == ("v1",)
        assert list(CorpusVersion.objects.values_list("number", flat=True)) == [2]
        assert index.collection not in wiring.build_store().names()
        assert not directory_of(root=Path(settings.BM25_DIR), chunk_set_id=index.chunk_set_id).exists()

    def test_deleted_text_is_never_quoted_again(
        self, corpus: IngestReport, documents: Path, settings: Settings
    ) -> None:
        settings.KEEP_CORPUS_VERSIONS = 1
        asked()
        change(documents, "Leave is never carried over.\n")

        again(documents)

        texts = [asked(module=module).outcome.answer.text for module in ("m1-baseline", "m3-hybrid")]
        assert not any("five days" in text for text in texts)


class TestFailure:
    def test_a_version_that_does_not_agree_with_itself_never_serves(
        self, corpus: IngestReport, documents: Path
    ) -> None:
        change(documents)

        def lose_a_vector() -> None:
            index = VectorIndex.objects.get(chunk_set__version__number=2, chunk_set__chunker="fixed", provider="voyage")
            key = Chunk.objects.filter(chunk_set=index.chunk_set)[0].key
            wiring.build_store()._collection(index.collection).delete(ids=[key])

        with pytest.raises(VerificationFailed, match="vectors"):
            ingest(
                path=documents,
                corpus="handbook",
                progress=at_stage("embedding (structural)", lose_a_vector),
            )

        failed = CorpusVersion.objects.get(number=2)
        assert (failed.state, active_label()) == ("failed", "v1")
        assert "vectors" in failed.error
        assert "five days" in asked().outcome.answer.text

    def test_what_an_interrupted_ingest_embedded_is_not_embedded_again(
        self, corpus: IngestReport, documents: Path
    ) -> None:
        change(documents)

        def interrupt() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            ingest(path=documents, corpus="handbook", progress=at_stage("embedding (structural)", interrupt))
        report = again(documents)

        fresh = Chunk.objects.filter(chunk_set__version__number=3, document__source="handbook/leave").count()
        assert (report.version, active_label()) == ("v3", "v3")
        assert report.embedded < 2 * fresh

    def test_a_provider_that_fails_for_a_while_is_tried_again(self, documents: Path, providers: str, db: None) -> None:
        break_provider(providers, "voyage.embeddings", times=1, kind="status", status=503)

        report = again(documents)

        outcomes = LedgerEntry.objects.filter(provider="voyage").order_by("attempt").values_list("outcome", flat=True)
        assert report.version == "v1"
        assert list(outcomes)[:2] == ["provider_unavailable", "ok"]

    @pytest.mark.parametrize(
        ("status", "headers", "error"),
        [(401, {}, ProviderRefused), (429, {"retry-after": "3600"}, ProviderBusy)],
    )
    def test_a_provider_that_stays_away_fails_the_version_and_says_why(
        self,
        status: int,
        headers: dict[str, str],
        error: type[Exception],
        corpus: IngestReport,
        documents: Path,
        providers: str,
    ) -> None:
        change(documents)
        break_provider(providers, "openai.embeddings", kind="status", status=status, headers=headers)

        with pytest.raises(error):
            again(documents)

        failed = CorpusVersion.objects.get(number=2)
        assert (failed.state, active_label()) == ("failed", "v1")
        assert error.__name__ in failed.error

    def test_a_vector_store_that_is_away_leaves_the_active_version(
        self, corpus: IngestReport, documents: Path, settings: Settings
    ) -> None:
        change(documents)
        settings.CHROMA_URL = "http://127.0.0.1:9"

        with pytest.raises(Exception, match="127.0.0.1:9"):
            again(documents)

        assert active_label() == "v1"

    def test_what_it_books_is_what_the_providers_bill(self, documents: Path, providers: str, db: None) -> None:
        before = bill(providers)["count"]

        report = again(documents)

        entries = bill(providers, since=before)["entries"]
        booked = LedgerEntry.objects.filter(kind="ingest", corpus=report.corpus)
        assert len(entries) == booked.count() == 4
        assert sum(entry.input_tokens for entry in booked) == sum(e["usage"]["total_tokens"] for e in entries)
        assert sum(entry.cost_usd or 0 for entry in booked) == billed(entries)


class TestOneAtATime:
    def test_a_corpus_that_is_being_built_is_refused(self, corpus: IngestReport, documents: Path) -> None:
        change(documents)
        row = Corpus.objects.get()
        CorpusVersionFactory.create(corpus=row, number=2, state="building", builder=corpora.builder_name())

        with pytest.raises(IngestRefused, match="being built"):
            again(documents)

        assert active_label() == "v1"

    def test_a_builder_whose_process_died_gives_way(self, corpus: IngestReport, documents: Path) -> None:
        change(documents)
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        row = Corpus.objects.get()
        left = CorpusVersionFactory.create(
            corpus=row, number=2, state="building", builder=f"{socket.gethostname()}:{gone.pid}"
        )

        report = again(documents)

        assert (report.version, active_label()) == ("v3", "v3")
        assert not CorpusVersion.objects.filter(pk=left.pk, state="building").exists()

    @pytest.mark.parametrize(("silent_s", "dead"), [(10, False), (3_600, True)])
    def test_a_builder_on_another_host_is_judged_by_its_signs_of_life(self, silent_s: int, dead: bool) -> None:
        now = clock.now()
        version = CorpusVersionFactory.build(
            corpus=None, builder="another-host:1", heartbeat_at=now - timedelta(seconds=silent_s)
        )

        assert corpora.is_dead(version, now) is dead

    def test_a_builder_that_was_silent_for_a_day_is_dead_though_its_process_id_is_taken(self) -> None:
        now = clock.now()
        version = CorpusVersionFactory.build(
            corpus=None, builder=f"{socket.gethostname()}:{os.getppid()}", heartbeat_at=now - timedelta(days=1)
        )

        assert corpora.is_dead(version, now)

    @pytest.mark.django_db(transaction=True, serialized_rollback=True)
    def test_of_two_that_claim_at_once_one_builds(self) -> None:
        row = CorpusFactory.create()
        refused: list[str] = []
        claimed: list[CorpusVersion] = []
        together = threading.Barrier(2)

        def claim() -> None:
            together.wait()
            try:
                claimed.append(corpora.claim(corpus=row, now=clock.now()))
            except IngestRefused as error:
                refused.append(str(error))
            finally:
                connection.close()

        threads = [threading.Thread(target=claim) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert (len(claimed), len(refused)) == (1, 1)


class TestFiles:
    def test_six_formats_in_one_folder_are_read(self, tmp_path: Path, providers: str, db: None) -> None:
        folder = tmp_path / "six"
        samples.written(folder, "a.md", "# Apples\n\nApples are stored at 1 degree.")
        samples.written(folder, "b.rst", "Bananas\n=======\n\nBananas are stored at 13 degrees.")
        samples.written(folder, "c.txt", "Cherries are stored at 0 degrees.")
        samples.written(folder, "d.html", "<h1>Dates</h1><p>Dates are stored at 5 degrees.</p>")
        samples.written(folder, "e.pdf", samples.pdf("Elderberries are stored at 2 degrees."))
        samples.written(folder, "f.docx", samples.docx(samples.docx_paragraph("Figs are stored at 4 degrees.")))

        report = ingest(path=folder, corpus="fruit")

        assert (report.documents, report.bad_files) == (6, ())
        assert "4 degrees" in asked("How are figs stored?", corpus="fruit").outcome.answer.text

    def test_bad_files_are_named_with_their_reasons_and_the_rest_goes_on(
        self, documents: Path, providers: str, db: None
    ) -> None:
        samples.written(documents, "broken.pdf", samples.pdf("A page.")[:300])
        samples.written(documents, "bomb.docx", samples.zip_bomb(unpacked=210 * MIB))
        samples.written(documents, "latin.txt", "Größe".encode("latin-1"))
        samples.written(documents, "photo.png", b"\x89PNG")
        with samples.written(documents, "huge.txt", b"").open("wb") as huge:
            huge.truncate(50 * MIB)

        report = again(documents)

        reasons = {file.source: file.reason for file in report.bad_files}
        assert report.documents == 4
        assert set(reasons) == {"broken.pdf", "bomb.docx", "latin.txt", "photo.png", "huge.txt"}
        assert "zip bomb" in reasons["bomb.docx"]
        assert "50 MiB" in reasons["huge.txt"]
        assert "UTF-8" in reasons["latin.txt"]
        assert {file["source"] for file in CorpusVersion.objects.get().bad_files} == set(reasons)

    @pytest.mark.parametrize("name", ["empty", "missing"])
    def test_a_folder_without_documents_is_refused(self, name: str, tmp_path: Path, db: None) -> None:
        (tmp_path / "empty").mkdir()

        with pytest.raises(IngestRefused, match=name):
            ingest(path=tmp_path / name, corpus="handbook")

        assert not Corpus.objects.exists()

    def test_a_folder_of_bad_files_alone_is_refused_naming_them(self, tmp_path: Path, db: None) -> None:
        samples.written(tmp_path, "latin.txt", b"\xe4")

        with pytest.raises(IngestRefused, match="latin.txt"):
            ingest(path=tmp_path, corpus="handbook")

    def test_a_file_under_a_very_long_path_is_read_or_named(self, documents: Path, providers: str, db: None) -> None:
        samples.written(documents, "/".join(["d" * 200] * 3) + "/deep.md", "# Deep\n\nDeep text.")

        report = again(documents)

        assert report.documents + len(report.bad_files) == 5

    @pytest.mark.parametrize("chunkers", [["magic"], [], ["fixed", "magic"]])
    def test_an_unknown_chunker_is_refused(self, chunkers: list[str], documents: Path, db: None) -> None:
        with pytest.raises(IngestRefused, match="structural"):
            ingest(path=documents, corpus="handbook", chunkers=chunkers)

    @pytest.mark.parametrize(
        "name",
        ["", "a", "Handbook", "-handbook", "hand book", "../x", "x" * 41, "händbuch", "hand\0book", NEW_LINE],
        ids=ascii,
    )
    def test_a_bad_corpus_name_is_refused(self, name: str, documents: Path, db: None) -> None:
        with pytest.raises(IngestRefused, match="corpus name"):
            ingest(path=documents, corpus=name)

        assert not Corpus.objects.exists()

    def test_a_corpus_of_one_chunker_serves_its_modules_alone(self, documents: Path, providers: str, db: None) -> None:
        ingest(path=documents, corpus="handbook", chunkers=["fixed"])

        assert asked(module="m1-baseline").outcome.answer.answered
        with pytest.raises(CorpusNotReady, match="structural"):
            asked(module="m3-hybrid")
