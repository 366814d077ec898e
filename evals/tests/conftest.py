import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import DOCUMENTS
from rag.tests.conftest import forgetful_process

__all__ = ["forgetful_process"]  # the ids of chunk sets begin anew in every test, and indexes are remembered by them

CORPUS = [{"_id": f"d{number}", "title": f"T{number}", "text": f"Text {number}"} for number in range(1, 4)]
QUERIES: list[dict[str, Any]] = [
    {"_id": "q1", "text": "One?", "answers": ["1", "one"], "answerable": True},
    {"_id": "q2", "text": "Two?"},
    {"_id": "q3", "text": "Three?", "answers": [], "answerable": False},
    {"_id": "q4", "text": "Of another split?"},
]
QRELS = [("q1", "d1", 1), ("q2", "d2", 2), ("q2", "d3", 1), ("q2", "d1", 0)]


def jsonl(rows: list) -> str:
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


@pytest.fixture
def beir(tmp_path: Path) -> Callable[..., Path]:
    """Writes a small folder in BEIR layout; each part can be replaced, by rows or by bytes."""

    def _beir(*, corpus=CORPUS, queries=QUERIES, qrels=QRELS, qrels_name="qrels.tsv") -> Path:
        folder = tmp_path / "small"
        tsv = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in qrels)]
        texts = {"corpus.jsonl": corpus, "queries.jsonl": queries}
        (folder / qrels_name).parent.mkdir(parents=True)
        (folder / qrels_name).write_bytes("".join(line + "\n" for line in tsv).encode())
        for name, rows in texts.items():
            (folder / name).write_bytes(rows if isinstance(rows, bytes) else jsonl(rows).encode())
        return folder

    return _beir


PASSAGES = {
    "leave": (
        "handbook/leave.md",
        "Unused annual leave of up to five days may be carried over into the next calendar year.",
    ),
    "sick": ("handbook/leave.md", "A certificate is due from the third day of absence."),
    "trains": ("handbook/travel.md", "Train tickets are booked through the portal up to the day of travel."),
    "receipts": ("handbook/travel.md", "Receipts are handed in within thirty days of the journey."),
    "backups": ("ops/backup.rst", "Full backups run on Sundays at 02:00. Incremental backups run every other night"),
    "paging": ("ops/alerts.txt", "The on-call engineer is paged when two probes fail within five minutes."),
}
WORDINGS = {
    "leave": ("How many days of unused annual leave may be carried over?", "May unused annual leave be carried over?"),
    "sick": ("From which day of absence is a certificate due?", "When is a certificate of absence due?"),
    "trains": ("Where are train tickets booked?", "Through what are train tickets booked?"),
    "receipts": ("Within how many days are receipts handed in?", "When are receipts of a journey handed in?"),
    "backups": ("When do full backups run?", "On which day do full backups run?"),
    "paging": ("Who is paged when two probes fail?", "When is the on-call engineer paged?"),
}
NOT_HELD = ("Who won the football world cup of 1954?", "How tall is the Eiffel tower?")


@pytest.fixture
def small_set(tmp_path: Path) -> Path:
    """Fourteen questions over the small world: two wordings for each of six passages, and two that nothing answers."""
    held = [row(name, number, text) for number in (0, 1) for name in WORDINGS for text in [WORDINGS[name][number]]]
    strange = [
        {
            "id": f"strange-{number}",
            "question": text,
            "kind": "short",
            "answerable": False,
            "gold": [],
            "reference": NONE,
        }
        for number, text in enumerate(NOT_HELD)
    ]
    path = tmp_path / "small.jsonl"
    path.write_text(jsonl([*held, *strange]), "utf-8")
    return path


NONE = "The documents do not say."


def row(name: str, number: int, question: str) -> dict[str, Any]:
    file, passage = PASSAGES[name]
    start = DOCUMENTS[file].index(passage)
    gold = {"source": file.rpartition(".")[0], "start": start, "end": start + len(passage), "quote_start": passage[:40]}
    return {
        "id": f"{name}-{number}",
        "question": question,
        "kind": "lookup",
        "answerable": True,
        "gold": [gold],
        "reference": passage,
    }
