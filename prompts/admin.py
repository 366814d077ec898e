"""Prompts and their versions: look, bump, activate. A version is never changed and never deleted."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from prompts.models import Activation, Prompt, PromptVersion
from prompts.publishing import activate, bump
from ragsite.admin import (
    ModelForm,
    NoChange,
    NoDelete,
    ReadOnly,
    ReadOnlyInline,
    RelatedDropdownFilter,
    RowAdmin,
    TextArea,
    action,
    admin_link,
    badge,
    reason_page,
    text_box,
)


def with_active_version(prompts: QuerySet[Prompt]) -> QuerySet[Prompt]:
    newest = Activation.objects.filter(prompt=OuterRef("pk")).order_by("-id").values("version_id", "version__number")
    return prompts.annotate(
        active_id=Subquery(newest.values("version_id")[:1]),
        active_number=Subquery(newest.values("version__number")[:1]),
        version_count=Count("versions"),
    )


class VersionInline(ReadOnlyInline):
    model = PromptVersion
    verbose_name_plural = "versions"
    fields = ("version", "note", "author", "created_at")
    readonly_fields = fields
    ordering = ("-number",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PromptVersion]:
        return super().get_queryset(request).select_related("prompt", "author")

    @admin.display(description="version")
    def version(self, version: PromptVersion) -> SafeString | str:
        return admin_link(version, version.label)


class ActivationInline(ReadOnlyInline):
    model = Activation
    verbose_name_plural = "activations"
    fields = ("at", "version", "previous", "who", "why")
    readonly_fields = fields
    ordering = ("-id",)
    per_page = 20

    def get_queryset(self, request: HttpRequest) -> QuerySet[Activation]:
        return super().get_queryset(request).select_related("version__prompt", "previous__prompt", "who")


@admin.register(Prompt)
class PromptAdmin(ReadOnly, RowAdmin):
    """The prompts that the pipelines ask for by name."""

    list_display = ("name", "purpose", "active", "version_count")
    search_fields = ("name", "purpose")
    fields = ("name", "purpose", "active")
    readonly_fields = fields
    ordering = ("name",)
    inlines = (VersionInline, ActivationInline)
    actions_detail = ("bump_active",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prompt]:
        return with_active_version(super().get_queryset(request))

    def has_bump_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("prompts.add_promptversion")

    @action(description="Bump", permissions=["bump"], icon="edit_note", url_path="bump")
    def bump_active(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The form for the next version, with the text of the one that serves."""
        prompt: Any = get_object_or_404(with_active_version(Prompt.objects.all()), pk=object_id)
        start = f"from={prompt.active_id}" if prompt.active_id else f"prompt={prompt.pk}"
        return redirect(f"{reverse('admin:prompts_promptversion_add')}?{start}")

    @admin.display(description="active version")
    def active(self, prompt: Any) -> SafeString | str:
        if prompt.active_id is None:
            return "none"
        url = reverse("admin:prompts_promptversion_change", args=[prompt.active_id])
        return format_html('<a class="row-link" href="{}">v{}</a>', url, prompt.active_number)

    @admin.display(description="versions", ordering="version_count")
    def version_count(self, prompt: Any) -> int:
        return int(prompt.version_count)


class BumpForm(ModelForm):
    """The next version of a prompt. Browsers send CR LF; a prompt's lines end in LF, or its hash would differ."""

    def clean_instructions(self) -> str:
        return unix_lines(self.cleaned_data["instructions"])

    def clean_examples(self) -> str:
        return unix_lines(self.cleaned_data["examples"])


def unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def edited_version(request: HttpRequest) -> PromptVersion | None:
    """`?from=<id>`: the version whose text the form began with."""
    start = request.GET.get("from", "")
    return PromptVersion.objects.filter(pk=start).select_related("prompt").first() if start.isdecimal() else None


