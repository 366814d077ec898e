"""A collection in BEIR layout: `corpus.jsonl`, `queries.jsonl` and `qrels.tsv` (or `qrels/test.tsv`) in one folder.

The layout is that of Thakur et al. 2021 (BEIR). A query may also carry `answerable`, and `answers` (a list) or `answer` (a
text).
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from evals.lines import DatasetError, filled, located, objects, require, shown, text_lines, typed
from evals.questions import EvalQuestion, GoldDocument

HEADER = ["query-id", "corpus-id", "score"]


@dataclass(frozen=True, slots=True)
class BeirDocument:
    """The text may be empty, as it is twice in Cranfield."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class BeirFolder:
    """`left_out` counts queries with neither a relevant document nor `answerable`: BEIR keeps other splits' queries
    in the same file. `documents_sha256` covers id, title and text of the documents, in their order."""

    questions: tuple[EvalQuestion, ...]
    left_out: int
    documents: int
    documents_sha256: str


@dataclass(frozen=True, slots=True)
class _Judgement:
    grade: int
    line: int


_Qrels = dict[str, dict[str, _Judgement]]


def read_folder(folder: Path) -> BeirFolder:
    """Raises DatasetError, naming the file and the line, for the first thing that is wrong.

    The documents are read one at a time; only their ids are held.
    """
    qrels_path = _qrels_path(folder)
    qrels = _read_qrels(qrels_path)
    queries = _read_queries(folder / "queries.jsonl", qrels)
    ids, digest = _read_corpus(folder / "corpus.jsonl")
    _require_known(qrels_path, qrels, queries=queries.keys(), documents=ids)
    questions = tuple(question for question in queries.values() if question)
    if not questions:
        raise DatasetError(
            f"{folder.resolve().name}: no query has a relevant document or says whether it is answerable"
        )
    return BeirFolder(questions, len(queries) - len(questions), len(ids), digest)


def documents(folder: Path) -> Iterator[BeirDocument]:
    """The documents in their order, read as they are asked for. Raises DatasetError."""
    return (document for _, document in _numbered_documents(folder / "corpus.jsonl"))


def _qrels_path(folder: Path) -> Path:
    for path in (folder / "qrels.tsv", folder / "qrels" / "test.tsv"):
        if path.is_file():
            return path
    raise DatasetError(f"{folder} has neither qrels.tsv nor qrels/test.tsv")


def _read_qrels(path: Path) -> _Qrels:
    qrels: _Qrels = {}
    for number, line in text_lines(path):
        fields = line.split("\t")
        if fields == HEADER:
            continue
        with located(path, number):
            query, document, grade = _parse_qrel(fields)
            known = qrels.setdefault(query, {}).setdefault(document, _Judgement(grade, number))
            require(known.grade == grade, f"{document!r} was graded {known.grade} for {query!r} in line {known.line}")
    if not qrels:
        raise DatasetError(f"{shown(path)}: no judgements")
    return qrels


def _parse_qrel(fields: list[str]) -> tuple[str, str, int]:
    require(len(fields) == 3, f"expected 3 fields with tabs between them, not {len(fields)}")
    query, document, score = fields
    require(bool(query and document), "an id is empty")
    try:
        return query, document, int(score)
    except ValueError as error:
        raise ValueError(f"the score must be a whole number, not {score!r}") from error


def _read_queries(path: Path, qrels: _Qrels) -> dict[str, EvalQuestion | None]:
    """By id; None for a query that is left out."""
    queries: dict[str, EvalQuestion | None] = {}
    for number, row in objects(path):
        with located(path, number):
            key = _id(row)
            require(key not in queries, f"_id {key!r} is used twice")
            queries[key] = _question(key, row, qrels.get(key, {}))
    if not queries:
        raise DatasetError(f"{shown(path)}: no queries")
    return queries


def _question(key: str, row: dict[str, object], judged: Mapping[str, _Judgement]) -> EvalQuestion | None:
    text = filled(row, "text")
    gold = tuple(
        GoldDocument(document, judgement.grade) for document, judgement in judged.items() if judgement.grade > 0
    )
    stated = typed(row, "answerable", bool) if row.get("answerable") is not None else None
    require(stated is not False or not gold, "not answerable, but it has relevant documents in the qrels")
    if stated is None and not gold:
        return None
    return EvalQuestion(key, text, None, stated is not False, gold, _references(row))


def _references(row: dict[str, object]) -> tuple[str, ...]:
    answers = typed(row, "answers", list) if row.get("answers") is not None else [_optional_text(row, "answer")]
    for answer in answers:
        require(isinstance(answer, str), f"an answer must be str, not {type(answer).__name__}")
    return tuple(dict.fromkeys(answer for answer in answers if answer.strip()))


def _read_corpus(path: Path) -> tuple[set[str], str]:
    """The ids, and a SHA-256 over all documents."""
    ids, digest = set[str](), hashlib.sha256()
    for number, document in _numbered_documents(path):
        with located(path, number):
            require(document.id not in ids, f"_id {document.id!r} is used twice")
        ids.add(document.id)
        digest.update(json.dumps([document.id, document.title, document.text]).encode() + b"\n")
    if not ids:
        raise DatasetError(f"{shown(path)}: no documents")
    return ids, digest.hexdigest()


def _numbered_documents(path: Path) -> Iterator[tuple[int, BeirDocument]]:
    for number, row in objects(path):
        with located(path, number):
            document = BeirDocument(_id(row), _optional_text(row, "title"), typed(row, "text", str))
        yield number, document


def _require_known(path: Path, qrels: _Qrels, *, queries: Collection[str], documents: Collection[str]) -> None:
    for query, judged in qrels.items():
        for document, judgement in judged.items():
            with located(path, judgement.line):
                require(query in queries, f"query {query!r} is not in queries.jsonl")
                require(document in documents, f"document {document!r} is not in corpus.jsonl")


def _id(row: dict[str, object]) -> str:
    """A text, or a number where a collection writes its ids so."""
    value = row.get("_id")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else filled(row, "_id")


def _optional_text(row: dict[str, object], name: str) -> str:
    return typed(row, name, str) if row.get(name) is not None else ""
