"""Semantic and hierarchical chunks from the ingest to the answer: built, booked, used again, verified, found, replayed."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from costs.models import LedgerEntry
from rag.building import VerificationFailed
from rag.errors import CorpusNotReady, IndexOutdated, IngestRefused, ProviderRefused, UnknownCorpus
from rag.ingest import IngestReport, cut_also, ingest
from rag.models import Chunk, ChunkSet, Corpus, CorpusVersion, Document, ParentChunk, TurnsOfMeaning
from rag.modules import MODULES, RECIPES, read_recipes
from rag.replaying import replay
from rag.retrieval.passages import StoredPassages
from rag.tests.factories import CorpusFactory
from rag.tests.small_world import asked, bill, billed, break_provider, line_of
from rag.tests.test_ingest import active_label, at_stage
from rag.values import ChunkRecipe

MORE = ("semantic", "hierarchical")
TOPICS = ("trains", "leave", "backups")


def story(changed: str = "") -> str:
    """A document long enough to be cut, a sentence a line; `changed` goes into one of its sentences."""
    sentences = [
        f"Sentence {number} of the guide tells about {topic} and what the handbook says of {topic} to those who ask, "
        "at some length and in many words"
        f"{changed if (topic, number) == ('leave', 4) else ''}."
        for topic in TOPICS
        for number in range(9)
    ]
    return "# A guide\n\n" + "\n".join(sentences) + "\n"


@pytest.fixture
def guide(documents: Path) -> Path:
    (documents / "guide.md").write_text(story())
    return documents


@pytest.fixture
def more(db: None, providers: str, guide: Path) -> IngestReport:
    """The documents and the guide, cut by all four chunkers."""
    return ingest(path=guide, corpus="handbook", chunkers=("fixed", "structural", *MORE))


@pytest.fixture
def parental(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that reads hierarchical chunks."""
    monkeypatch.setitem(MODULES, "m9-parents", replace(MODULES["m3-hybrid"], name="m9-parents", chunker="hierarchical"))
    return "m9-parents"


class TestBuilding:
    def test_every_chunk_is_in_rows_and_in_both_spaces(self, more: IngestReport) -> None:
        counts = {s.chunker: [index.count for index in s.vector_indexes.all()] for s in ChunkSet.objects.all()}

        assert counts == {name: [more.chunks[name]] * 2 for name in ("fixed", "structural", *MORE)}
        assert more.chunks["hierarchical"] > more.chunks["structural"]

    def test_every_chunk_and_parent_is_its_span(self, more: IngestReport) -> None:
        texts = dict(Document.objects.values_list("pk", "text"))

        for model in (Chunk, ParentChunk):
            for row in model.objects.all():
                assert row.text == texts[row.document_id][row.start : row.end]

    def test_the_parents_are_kept_once_each_and_in_no_index(self, more: IngestReport) -> None:
        keys = list(ParentChunk.objects.values_list("key", flat=True))
        structural = Chunk.objects.filter(chunk_set__chunker="structural").values_list("key", flat=True)

        assert sorted(keys) == sorted(structural)
        assert not Chunk.objects.filter(chunk_set__chunker="hierarchical", key__in=keys).exists()

    def test_the_sentences_that_were_embedded_are_booked_to_the_cent(
        self, db: None, providers: str, guide: Path
    ) -> None:
        before = bill(providers)["count"]

        ingest(path=guide, corpus="handbook", chunkers=("semantic",))

        entries = bill(providers, since=before)["entries"]
        asked_of = [entry["provider"] for entry in entries]
        assert (asked_of.count("voyage"), asked_of.count("openai")) == (2, 1)
        costs = LedgerEntry.objects.filter(kind="ingest").values_list("cost_usd", flat=True)
        booked = sum((cost for cost in costs if cost is not None), Decimal(0))
        assert booked == billed(entries) > 0
        assert LedgerEntry.objects.filter(kind="ingest").count() == len(entries)

    def test_a_version_without_a_parent_never_serves(self, corpus: IngestReport, guide: Path) -> None:
        def lose_a_parent() -> None:
            ParentChunk.objects.filter(chunk_set__version__number=2).first().delete()  # type: ignore[union-attr]

        with pytest.raises(VerificationFailed, match="1 parents are missing, 0 are childless"):
            ingest(
                path=guide,
                corpus="handbook",
                chunkers=("hierarchical",),
                progress=at_stage("embedding (hierarchical)", lose_a_parent),
            )

        assert active_label() == "v1"

    def test_a_provider_that_fails_while_sentences_are_compared_leaves_the_active_version(
        self, corpus: IngestReport, guide: Path, providers: str
    ) -> None:
        break_provider(providers, "voyage.embeddings", kind="status", status=401)

        with pytest.raises(ProviderRefused):
            ingest(path=guide, corpus="handbook", chunkers=("semantic",))

        assert (active_label(), CorpusVersion.objects.get(number=2).state) == ("v1", "failed")

    def test_the_names_of_recipes_fit_their_column_and_can_be_cut(self) -> None:
        longest = ChunkSet._meta.get_field("chunker").max_length

        assert longest is not None
        assert all(len(name) <= longest for name in RECIPES)
        assert len(",".join(RECIPES)) <= 200

    def test_two_recipes_of_one_chunker_stand_side_by_side(self, db: None, providers: str, guide: Path) -> None:
        report = ingest(path=guide, corpus="handbook", chunkers=("structural", "structural-900"))

        assert report.chunks["structural-900"] > report.chunks["structural"]


