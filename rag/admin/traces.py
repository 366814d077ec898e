"""Traces: the list, and the page that shows the whole path of one question."""

import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from prompts.models import PromptVersion
from rag.models import ChunkSet, CorpusVersion, TraceSummary
from rag.modules import MODULES, TRANSFORMS
from rag.retrieval.passages import StoredPassages
from rag.trace_reading import line_of
from rag.trace_view import trace_page
from rag.values import Passage
from ragsite.admin import (
    InfinitePaginator,
    ModelAdmin,
    RadioFilter,
    RangeDateTimeFilter,
    ReadOnly,
    RowAdmin,
    badge,
    choice_filter,
    money,
    outcome_badge,
    to_the_second,
)

ANSWER_PROMPT = "answer"
STATUSES = (200, 400, 401, 402, 403, 404, 405, 409, 413, 415, 429, 500, 503)
DEGRADED = ("embedding_fallback", "generation_timeout", "rerank_skipped", "stale_answer", "transform_skipped")
LONGEST_IN_LIST = 90


def pairs(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, name) for name in names)


class AnswerCacheFilter(RadioFilter):
    """Answers that were given again, or that were made for the question."""

    title = "answer cache"
    parameter_name = "answer_cache"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Sequence[tuple[str, str]]:
        return (("hit", "hit"), ("miss", "miss"), ("made", "no hit"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[TraceSummary]) -> QuerySet[TraceSummary]:
        if self.value() == "made":
            return queryset.exclude(answer_cache="hit")
        return queryset.filter(answer_cache=self.value()) if self.value() else queryset


class DegradedFilter(RadioFilter):
    """Whole answers, degraded ones, or those that were degraded in one way."""

    title = "degraded"
    parameter_name = "degraded"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Sequence[tuple[str, str]]:
        return (("no", "not degraded"), ("any", "in any way"), *pairs(*DEGRADED))

    def queryset(self, request: HttpRequest, queryset: QuerySet[TraceSummary]) -> QuerySet[TraceSummary]:
        """A name is looked for as JSON has it, in its quotes; SQLite cannot ask a list for a member."""
        if self.value() in (None, ""):
            return queryset
        if self.value() in ("no", "any"):
            return queryset.filter(degraded=[]) if self.value() == "no" else queryset.exclude(degraded=[])
        text = Cast("degraded", TextField())
        return queryset.annotate(degraded_text=text).filter(degraded_text__contains=f'"{self.value()}"')


@admin.register(TraceSummary)
class TraceSummaryAdmin(ReadOnly, RowAdmin):
    """The rows find a trace; its page is made from the line in the file of its day."""

    list_display = ("moment", "question", "outcome", "module", "transform", "total", "cost")
    list_filter = (
        choice_filter(field="provider_mode", title="provider mode", choices=pairs("live", "simulated")),
        choice_filter(field="module", title="module", choices=pairs(*MODULES)),
        choice_filter(field="kind", title="kind", choices=pairs("ask", "eval", "try", "preview", "traffic")),
        choice_filter(field="transform", title="query type", choices=pairs(*TRANSFORMS)),
        choice_filter(field="status", title="status", choices=pairs(*map(str, STATUSES))),
        AnswerCacheFilter,
        DegradedFilter,
        ("timestamp", RangeDateTimeFilter),
    )
    search_fields = ("trace_id", "query", "session_id")
    search_help_text = "words of the question, trace id or session id"
    ordering = ("-timestamp",)
    paginator = InfinitePaginator

    def get_urls(self) -> list[URLPattern]:
        by_trace = self.admin_site.admin_view(self.by_trace)
        return [path("by-trace/<str:trace_id>/", by_trace, name="rag_tracesummary_by_trace"), *super().get_urls()]

    def by_trace(self, request: HttpRequest, trace_id: str) -> HttpResponse:
        """The page of a trace by the id that the API gave."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        trace = get_object_or_404(TraceSummary, trace_id=trace_id)
        return HttpResponseRedirect(reverse("admin:rag_tracesummary_change", args=[trace.pk]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        trace = self.get_object(request, object_id)
        if trace is None:
            raise Http404(f"there is no trace {object_id}")
        if not self.has_view_permission(request, trace) or request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        context = self.admin_site.each_context(request) | {
            "title": f"Trace {trace.trace_id[:8]}",
            "opts": TraceSummary._meta,
            "original": trace,
            "is_fullwidth": "1",
            **neighbours(trace),
            **whole_path(trace),
        }
        return TemplateResponse(request, "admin/rag/tracesummary/trace.html", context)

    @admin.display(description="at", ordering="timestamp")
    def moment(self, trace: TraceSummary) -> SafeString:
        return to_the_second(trace.timestamp)

    @admin.display(description="question", ordering="query")
    def question(self, trace: TraceSummary) -> str:
        text = trace.query or "(not kept)"
        return text[:LONGEST_IN_LIST] + ("…" if len(text) > LONGEST_IN_LIST else "")

    @admin.display(description="outcome", ordering="status")
    def outcome(self, trace: TraceSummary) -> SafeString:
        if trace.error:
            return outcome_badge(f"{trace.status} {trace.error}")
        told = badge("ok") if trace.answered else badge("no answer")
        return format_html("{} {}", told, badge("degraded")) if trace.degraded else told

    @admin.display(description="ms", ordering="total_ms")
    def total(self, trace: TraceSummary) -> str:
        return "?" if trace.total_ms is None else f"{trace.total_ms:,.0f}"

    @admin.display(description="cost", ordering="cost_usd")
    def cost(self, trace: TraceSummary) -> SafeString:
        return money(trace.cost_usd, trace.provider_mode)


def neighbours(trace: TraceSummary) -> dict[str, Any]:
    """The traces just before and just after, by time."""
    at, pk = trace.timestamp, trace.pk
    earlier = TraceSummary.objects.filter(Q(timestamp__lt=at) | Q(timestamp=at, pk__lt=pk))
    later = TraceSummary.objects.filter(Q(timestamp__gt=at) | Q(timestamp=at, pk__gt=pk))
    return {
        "earlier": earlier.order_by("-timestamp", "-pk").values_list("pk", flat=True).first(),
        "later": later.order_by("timestamp", "pk").values_list("pk", flat=True).first(),
    }


def whole_path(trace: TraceSummary) -> dict[str, Any]:
    """What the page shows: from the line, the prompt version and the live chunks. `page` is None without a line."""
    line = line_of(trace_id=trace.trace_id, day=trace.timestamp.astimezone(UTC).date())
    ledger = f"{reverse('admin:costs_ledgerentry_changelist')}?{urlencode({'q': trace.trace_id})}"
    if line is None:
        return {"page": None, "fields": summary_fields(trace), "ledger_url": ledger}
    return {
        "page": trace_page(line=line, live=live_sources(line)),
        "raw": json.dumps(line, indent=2, ensure_ascii=False),
        "prompt": prompt_version(line.get("prompt_version")),
        "corpus_version": corpus_version(line),
        "ledger_url": ledger,
    }


def summary_fields(trace: TraceSummary) -> list[tuple[str, Any]]:
    return [(field.name.replace("_", " "), getattr(trace, field.name)) for field in TraceSummary._meta.fields[1:]]


def prompt_version(label: str | None) -> PromptVersion | None:
    number = (label or "").removeprefix("v")
    if not number.isdecimal():
        return None
    return PromptVersion.objects.filter(prompt__name=ANSWER_PROMPT, number=number).select_related("prompt").first()


def corpus_version(line: dict[str, Any]) -> CorpusVersion | None:
    number = (line.get("corpus_version") or "").removeprefix("v")
    if not number.isdecimal():
        return None
    rows = CorpusVersion.objects.filter(corpus__slug=line.get("corpus"), number=number)
    return rows.select_related("corpus").first()


def live_sources(line: dict[str, Any]) -> dict[str, Passage]:
    """The sources that the rows of that corpus version still hold, by id."""
    version = corpus_version(line)
    chunk_set = version and ChunkSet.objects.filter(version=version, chunker=line.get("chunker")).first()
    if not version or not chunk_set:
        return {}
    stored = StoredPassages(chunk_set_id=chunk_set.pk, url_template=version.corpus.url_template)
    return stored.load([source["id"] for source in line.get("sources", ())])
