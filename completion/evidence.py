"""What the facts rest on, hashed: runs, dataset, prompts, price table, trace files, configuration, commit."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db.models import Count, Min, Q, Sum

from completion.manifest import Cost, Evidence, OpenDay, RunEvidence, sha256_of
from costs.models import LedgerEntry, ModelPrice, ProviderMode
from costs.spend import EIGHT_PLACES
from evals.models import EvalRun
from evals.scoreboard import Scoreboard
from rag.trace_chain import Chain, digest_of
from rag.trace_files import DamagedFile, days_in, raw_lines, read_chain

RUN_FIELDS = (
    "dataset",
    "dataset_sha256",
    "limit",
    "questions",
    "module",
    "prompt_version",
    "prompts",
    "model_names",
    "corpus",
    "corpus_version",
    "config",
    "commit",
    "judge_model",
    "judge_prompt_version",
    "judge_repeat",
    "provider_mode",
)
RESULT_FIELDS = ("question_id", "question", "kind", "answerable", "trace_id", "answered", "scores", "judge", "error")
PRICE_FIELDS = (
    "provider",
    "model",
    "input_usd",
    "cache_write_5m_usd",
    "cache_write_1h_usd",
    "cache_read_usd",
    "output_usd",
    "search_usd",
    "tier_threshold",
    "tier_factor",
    "source",
)


class EvidenceMissing(Exception):
    """The scoreboard names a run that is not there, or a trace file cannot be read."""


def evidence_of(board: Scoreboard, *, trace_folder: Path) -> Evidence:
    """Raises EvidenceMissing."""
    chain = read_chain(trace_folder)
    days = open_days(trace_folder, chain)
    return {
        "scoreboard_sha256": sha256_of(board.as_json()),
        "dataset_sha256": board.dataset.sha256,
        "runs": [run_evidence(score.eval_run_id) for score in board.modules],
        "price_table_sha256": sha256_of(list(prices())),
        "trace_chain_head": chain.head,
        "trace_chain_entries": len(chain.entries),
        "trace_open_days": days,
        "traces_sha256": sha256_of({"trace_chain_head": chain.head, "trace_open_days": days}),
        "commit": board.commit,
    }


def open_days(folder: Path, chain: Chain) -> list[OpenDay]:
    """What the chain does not hold yet: today's file, and those that nobody has closed."""
    try:
        digests = {day: digest_of(raw_lines(folder, day)) for day in days_in(folder) if not chain.knows(day)}
    except DamagedFile as error:
        raise EvidenceMissing(f"A trace file is damaged: {error}. See `manage.py traces verify`.") from error
    return [{"day": str(day), "lines": found.lines, "sha256": found.sha256} for day, found in digests.items()]


def run_evidence(pk: int) -> RunEvidence:
    run = EvalRun.objects.filter(pk=pk).first()
    if run is None:
        raise EvidenceMissing(f"The scoreboard rests on evaluation run {pk}, which is gone: make the scoreboard again.")
    return {
        "module": run.module,
        "eval_run_id": run.pk,
        "run_sha256": sha256_of({"run": told(run, RUN_FIELDS), "results": list(results(run))}),
        "config_sha256": sha256_of(run.config),
        "prompts": run.prompts,
        "models": run.model_names,
        "commit": run.commit,
    }


def results(run: EvalRun) -> Iterator[dict[str, Any]]:
    for result in run.results.order_by("question_id"):
        yield told(result, RESULT_FIELDS) | {"cost_usd": text(result.cost_usd)}


def prices() -> Iterator[dict[str, Any]]:
    """Numbers as text, because their places count and JSON has none; the time in ISO 8601, UTC."""
    for price in ModelPrice.objects.order_by("provider", "model", "effective_from"):
        row = {name: text(value) for name, value in told(price, PRICE_FIELDS).items()}
        yield row | {"effective_from": price.effective_from.isoformat()}


def told(row: Any, fields: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in fields}


def text(value: Any) -> str | None:
    return None if value is None else str(value)


def cost_until(now: datetime) -> Cost:
    """All that the ledger has; real and simulated are never added up."""
    entries = LedgerEntry.objects.filter(at__lte=now)
    modes = {
        mode: entries.filter(provider_mode=mode).aggregate(
            usd=Sum("cost_usd"),
            calls=Count("pk", filter=Q(correction=0)),
            unpriced=Count("pk", filter=Q(cost_usd=None, adjustments=None)),
        )
        for mode in (ProviderMode.LIVE, ProviderMode.SIMULATED)
    }
    live, simulated = modes[ProviderMode.LIVE], modes[ProviderMode.SIMULATED]
    since = entries.aggregate(since=Min("at"))["since"]
    return {
        "live_usd": total(live["usd"]),
        "live_calls": live["calls"],
        "live_unpriced": live["unpriced"],
        "simulated_usd": total(simulated["usd"]),
        "simulated_calls": simulated["calls"],
        "simulated_unpriced": simulated["unpriced"],
        "since": since.isoformat() if since else None,
        "until": now.isoformat(),
    }


def total(amount: Any) -> str:
    """To the eight places of the ledger."""
    return str((amount or EIGHT_PLACES * 0).quantize(EIGHT_PLACES))
