"""What a corpus version is made of: the recipes that it is cut by, the embedders, the documents, and a fingerprint of all."""

import hashlib
from collections.abc import Mapping, Sequence

from rag import provider_stack, wiring
from rag.embedding import EmbedderSpec
from rag.errors import IndexOutdated, IngestRefused
from rag.models import CorpusVersion, VectorIndex
from rag.modules import RECIPES
from rag.values import ChunkRecipe, ParsedDocument, sha256

Recipes = Mapping[str, ChunkRecipe]
"""by their names"""
CUTTING = "1"  # raise it when chunkers cut differently, so that an unchanged folder is cut again


def chosen_recipes(chunkers: Sequence[str]) -> Recipes:
    unknown = [name for name in chunkers if name not in RECIPES]
    if unknown or not chunkers:
        raise IngestRefused(f"unknown chunker {', '.join(unknown) or '(none)'}; known: {', '.join(RECIPES)}")
    return {name: RECIPES[name] for name in chunkers}


def held_recipes(version: CorpusVersion) -> Recipes:
    """The recipes that the version was cut by, as far as they are known still."""
    names = version.chunk_sets.values_list("chunker", flat=True)
    return {name: RECIPES[name] for name in names if name in RECIPES}


def refuse_other_embedders(version: CorpusVersion) -> None:
    then = {index.identity() for index in VectorIndex.objects.filter(chunk_set__version=version)}
    now = {spec.identity() for spec in provider_stack.ingest_embedders()}
    if then != now:
        raise IndexOutdated(
            f"the corpus {version.corpus.slug!r} was embedded with {', '.join(sorted(then))}, but the settings name "
            f"{', '.join(sorted(now))}: ingest it again"
        )


def fingerprint_of(documents: Sequence[ParsedDocument], recipes: Recipes, specs: Sequence[EmbedderSpec]) -> str:
    """SHA-256 over everything that a version depends on: the same fingerprint, the same version."""
    digest = hashlib.sha256(f"{CUTTING}|{wiring.ANALYZER.fingerprint}".encode())
    for name in sorted(recipes):
        digest.update(f"{name}:{recipes[name]!r}".encode())
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
