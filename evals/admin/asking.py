"""The page that asks for an evaluation: what, at what cost at most, and what it will probably cost."""

from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from evals.dataset import SHIPPED
from evals.errors import EvaluationRefused
from evals.estimates import expected_cost
from evals.models import EvalRun
from evals.planning import DEFAULT_DATASET, Plan, drafted
from evals.worker_runs import asked_for
from prompts.models import PromptVersion
from rag.admin.prompts import QUESTIONS_NAME
from rag.modules import MODULES
from ragsite.admin import CheckboxesInput, ModelAdmin, TextInput

PERMISSION = "evals.add_evalrun"
USUAL_BUDGET = Decimal("5.00")
LARGEST_BUDGET = Decimal(1_000)


class EvaluationForm(forms.Form):
    dataset = forms.ChoiceField(
        label="Questions",
        choices=lambda: [(path.stem, path.stem) for path in sorted(SHIPPED.glob("*.jsonl"))],
        initial=DEFAULT_DATASET,
        help_text="Collections of your own: manage.py evaluate --dataset DIR.",
    )
    modules = forms.MultipleChoiceField(
        label="Modules",
        choices=lambda: [(name, name) for name in MODULES],
        initial=lambda: [settings.DEFAULT_MODULE],
        widget=CheckboxesInput,
    )
    prompt_versions = forms.MultipleChoiceField(
        label="Versions of the answer prompt",
        choices=lambda: [(label, label) for label in answer_versions()],
        required=False,
        widget=CheckboxesInput,
        help_text="None: the active one.",
    )
    limit = forms.IntegerField(
        label="Only the first so many questions",
        required=False,
        min_value=1,
        widget=TextInput(attrs={"inputmode": "numeric"}),
    )
    judge_repeat = forms.IntegerField(
        label="Judge a sample of answers so many times",
        initial=1,
        min_value=1,
        max_value=10,
        widget=TextInput(attrs={"inputmode": "numeric"}),
        help_text="More than once shows how far the judge repeats itself.",
    )
    budget_usd = forms.DecimalField(
        label="Budget, USD",
        initial=USUAL_BUDGET,
        min_value=Decimal("0.01"),
        max_value=LARGEST_BUDGET,
        decimal_places=4,
        widget=TextInput(attrs={"inputmode": "decimal"}),
        help_text="For all of it. It stops before more than this is spent.",
    )

    def plan(self, asked_by_id: int | None) -> Plan:
        given = self.cleaned_data
        return Plan(
            dataset=given["dataset"],
            modules=tuple(given["modules"]),
            prompt_versions=tuple(given["prompt_versions"]),
            limit=given["limit"],
            budget_usd=given["budget_usd"],
            judge_repeat=given["judge_repeat"],
            asked_by_id=asked_by_id,
        )


def answer_versions() -> list[str]:
    """Newest first."""
    versions = PromptVersion.objects.filter(prompt__name=QUESTIONS_NAME).order_by("-number")
    return [version.label for version in versions]


def asking_page(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """`estimate` tells what it will probably cost, `start` leaves it to the workers."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    form = EvaluationForm(request.POST or None)
    told: dict[str, Any] = {}
    if request.method == "POST" and form.is_valid():
        try:
            if "start" in request.POST:
                return started(model_admin, request, asked_for(form.plan(request.user.pk)))
            told = estimate_of(drafted(form.plan(request.user.pk)))
        except EvaluationRefused as refusal:
            form.add_error(None, str(refusal))
    context = model_admin.admin_site.each_context(request) | {
        "title": "New evaluation",
        "form": form,
        "opts": EvalRun._meta,
        **told,
    }
    return TemplateResponse(request, "admin/evals/ask.html", context)


def started(model_admin: ModelAdmin, request: HttpRequest, runs: tuple[EvalRun, ...]) -> HttpResponse:
    for run in runs:
        model_admin.log_addition(request, run, f"asked for, budget ${run.budget_usd}")
    messages.success(request, f"{len(runs)} {'run is' if len(runs) == 1 else 'runs are'} left to the workers.")
    return redirect("admin:evals_evalrun_change", runs[0].pk)


def estimate_of(runs: tuple[EvalRun, ...]) -> dict[str, Any]:
    costs = [expected_cost(run) for run in runs]
    known = [cost * run.questions for cost, run in zip(costs, runs, strict=True) if cost is not None]
    return {
        "estimated": runs,
        "questions": sum(run.questions for run in runs),
        "estimate_usd": sum(known, Decimal(0)) if len(known) == len(runs) else None,
        "simulated": runs[0].provider_mode != "live",
    }
