"""Vectors in a real Chroma server, and what happens when it is away, hung or not what it should be."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import numpy as np
import pytest

from rag.errors import IndexOutdated, IndexUnavailable
from rag.retrieval.dense import WRITE_BATCH, VectorStore
from rag.tests.doubles import Relay, silent_server

TIMEOUT_S = 0.5
EAST, NORTH = (1.0, 0.0), (0.0, 1.0)


@pytest.fixture
def store(chroma: str) -> VectorStore:
    return VectorStore(url=chroma, timeout_s=5.0)


@pytest.fixture
def collection(store: VectorStore) -> Iterator[str]:
    """An empty collection of a name of its own."""
    name = f"test-{uuid4().hex}"
    store.create(name)
    yield name
    store.drop(name)


def fill(store: VectorStore, collection: str) -> None:
    vectors = np.array([EAST, NORTH, (1.0, 1.0), (-1.0, 0.0)], dtype=np.float32)
    store.write(collection=collection, keys=["east", "north", "between", "west"], vectors=vectors)


@pytest.fixture
def relay(chroma: str) -> Iterator[Relay]:
    relay = Relay(chroma)
    relay.open()
    yield relay
    relay.close()


def seconds_until_unavailable(call: Callable[[], object]) -> float:
    started = time.monotonic()
    with pytest.raises(IndexUnavailable):
        call()
    return time.monotonic() - started


def test_a_search_finds_the_nearest_first_with_their_cosines(store: VectorStore, collection: str) -> None:
    fill(store, collection)

    (found,) = store.search(collection=collection, vectors=[EAST], limit=3)

    assert [hit.key for hit in found] == ["east", "between", "north"]
    assert [hit.score for hit in found] == pytest.approx([1.0, 0.70710678, 0.0], abs=1e-5)


def test_every_vector_of_a_search_gets_its_own_ranking(store: VectorStore, collection: str) -> None:
    fill(store, collection)

    found = store.search(collection=collection, vectors=[NORTH, EAST], limit=1)

    assert [[hit.key for hit in row] for row in found] == [["north"], ["east"]]


def test_no_vectors_find_nothing(store: VectorStore, collection: str) -> None:
    assert store.search(collection=collection, vectors=[], limit=3) == ()


def test_an_empty_collection_finds_nothing(store: VectorStore, collection: str) -> None:
    assert store.search(collection=collection, vectors=[EAST], limit=3) == ((),)


def test_a_limit_above_the_count_finds_all(store: VectorStore, collection: str) -> None:
    fill(store, collection)

    assert len(store.search(collection=collection, vectors=[EAST], limit=50)[0]) == 4


def test_it_reads_back_what_it_wrote(store: VectorStore, collection: str) -> None:
    fill(store, collection)

    found = store.read(collection=collection, keys=["north", "nowhere", "east"])

    assert {key: tuple(vector) for key, vector in found.items()} == {"north": NORTH, "east": EAST}


def test_reading_nothing_is_nothing(store: VectorStore, collection: str) -> None:
    fill(store, collection)

    assert store.read(collection=collection, keys=[]) == {}
    assert store.read(collection=collection, keys=["nowhere"]) == {}


def test_a_key_that_is_there_keeps_its_first_vector(store: VectorStore, collection: str) -> None:
    fill(store, collection)

    store.write(collection=collection, keys=["west"], vectors=np.array([NORTH], dtype=np.float32))

    assert store.count(collection) == 4
    assert tuple(store.read(collection=collection, keys=["west"])["west"]) == (-1.0, 0.0)


def test_more_than_a_batch_is_written_and_read_in_batches(store: VectorStore, collection: str) -> None:
    keys = [f"k{n}" for n in range(2 * WRITE_BATCH + 1)]
    vectors = np.array([(1.0, float(n)) for n in range(len(keys))], dtype=np.float32)

    store.write(collection=collection, keys=keys, vectors=vectors)

    assert store.count(collection) == len(keys)
    stored = store.read(collection=collection, keys=keys)
    assert list(stored[keys[-1]]) == pytest.approx([1.0, 2.0 * WRITE_BATCH], rel=1e-6)


def test_creating_twice_keeps_what_is_there(store: VectorStore, collection: str) -> None:
    fill(store, collection)

    store.create(collection)

    assert store.count(collection) == 4


def test_a_dropped_collection_is_gone(store: VectorStore, collection: str) -> None:
    fill(store, collection)

    store.drop(collection)

    assert collection not in store.names()
    with pytest.raises(IndexOutdated, match=collection):
        store.count(collection)


def test_dropping_what_is_not_there_is_fine(store: VectorStore) -> None:
    store.drop("test-never-was")


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.search(collection="test-never-was", vectors=[EAST], limit=3),
        lambda store: store.count("test-never-was"),
        lambda store: store.read(collection="test-never-was", keys=["a"]),
        lambda store: store.write(collection="test-never-was", keys=["a"], vectors=np.zeros((1, 2), np.float32)),
    ],
    ids=["search", "count", "read", "write"],
)
def test_a_missing_collection_is_outdated(store: VectorStore, call: Callable[[VectorStore], object]) -> None:
    with pytest.raises(IndexOutdated, match="test-never-was"):
        call(store)


def test_a_collection_that_another_process_dropped_and_made_anew_is_found_again(
    store: VectorStore, collection: str, chroma: str
) -> None:
    fill(store, collection)
    other = VectorStore(url=chroma, timeout_s=5.0)
    other.drop(collection)
    with pytest.raises(IndexOutdated):
        store.count(collection)
    other.create(collection)

    assert store.count(collection) == 0


def test_a_search_of_another_width_is_outdated(store: VectorStore, collection: str) -> None:
    fill(store, collection)

    with pytest.raises(IndexOutdated, match="another width"):
        store.search(collection=collection, vectors=[(1.0, 0.0, 0.0)], limit=3)


def test_writing_another_width_is_outdated(store: VectorStore, collection: str) -> None:
    fill(store, collection)

    with pytest.raises(IndexOutdated, match="another width"):
        store.write(collection=collection, keys=["x"], vectors=np.zeros((1, 3), np.float32))


def test_a_server_that_answers_is_alive(store: VectorStore) -> None:
    assert store.alive()


def test_a_server_that_is_away_is_told_at_once(relay: Relay) -> None:
    relay.close()
    store = VectorStore(url=relay.url, timeout_s=TIMEOUT_S)

    assert not store.alive()
    assert seconds_until_unavailable(lambda: store.count("any")) < TIMEOUT_S


def test_a_server_that_goes_away_is_told_at_once(relay: Relay, collection: str) -> None:
    store = VectorStore(url=relay.url, timeout_s=TIMEOUT_S)
    store.count(collection)
    relay.close()

    assert seconds_until_unavailable(lambda: store.count(collection)) < TIMEOUT_S


def test_it_recovers_when_the_server_is_back(relay: Relay, collection: str) -> None:
    store = VectorStore(url=relay.url, timeout_s=5.0)
    store.count(collection)
    relay.close()
    seconds_until_unavailable(lambda: store.count(collection))

    relay.open()

    assert store.count(collection) == 0


def test_it_connects_when_the_server_comes_up_later(relay: Relay, collection: str) -> None:
    relay.close()
    store = VectorStore(url=relay.url, timeout_s=5.0)
    seconds_until_unavailable(lambda: store.count(collection))

    relay.open()

    assert store.count(collection) == 0


def test_a_hung_server_is_given_up_within_the_timeout() -> None:
    with silent_server() as url:
        store = VectorStore(url=url, timeout_s=TIMEOUT_S)

        assert seconds_until_unavailable(lambda: store.count("any")) < TIMEOUT_S + 0.5
        assert not store.alive()


def test_a_server_that_hangs_after_its_heartbeat_is_given_up_within_the_timeout() -> None:
    with silent_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}") as url:
        store = VectorStore(url=url, timeout_s=TIMEOUT_S)
        done: list[float] = []
        worker = threading.Thread(
            target=lambda: done.append(seconds_until_unavailable(lambda: store.count("any"))), daemon=True
        )

        worker.start()
        worker.join(timeout=6 * TIMEOUT_S)

        assert done


def test_waiting_threads_do_not_wait_one_after_the_other_for_a_hung_server() -> None:
    with silent_server() as url:
        store = VectorStore(url=url, timeout_s=TIMEOUT_S)
        waits: list[float] = []
        threads = [
            threading.Thread(target=lambda: waits.append(seconds_until_unavailable(lambda: store.count("any"))))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert max(waits) < 2 * TIMEOUT_S + 0.5


def test_a_server_that_stops_answering_is_given_up_within_the_timeout(relay: Relay, collection: str) -> None:
    store = VectorStore(url=relay.url, timeout_s=TIMEOUT_S)
    store.count(collection)

    with silent_takeover(relay):
        waited = seconds_until_unavailable(lambda: store.count(collection))

    assert waited < TIMEOUT_S + 0.5


@contextmanager
def silent_takeover(relay: Relay) -> Iterator[None]:
    """In the place of the relay a listener that never answers."""
    port = int(relay.url.rpartition(":")[2])
    relay.close()
    with socket.create_server(("127.0.0.1", port), backlog=64):
        yield


def test_threads_may_share_a_store(store: VectorStore, collection: str) -> None:
    fill(store, collection)
    found: list[str] = []

    def search() -> None:
        for _ in range(5):
            found.append(store.search(collection=collection, vectors=[EAST], limit=1)[0][0].key)

    threads = [threading.Thread(target=search) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == ["east"] * 40
