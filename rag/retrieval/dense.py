"""Vectors in Chroma, over HTTP: ids and vectors only, the text lives in the database."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import chromadb
import chromadb.errors
import httpx
import numpy as np
from chromadb.api import ServerAPI
from chromadb.api.collection_configuration import CreateCollectionConfiguration
from chromadb.config import Settings, System
from numpy.typing import NDArray

from rag.errors import IndexOutdated, IndexUnavailable
from rag.providers.deadline import deadline
from rag.providers.deadline_transport import bounded
from rag.providers.lean_client import LeanClient
from rag.values import Hit

log = logging.getLogger(__name__)

HNSW: CreateCollectionConfiguration = {
    "hnsw": {
        "space": "cosine",
        "ef_construction": 64,  # a third faster to build than 100
        "ef_search": 100,
        "max_neighbors": 16,
        "batch_size": 2000,
        "sync_threshold": 4000,
    }
}
WRITE_BATCH = 1000


class VectorStore:
    """One Chroma server. Safe to share between threads and forks; `timeout_s` bounds every operation as a whole.

    The SDK's `HttpClient` connects while it is constructed and waits for ever, so its server object is made without it, which
    does no input or output, and its HTTP session is bounded by our deadline.
    """

    def __init__(self, *, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._collections: dict[tuple[int, str], chromadb.Collection] = {}

    def prepare(self) -> None:
        """Make this process's client. The server is not asked, so it need not be there."""
        self._server()

    def alive(self) -> bool:
        """Whether the server answers its heartbeat within the timeout."""
        try:
            with self._operation("heartbeat"):
                self._server().heartbeat()
        except IndexUnavailable:
            return False
        return True

    def search(self, *, collection: str, vectors: Sequence[Sequence[float]], limit: int) -> tuple[tuple[Hit, ...], ...]:
        """For each vector its nearest chunks, best first. A hit's score is the cosine similarity, at most 1."""
        if not vectors:
            return ()
        remembered = (os.getpid(), collection) in self._collections
        try:
            return self._search(collection, vectors, limit)
        except IndexOutdated:
            if not remembered:
                raise
            return self._search(collection, vectors, limit)  # a collection of this name may have been made anew

    def _search(self, collection: str, vectors: Sequence[Sequence[float]], limit: int) -> tuple[tuple[Hit, ...], ...]:
        with self._operation(collection):
            found = self._collection(collection).query(
                query_embeddings=np.asarray(vectors, dtype=np.float32), n_results=limit, include=["distances"]
            )
        distances = found["distances"] or []
        return tuple(
            tuple(Hit(key, round(1.0 - distance, 6)) for key, distance in zip(keys, row, strict=True))
            for keys, row in zip(found["ids"], distances, strict=True)
        )

    def create(self, collection: str) -> None:
        """An empty collection of that name, or the one that is there."""
        with self._operation(collection):
            self._server().create_collection(collection, configuration=HNSW, get_or_create=True)

    def write(self, *, collection: str, keys: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Add vectors, `vectors[i]` under `keys[i]`, in batches; a key that is there keeps its first vector."""
        for start in range(0, len(keys), WRITE_BATCH):
            stop = start + WRITE_BATCH
            with self._operation(collection):
                self._collection(collection).add(ids=list(keys[start:stop]), embeddings=vectors[start:stop])

    def read(self, *, collection: str, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The stored vectors of those keys that are there."""
        stored: dict[str, NDArray[np.float32]] = {}
        for start in range(0, len(keys), WRITE_BATCH):
            wanted = list(keys[start : start + WRITE_BATCH])
            with self._operation(collection):
                got = self._collection(collection).get(ids=wanted, include=["embeddings"])
            stored.update(zip(got["ids"], np.asarray(got["embeddings"], dtype=np.float32), strict=True))
        return stored

    def count(self, collection: str) -> int:
        with self._operation(collection):
            return self._collection(collection).count()

    def names(self) -> set[str]:
        with self._operation("all collections"):
            return {collection.name for collection in self._server().list_collections()}

    def drop(self, collection: str) -> None:
        """Delete the collection; one that is not there is fine."""
        self._collections.pop((os.getpid(), collection), None)
        try:
            with self._operation(collection):
                self._server().delete_collection(collection)
        except IndexOutdated:
            log.debug("collection was gone already", extra={"collection": collection})

    def _collection(self, name: str) -> chromadb.Collection:
        key = (os.getpid(), name)
        if key not in self._collections:
            model = self._server().get_collection(name)
            self._collections[key] = chromadb.Collection(client=self._server(), model=model, embedding_function=None)
        return self._collections[key]

    def _server(self) -> ServerAPI:
        return server_at(self._url, os.getpid())

    @contextmanager
    def _operation(self, collection: str) -> Iterator[None]:
        """One operation within the time that it may take, its errors in our words."""
        try:
            with deadline(self._timeout_s):
                yield
        except chromadb.errors.NotFoundError as error:
            self._collections.pop((os.getpid(), collection), None)
            raise IndexOutdated(
                f"the vector store has no collection {collection!r}; ingest the corpus again"
            ) from error
        except (OSError, httpx.HTTPError, chromadb.errors.ChromaError, ValueError) as error:
            if isinstance(error, chromadb.errors.InvalidArgumentError) and "dimension" in str(error):
                raise IndexOutdated(f"{collection!r} holds vectors of another width; ingest again") from error
            raise IndexUnavailable(f"the vector store at {self._url} failed: {error}") from error


@lru_cache(maxsize=8)
def server_at(url: str, pid: int) -> ServerAPI:
    """The SDK's view of a server, one for each process because connections must not cross a fork."""
    address = urlsplit(url)
    secure = address.scheme == "https"
    system = System(
        Settings(
            chroma_api_impl="chromadb.api.fastapi.FastAPI",
            chroma_server_host=address.hostname or "",
            chroma_server_http_port=address.port or (443 if secure else 80),
            chroma_server_ssl_enabled=secure,
            anonymized_telemetry=False,
        )
    )
    server: Any = system.instance(ServerAPI)  # type: ignore[type-abstract]
    session = server._session
    server._session = bounded(LeanClient(timeout=None, limits=server.http_limits, headers=session.headers))
    session.close()
    made: ServerAPI = server
    return made
