"""One version of a prompt: its text, and where it leads. A version is never changed and never deleted."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import Case, F, OuterRef, QuerySet, Subquery, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from prompts.models import Activation, Prompt, PromptVersion
from prompts.publishing import serving_version
from rag.admin.prompt_activation import activation_page
from ragsite.admin import ReadOnly, RelatedDropdownFilter, RowAdmin, action, badge, text_box

TEXT_AND_ORIGIN = (
    "prompt_page",
    "label",
    "state",
    "note",
    "author",
    "created_at",
    "content_hash",
    "block_1",
    "block_2",
)


def serving(prompt: str, what: str) -> Subquery:
    """A column of the version that serves the row's `prompt`, in SQL what `serving_version` is for one."""
    newest = Activation.objects.filter(prompt=OuterRef(prompt)).order_by("-id")
    found = Case(When(share=100, then=F(f"version__{what}")), default=F(f"previous__{what}"))
    return Subquery(newest.values(serving=found)[:1])


@admin.register(PromptVersion)
class PromptVersionAdmin(ReadOnly, RowAdmin):
    """Made in the editor or by an import; what is made is inactive until somebody activates it and says why."""

    list_display = ("__str__", "state", "note", "author", "created_at")
    list_filter = (("prompt", RelatedDropdownFilter),)
    list_select_related = ("prompt", "author")
    search_fields = ("prompt__name", "note", "instructions", "examples")
    ordering = ("prompt__name", "-number")
    fields = TEXT_AND_ORIGIN
    readonly_fields = TEXT_AND_ORIGIN
    actions_detail = ("bump_from", "compare_with_serving", "activate_this")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PromptVersion]:
        rows: QuerySet[PromptVersion] = super().get_queryset(request)
        return rows.select_related("prompt", "author").annotate(serving_id=serving("prompt", "id"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(partial(activation_page, self))
        return [path("<int:pk>/activate/", view, name="prompts_promptversion_activate"), *super().get_urls()]

    def has_bump_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("prompts.add_promptversion")

    def has_activate_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("prompts.add_activation")

    @action(description="Bump from this version", permissions=["bump"], icon="edit_note", url_path="bump")
    def bump_from(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = get_object_or_404(PromptVersion, pk=object_id)
        return redirect(f"{reverse('admin:prompts_prompt_bump', args=[version.prompt_id])}?from={version.pk}")

    @action(description="Compare", permissions=["view"], icon="difference", url_path="compare")
    def compare_with_serving(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = get_object_or_404(PromptVersion.objects.select_related("prompt"), pk=object_id)
        return redirect(compare_url(version.prompt, serving_version(version.prompt), version))

    @action(description="Activate", permissions=["activate"], icon="publish", url_path="to-activate")
    def activate_this(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:prompts_promptversion_activate", object_id)

    @admin.display(description="prompt")
    def prompt_page(self, version: PromptVersion) -> SafeString:
        url = reverse("admin:prompts_prompt_change", args=[version.prompt_id])
        return format_html('<a class="row-link" href="{}">{}, all versions</a>', url, version.prompt.name)

    @admin.display(description="state")
    def state(self, version: Any) -> SafeString | str:
        return badge("active") if version.serving_id == version.pk else "-"

    @admin.display(description="block 1: instructions")
    def block_1(self, version: PromptVersion) -> SafeString:
        return text_box(version.instructions)

    @admin.display(description="block 2: examples")
    def block_2(self, version: PromptVersion) -> SafeString:
        return text_box(version.examples)


def compare_url(prompt: Prompt, old: PromptVersion | None, new: PromptVersion | None) -> str:
    """The page that compares two versions; it chooses what is left out."""
    chosen = [f"{side}={version.pk}" for side, version in (("old", old), ("new", new)) if version]
    return f"{reverse('admin:prompts_prompt_compare', args=[prompt.pk])}?{'&'.join(chosen)}"
