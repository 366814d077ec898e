"""The live text behind the ids that an index returned."""

from collections.abc import Sequence

from rag.models import Chunk
from rag.values import Passage


class StoredPassages:
    """Passages of one chunk set. What is not in the rows is not there, whatever an index says."""

    def __init__(self, *, chunk_set_id: int, url_template: str) -> None:
        self._chunk_set_id = chunk_set_id
        self._url_template = url_template

    def load(self, keys: Sequence[str]) -> dict[str, Passage]:
        rows = Chunk.objects.filter(chunk_set_id=self._chunk_set_id, key__in=keys).values_list(
            "key", "document__title", "heading", "text", "start", "end", "document__source"
        )
        return {
            key: Passage(key, title, heading, text, self._url(source, key), start, end, source)
            for key, title, heading, text, start, end, source in rows
        }

    def _url(self, source: str, key: str) -> str | None:
        if not self._url_template:
            return None
        slug = key.removeprefix(f"{source}/").rpartition("#")[0]
        return self._url_template.replace("{source}", source).replace("{slug}", slug)
