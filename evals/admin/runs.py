"""Evaluations: asked for here, carried out by a worker, followed and stopped here."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from evals import worker_runs
from evals.admin.asking import PERMISSION, asking_page
from evals.admin.comparing import comparing_page
from evals.admin.run_details import measured_facts, outcomes, score_table
from evals.errors import EvaluationRefused
from evals.models import EvalRun
from evals.progress import FOLLOWED_EVERY_S, progress_of
from evals.running import UNFINISHED
from ragsite.admin import ChoicesCheckboxFilter, ReadOnly, RowAdmin, action, badge, money

TOLD = (
    "shown_state",
    "how_far",
    "so_far",
    "budget",
    "scores",
    "questions_asked",
    "error",
    "asked_by",
    "created_at",
    "started_at",
    "finished_at",
    "what_was_measured",
)


@admin.register(EvalRun)
class EvalRunAdmin(ReadOnly, RowAdmin):
    """The page of a run follows it until it ends."""

    class Media:
        css = {"all": ("evaluations.css",)}

    list_display = ("__str__", "state_badge", "dataset", "asked_of", "cost", "asked_by", "finished_at")
    list_filter = (("state", ChoicesCheckboxFilter), "module", "prompt_version", "dataset")
    list_select_related = ("asked_by",)
    search_fields = ("dataset", "batch")
    ordering = ("-id",)
    fields = TOLD
    readonly_fields = TOLD
    actions_list = ("ask_new", "compare_two")
    actions_detail = ("stop", "resume", "compare_this")

    def get_queryset(self, request: HttpRequest) -> QuerySet[EvalRun]:
        rows: QuerySet[EvalRun] = super().get_queryset(request)
        return rows.select_related("asked_by").annotate(asked=Count("results"))

    def get_urls(self) -> list[URLPattern]:
        pages: tuple[tuple[str, str, Callable[..., HttpResponse]], ...] = (
            ("ask/", "ask", asking_page),
            ("compare/", "compare", comparing_page),
            ("<int:pk>/stopping/", "stopping", stopping_page),
            ("<int:pk>/resuming/", "resuming", resuming_page),
        )
        view = self.admin_site.admin_view
        own = [path(at, view(partial(page, self)), name=f"evals_evalrun_{name}") for at, name, page in pages]
        return [*own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
        run = run_of(object_id)
        if run is not None and progress_of(run).under_way:
            response.headers["Refresh"] = str(FOLLOWED_EVERY_S)
        return response

    def has_ask_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm(PERMISSION)

    def has_stop_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        run = run_of(object_id)
        return run is not None and progress_of(run).under_way and request.user.has_perm(PERMISSION)

    def has_resume_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        run = run_of(object_id)
        return run is not None and may_go_on(run) and request.user.has_perm(PERMISSION)

    @action(description="New evaluation", permissions=["ask"], icon="add", url_path="to-ask")
    def ask_new(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:evals_evalrun_ask")

    @action(description="Compare", permissions=["view"], icon="difference", url_path="to-compare")
    def compare_two(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:evals_evalrun_compare")

    @action(description="Stop", permissions=["stop"], icon="stop_circle", url_path="to-stop")
    def stop(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:evals_evalrun_stopping", object_id)

    @action(description="Go on", permissions=["resume"], icon="play_circle", url_path="to-resume")
    def resume(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:evals_evalrun_resuming", object_id)

    @action(description="Compare", permissions=["view"], icon="difference", url_path="to-compare-with")
    def compare_this(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(f"{reverse('admin:evals_evalrun_compare')}?after={object_id}")

    @admin.display(description="state", ordering="state")
    def state_badge(self, run: EvalRun) -> SafeString:
        return badge(run.state)

    @admin.display(description="asked")
    def asked_of(self, run: Any) -> str:
        return f"{run.asked} of {run.questions}"

    @admin.display(description="cost", ordering="cost_usd")
    def cost(self, run: EvalRun) -> SafeString:
        return money(run.cost_usd, run.provider_mode)

    @admin.display(description="state")
    def shown_state(self, run: EvalRun) -> SafeString:
        told = progress_of(run).told if run.state != EvalRun.State.DONE else ""
        return format_html('{} <span class="hint">{}</span>', badge(run.state), told)

    @admin.display(description="asked")
    def how_far(self, run: EvalRun) -> SafeString:
        progress = progress_of(run)
        failed = f", {progress.failed} failed" if progress.failed else ""
        return format_html(
            '<progress class="how-far" max="{}" value="{}"></progress> {} of {}{}',
            run.questions,
            progress.done,
            progress.done,
            run.questions,
            failed,
        )

    @admin.display(description="cost so far")
    def so_far(self, run: EvalRun) -> SafeString:
        estimate = progress_of(run).estimate_usd
        told = "" if estimate is None or run.state == EvalRun.State.DONE else f"of about ${estimate:.4f}"
        mode = badge(run.provider_mode) if run.provider_mode != "live" else ""
        return format_html('${} <span class="hint">{}</span> {}', f"{run.cost_usd:.4f}", told, mode)

    @admin.display(description="budget")
    def budget(self, run: EvalRun) -> str:
        return "none" if run.budget_usd is None else f"${run.budget_usd:.2f}, for all that was asked for together"

    @admin.display(description="scores")
    def scores(self, run: EvalRun) -> SafeString:
        return score_table(run)

    @admin.display(description="questions")
    def questions_asked(self, run: EvalRun) -> SafeString:
        return outcomes(run)

    @admin.display(description="what was measured")
    def what_was_measured(self, run: EvalRun) -> SafeString:
        return measured_facts(run)


def run_of(object_id: str | None) -> EvalRun | None:
    return EvalRun.objects.filter(pk=object_id).first() if object_id and str(object_id).isdecimal() else None


def may_go_on(run: EvalRun) -> bool:
    """Whether it, or one that was asked for with it, has questions left and nobody has it in hand."""
    together = EvalRun.objects.filter(batch=run.batch)
    if together.filter(state__in=(EvalRun.State.QUEUED, EvalRun.State.RUNNING)).exists():
        return False
    return together.filter(state__in=UNFINISHED).exists() or together.filter(results__error__gt="").exists()


def stopping_page(model_admin: EvalRunAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    explanation = (
        "The questions that are being asked end first. What was asked is kept, and the run can go on later. "
        "Runs that were asked for together stop together."
    )
    return confirmed(model_admin, request, pk, "Stop the evaluation", explanation, stopped)


def resuming_page(model_admin: EvalRunAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    explanation = "A worker asks the questions that have no result yet, and once more those that failed."
    return confirmed(model_admin, request, pk, "Let the evaluation go on", explanation, go_on)


def stopped(run: EvalRun) -> str:
    worker_runs.stop(run)
    return f"{run} stops."


def go_on(run: EvalRun) -> str:
    return f"{len(worker_runs.resumed(run, budget_usd=None))} left to the workers."


def confirmed(
    model_admin: EvalRunAdmin,
    request: HttpRequest,
    pk: int,
    title: str,
    explanation: str,
    act: Callable[[EvalRun], str],
) -> HttpResponse:
    """Ask, then act. A refusal is told on the run's page."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    run = get_object_or_404(EvalRun, pk=pk)
    if request.method == "POST":
        try:
            messages.success(request, act(run))
            model_admin.log_change(request, run, title)
        except EvaluationRefused as refusal:
            messages.error(request, str(refusal))
        return redirect("admin:evals_evalrun_change", pk)
    context = model_admin.admin_site.each_context(request) | {
        "title": title,
        "explanation": explanation,
        "original": run,
        "opts": EvalRun._meta,
    }
    return TemplateResponse(request, "admin/confirm.html", context)
