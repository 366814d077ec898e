"""Ingesting: a NEW corpus version is built beside the active one, verified, and only then activated.

A crash at any point leaves the active version serving; the next ingest takes over and embeds nothing twice.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError

from rag import building, clock, corpora, provider_stack, wiring
from rag.building import Build, Progress
from rag.chunk_rows import save_chunks
from rag.embedding import EmbedderSpec
from rag.errors import CorpusNotReady, IngestRefused, UnknownCorpus
from rag.models import ChunkSet, Corpus, CorpusVersion, Document, corpus_name
from rag.modules import RECIPES, read_recipes
from rag.providers import factory
from rag.providers.contracts import Embedder
from rag.providers.metered import Meter
from rag.providers.retry import RetryPolicy
from rag.reading.documents import read_document
from rag.reading.errors import NoDocuments, UnreadableDocument
from rag.reading.folders import find_documents
from rag.reading.limits import MIB, ReadingLimits
from rag.values import ParsedDocument
from rag.version_content import (
    Recipes,
    chosen_recipes,
    counts,
    fingerprint_of,
    held_recipes,
    is_whole,
    refuse_other_embedders,
)
from rag.writers import Writers

log = logging.getLogger(__name__)

POLICY = RetryPolicy(attempts=6, base_s=1.0, cap_s=30.0, patience_s=60.0)
LONGEST_SOURCE = 400


@dataclass(frozen=True, slots=True)
class BadFile:
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did. `unchanged` means that the active version already holds exactly this."""

    corpus: str
    version: str
    unchanged: bool
    documents: int
    chunks: dict[str, int]
    embedded: int
    reused: int
    bad_files: tuple[BadFile, ...]
    pruned: tuple[str, ...] = ()


def silent(stage: str, done: int, total: int) -> None:
    """A Progress that tells nobody."""


def ingest(
    *,
    path: Path,
    corpus: str,
    chunkers: Sequence[str] | None = None,
    add: bool = False,
    url_template: str | None = None,
    who_id: int | None = None,
    progress: Progress = silent,
) -> IngestReport:
    """Ingest a file or folder as the next version of a corpus; with `add`, beside the documents it has.

    `chunkers` are names of recipes; None: those that some module reads, which a version that holds more has too.
    Raises IngestRefused (nothing readable, a build in progress, an unknown chunker), ProviderError, IndexUnavailable,
    VerificationFailed. Files that cannot be read are named in the report and the rest goes on.
    """
    recipes = chosen_recipes(read_recipes(corpus) if chunkers is None else chunkers)
    documents, bad = read_all(path, progress)
    row = corpus_row(corpus, url_template)
    return build_next(
        row=row,
        documents=with_existing(row, documents) if add else documents,
        bad=bad,
        recipes=recipes,
        or_more=chunkers is None,
        why=f"ingest of {path.name or path}",
        who_id=who_id,
        progress=progress,
    )


def cut_also(
    *, corpus: str, chunkers: Sequence[str], why: str = "more chunkers", progress: Progress = silent
) -> IngestReport:
    """See to it that the active version of a corpus is cut by these recipes too: nothing is done where it is; else a next
    version is built of the same documents, with the chunk sets that there are and the new ones.

    Raises UnknownCorpus, CorpusNotReady, IndexOutdated where it was embedded by others than the settings name (all of it would
    have to be embedded anew), and what `ingest` raises.
    """
    wanted = chosen_recipes(chunkers)
    row = Corpus.objects.select_related("active_version").filter(slug=corpus).first()
    if row is None:
        raise UnknownCorpus(f"there is no corpus {corpus!r}: ingest documents into it first")
    if row.active_version is None:
        raise CorpusNotReady(f"the corpus {corpus!r} has no active version yet: ingest documents into it first")
    held = held_recipes(row.active_version)
    documents = with_existing(row, [])
    if wanted.keys() <= held.keys():
        return IngestReport(
            corpus, row.active_version.label, True, len(documents), counts(row.active_version), 0, 0, ()
        )
    refuse_other_embedders(row.active_version)
    return build_next(
        row=row,
        documents=documents,
        recipes={name: recipe for name, recipe in RECIPES.items() if name in held or name in wanted},
        bad=tuple(BadFile(**file) for file in row.active_version.bad_files),
        why=why,
        progress=progress,
    )


def build_next(
    *,
    row: Corpus,
    documents: Sequence[ParsedDocument],
    recipes: Recipes,
    why: str,
    or_more: bool = False,
    bad: tuple[BadFile, ...] = (),
    who_id: int | None = None,
    progress: Progress = silent,
) -> IngestReport:
    """The documents, already read, as the next version of a corpus, unless the active one holds exactly them; with `or_more` it
    may be cut by other recipes besides.

    Raises what `ingest` raises, but for files.
    """
    corpus, specs = row.slug, provider_stack.ingest_embedders()
    active = row.active_version
    held = held_recipes(active) if active else {}
    same = held if or_more and recipes.keys() <= held.keys() else recipes
    if active and active.fingerprint == fingerprint_of(documents, same, specs) and is_whole(active):
        return IngestReport(corpus, active.label, True, len(documents), counts(active), 0, 0, bad)
    version = corpora.claim(corpus=row, now=clock.now())
    build = Build(version, wiring.build_store(), progress, Meter(prices=wiring.latest_prices(), now=clock.now))
    finish(build, documents, recipes, specs, bad)
    corpora.activate(version=version, who_id=who_id, why=why)
    pruned = corpora.prune(
        corpus=row, keep=settings.KEEP_CORPUS_VERSIONS, store=build.store, bm25_root=Path(settings.BM25_DIR)
    )
    return IngestReport(
        corpus, version.label, False, len(documents), counts(version), build.embedded, build.reused, bad, tuple(pruned)
    )


