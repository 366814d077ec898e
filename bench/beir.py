"""Reads a collection in BEIR layout: `corpus.jsonl`, `queries.jsonl` and `qrels.tsv` in one folder."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class BeirDocument:
    key: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class BeirQuery:
    """`grades` holds (document key, grade) of the judged relevant documents, grades from 1 up."""

    key: str
    text: str
    grades: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class BeirFolder:
    """`queries` are those with a relevant document: unanswerable ones cannot be scored by rank."""

    name: str
    documents: tuple[BeirDocument, ...]
    queries: tuple[BeirQuery, ...]


def read_beir(folder: Path) -> BeirFolder:
    """Raises OSError for a missing file, ValueError or KeyError for a malformed one."""
    grades = _read_grades(folder / "qrels.tsv")
    documents = tuple(
        BeirDocument(key=line["_id"], title=line.get("title", ""), text=line["text"])
        for line in _read_lines(folder / "corpus.jsonl")
    )
    queries = tuple(
        BeirQuery(key=line["_id"], text=line["text"], grades=tuple(grades[line["_id"]].items()))
        for line in _read_lines(folder / "queries.jsonl")
        if line["_id"] in grades
    )
    return BeirFolder(name=folder.resolve().name, documents=documents, queries=queries)


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def _read_grades(path: Path) -> dict[str, dict[str, int]]:
    grades: dict[str, dict[str, int]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if int(row["score"]) > 0:
                grades.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    return grades
