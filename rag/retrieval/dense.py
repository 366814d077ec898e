"""Vectors in Chroma, over HTTP: ids and vectors only, the text lives in the database."""

import logging
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import chromadb
import chromadb.api
import chromadb.errors
import httpx
import numpy as np
from chromadb.api.collection_configuration import CreateCollectionConfiguration
from chromadb.config import Settings
from numpy.typing import NDArray

from rag.errors import IndexOutdated, IndexUnavailable
from rag.values import Hit

log = logging.getLogger(__name__)

HNSW: CreateCollectionConfiguration = {
    # ef_construction 64 instead of 100 builds a third faster; batch_size keeps small writes out of the graph at first
    "hnsw": {
        "space": "cosine",
        "ef_construction": 64,
        "ef_search": 100,
        "max_neighbors": 16,
        "batch_size": 2000,
        "sync_threshold": 4000,
    }
}
WRITE_BATCH = 1000


class VectorStore:
    """One Chroma server. Safe to share between threads; keyed by process id because connections must not cross a fork.

    The SDK connects while it is constructed and has no public timeout, so the connection is probed first with a timeout
    of our own, and the timeout of its HTTP session is set afterwards.
    """

    def __init__(self, *, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._client: tuple[int, chromadb.api.ClientAPI] | None = None
        self._collections: dict[tuple[int, str], chromadb.Collection] = {}

    def alive(self) -> bool:
        """Whether the server answers its heartbeat within the timeout."""
        try:
            return httpx.get(f"{self._url}/api/v2/heartbeat", timeout=self._timeout_s).is_success
        except httpx.HTTPError:
            return False

    def search(self, *, collection: str, vectors: Sequence[Sequence[float]], limit: int) -> tuple[tuple[Hit, ...], ...]:
        """For each vector its nearest chunks, best first. A hit's score is the cosine similarity, at most 1."""
        if not vectors:
            return ()
        with self._translated(collection):
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
        with self._translated(collection):
            self._connected().get_or_create_collection(collection, configuration=HNSW, embedding_function=None)

    def write(self, *, collection: str, keys: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Add vectors, `vectors[i]` under `keys[i]`, in batches of WRITE_BATCH; a key that is there keeps its first vector."""
        for start in range(0, len(keys), WRITE_BATCH):
            stop = start + WRITE_BATCH
            with self._translated(collection):
                self._collection(collection).add(ids=list(keys[start:stop]), embeddings=vectors[start:stop])

    def read(self, *, collection: str, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The stored vectors of those keys that are there."""
        stored: dict[str, NDArray[np.float32]] = {}
        for start in range(0, len(keys), WRITE_BATCH):
            with self._translated(collection):
                got = self._collection(collection).get(
                    ids=list(keys[start : start + WRITE_BATCH]), include=["embeddings"]
                )
            stored.update(zip(got["ids"], np.asarray(got["embeddings"], dtype=np.float32), strict=True))
        return stored

    def count(self, collection: str) -> int:
        with self._translated(collection):
            return self._collection(collection).count()

    def names(self) -> set[str]:
        with self._translated("all collections"):
            return {collection.name for collection in self._connected().list_collections()}

    def drop(self, collection: str) -> None:
        """Delete the collection; one that is not there is fine."""
        self._collections.pop((os.getpid(), collection), None)
        try:
            with self._translated(collection):
                self._connected().delete_collection(collection)
        except IndexOutdated:
            log.debug("collection was gone already", extra={"collection": collection})

    def _collection(self, name: str) -> chromadb.Collection:
        key = (os.getpid(), name)
        if key not in self._collections:
            self._collections[key] = self._connected().get_collection(name, embedding_function=None)
        return self._collections[key]

    def _connected(self) -> chromadb.api.ClientAPI:
        with self._lock:
            if self._client is None or self._client[0] != os.getpid():
                self._client = (os.getpid(), self._connect())
            return self._client[1]

    def _connect(self) -> chromadb.api.ClientAPI:
        address = urlsplit(self._url)
        port = address.port or (443 if address.scheme == "https" else 80)
        with socket.create_connection((address.hostname or "", port), timeout=self._timeout_s):
            pass
        if not self.alive():
            raise IndexUnavailable(f"the vector store at {self._url} does not answer")
        settings = Settings(anonymized_telemetry=False)
        client = chromadb.HttpClient(
            host=address.hostname or "", port=port, ssl=address.scheme == "https", settings=settings
        )
        server: Any = client
        server._server._session.timeout = httpx.Timeout(self._timeout_s)
        return client

    @contextmanager
    def _translated(self, collection: str) -> Iterator[None]:
        try:
            yield
        except chromadb.errors.NotFoundError as error:
            self._collections.pop((os.getpid(), collection), None)
            raise IndexOutdated(
                f"the vector store has no collection {collection!r}; ingest the corpus again"
            ) from error
        except chromadb.errors.InvalidDimensionException as error:
            raise IndexOutdated(f"{collection!r} holds vectors of another width; ingest the corpus again") from error
        except (OSError, httpx.HTTPError, chromadb.errors.ChromaError, ValueError) as error:
            raise IndexUnavailable(f"the vector store at {self._url} failed: {error}") from error