def read_all(path: Path, progress: Progress) -> tuple[list[ParsedDocument], tuple[BadFile, ...]]:
    """Every document at the path that can be read, and the others with their reasons."""
    try:
        found = find_documents(root=path)
    except NoDocuments as error:
        raise IngestRefused(str(error)) from error
    bad = [BadFile(skipped.source, skipped.reason) for skipped in found.skipped]
    limits = ReadingLimits(max_bytes=settings.INGEST_MAX_FILE_MB * MIB)
    documents = []
    for number, file in enumerate(found.files, 1):
        try:
            documents.append(readable(read_document(path=file.path, source=file.source, limits=limits)))
        except UnreadableDocument as error:
            bad.append(BadFile(error.source, error.reason))
        progress("reading", number, len(found.files))
    if not documents:
        reasons = "; ".join(f"{file.source}: {file.reason}" for file in bad[:5])
        raise IngestRefused(f"no document at {path} could be read ({reasons})")
    return documents, tuple(bad)


def readable(document: ParsedDocument) -> ParsedDocument:
    if len(document.source) > LONGEST_SOURCE:
        raise UnreadableDocument(document.source, f"has a path of more than {LONGEST_SOURCE} characters; shorten it")
    return document


def corpus_row(slug: str, url_template: str | None) -> Corpus:
    try:
        corpus_name(slug)
    except ValidationError as error:
        raise IngestRefused(f"{slug!r} is no corpus name: {corpus_name.message}") from error
    row, _ = Corpus.objects.select_related("active_version").get_or_create(slug=slug)
    if url_template is not None and url_template != row.url_template:
        row.url_template = url_template
        row.save(update_fields=["url_template"])
    return row


def with_existing(row: Corpus, documents: list[ParsedDocument]) -> list[ParsedDocument]:
    """The active version's documents, with the new ones added or put in their place."""
    stored = (
        Document.objects.filter(version=row.active_version_id) if row.active_version_id else Document.objects.none()
    )
    merged = {
        source: ParsedDocument(source, title, text, markup)
        for source, title, text, markup in stored.values_list("source", "title", "text", "markup")
    }
    merged.update({document.source: document for document in documents})
    return [merged[source] for source in sorted(merged)]


def finish(
    build: Build,
    documents: Sequence[ParsedDocument],
    recipes: Recipes,
    specs: Sequence[EmbedderSpec],
    bad: Sequence[BadFile],
) -> None:
    """Fill and verify the version; whatever interrupts it leaves the version failed and says why."""
    version = build.version
    try:
        fill(build, documents, recipes, specs)
    except BaseException as error:
        corpora.fail(version=version, error=f"{type(error).__name__}: {error}", now=clock.now())
        raise
    version.state = CorpusVersion.State.READY
    version.fingerprint = fingerprint_of(documents, recipes, specs)
    version.bad_files = [{"source": file.source, "reason": file.reason} for file in bad]
    version.finished_at = clock.now()
    version.save()


def fill(build: Build, documents: Sequence[ParsedDocument], recipes: Recipes, specs: Sequence[EmbedderSpec]) -> None:
    root = Path(settings.BM25_DIR)
    rows = building.save_documents(build, documents)
    sentences = (specs[0], document_embedder(build, specs[0]))
    chunk_sets = [save_chunks(build, rows, documents, named, sentences) for named in recipes.items()]
    if not any(chunk_set.count for chunk_set in chunk_sets):
        raise IngestRefused("the documents hold no text that could be cut into chunks")
    fill_indexes(build, chunk_sets, specs)
    for chunk_set in chunk_sets:
        building.verify(build, chunk_set, root=root, analyzer=wiring.ANALYZER)


def fill_indexes(build: Build, chunk_sets: Sequence[ChunkSet], specs: Sequence[EmbedderSpec]) -> None:
    """Vectors are written in the background while the next are embedded, and while the BM25 indexes are compiled.

    A chunk set's are all written before the next begins, which may read them: different chunkers often make the same chunk.
    """
    embedders = {spec: document_embedder(build, spec) for spec in specs}
    writers = Writers(build.store, len(specs))
    try:
        for chunk_set in chunk_sets:
            writers.settle()
            building.index_vectors(build, chunk_set, embedders, writers)
        for chunk_set in chunk_sets:
            building.index_words(chunk_set, root=Path(settings.BM25_DIR), analyzer=wiring.ANALYZER)
        writers.settle()
    finally:
        writers.close()


def document_embedder(build: Build, spec: EmbedderSpec) -> Embedder:
    return provider_stack.metered(
        factory.embedder(spec.endpoint), build.meter, spec.provider, "embed_document", policy=POLICY
    )
