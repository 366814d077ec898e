"""The life of a corpus version: claimed, activated, rolled back, pruned."""

import os
import shutil
import socket
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.db.models import Max

from rag.errors import CorpusNotReady, IngestRefused
from rag.models import ChunkSet, Corpus, CorpusActivation, CorpusVersion, VectorIndex
from rag.retrieval.lexical_files import directory_of

if TYPE_CHECKING:
    from rag.retrieval.dense import VectorStore

DEAD_AFTER = timedelta(seconds=120)
DEAD_ANYWAY_AFTER = timedelta(minutes=30)  # its process id may belong to another program by now


def claim(*, corpus: Corpus, now: datetime) -> CorpusVersion:
    """The next version, in state building; raises IngestRefused while somebody alive builds one.

    A build whose process died is marked as failed and gives way; what it embedded is found again by its text.
    """
    with transaction.atomic():
        Corpus.objects.select_for_update().get(pk=corpus.pk)
        for version in corpus.versions.filter(state=CorpusVersion.State.BUILDING):
            if not is_dead(version, now):
                raise IngestRefused(
                    f"{version} is being built by {version.builder} (last sign of life "
                    f"{(now - version.heartbeat_at).seconds} s ago); wait until it is done"
                )
            fail(version=version, error=f"its builder {version.builder} died", now=now)
        newest = corpus.versions.aggregate(newest=Max("number"))["newest"] or 0
        try:
            return CorpusVersion.objects.create(
                corpus=corpus, number=newest + 1, builder=builder_name(), heartbeat_at=now
            )
        except IntegrityError as error:
            raise IngestRefused(f"somebody else has just begun to build {corpus}; wait until it is done") from error


def builder_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def is_dead(version: CorpusVersion, now: datetime) -> bool:
    """Whether nobody builds it any more: its process is gone (on this host), or it was silent for too long."""
    silent = now - version.heartbeat_at
    host, _, pid = version.builder.rpartition(":")
    if host == socket.gethostname() and pid.isdecimal():
        return silent > DEAD_ANYWAY_AFTER or not process_exists(int(pid))
    return silent > DEAD_AFTER


def process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def fail(*, version: CorpusVersion, error: str, now: datetime) -> None:
    version.state = CorpusVersion.State.FAILED
    version.error = error
    version.finished_at = now
    version.save(update_fields=["state", "error", "finished_at"])


def activate(*, version: CorpusVersion, who_id: int | None, why: str) -> CorpusActivation:
    """Make a ready version the one that serves, in one transaction; raises CorpusNotReady for any other state."""
    with transaction.atomic():
        corpus = (
            Corpus.objects.select_for_update(of=("self",)).select_related("active_version").get(pk=version.corpus_id)
        )
        state = CorpusVersion.objects.values_list("state", flat=True).get(pk=version.pk)
        if state != CorpusVersion.State.READY:
            raise CorpusNotReady(f"{version} is {state}; only a ready version can serve")
        previous = corpus.active_version
        corpus.active_version = version
        corpus.save(update_fields=["active_version"])
        return CorpusActivation.objects.create(
            corpus=corpus,
            version=version,
            previous_number=previous.number if previous else None,
            who_id=who_id,
            why=why,
        )


def roll_back(*, corpus: Corpus, who_id: int | None, why: str) -> CorpusActivation:
    """Activate the newest ready version below the active one; raises CorpusNotReady when none is left."""
    active = corpus.active_version
    ready = corpus.versions.filter(state=CorpusVersion.State.READY)
    earlier = ready.filter(number__lt=active.number).order_by("-number").first() if active else None
    if earlier is None:
        raise CorpusNotReady(f"{corpus} has no earlier version to go back to")
    return activate(version=earlier, who_id=who_id, why=why)


def prune(*, corpus: Corpus, keep: int, store: "VectorStore", bm25_root: Path) -> list[str]:
    """Delete all but the active version and the newest `keep` ready ones; returns the labels of what went.

    Rows go first: text that was deleted can no longer be quoted even if dropping its collection fails.
    """
    corpus.refresh_from_db()
    ready = corpus.versions.filter(state=CorpusVersion.State.READY).order_by("-number")
    kept = set(ready.values_list("pk", flat=True)[:keep])
    doomed = corpus.versions.exclude(pk__in=kept).exclude(pk=corpus.active_version_id or 0)
    labels = []
    for version in doomed.exclude(state=CorpusVersion.State.BUILDING).order_by("number"):
        labels.append(version.label)
        delete(version=version, store=store, bm25_root=bm25_root)
    return labels


def delete(*, version: CorpusVersion, store: "VectorStore", bm25_root: Path) -> None:
    collections = list(VectorIndex.objects.filter(chunk_set__version=version).values_list("collection", flat=True))
    chunk_sets = list(ChunkSet.objects.filter(version=version).values_list("pk", flat=True))
    version.delete()
    for chunk_set_id in chunk_sets:
        shutil.rmtree(directory_of(root=bm25_root, chunk_set_id=chunk_set_id), ignore_errors=True)
    for collection in collections:
        store.drop(collection)
