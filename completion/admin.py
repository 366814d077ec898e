"""Artifacts: issued and revoked here, by whoever holds the permission; never changed."""

from pathlib import Path
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from completion import issuing
from completion.issuing import LONGEST_NAME, AlreadyRevoked, IssueRefused, issue
from completion.models import Artifact
from completion.telling import as_markdown, manifest_of
from evals import scoreboard
from ragsite.admin import ReadOnly, RowAdmin, TextInput, action, badge, reason_page, to_the_second

HISTORY_S = 60.0
"""for the hours; a longer history is counted in the shell"""


class IssueForm(forms.Form):
    name = forms.CharField(max_length=LONGEST_NAME, widget=TextInput, help_text="As it is to stand on the page.")
    repository = forms.CharField(
        initial=".",
        widget=TextInput,
        help_text="A git repository on this server; a path is relative to ARTIFACT_REPO_ROOT.",
    )

    def clean_repository(self) -> Path:
        """Below ARTIFACT_REPO_ROOT, wherever its links lead."""
        root = Path(settings.ARTIFACT_REPO_ROOT).resolve()
        path: Path = (root / self.cleaned_data["repository"].strip()).resolve()
        if not path.is_relative_to(root):
            raise forms.ValidationError(f"Only repositories below {root} (ARTIFACT_REPO_ROOT) are counted here.")
        return path


@admin.register(Artifact)
class ArtifactAdmin(ReadOnly, RowAdmin):
    list_display = ("number", "name", "moment", "state", "issued_by")
    list_select_related = ("issued_by",)
    search_fields = ("number", "name", "sha256")
    ordering = ("-issued_at",)
    fields = (
        "number",
        "name",
        "state",
        "moment",
        "issued_by",
        "page_of_it",
        "sha256",
        "manifest_sha256",
        "certificate",
        "withdrawn",
    )
    readonly_fields = fields
    actions_list = ("issue_new",)
    actions_detail = ("download_pdf", "download_markdown", "revoke_this")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("revocation").defer("pdf", "manifest")

    def has_issue_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("completion.issue")

    def has_revoke_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("completion.revoke")

    @action(description="Issue an artifact", permissions=["issue"], icon="workspace_premium", url_path="issue")
    def issue_new(self, request: HttpRequest) -> HttpResponse:
        form = IssueForm(request.POST or None)
        refusal: IssueRefused | None = None
        if request.method == "POST" and form.is_valid():
            try:
                made = self.issued(request, form)
            except IssueRefused as error:
                refusal = error
            else:
                messages.success(request, f"Issued: {made}.")
                return redirect("admin:completion_artifact_change", made.pk)
        board = scoreboard.load()
        context = self.admin_site.each_context(request) | {
            "title": "Issue an artifact",
            "form": form,
            "refusal": refusal,
            "board": board,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/completion/issue.html", context)

    def issued(self, request: HttpRequest, form: IssueForm) -> Artifact:
        """Raises IssueRefused."""
        made = issue(
            name=form.cleaned_data["name"],
            repository=form.cleaned_data["repository"],
            board=scoreboard.load(),
            now=timezone.now(),
            who=cast(User, request.user),
            history_timeout_s=HISTORY_S,
        )
        self.log_addition(request, made, f"Issued to {made.name}")
        return made

    @action(description="Revoke", permissions=["revoke"], icon="block", url_path="revoke")
    def revoke_this(self, request: HttpRequest, object_id: str) -> HttpResponse:
        artifact = get_object_or_404(Artifact, pk=object_id)

        def act(why: str) -> str:
            issuing.revoke(artifact=artifact, why=why, who=cast(User, request.user), now=timezone.now())
            return f"{artifact} is revoked: whoever verifies it is told so."

        return reason_page(
            self,
            request,
            obj=artifact,
            title=f"Revoke {artifact}",
            explanation="Everybody who verifies it will see that it is revoked, and this reason. This cannot be taken back.",
            act=act,
            refusals=(AlreadyRevoked,),
        )

    @action(description="PDF", permissions=["view"], icon="picture_as_pdf", url_path="pdf")
    def download_pdf(self, request: HttpRequest, object_id: str) -> HttpResponse:
        artifact = self.seen(request, object_id)
        return attachment(bytes(artifact.pdf), f"artifact-{artifact}.pdf", "application/pdf")

    @action(description="Markdown", permissions=["view"], icon="markdown", url_path="markdown")
    def download_markdown(self, request: HttpRequest, object_id: str) -> HttpResponse:
        artifact = self.seen(request, object_id)
        text = as_markdown(manifest_of(artifact), sha256=artifact.sha256)
        return attachment(text.encode("utf-8"), f"artifact-{artifact}.md", "text/markdown; charset=utf-8")

    def seen(self, request: HttpRequest, object_id: str) -> Artifact:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(Artifact, pk=object_id)

    @admin.display(description="issued at", ordering="issued_at")
    def moment(self, artifact: Artifact) -> SafeString:
        return to_the_second(artifact.issued_at)

    @admin.display(description="state")
    def state(self, artifact: Artifact) -> SafeString:
        return badge("revoked" if hasattr(artifact, "revocation") else "valid")

    @admin.display(description="verification page")
    def page_of_it(self, artifact: Artifact) -> SafeString:
        url = reverse("verify-artifact", args=[artifact.sha256])
        return format_html('<a class="row-link" href="{}">{}</a>', url, url)

    @admin.display(description="revoked")
    def withdrawn(self, artifact: Artifact) -> str:
        if not hasattr(artifact, "revocation"):
            return "no"
        told = artifact.revocation
        return f"{timezone.localtime(told.at):%Y-%m-%d %H:%M:%S} by {told.revoked_by or 'the shell'}: {told.reason}"


def attachment(content: bytes, name: str, kind: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return HttpResponse(content, content_type=kind, headers=headers)
