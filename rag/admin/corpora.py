"""Corpora, their versions and their documents: look, activate, roll back. What a version holds never changes."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from rag import corpora
from rag.errors import CorpusNotReady
from rag.models import Chunk, ChunkSet, Corpus, CorpusActivation, CorpusVersion, Document
from ragsite.admin import (
    ChoicesCheckboxFilter,
    InfinitePaginator,
    ModelAdmin,
    NoAdd,
    NoDelete,
    RadioFilter,
    ReadOnly,
    ReadOnlyInline,
    RelatedDropdownFilter,
    RowAdmin,
    action,
    admin_link,
    bad_file_list,
    badge,
    reason_page,
    text_box,
)

PREVIEW = 160


class VersionInline(ReadOnlyInline):
    model = CorpusVersion
    fk_name = "corpus"
    verbose_name_plural = "versions"
    fields = ("version", "shown_state", "documents", "chunks", "created_at", "finished_at")
    readonly_fields = fields
    ordering = ("-number",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CorpusVersion]:
        rows: QuerySet[CorpusVersion] = super().get_queryset(request).select_related("corpus")
        return rows.prefetch_related("chunk_sets").annotate(document_count=Count("documents"))

    @admin.display(description="version")
    def version(self, version: CorpusVersion) -> SafeString | str:
        return admin_link(version, version.label)

    @admin.display(description="state")
    def shown_state(self, version: CorpusVersion) -> SafeString:
        return state_badge(version)

    @admin.display(description="documents")
    def documents(self, version: Any) -> int:
        return int(version.document_count)

    @admin.display(description="chunks")
    def chunks(self, version: CorpusVersion) -> str:
        return chunk_counts(version)


class ActivationInline(ReadOnlyInline):
    model = CorpusActivation
    verbose_name_plural = "activations"
    fields = ("at", "version", "previous_number", "who", "why")
    readonly_fields = fields
    ordering = ("-id",)
    per_page = 20

    def get_queryset(self, request: HttpRequest) -> QuerySet[CorpusActivation]:
        return super().get_queryset(request).select_related("version__corpus", "who")


def state_badge(version: CorpusVersion) -> SafeString:
    active = badge("active") if version.corpus.active_version_id == version.pk else ""
    return format_html("{} {}", badge(version.state), active)


def chunk_counts(version: CorpusVersion) -> str:
    return ", ".join(f"{chunk_set.chunker} {chunk_set.count:,}" for chunk_set in version.chunk_sets.all()) or "-"


@admin.register(Corpus)
class CorpusAdmin(NoAdd, NoDelete, RowAdmin):
    """A corpus comes into being with its first ingest."""

    list_display = ("slug", "active", "url_template", "created_at")
    search_fields = ("slug",)
    fields = ("slug", "active", "url_template", "created_at")
    readonly_fields = ("slug", "active", "created_at")
    list_select_related = ("active_version__corpus",)
    ordering = ("slug",)
    inlines = (VersionInline, ActivationInline)
    actions_detail = ("roll_back", "ingest_into")

    @admin.display(description="active version")
    def active(self, corpus: Corpus) -> SafeString | str:
        version = corpus.active_version
        return admin_link(version, version.label) if version else "none yet"

    def has_ingest_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("rag.add_ingestjob")

    @action(description="Roll back", permissions=["change"], icon="undo")
    def roll_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        corpus = get_object_or_404(Corpus.objects.select_related("active_version"), pk=object_id)

        def act(why: str) -> str:
            line = corpora.roll_back(corpus=corpus, who_id=request.user.pk, why=why)
            return f"{line.version} serves from now on."

        return reason_page(
            self,
            request,
            obj=corpus,
            title=f"Roll {corpus} back",
            explanation="The newest ready version below the active one answers the next question.",
            act=act,
            refusals=(CorpusNotReady,),
        )

    @action(description="Ingest into it", permissions=["ingest"], icon="upload_file", url_path="ingest")
    def ingest_into(self, request: HttpRequest, object_id: str) -> HttpResponse:
        corpus = get_object_or_404(Corpus, pk=object_id)
        return redirect(f"{reverse('admin:rag_ingestjob_add')}?corpus_slug={corpus.slug}")


class ChunkSetInline(ReadOnlyInline):
    model = ChunkSet
    verbose_name_plural = "chunk sets"
    fields = ("chunker", "size", "overlap", "count", "indexes")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[ChunkSet]:
        rows: QuerySet[ChunkSet] = super().get_queryset(request).select_related("version__corpus")
        return rows.prefetch_related("vector_indexes")

    @admin.display(description="vector indexes")
    def indexes(self, chunk_set: ChunkSet) -> SafeString | str:
        rows = [
            (index.count, index.provider, index.model, index.dimensions, badge(index.provider_mode), index.collection)
            for index in chunk_set.vector_indexes.all()
        ]
        lines = format_html_join("", "<li>{} vectors, {} {}, {} dimensions {} <code>{}</code></li>", rows)
        return format_html('<ul class="plain-list">{}</ul>', lines) if rows else "none"


@admin.register(CorpusVersion)
class CorpusVersionAdmin(ReadOnly, RowAdmin):
    """Built beside the active one by an ingest, then activated."""

    list_display = ("__str__", "shown_state", "chunks", "bad_file_count", "created_at", "finished_at")
    list_filter = (("state", ChoicesCheckboxFilter), ("corpus", RelatedDropdownFilter))
    list_select_related = ("corpus",)
    search_fields = ("corpus__slug", "fingerprint", "error")
    ordering = ("-created_at",)
    fields = (
        "corpus",
        "shown_state",
        "documents",
        "created_at",
        "finished_at",
        "builder",
        "heartbeat_at",
        "fingerprint",
        "bad",
        "error",
    )
    readonly_fields = fields
    inlines = (ChunkSetInline,)
    actions_detail = ("activate_version",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CorpusVersion]:
        return super().get_queryset(request).select_related("corpus").prefetch_related("chunk_sets")

    def has_activate_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("rag.change_corpus")

    @action(description="Activate", permissions=["activate"], icon="publish", url_path="activate")
    def activate_version(self, request: HttpRequest, object_id: str) -> HttpResponse:
        version = get_object_or_404(CorpusVersion.objects.select_related("corpus"), pk=object_id)

        def act(why: str) -> str:
            corpora.activate(version=version, who_id=request.user.pk, why=why)
            return f"{version} serves from now on."

        return reason_page(
            self,
            request,
            obj=version,
            title=f"Activate {version}",
            explanation="It answers the next question. Only a ready version can serve.",
            act=act,
            refusals=(CorpusNotReady,),
        )

    @admin.display(description="state", ordering="state")
    def shown_state(self, version: CorpusVersion) -> SafeString:
        return state_badge(version)

    @admin.display(description="chunks")
    def chunks(self, version: CorpusVersion) -> str:
        return chunk_counts(version)

    @admin.display(description="bad files")
    def bad_file_count(self, version: CorpusVersion) -> int:
        return len(version.bad_files)

    @admin.display(description="bad files")
    def bad(self, version: CorpusVersion) -> SafeString | str:
        return bad_file_list(version.bad_files)

    @admin.display(description="documents")
    def documents(self, version: CorpusVersion) -> SafeString:
        url = f"{reverse('admin:rag_document_changelist')}?serving=all&version__id__exact={version.pk}"
        return format_html('<a class="row-link" href="{}">{}</a>', url, version.documents.count())


class ServingFilter(RadioFilter):
    """Documents of the versions that serve, unless all are asked for: old versions hold the same names again."""

    title = "version"
    parameter_name = "serving"
    all_option = ("", "serving now")

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Sequence[tuple[str, str]]:
        return (("all", "all versions"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Document]) -> QuerySet[Document]:
        if self.value() == "all":
            return queryset
        return queryset.filter(version__in=Corpus.objects.exclude(active_version=None).values("active_version"))


class ChunkInline(ReadOnlyInline):
    model = Chunk
    verbose_name_plural = "chunks"
    fields = ("chunker", "key", "heading", "span", "beginning")
    readonly_fields = fields
    ordering = ("chunk_set_id", "position")
    per_page = 30

    def get_queryset(self, request: HttpRequest) -> QuerySet[Chunk]:
        return super().get_queryset(request).select_related("chunk_set")

    @admin.display(description="chunker")
    def chunker(self, chunk: Chunk) -> str:
        return chunk.chunk_set.chunker

    @admin.display(description="characters")
    def span(self, chunk: Chunk) -> str:
        return f"{chunk.start:,} to {chunk.end:,}"

    @admin.display(description="text")
    def beginning(self, chunk: Chunk) -> str:
        return chunk.text[:PREVIEW] + ("…" if len(chunk.text) > PREVIEW else "")


@admin.register(Document)
class DocumentAdmin(ReadOnly, RowAdmin):
    """What was read from a file: the text that every chunk and citation refers to."""

    list_display = ("source", "title", "markup", "version")
    list_filter = (ServingFilter, ("version__corpus", RelatedDropdownFilter))
    list_select_related = ("version__corpus",)
    search_fields = ("source", "title")
    search_help_text = "source or title"
    ordering = ("source",)
    paginator = InfinitePaginator
    fields = ("source", "title", "version", "markup", "sha256", "shown_text")
    readonly_fields = fields
    inlines = (ChunkInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        rows: QuerySet[Document] = super().get_queryset(request).select_related("version__corpus")
        opened = request.resolver_match is not None and "object_id" in request.resolver_match.kwargs
        return rows if opened else rows.defer("text")

    @admin.display(description="text")
    def shown_text(self, document: Document) -> SafeString:
        return text_box(document.text)
