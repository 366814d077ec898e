"""The live text behind the ids that an index returned."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from rag.models import Chunk, Document, ParentChunk
from rag.values import Passage

COLUMNS = """chunk.key, document.title, chunk.heading, chunk.text, chunk.start, chunk."end", document.source"""
LINKS = ("https://", "http://", "/")
"""How a link may begin; `javascript:` is none."""
OF_CHUNKS, OF_PARENTS = (
    f"""
    SELECT {COLUMNS}
    FROM {table._meta.db_table} chunk JOIN {Document._meta.db_table} document ON document.id = chunk.document_id
    WHERE chunk.chunk_set_id = %s AND chunk.key {{listed}}
    """  # noqa: S608 - table names of our own models
    for table in (Chunk, ParentChunk)
)


class StoredPassages:
    """Passages of one chunk set, and its parents. What is not in the rows is not there, whatever an index says."""

    def __init__(self, *, chunk_set_id: int, url_template: str, with_parents: bool = True) -> None:
        self._chunk_set_id = chunk_set_id
        self._queries = (OF_CHUNKS, OF_PARENTS) if with_parents else (OF_CHUNKS,)
        self._url_template = url_template if url_template.startswith(LINKS) else ""

    def load(self, keys: Sequence[str]) -> dict[str, Passage]:
        """The passages that are there. Plain SQL, because every question asks it: building the query costs more than it."""
        if not keys:
            return {}
        with connection.cursor() as cursor:
            cursor.execute(*look_up(self._queries, self._chunk_set_id, keys))
            rows = cursor.fetchall()
        return {
            key: Passage(key, title, heading, text, self._url(source, key), start, end, source)
            for key, title, heading, text, start, end, source in rows
        }

    def _url(self, source: str, key: str) -> str | None:
        if not self._url_template:
            return None
        slug = key.removeprefix(f"{source}/").rpartition("#")[0]
        return self._url_template.replace("{source}", source).replace("{slug}", slug)


def look_up(queries: Sequence[str], chunk_set_id: int, keys: Sequence[str]) -> tuple[str, list[Any]]:
    """The statement and its parameters. PostgreSQL takes all keys as one: a text that never changes is parsed once."""
    statement = " UNION ALL ".join(queries)
    if connection.vendor == "postgresql":
        return statement.format(listed="= ANY(%s)"), [chunk_set_id, list(keys)] * len(queries)
    places = ", ".join(["%s"] * len(keys))
    return statement.format(listed=f"IN ({places})"), [chunk_set_id, *keys] * len(queries)
