"""What the page of a run shows of its results, as tables."""

import json
from collections.abc import Iterable, Sequence

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from evals.models import EvalResult, EvalRun
from evals.module_scores import METRICS, Metric, score_of
from evals.summary import summarised
from ragsite.admin import text_box

QUESTIONS_SHOWN = 200


def score_table(run: EvalRun) -> SafeString:
    """Every measure with its interval and the number of questions that it stands on."""
    summary = summarised(run)
    if summary.questions == summary.failed:
        return format_html("{}", "none yet")
    score = score_of(summary)
    rows = [
        (
            name.replace("_", " "),
            figure(score.metrics[name]),
            interval(score.metrics[name]),
            counted(summary.means, name),
        )
        for name in METRICS
    ]
    cost = "unpriced" if score.cost_per_query_usd is None else f"${score.cost_per_query_usd:.6f}"
    times = ", ".join(f"{name} {value:,.0f} ms" for name, value in score.latency_ms.items() if value is not None)
    more = [("cost per query", cost, "", ""), ("latency", times, "", "")]
    return table(("measure", "mean", "95 % interval", "questions"), [*rows, *more])


def counted(means: object, name: str) -> str:
    found = means.get(name) if isinstance(means, dict) else None
    return str(found.questions) if found else ""


def figure(metric: Metric) -> str:
    return "-" if metric.value is None else f"{metric.value:.3f}"


def interval(metric: Metric) -> str:
    return "" if metric.low is None or metric.high is None else f"{metric.low:.2f} to {metric.high:.2f}"


def outcomes(run: EvalRun) -> SafeString:
    """The questions with their traces, the newest last."""
    results = list(run.results.order_by("pk")[:QUESTIONS_SHOWN])
    if not results:
        return format_html("{}", "none yet")
    heads = ("question", "outcome", "Recall@5", "cited", "correct", "grounded", "trace")
    return table(heads, [outcome(result) for result in results])


def outcome(result: EvalResult) -> Sequence[str | SafeString]:
    said = result.error or ("answered" if result.answered else "refused")
    right = "" if result.error or result.answered == result.answerable else " (wrongly)"
    names = ("recall_at_5", "citation_recall", "judge_correctness", "judge_groundedness")
    scores = ("-" if result.scores.get(name) is None else f"{result.scores[name]:g}" for name in names)
    return (f"{result.question_id}: {result.question}", f"{said}{right}", *scores, trace_link(result))


def trace_link(result: EvalResult) -> SafeString:
    url = reverse("admin:rag_tracesummary_by_trace", args=[result.trace_id])
    return format_html('<a class="row-link" href="{}">{}</a>', url, result.trace_id[:8])


def table(heads: Sequence[str], rows: Iterable[Sequence[str | SafeString]]) -> SafeString:
    head = format_html_join("", '<th scope="col">{}</th>', ((text,) for text in heads))
    body = format_html_join("", "<tr>{}</tr>", ((cells(row),) for row in rows))
    return format_html(
        '<div class="eval-table" tabindex="0"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>',
        head,
        body,
    )


def cells(row: Sequence[str | SafeString]) -> SafeString:
    return format_html_join("", "<td>{}</td>", ((cell,) for cell in row))


def measured_facts(run: EvalRun) -> SafeString:
    facts = {
        "data set": f"{run.dataset}, SHA-256 {run.dataset_sha256}",
        "corpus": f"{run.corpus} {run.corpus_version}",
        "provider mode": run.provider_mode,
        "commit": run.commit,
        "models": run.model_names,
        "judge": f"{run.judge_model} {run.judge_prompt_version}".strip(),
        "prompts": run.prompts,
        "configuration": run.config,
        "asked by process": run.runner,
    }
    return text_box(json.dumps(facts, indent=2, ensure_ascii=False))
