"""A data set by its name or its folder: one value for our own sets and for every collection in BEIR layout."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from evals.beir import read_folder
from evals.lines import DatasetError
from evals.questions import EvalQuestion, load_questions

SHIPPED = Path(__file__).parent / "datasets"


@dataclass(frozen=True, slots=True)
class Dataset:
    """`folder` and `documents` (how many) are None where the corpus is not part of the set.

    `sha256` covers the questions, and the documents where they are part of it: as read and in their order, so that
    line ends and the spelling of the JSON do not change it. `left_out` counts queries that nobody judged.
    """

    name: str
    questions: tuple[EvalQuestion, ...]
    sha256: str
    folder: Path | None = None
    documents: int | None = None
    left_out: int = 0


def load_dataset(name: str) -> Dataset:
    """`name` is that of a shipped set, a JSON Lines file of the same format, or a folder in BEIR layout.

    Raises DatasetError, naming the file and the line.
    """
    path = Path(name)
    if path.is_dir():
        return _from_folder(path)
    if path.suffix == ".jsonl":
        return _from_file(path)
    shipped = {path.stem: path for path in SHIPPED.glob("*.jsonl")}
    if name not in shipped:
        raise DatasetError(f"no data set {name!r}: neither a folder nor one of {', '.join(sorted(shipped))}")
    return _from_file(shipped[name])


def _from_folder(folder: Path) -> Dataset:
    read = read_folder(folder)
    return Dataset(
        name=folder.resolve().name,
        questions=read.questions,
        sha256=_digest(read.questions, documents_sha256=read.documents_sha256),
        folder=folder,
        documents=read.documents,
        left_out=read.left_out,
    )


def _from_file(path: Path) -> Dataset:
    questions = load_questions(path)
    return Dataset(name=path.stem, questions=questions, sha256=_digest(questions, documents_sha256=None))


def _digest(questions: tuple[EvalQuestion, ...], *, documents_sha256: str | None) -> str:
    content = [documents_sha256, *(asdict(question) for question in questions)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
