"""A manifest of made-up facts, to draw and to sign."""

import copy
from typing import Any

from completion.figures import METRICS
from completion.hours import RULE
from completion.manifest import FORMAT, Interval, Manifest, ModuleRow

MODULES = ("m1-baseline", "m2-chunking", "m3-hybrid", "m4-transform", "m5-tuned", "m6-production")
RECALL = (0.479, 0.75, 0.8125, 0.8125, 0.854, 0.8541)


def module_row(module: str, number: int, recall: float | None) -> ModuleRow:
    """`recall` None: nothing was measured."""

    def interval(value: float | None) -> Interval:
        if value is None:
            return {"value": None, "low": None, "high": None}
        return {"value": value, "low": max(0.0, value - 0.12), "high": min(1.0, value + 0.1)}

    marks = {name: 4.2 if name.startswith("judge_") else recall for name in METRICS}
    return {
        "module": module,
        "eval_run_id": number,
        "questions": 30,
        "failed": 0,
        "prompt_version": "v1",
        "metrics": {name: interval(value if recall is not None else None) for name, value in marks.items()},
        "cost_per_query_usd": None if recall is None else 0.0061873,
        "latency_ms": {"p50": 210.0, "p95": 640.0},
    }


def sample_board() -> dict[str, Any]:
    names = (
        "recall",
        "judge",
        "cost_on_traffic",
        "cost_on_questions",
        "failures",
        "traces",
        "prompt_versions",
        "cost_page",
        "proxy",
    )
    lines = [
        {"name": name, "passed": True, "measured": "0.854 against 0.812", "needed": "at least 0.792", "why": ""}
        for name in names
    ]
    return {
        "made_at": "2026-11-22T15:30:00+00:00",
        "commit": "9e874d52" * 5,
        "provider_mode": "simulated",
        "dataset": {"name": "django-topics", "sha256": "d" * 64, "questions": 30},
        "corpus": {"name": "django", "version": "v1", "documents": 120, "chunks": {"structural": 1829, "fixed": 2012}},
        "modules": [
            module_row(module, number, recall)
            for number, (module, recall) in enumerate(zip(MODULES, RECALL, strict=True))
        ],
        "gate": {"passed": True, "lines": lines},
    }


def sample_manifest(**other: Any) -> Manifest:
    """`other` replaces whole top-level entries."""
    board = sample_board()
    told: dict[str, Any] = {
        "format": FORMAT,
        "id": "7Q2M-9XKD-4TBH-W8ZN",
        "name": "Ada Lovelace",
        "issued_at": "2026-11-22T16:00:00Z",
        "issuer": {"name": "ragsite", "certificate_sha256": "c" * 64, "site": "https://rag.example.com"},
        "verify_url": "https://rag.example.com/verify/7Q2M-9XKD-4TBH-W8ZN",
        "scoreboard": board,
        "cost": {
            "live_usd": "0",
            "live_calls": 0,
            "live_unpriced": 0,
            "simulated_usd": "67.25314159",
            "simulated_calls": 31368,
            "simulated_unpriced": 2,
            "since": "2026-10-01T08:00:00Z",
            "until": "2026-11-22T16:00:00Z",
        },
        "work": {
            "hours": "123.5",
            "sessions": 41,
            "commits": 312,
            "merges": 12,
            "bots": 3,
            "duplicates": 1,
            "first_at": "2026-10-01T08:00:00Z",
            "last_at": "2026-11-22T15:00:00Z",
            "head": "ab12cd34" * 5,
            "rule": RULE,
        },
        "evidence": {
            "scoreboard_sha256": "a1b2c3d4" * 8,
            "dataset_sha256": "d" * 64,
            "runs": [],
            "price_table_sha256": "0123456789abcdef" * 4,
            "trace_chain_head": "fedcba9876543210" * 4,
            "trace_chain_entries": 52,
            "trace_open_days": [{"day": "2026-11-22", "lines": 580, "sha256": "76543210fedcba98" * 4}],
            "traces_sha256": "89abcdef01234567" * 4,
            "commit": "9e874d52" * 5,
        },
    }
    return copy.deepcopy(told | other)  # type: ignore[return-value]
