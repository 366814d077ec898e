"""Where BM25 indexes lie, and building one from the rows: the rows are the authority, the files can always be made again."""

import logging
from collections.abc import Iterator
from pathlib import Path

from rag.models import Chunk
from rag.retrieval.analyzer import Analyzer
from rag.retrieval.lexical import LexicalIndex, LexicalIndexError, compile_index
from rag.values import indexed_text

log = logging.getLogger(__name__)


def directory_of(*, root: Path, chunk_set_id: int) -> Path:
    """Chunk sets never change, so neither does the index in this directory."""
    return root / f"chunk-set-{chunk_set_id}"


def build(*, root: Path, chunk_set_id: int, analyzer: Analyzer) -> None:
    """Compile the index of a chunk set, replacing what is there."""
    root.mkdir(parents=True, exist_ok=True)
    rows = Chunk.objects.filter(chunk_set_id=chunk_set_id).order_by("position")
    compile_index(
        keys=list(rows.values_list("key", flat=True)),
        texts=_texts(chunk_set_id),
        analyzer=analyzer,
        directory=directory_of(root=root, chunk_set_id=chunk_set_id),
    )


def _texts(chunk_set_id: int) -> Iterator[str]:
    rows = Chunk.objects.filter(chunk_set_id=chunk_set_id).order_by("position").values_list("heading", "text")
    for heading, text in rows.iterator(chunk_size=2000):
        yield indexed_text(heading=heading, text=text)


def open_or_build(*, root: Path, chunk_set_id: int, analyzer: Analyzer) -> LexicalIndex:
    """The index of a chunk set; a host that lacks it, or has a damaged one, builds it from the rows."""
    directory = directory_of(root=root, chunk_set_id=chunk_set_id)
    try:
        return LexicalIndex.open(directory, analyzer=analyzer)
    except LexicalIndexError as error:
        log.warning("BM25 index built from the rows: %s", error, extra={"chunk_set": chunk_set_id})
    build(root=root, chunk_set_id=chunk_set_id, analyzer=analyzer)
    return LexicalIndex.open(directory, analyzer=analyzer)
