"""The documents of a BEIR folder as a corpus of its own, `beir-<folder>`, ingested once.

A document becomes one `Document` whose source is its `_id`; characters that would be unsafe in a chunk id are percent-encoded,
which leaves the usual ids as they are.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from evals.beir import BeirDocument, documents
from evals.dataset import Dataset
from evals.errors import EvaluationRefused
from evals.questions import EvalQuestion, GoldDocument
from rag.building import Progress
from rag.ingest import LONGEST_SOURCE, IngestReport, build_next, corpus_row
from rag.models import Corpus
from rag.modules import RECIPES
from rag.values import ParsedDocument, storable

LONGEST_NAME = 40
SAFE = "/:@+-._~"


def ingested(*, folder: Path, chunkers: Sequence[str], progress: Progress) -> IngestReport:
    """The corpus of the folder, with the chunks of those chunkers; nothing is done where it stands already.

    What other chunkers made of the same corpus is kept. Raises EvaluationRefused, DatasetError and what an ingest raises.
    """
    row = corpus_row(corpus_name(folder), None)
    wanted = {*chunkers, *present_chunkers(row)}
    return build_next(
        row=row,
        documents=[as_parsed(document) for document in documents(folder)],
        recipes={name: recipe for name, recipe in RECIPES.items() if name in wanted},
        why=f"evaluation of the collection {folder.resolve().name}",
        progress=progress,
    )


def present_chunkers(row: Corpus) -> set[str]:
    active = row.active_version
    return set(active.chunk_sets.values_list("chunker", flat=True)) if active else set()


def corpus_name(folder: Path) -> str:
    """`squad2_dev` gives `beir-squad2-dev`."""
    slug = re.sub(r"[^a-z0-9]+", "-", f"beir-{folder.resolve().name}".lower())
    return slug[:LONGEST_NAME].strip("-")


def as_parsed(document: BeirDocument) -> ParsedDocument:
    """Plain text: the title becomes the heading where the chunker keeps headings."""
    source = source_of(document.id)
    if len(source) > LONGEST_SOURCE:
        raise EvaluationRefused(f"the document id {document.id[:60]!r}... is longer than {LONGEST_SOURCE} characters")
    text = storable(document.text.replace("\r\n", "\n").replace("\r", "\n"))
    return ParsedDocument(source, storable(document.title), text, "plain")


def source_of(document_id: str) -> str:
    """What `Document.source` holds for a document's `_id`."""
    return quote(document_id, safe=SAFE)


def questions_of(dataset: Dataset) -> tuple[EvalQuestion, ...]:
    """The questions with their gold named as the corpus names it."""
    return tuple(located(question) for question in dataset.questions) if dataset.folder else dataset.questions


def located(question: EvalQuestion) -> EvalQuestion:
    gold = tuple(
        GoldDocument(source_of(each.source), each.grade) for each in question.gold if isinstance(each, GoldDocument)
    )
    return replace(question, gold=gold)
