"""Prompts: the list, and the page of one with its versions, how they did, and who made which serve."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from prompts.models import Activation, Prompt, PromptVersion
from prompts.publishing import running_trial, serving_version
from rag import clock
from rag.admin import prompt_compare, prompt_editor
from rag.admin.prompt_columns import Column, call_columns, figure_columns
from rag.admin.prompt_trial import trial_panel, usual_mode
from rag.admin.prompt_versions import serving
from rag.prompt_figures import calls_by_version, calls_of, figures_by_version, modes_of, traffic
from ragsite.admin import ReadOnly, RelatedDropdownFilter, RowAdmin

QUESTIONS_NAME = "answer"
"""the prompt whose version every question names"""
SPANS = ((1, "24 hours"), (7, "7 days"), (30, "30 days"), (0, "all time"))
DEFAULT_SPAN = 7
LONGEST_HISTORY = 50


@admin.register(Prompt)
class PromptAdmin(ReadOnly, RowAdmin):
    """The prompts that the pipelines ask for by name."""

    list_display = ("name", "purpose", "active", "version_count")
    search_fields = ("name", "purpose")
    ordering = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prompt]:
        rows: QuerySet[Prompt] = super().get_queryset(request)
        return rows.annotate(
            active_id=serving("pk", "id"), active_number=serving("pk", "number"), version_count=Count("versions")
        )

    def get_urls(self) -> list[URLPattern]:
        pages: tuple[tuple[str, str, Callable[..., HttpResponse]], ...] = (
            ("bump", "bump", prompt_editor.page),
            ("bump/check", "bump_check", prompt_editor.check),
            ("bump/tokens", "bump_tokens", prompt_editor.tokens),
            ("bump/preview", "bump_preview", prompt_editor.preview_request),
            ("compare", "compare", prompt_compare.page),
            ("compare/try", "try", prompt_compare.try_version),
        )
        own = [
            path(f"<int:pk>/{at}/", self.admin_site.admin_view(partial(view, self)), name=f"prompts_prompt_{name}")
            for at, name, view in pages
        ]
        return [*own, *super().get_urls()]

    def more_columns(self, prompt: Prompt) -> Sequence[Column]:
        """Columns from rooms above this one, such as the scores of evaluations: a subclass gives them."""
        return ()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The versions and the history. Nothing is changed here."""
        prompt = get_object_or_404(Prompt, pk=object_id if object_id.isdecimal() else 0)
        if not self.has_view_permission(request, prompt):
            raise PermissionDenied
        if request.method != "GET":
            raise PermissionDenied("a prompt is changed by its next version")
        context = self.admin_site.each_context(request) | {
            "title": f"Prompt {prompt.name}",
            "opts": Prompt._meta,
            "original": prompt,
            "prompt": prompt,
            "may_see_texts": request.user.has_perm("prompts.view_promptversion"),
            "may_bump": request.user.has_perm("prompts.add_promptversion"),
            "may_activate": request.user.has_perm("prompts.add_activation"),
            **self.told_of_versions(request, prompt),
            **trial_panel(running_trial(prompt)),
            **history(prompt),
        }
        return TemplateResponse(request, "admin/prompts/versions.html", context)

    def told_of_versions(self, request: HttpRequest, prompt: Prompt) -> dict[str, Any]:
        figures = measured(request, prompt)
        columns = (*figures["columns"], *self.more_columns(prompt))
        serves, versions = serving_version(prompt), list(prompt.versions.select_related("author").order_by("-number"))
        rows = [(version, [(column, column.cell(version.label)) for column in columns]) for version in versions]
        return figures | {"columns": columns, "rows": rows, "serves": serves} | compared_first(versions, serves)

    @admin.display(description="active version")
    def active(self, prompt: Any) -> SafeString | str:
        if prompt.active_id is None:
            return "none"
        url = reverse("admin:prompts_promptversion_change", args=[prompt.active_id])
        return format_html('<a class="row-link" href="{}">v{}</a>', url, prompt.active_number)

    @admin.display(description="versions", ordering="version_count")
    def version_count(self, prompt: Any) -> int:
        return int(prompt.version_count)


def measured(request: HttpRequest, prompt: Prompt) -> dict[str, Any]:
    """The figures of the span and the mode that the address names: real and simulated money are never added up."""
    days = request.GET.get("days", "")
    span = next((span for span, _ in SPANS if str(span) == days), DEFAULT_SPAN)
    since = clock.now() - timedelta(days=span) if span else None
    named = prompt.name == QUESTIONS_NAME
    modes = modes_of(traffic(since) if named else calls_of(prompt.name, since))
    usual = usual_mode()
    mode = next((each for each in (request.GET.get("mode"), usual, *modes) if each in modes), usual)
    if named:
        columns = figure_columns(figures_by_version(since=since, provider_mode=mode))
    else:
        columns = call_columns(calls_by_version(prompt.name, since=since, provider_mode=mode))
    return {"columns": columns, "spans": SPANS, "span": span, "modes": modes, "mode": mode}


def compared_first(versions: Sequence[PromptVersion], serves: PromptVersion | None) -> dict[str, Any]:
    """Which two the form begins with: what serves against the newest, or the newest two."""
    if len(versions) < 2:
        return {}
    newest, before = versions[:2]
    old = serves if serves and serves != newest else before
    return {"compare_old": old.pk, "compare_new": newest.pk}


def history(prompt: Prompt) -> dict[str, Any]:
    """The activations, newest first. `back_to`: the version that served all before the newest one was activated."""
    rows = prompt.activations.select_related("version__prompt", "previous__prompt", "who").order_by("-id")
    activations = list(rows[:LONGEST_HISTORY])
    newest = activations[0] if activations else None
    back_to = newest.previous if newest and newest.previous != newest.version else None
    return {"activations": activations, "back_to": back_to}


@admin.register(Activation)
class ActivationAdmin(ReadOnly, RowAdmin):
    """Who made which version serve, when and why."""

    list_display = ("at", "version", "percent", "previous", "who", "why")
    list_filter = (("prompt", RelatedDropdownFilter),)
    list_select_related = ("version__prompt", "previous__prompt", "who")
    search_fields = ("prompt__name", "why")
    ordering = ("-id",)

    @admin.display(description="share")
    def percent(self, activation: Activation) -> str:
        return f"{activation.share} %"
