"""Runs for people and for programs: the table of `manage.py evaluate`, and its JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from evals.models import EvalRun
from evals.running import Status
from evals.summary import Summary

COLUMNS = {
    "recall_at_5": "R@5",
    "recall_at_10": "R@10",
    "mrr": "MRR",
    "ndcg_at_10": "nDCG@10",
    "citation_precision": "cite P",
    "citation_recall": "cite R",
    "refusal_precision": "refuse P",
    "refusal_recall": "refuse R",
    "judge_correctness": "correct",
    "judge_groundedness": "grounded",
}


def as_json(summaries: Sequence[Summary]) -> dict[str, Any]:
    """One entry a run; what the same arm came to with kept answers allowed stands under its `answer_cache`."""
    return {"runs": [run_as_json(summary, cached_twin(summary, summaries)) for summary in uncached(summaries)]}


def uncached(summaries: Sequence[Summary]) -> list[Summary]:
    return [summary for summary in summaries if not summary.run.answer_cache]


def cached_twin(summary: Summary, summaries: Sequence[Summary]) -> Summary | None:
    run = summary.run
    arm = (run.batch, run.module, run.prompt_version)
    twins = (each for each in summaries if each.run.answer_cache)
    return next((each for each in twins if (each.run.batch, each.run.module, each.run.prompt_version) == arm), None)


def run_as_json(summary: Summary, cached: Summary | None) -> dict[str, Any]:
    run = summary.run
    return {
        "module": run.module,
        "prompt_version": run.prompt_version,
        "metrics": summary.metrics(),
        "cost_per_query_usd": summary.cost_per_query_usd,
        "questions": summary.questions,
        "run": run.pk,
        "state": run.state,
        "error": run.error,
        "failed": summary.failed,
        "errors": summary.errors,
        "degraded": summary.degraded,
        "dataset": run.dataset,
        "dataset_sha256": run.dataset_sha256,
        "corpus": run.corpus,
        "corpus_version": run.corpus_version,
        "provider_mode": run.provider_mode,
        "models": run.model_names,
        "commit": run.commit,
        "measured": {name: found.questions for name, found in summary.means.items()},
        "intervals": summary.intervals,
        "cost_by_component_usd": summary.costs,
        "latency_ms": summary.latency_ms,
        "spent_usd": float(run.cost_usd),
        "judge": judge_as_json(summary),
        "answer_cache": cache_as_json(cached),
    }


def judge_as_json(summary: Summary) -> dict[str, Any] | None:
    if not summary.run.judge_model:
        return None
    return {
        "model": summary.run.judge_model,
        "prompt_version": summary.run.judge_prompt_version,
        "malformed": summary.malformed,
        "unjudged": summary.unjudged,
        "cost_per_query_usd": summary.judge_per_query_usd,
        "repeatability": asdict(summary.repeatability) if summary.repeatability else None,
    }


def cache_as_json(cached: Summary | None) -> dict[str, Any] | None:
    if cached is None:
        return None
    return {
        "run": cached.run.pk,
        "state": cached.run.state,
        "hits": cached.cache_hits,
        "cost_per_query_usd": cached.cost_per_query_usd,
        "latency_ms": cached.latency_ms,
        "questions": cached.questions,
        "failed": cached.failed,
    }


def as_table(summaries: Sequence[Summary]) -> str:
    """One line a run, the names of the measures above; what is unknown is a dash."""
    with_cache = any(summary.run.answer_cache for summary in summaries)
    head = ["run", "module", "prompt", "asked", "failed", *COLUMNS.values(), "USD/query", "p50 ms", "p95 ms"]
    rows = [head + (["USD/query, cache on"] if with_cache else [])]
    for summary in uncached(summaries):
        twin = cached_twin(summary, summaries)
        rows.append(cells(summary) + ([dollars(twin.cost_per_query_usd) if twin else "-"] if with_cache else []))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *notes(summaries)])


def cells(summary: Summary) -> list[str]:
    run, metrics = summary.run, summary.metrics()
    return [
        str(run.pk),
        run.module,
        run.prompt_version,
        str(summary.questions),
        str(summary.failed),
        *(decimals(metrics[name], 3) for name in COLUMNS),
        dollars(summary.cost_per_query_usd),
        *(decimals(value, 0) for value in summary.latency_ms.values()),
    ]


def notes(summaries: Sequence[Summary]) -> list[str]:
    """What a reader of the table must know besides."""
    said = [f"{each.run} is {each.run.state}: {each.run.error}" for each in summaries if each.run.error]
    said += [f"{each.run}: failed with {told(each.errors)}" for each in summaries if each.errors]
    said += [f"{each.run}: {each.degraded} answers were degraded" for each in summaries if each.degraded]
    said += [f"{each.run}: {judge_note(each)}" for each in summaries if each.repeatability or each.malformed]
    if any(each.run.provider_mode != "live" for each in summaries):
        said.append("Simulated providers: costs are what live ones would bill, quality is that of the stand-ins.")
    return ["", *said] if said else []


def judge_note(summary: Summary) -> str:
    said = f"{summary.malformed} verdicts could not be read" if summary.malformed else ""
    again = summary.repeatability
    if again is None:
        return said
    repeated = (
        f"{again.answers} answers judged {again.times} times: {again.identical:.0%} with identical verdicts, mean spread "
        f"{again.correctness_spread:.2f} (correctness) and {again.groundedness_spread:.2f} (groundedness)"
    )
    return "; ".join(part for part in (said, repeated) if part)


def progress_line(status: Status, *, estimate: Decimal | None) -> str:
    failed = f", {status.failed} failed" if status.failed else ""
    of = f" of about ${estimate:.4f}" if estimate is not None else ""
    return f"{name_of(status.run)}: {status.done} of {status.run.questions}{failed}, ${status.spent_usd:.4f} spent{of}"


def name_of(run: EvalRun) -> str:
    return f"{run}, cache on" if run.answer_cache else str(run)


def told(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items())


def decimals(value: float | None, places: int) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def dollars(value: float | None) -> str:
    return "-" if value is None else f"{value:.6f}"
