"""Ingest jobs: asked for here, done by a worker, watched here. Nothing uploaded is parsed in the web process."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from rag import ingest_jobs
from rag.models import IngestJob
from rag.modules import RECIPES, read_recipes
from rag.reading.documents import SUFFIXES
from rag.reading.limits import MIB, megabytes
from ragsite.admin import (
    CheckboxesInput,
    ChoicesCheckboxFilter,
    ModelForm,
    NoChange,
    NoDelete,
    RowAdmin,
    admin_link,
    bad_file_list,
    badge,
)

ODD = re.compile(r"[^\w.-]")
LONGEST_STEM = 60
Upload: TypeAlias = "UploadedFile[Any]"


class FilesInput(forms.FileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Any number of files; each is checked as Django checks one."""

    widget = FilesInput

    def clean(self, data: Sequence[Upload] | None, initial: Any = None) -> list[Upload]:
        return [super(FilesField, self).clean(file, initial) for file in data or ()]


class IngestForm(ModelForm):
    uploads = FilesField(
        label="Files",
        required=False,
        help_text=f"{', '.join(sorted(SUFFIXES))}; {settings.INGEST_MAX_UPLOAD_MB} MB together at most",
        widget=FilesInput(attrs={"accept": ",".join(sorted(SUFFIXES)), "class": "files-input"}),
    )
    chunkers = forms.MultipleChoiceField(
        choices=[(name, name) for name in RECIPES],
        initial=lambda: read_recipes(""),
        widget=CheckboxesInput,
        help_text="Modules search the chunks of one of them; those that some module reads are ticked.",
    )

    def clean_path(self) -> str:
        text = self.cleaned_data["path"].strip()
        return str(path_below_root(text)) if text else ""

    def clean_chunkers(self) -> str:
        return ",".join(self.cleaned_data["chunkers"])

    def clean_uploads(self) -> list[Upload]:
        files: list[Upload] = self.cleaned_data["uploads"]
        check_uploads(files)
        return files

    def clean(self) -> dict[str, Any]:
        cleaned = dict(super().clean() or {})
        if not self.errors and bool(cleaned["uploads"]) == bool(cleaned["path"]):
            raise ValidationError("Give either files or a path on the server.")
        return cleaned


def path_below_root(text: str) -> Path:
    """The file or folder, links followed; raises ValidationError where it is outside INGEST_ROOT or missing."""
    root = Path(settings.INGEST_ROOT).resolve()
    path = (root / text).resolve()
    if not path.is_relative_to(root):
        raise ValidationError(f"This is outside {root}, the folder that may be ingested from (INGEST_ROOT).")
    if not path.exists():
        raise ValidationError(f"There is no {path}.")
    return path


def check_uploads(files: Sequence[Upload]) -> None:
    """Raises ValidationError for an extension that is not read, two files of one name, or too much together."""
    names = [safe_name(file.name or "") for file in files]
    unknown = [name for name in names if Path(name).suffix.lower() not in SUFFIXES]
    if unknown:
        raise ValidationError(f"Not a format that is read: {', '.join(unknown)}. Known: {', '.join(sorted(SUFFIXES))}.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValidationError(f"More than one file is called {', '.join(twice)}.")
    size, limit = sum(file.size or 0 for file in files), settings.INGEST_MAX_UPLOAD_MB * MIB
    if size > limit:
        raise ValidationError(f"The files are {megabytes(size)} together; at most {megabytes(limit)} can be uploaded.")


def safe_name(name: str) -> str:
    """A file name without folders, leading dots or odd characters, and short enough for every file system."""
    path = Path(ODD.sub("_", Path(name).name.lstrip(".")) or "document")
    return path.stem[:LONGEST_STEM] + path.suffix[:LONGEST_STEM]


def keep_uploads(*, folder: Path, files: Sequence[Upload]) -> None:
    """Store the files in `folder`, which afterwards holds nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in files:
        with (folder / safe_name(file.name or "")).open("xb") as target:
            shutil.copyfileobj(file, target)


@admin.register(IngestJob)
class IngestJobAdmin(NoChange, NoDelete, RowAdmin):
    """The page of a job follows it until it ends."""

    form = IngestForm
    list_display = ("__str__", "shown_state", "progress", "bad_file_count", "short_error", "asked_by", "created_at")
    list_filter = (("state", ChoicesCheckboxFilter),)
    list_select_related = ("asked_by",)
    search_fields = ("corpus_slug", "path", "error")
    ordering = ("-created_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[IngestJob]:
        return super().get_queryset(request).select_related("asked_by", "version__corpus")

    def get_fields(self, request: HttpRequest, obj: IngestJob | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("corpus_slug", "uploads", "path", "add", "chunkers")
        told = ("corpus_slug", "shown_state", "progress", "made_version", "bad", "error")
        return (*told, "path", "add", "chunkers", "asked_by", "created_at", "heartbeat_at", "finished_at")

    def get_readonly_fields(self, request: HttpRequest, obj: IngestJob | None = None) -> tuple[str, ...]:
        return self.get_fields(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: IngestJob, form: Any, change: bool) -> None:
        obj.asked_by_id = request.user.pk
        super().save_model(request, obj, form, change)
        job_id = obj.pk
        if form.cleaned_data["uploads"]:
            keep_uploads(folder=ingest_jobs.upload_folder(job_id), files=form.cleaned_data["uploads"])
        transaction.on_commit(lambda: ingest_jobs.enqueue(job_id=job_id))

    @admin.display(description="state", ordering="state")
    def shown_state(self, job: IngestJob) -> SafeString:
        return badge(job.state)

    @admin.display(description="version")
    def made_version(self, job: IngestJob) -> SafeString | str:
        return admin_link(job.version)

    @admin.display(description="bad files")
    def bad_file_count(self, job: IngestJob) -> int:
        return len(job.bad_files)

    @admin.display(description="bad files")
    def bad(self, job: IngestJob) -> SafeString | str:
        return bad_file_list(job.bad_files)

    @admin.display(description="error")
    def short_error(self, job: IngestJob) -> str:
        return job.error[:120]
