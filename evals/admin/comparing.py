"""The page of a comparison: whether one run is better than another, followed while they are asked."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from evals.comparison import Comparison, Verdict
from evals.errors import EvaluationRefused
from evals.models import EvalRun
from evals.progress import FOLLOWED_EVERY_S, Progress, progress_of
from evals.reporting import FLIPS_SHOWN, interval_told, number, signed, verdict_sentence
from evals.run_comparison import COMPARABLE, QUALITY, compared, texts_of
from ragsite.admin import ModelAdmin

ALSO = ("cost_usd", "latency_ms")
CHOICES = 60
TONES = {Verdict.BETTER: "good", Verdict.WORSE: "bad"}


@dataclass(frozen=True, slots=True)
class Flip:
    question_id: str
    question: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One measure of a comparison, as text."""

    name: str
    verdict: str
    tone: str
    sentence: str
    figures: tuple[tuple[str, str], ...]
    better: tuple[Flip, ...]
    worse: tuple[Flip, ...]
    more: int


def compare_url(before: EvalRun, after: EvalRun) -> str:
    return f"{reverse('admin:evals_evalrun_compare')}?{urlencode({'before': before.pk, 'after': after.pk})}"


def comparing_page(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """`before` and `after` name the runs, `metric` the measure that decides; without one six are read together."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    before, after = (named_run(request.GET.get(name, "")) for name in ("before", "after"))
    metric = request.GET.get("metric", "")
    if metric and metric not in COMPARABLE:
        raise Http404(f"there is no measure {metric}")
    choices = EvalRun.objects.filter(state=EvalRun.State.DONE).order_by("-pk")[:CHOICES]
    context = model_admin.admin_site.each_context(request) | {
        "title": "Did it help?",
        "opts": EvalRun._meta,
        "choices": list(choices),
        "before": before,
        "after": after,
        "metric": metric,
        "metrics": [(name, name.replace("_", " ")) for name in COMPARABLE],
    }
    if before is None or after is None:
        return TemplateResponse(request, "admin/evals/compare.html", context)
    arms = (progress_of(before), progress_of(after))
    response = TemplateResponse(request, "admin/evals/compare.html", context | {"arms": arms, **told(arms, metric)})
    if any(arm.under_way for arm in arms):
        response.headers["Refresh"] = str(FOLLOWED_EVERY_S)
    return response


def named_run(pk: str) -> EvalRun | None:
    if not pk:
        return None
    run = EvalRun.objects.filter(pk=pk).first() if pk.isdecimal() and len(pk) < 18 else None
    if run is None:
        raise Http404(f"there is no run {pk}")
    return run


def told(arms: tuple[Progress, Progress], metric: str) -> dict[str, Any]:
    """The measures that decide, read together; cost and time each for itself."""
    before, after = (arm.run for arm in arms)
    if any(arm.run.state != EvalRun.State.DONE for arm in arms):
        return {"unfinished": True}
    try:
        quality = compared(before, after, measures=(metric,) if metric else QUALITY)
        also = [] if metric else [each for name in ALSO for each in compared(before, after, measures=(name,))]
    except EvaluationRefused as refusal:
        return {"refusal": str(refusal)}
    texts = texts_of(before) | texts_of(after)
    return {
        "summary": summary_of(quality),
        "quality": [measured(each, texts) for each in quality],
        "also": [measured(each, texts) for each in also],
        "simulated": before.provider_mode != "live",
    }


def summary_of(comparisons: tuple[Comparison, ...]) -> str:
    """The answer to "did it help?" in one sentence."""
    by_verdict = {
        verdict: ", ".join(each.metric.replace("_", " ") for each in comparisons if each.verdict is verdict)
        for verdict in (Verdict.BETTER, Verdict.WORSE)
    }
    said = [f"{names} {verdict.value}" for verdict, names in by_verdict.items() if names]
    if said:
        return f"{comparisons[0].after}: {'; '.join(said)}."
    return "No difference shown: nothing became better or worse by more than luck."


def measured(comparison: Comparison, texts: dict[str, str]) -> Measured:
    detectable = number(comparison.detectable) if comparison.detectable is not None else "unknown"
    return Measured(
        name=comparison.metric.replace("_", " "),
        verdict=comparison.verdict.value,
        tone=TONES.get(comparison.verdict, "plain"),
        sentence=verdict_sentence(comparison),
        figures=(
            ("before", number(comparison.mean_before)),
            ("after", number(comparison.mean_after)),
            ("difference", signed(comparison.difference)),
            ("95 % interval", interval_told(comparison)),
            (f"p, {comparison.test.value}", number(comparison.p_adjusted)),
            ("better / worse / equal", f"{len(comparison.wins)} / {len(comparison.losses)} / {comparison.ties}"),
            ("smallest difference that shows", detectable),
        ),
        better=flips(comparison, texts, better=True),
        worse=flips(comparison, texts, better=False),
        more=max(0, len(comparison.wins) - FLIPS_SHOWN) + max(0, len(comparison.losses) - FLIPS_SHOWN),
    )


def flips(comparison: Comparison, texts: dict[str, str], *, better: bool) -> tuple[Flip, ...]:
    pairs = comparison.wins if better else comparison.losses
    return tuple(
        Flip(pair.question_id, texts.get(pair.question_id, ""), number(pair.before), number(pair.after))
        for pair in pairs[:FLIPS_SHOWN]
    )
