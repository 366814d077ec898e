"""Ingesting: a NEW corpus version is built beside the active one, verified, and only then activated.

A crash at any point leaves the active version serving; the next ingest takes over and embeds nothing twice.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError

from rag import building, clock, corpora, provider_stack, wiring
from rag.building import Build, Progress
from rag.embedding import EmbedderSpec
from rag.errors import IngestRefused
from rag.models import ChunkSet, Corpus, CorpusVersion, Document, corpus_name
from rag.modules import RECIPES
from rag.providers import factory
from rag.providers.contracts import Embedder
from rag.providers.metered import Meter
from rag.providers.retry import RetryPolicy
from rag.reading.documents import read_document
from rag.reading.errors import NoDocuments, UnreadableDocument
from rag.reading.folders import find_documents
from rag.reading.limits import MIB, ReadingLimits
from rag.values import ChunkRecipe, ParsedDocument, sha256
from rag.writers import Writers

log = logging.getLogger(__name__)

POLICY = RetryPolicy(attempts=6, base_s=1.0, cap_s=30.0, patience_s=60.0)
LONGEST_SOURCE = 400
CUTTING = "1"  # raise it when chunkers cut differently, so that an unchanged folder is cut again


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
    chunkers: Sequence[str] = tuple(RECIPES),
    add: bool = False,
    url_template: str | None = None,
    who_id: int | None = None,
    progress: Progress = silent,
) -> IngestReport:
    """Ingest a file or folder as the next version of a corpus; with `add`, beside the documents it has.

    Raises IngestRefused (nothing readable, a build in progress, an unknown chunker), ProviderError, IndexUnavailable,
    VerificationFailed. Files that cannot be read are named in the report and the rest goes on.
    """
    recipes = chosen_recipes(chunkers)
    documents, bad = read_all(path, progress)
    row = corpus_row(corpus, url_template)
    return build_next(
        row=row,
        documents=with_existing(row, documents) if add else documents,
        bad=bad,
        recipes=recipes,
        why=f"ingest of {path.name or path}",
        who_id=who_id,
        progress=progress,
    )


def build_next(
    *,
    row: Corpus,
    documents: Sequence[ParsedDocument],
    recipes: Sequence[ChunkRecipe],
    why: str,
    bad: tuple[BadFile, ...] = (),
    who_id: int | None = None,
    progress: Progress = silent,
) -> IngestReport:
    """The documents, already read, as the next version of a corpus, unless the active one holds exactly them.

    Raises what `ingest` raises, but for files.
    """
    corpus, specs = row.slug, provider_stack.ingest_embedders()
    fingerprint = fingerprint_of(documents, recipes, specs)
    active = row.active_version
    if active is not None and active.fingerprint == fingerprint and is_whole(active):
        return IngestReport(corpus, active.label, True, len(documents), counts(active), 0, 0, bad)
    version = corpora.claim(corpus=row, now=clock.now())
    build = Build(version, wiring.build_store(), progress, Meter(prices=wiring.latest_prices(), now=clock.now))
    finish(build, documents, recipes, specs, fingerprint, bad)
    corpora.activate(version=version, who_id=who_id, why=why)
    pruned = corpora.prune(
        corpus=row, keep=settings.KEEP_CORPUS_VERSIONS, store=build.store, bm25_root=Path(settings.BM25_DIR)
    )
    return IngestReport(
        corpus, version.label, False, len(documents), counts(version), build.embedded, build.reused, bad, tuple(pruned)
    )


def chosen_recipes(chunkers: Sequence[str]) -> tuple[ChunkRecipe, ...]:
    unknown = [name for name in chunkers if name not in RECIPES]
    if unknown or not chunkers:
        raise IngestRefused(f"unknown chunker {', '.join(unknown) or '(none)'}; known: {', '.join(RECIPES)}")
    return tuple(RECIPES[name] for name in dict.fromkeys(chunkers))


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


def fingerprint_of(
    documents: Sequence[ParsedDocument], recipes: Sequence[ChunkRecipe], specs: Sequence[EmbedderSpec]
) -> str:
    """SHA-256 over everything that a version depends on: the same fingerprint, the same version."""
    digest = hashlib.sha256(f"{CUTTING}|{wiring.ANALYZER.fingerprint}".encode())
    for recipe in recipes:
        digest.update(repr(recipe).encode())
    for spec in specs:
        digest.update(spec.identity().encode())
    for document in sorted(documents, key=lambda document: document.source):
        digest.update(f"{document.source}\0{document.title}\0{document.markup}\0{sha256(document.text)}\0".encode())
    return digest.hexdigest()


def is_whole(version: CorpusVersion) -> bool:
    """Whether every collection of the version is still there with all its vectors."""
    store = wiring.build_store()
    names = store.names()
    indexes = [index for chunk_set in version.chunk_sets.all() for index in chunk_set.vector_indexes.all()]
    return all(index.collection in names and store.count(index.collection) == index.count for index in indexes)


def counts(version: CorpusVersion) -> dict[str, int]:
    return dict(version.chunk_sets.values_list("chunker", "count"))


def finish(
    build: Build,
    documents: Sequence[ParsedDocument],
    recipes: Sequence[ChunkRecipe],
    specs: Sequence[EmbedderSpec],
    fingerprint: str,
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
    version.fingerprint = fingerprint
    version.bad_files = [{"source": file.source, "reason": file.reason} for file in bad]
    version.finished_at = clock.now()
    version.save()


def fill(
    build: Build, documents: Sequence[ParsedDocument], recipes: Sequence[ChunkRecipe], specs: Sequence[EmbedderSpec]
) -> None:
    root = Path(settings.BM25_DIR)
    rows = building.save_documents(build, documents)
    chunk_sets = [building.save_chunks(build, rows, documents, recipe) for recipe in recipes]
    if not any(chunk_set.count for chunk_set in chunk_sets):
        raise IngestRefused("the documents hold no text that could be cut into chunks")
    fill_indexes(build, chunk_sets, specs)
    for chunk_set in chunk_sets:
        building.verify(build, chunk_set, root=root, analyzer=wiring.ANALYZER)


def fill_indexes(build: Build, chunk_sets: Sequence[ChunkSet], specs: Sequence[EmbedderSpec]) -> None:
    """Vectors are written in the background while the next are embedded, and while the BM25 indexes are compiled."""
    embedders = {spec: document_embedder(build, spec) for spec in specs}
    writers = Writers(build.store, len(specs))
    try:
        for chunk_set in chunk_sets:
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
