"""Numbers of a manifest as people read them. Plain Python."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from completion.manifest import Cost, Manifest, ModuleRow

METRICS: Mapping[str, str] = {
    "recall_at_5": "R@5",
    "recall_at_10": "R@10",
    "mrr": "MRR",
    "ndcg_at_10": "nDCG@10",
    "citation_precision": "cite P",
    "citation_recall": "cite R",
    "judge_correctness": "correct",
    "judge_groundedness": "grounded",
    "refusal_precision": "refuse P",
    "refusal_recall": "refuse R",
}
UNKNOWN = "-"
SIMULATED = "Measured with simulated providers: costs are what live ones would bill, quality is that of the stand-ins."


def dollars(amount: Decimal) -> str:
    """To the cent; small amounts to three significant digits."""
    if amount == 0 or abs(amount) >= Decimal("0.1"):
        return f"${amount:,.2f}"
    return f"${amount:.{2 - amount.adjusted()}f}"


def per_query(row: ModuleRow) -> str:
    cost = row["cost_per_query_usd"]
    return UNKNOWN if cost is None else dollars(Decimal(repr(cost)))


def score(row: ModuleRow, metric: str) -> str:
    """Judge scores are marks from 1 to 5, the others shares."""
    value = row["metrics"][metric]["value"]
    return UNKNOWN if value is None else f"{value:.2f}" if metric.startswith("judge_") else f"{value:.3f}"


def interval(row: ModuleRow, metric: str) -> str:
    found = row["metrics"][metric]
    return "" if found["low"] is None or found["high"] is None else f"{found['low']:.3f} to {found['high']:.3f}"


def seconds(row: ModuleRow) -> str:
    """p95."""
    value = row["latency_ms"].get("p95")
    return UNKNOWN if value is None else f"{value / 1_000:,.2f} s"


def hours(manifest: Manifest) -> str:
    return f"{Decimal(manifest['work']['hours']):,}"


def counted(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def cost_note(cost: Cost, mode: str) -> str:
    """`mode`: live or simulated."""
    told: Mapping[str, Any] = cost
    unpriced = told[f"{mode}_unpriced"]
    return counted(told[f"{mode}_calls"], "call") + (f", {unpriced:,} of them unpriced" if unpriced else "")


def left_out(manifest: Manifest) -> str:
    work = manifest["work"]
    parts = (
        counted(work["merges"], "merge"),
        counted(work["bots"], "commit") + " by bots",
        counted(work["duplicates"], "repeated patch").replace("patchs", "patches"),
    )
    return f"Left out here: {parts[0]}, {parts[1]}, {parts[2]}."


def day(moment: str) -> str:
    """2026-11-22T10:00:00Z -> 22 November 2026."""
    year, month, number = moment[:10].split("-")
    return f"{int(number)} {MONTHS[int(month) - 1]} {year}"


MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


def simulated(manifest: Manifest) -> bool:
    return manifest["scoreboard"]["provider_mode"] != "live"


def production(manifest: Manifest, module: str) -> ModuleRow | None:
    return next((row for row in manifest["scoreboard"]["modules"] if row["module"] == module), None)


def gate_told(manifest: Manifest) -> str:
    lines = manifest["scoreboard"]["gate"]["lines"]
    passed = sum(line["passed"] for line in lines)
    return f"{passed} of {len(lines)} lines passed"