@admin.register(PromptVersion)
class PromptVersionAdmin(NoChange, NoDelete, RowAdmin):
    """Adding one is a bump; what is added is inactive until somebody activates it and says why."""

    form = BumpForm
    list_display = ("__str__", "state", "note", "author", "created_at")
    list_filter = (("prompt", RelatedDropdownFilter),)
    list_select_related = ("prompt", "author")
    search_fields = ("prompt__name", "note", "instructions", "examples")
    ordering = ("prompt__name", "-number")
    actions_detail = ("bump_from", "activate_version")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PromptVersion]:
        newest = Activation.objects.filter(prompt=OuterRef("prompt")).order_by("-id").values("version_id")[:1]
        rows: QuerySet[PromptVersion] = super().get_queryset(request).annotate(active_id=Subquery(newest))
        return rows.select_related("prompt", "author")

    def get_fields(self, request: HttpRequest, obj: PromptVersion | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("prompt", "instructions", "examples", "note")
        return ("prompt", "label", "state", "note", "author", "created_at", "content_hash", "block_1", "block_2")

    def get_readonly_fields(self, request: HttpRequest, obj: PromptVersion | None = None) -> tuple[str, ...]:
        return self.get_fields(request, obj) if obj else ()

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        rows = {"instructions": 24, "examples": 18, "note": 3}
        if db_field.name in rows:
            kwargs["widget"] = TextArea(attrs={"rows": rows[db_field.name], "class": "prompt-text"})
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        version = edited_version(request)
        if version is None:
            return dict(super().get_changeform_initial_data(request))
        return {"prompt": version.prompt_id, "instructions": version.instructions, "examples": version.examples}

    def save_model(self, request: HttpRequest, obj: PromptVersion, form: Any, change: bool) -> None:
        edited = edited_version(request)
        bumped = bump(
            prompt=obj.prompt,
            instructions=obj.instructions,
            examples=obj.examples,
            note=obj.note,
            author=request.user if request.user.is_authenticated else None,
            based_on=edited if edited and edited.prompt_id == obj.prompt_id else None,
        )
        made = bumped.version
        obj.pk, obj.number, obj.content_hash = made.pk, made.number, made.content_hash
        messages.info(request, f"{made} is not active yet. Open it and choose Activate when it should serve.")
        if (other := bumped.overtook) and edited:
            by = f" by {other.author}" if other.author else ""
            missed = f"{other}{by} is newer than {edited.label}, which you edited: its changes are not in {made.label}."
            messages.warning(request, missed)

    def has_bump_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self.has_add_permission(request)

    def has_activate_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("prompts.add_activation")

    @action(description="Bump from this version", permissions=["bump"], icon="edit_note", url_path="bump")
    def bump_from(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = get_object_or_404(PromptVersion, pk=object_id)
        return redirect(f"{reverse('admin:prompts_promptversion_add')}?from={version.pk}")

    @action(description="Activate", permissions=["activate"], icon="publish", url_path="activate")
    def activate_version(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = get_object_or_404(PromptVersion.objects.select_related("prompt"), pk=object_id)

        def act(why: str) -> str:
            activate(version=version, who=request.user if request.user.is_authenticated else None, why=why)
            return f"{version} serves from now on."

        return reason_page(
            self,
            request,
            obj=version,
            title=f"Activate {version}",
            explanation="It answers the next question. The version that serves now stays and can be activated again.",
            act=act,
        )

    @admin.display(description="state")
    def state(self, version: Any) -> SafeString | str:
        return badge("active") if version.active_id == version.pk else "-"

    @admin.display(description="block 1: instructions")
    def block_1(self, version: PromptVersion) -> SafeString:
        return text_box(version.instructions)

    @admin.display(description="block 2: examples")
    def block_2(self, version: PromptVersion) -> SafeString:
        return text_box(version.examples)


@admin.register(Activation)
class ActivationAdmin(ReadOnly, RowAdmin):
    """Who made which version serve, when and why."""

    list_display = ("at", "version", "previous", "who", "why")
    list_filter = (("prompt", RelatedDropdownFilter),)
    list_select_related = ("version__prompt", "previous__prompt", "who")
    search_fields = ("prompt__name", "why")
    ordering = ("-id",)