class TestUsingAgain:
    def test_what_was_compared_once_is_not_embedded_again(
        self, more: IngestReport, guide: Path, providers: str
    ) -> None:
        chunks = list(Chunk.objects.filter(chunk_set__chunker="semantic").values_list("key", "start", "end"))
        before = bill(providers)["count"]
        (guide / "one-more.txt").write_text("Short.")

        report = ingest(path=guide, corpus="handbook", chunkers=MORE)

        again = Chunk.objects.filter(chunk_set__chunker="semantic", chunk_set__version__number=2)
        assert set(chunks) <= set(again.values_list("key", "start", "end"))
        assert report.embedded == 2  # the new document in both spaces
        assert bill(providers)["count"] == before + 2

    def test_after_a_change_only_the_sentences_around_it_are_compared(
        self, more: IngestReport, guide: Path, providers: str
    ) -> None:
        (guide / "guide.md").write_text(story(", as has been said"))
        stages: list[tuple[str, int]] = []

        ingest(path=guide, corpus="handbook", chunkers=("semantic",), progress=lambda *told: stages.append(told[::2]))

        compared = {total for stage, total in stages if stage.startswith("comparing")}
        everything = TurnsOfMeaning.objects.filter(chunk_set__version__number=1).get().distances
        assert len(everything) == len(TOPICS) * 9 - 1
        assert compared == {11}

    def test_a_document_that_was_moved_costs_nothing(self, more: IngestReport, guide: Path, providers: str) -> None:
        (guide / "guide.md").rename(guide / "moved.md")
        stages: list[str] = []

        ingest(path=guide, corpus="handbook", chunkers=("semantic",), progress=lambda *told: stages.append(told[0]))

        assert not any(stage.startswith("comparing") for stage in stages)

    def test_what_an_interrupted_ingest_compared_is_not_compared_again(
        self, db: None, guide: Path, providers: str
    ) -> None:
        def die() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            ingest(path=guide, corpus="handbook", chunkers=("semantic",), progress=at_stage("embedding", die))
        stages: list[str] = []

        ingest(path=guide, corpus="handbook", chunkers=("semantic",), progress=lambda *told: stages.append(told[0]))

        assert not any(stage.startswith("comparing") for stage in stages)

    def test_distances_of_another_embedder_are_not_used(self, more: IngestReport, guide: Path, providers: str) -> None:
        TurnsOfMeaning.objects.update(embedder="voyage:an-older-model:1024:simulated")
        (guide / "one-more.txt").write_text("Short.")
        stages: list[str] = []

        ingest(path=guide, corpus="handbook", chunkers=("semantic",), progress=lambda *told: stages.append(told[0]))

        assert any(stage.startswith("comparing") for stage in stages)


class TestWhichAreMade:
    def test_a_plain_ingest_makes_what_modules_read(self, corpus: IngestReport) -> None:
        assert set(corpus.chunks) == set(read_recipes("handbook")) == {m.chunker for m in MODULES.values()}

    def test_a_module_that_reads_another_recipe_has_it_made(
        self, parental: str, db: None, documents: Path, providers: str
    ) -> None:
        assert "hierarchical" in ingest(path=documents, corpus="handbook").chunks

    def test_a_version_that_holds_more_than_modules_read_is_unchanged(self, more: IngestReport, guide: Path) -> None:
        assert ingest(path=guide, corpus="handbook").unchanged

    def test_a_changed_folder_is_cut_for_the_modules_alone(self, more: IngestReport, guide: Path) -> None:
        (guide / "one-more.txt").write_text("Short.")

        report = ingest(path=guide, corpus="handbook")

        assert set(report.chunks) == set(read_recipes("handbook"))

    def test_chunkers_that_are_named_are_the_only_ones(self, more: IngestReport, guide: Path) -> None:
        report = ingest(path=guide, corpus="handbook", chunkers=("fixed",))

        assert (report.unchanged, set(report.chunks)) == (False, {"fixed"})


