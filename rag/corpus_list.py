"""The corpora as people and clients see them."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, OuterRef, Subquery

from rag.models import Corpus, CorpusActivation


def corpus_list(only: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Those named in `only`; none named: all."""
    newest = CorpusActivation.objects.filter(corpus=OuterRef("pk")).order_by("-id").values("at")[:1]
    rows = (
        (Corpus.objects.filter(slug__in=only) if only else Corpus.objects.all())
        .select_related("active_version")
        .prefetch_related("active_version__chunk_sets")
        .annotate(documents=Count("active_version__documents"), activated_at=Subquery(newest))
        .order_by("slug")
    )
    return [
        {
            "name": row.slug,
            "version": row.active_version.label if row.active_version else None,
            "documents": row.documents,
            "chunks": {s.chunker: s.count for s in row.active_version.chunk_sets.all()} if row.active_version else {},
            "activated_at": row.activated_at,
        }
        for row in rows
    ]
