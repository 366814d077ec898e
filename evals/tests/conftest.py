import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