class TestCutAlso:
    def test_it_adds_chunk_sets_of_the_same_documents(self, corpus: IngestReport, providers: str) -> None:
        report = cut_also(corpus="handbook", chunkers=("hierarchical",))

        assert (report.version, report.documents) == ("v2", corpus.documents)
        assert report.chunks == {**corpus.chunks, "hierarchical": report.chunks["hierarchical"]}
        assert active_label() == "v2"

    def test_what_is_there_is_left_alone(self, more: IngestReport, providers: str) -> None:
        before = bill(providers)["count"]

        report = cut_also(corpus="handbook", chunkers=MORE)

        assert (report.unchanged, report.version, bill(providers)["count"]) == (True, "v1", before)

    def test_files_that_could_not_be_read_are_still_named(self, db: None, providers: str, documents: Path) -> None:
        (documents / "broken.pdf").write_bytes(b"no PDF")
        ingest(path=documents, corpus="handbook")

        report = cut_also(corpus="handbook", chunkers=("hierarchical",))

        assert [file.source for file in report.bad_files] == ["broken.pdf"]
        active = Corpus.objects.get().active_version
        assert active is not None
        assert [file["source"] for file in active.bad_files] == ["broken.pdf"]

    def test_a_corpus_of_another_embedder_is_not_embedded_anew_by_the_way(
        self, corpus: IngestReport, settings: Settings, providers: str
    ) -> None:
        settings.EMBEDDING_MODEL = "voyage-another"
        before = bill(providers)["count"]

        with pytest.raises(IndexOutdated, match="voyage-another.*: ingest it again"):
            cut_also(corpus="handbook", chunkers=MORE)

        assert bill(providers)["count"] == before

    def test_an_unknown_corpus_an_empty_one_and_an_unknown_chunker_are_refused(self, db: None) -> None:
        CorpusFactory(slug="empty")

        with pytest.raises(UnknownCorpus, match="ingest documents"):
            cut_also(corpus="nowhere", chunkers=MORE)
        with pytest.raises(CorpusNotReady, match="ingest documents"):
            cut_also(corpus="empty", chunkers=MORE)
        with pytest.raises(IngestRefused, match="magic"):
            cut_also(corpus="empty", chunkers=("magic",))


class TestAnswering:
    def test_a_parent_is_found_by_its_child_sent_cited_and_replayed(self, more: IngestReport, parental: str) -> None:
        answered = asked(module=parental)

        line = line_of(answered.trace.trace_id)
        parents = set(ParentChunk.objects.values_list("key", flat=True))
        children = set(Chunk.objects.filter(chunk_set__chunker="hierarchical").values_list("key", flat=True))
        assert {source["id"] for source in line["sources"]} <= parents
        assert {source["found"] for source in line["sources"]} <= children
        assert {hit["id"] for hit in line["vector_candidates"] + line["bm25_candidates"]} <= children
        assert set(line["citations"]) <= parents
        assert answered.outcome.answer.answered
        assert replay(line).identical

    def test_a_parent_whose_text_was_altered_is_named_by_the_replay(self, more: IngestReport, parental: str) -> None:
        line = line_of(asked(module=parental).trace.trace_id)
        first = line["sources"][0]["id"]
        ParentChunk.objects.filter(key=first).update(text="Another text.")

        found = replay(line)

        assert (found.identical, [each.what for each in found.differences]) == (False, [f"chunk {first}"])

    def test_a_follow_up_and_its_replay_know_the_parents(self, more: IngestReport, parental: str) -> None:
        opened = asked(module=parental, opens_session=True)

        second = asked("And how many days?", module=parental, session_id=opened.trace.session_id)

        assert replay(line_of(second.trace.trace_id)).identical

    def test_every_chunk_of_a_semantic_module_is_found_where_it_stands(
        self, more: IngestReport, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = replace(MODULES["m3-hybrid"], name="m9-meaning", chunker="semantic")
        monkeypatch.setitem(MODULES, "m9-meaning", module)

        line = line_of(asked(module="m9-meaning").trace.trace_id)

        assert "found" not in line["sources"][0]
        assert replay(line).identical

    def test_parents_of_one_chunk_set_are_not_those_of_another(self, more: IngestReport) -> None:
        sets = {each.chunker: each for each in ChunkSet.objects.all()}
        parent = ParentChunk.objects.filter(chunk_set=sets["hierarchical"]).first()
        assert parent is not None
        lone = parent.key.replace("#0", "#90")
        ParentChunk.objects.filter(pk=parent.pk).update(key=lone)

        loaded = {
            name: set(StoredPassages(chunk_set_id=each.pk, url_template="").load([lone])) for name, each in sets.items()
        }

        assert loaded == {"fixed": set(), "structural": set(), "semantic": set(), "hierarchical": {lone}}


def test_a_source_has_as_many_characters_as_its_recipe_sends() -> None:
    assert ChunkRecipe("structural", 1800).sent_size == 1800
    assert (RECIPES["hierarchical"].sent_size, RECIPES["hierarchical"].children_per_parent) == (1800, 4)
