"""On the page of a version of the answer prompt: did this edit help? One click asks both versions the same questions."""

from functools import partial

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from evals.admin.asking import PERMISSION
from evals.admin.comparing import compare_url
from evals.errors import EvaluationRefused
from evals.prompt_help import Trial, started, trial_of
from prompts.models import PromptVersion
from prompts.publishing import serving_version
from rag.admin.prompt_versions import TEXT_AND_ORIGIN, PromptVersionAdmin
from rag.admin.prompts import QUESTIONS_NAME

admin.site.unregister(PromptVersion)


@admin.register(PromptVersion)
class EvaluatedPromptVersionAdmin(PromptVersionAdmin):
    """The page of a version, with the question whether it helps."""

    class Media:
        css = {"all": ("evaluations.css",)}

    def get_fields(self, request: HttpRequest, obj: PromptVersion | None = None) -> tuple[str, ...]:
        fields = TEXT_AND_ORIGIN
        if obj is None or obj.prompt.name != QUESTIONS_NAME or not request.user.has_perm("evals.view_evalrun"):
            return fields
        name = "whether_it_helped" if request.user.has_perm(PERMISSION) else "whether_it_could_help"
        return (*fields[:3], name, *fields[3:])

    def get_readonly_fields(self, request: HttpRequest, obj: PromptVersion | None = None) -> tuple[str, ...]:
        return self.get_fields(request, obj)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(partial(asking, self))
        return [path("<int:pk>/did-it-help/", view, name="evals_did_it_help"), *super().get_urls()]

    @admin.display(description="did it help?")
    def whether_it_helped(self, version: PromptVersion) -> SafeString:
        return told(version, may_ask=True)

    @admin.display(description="did it help?")
    def whether_it_could_help(self, version: PromptVersion) -> SafeString:
        return told(version, may_ask=False)


def told(version: PromptVersion, *, may_ask: bool) -> SafeString:
    """The button stands inside the admin's own form, whose token it sends along."""
    context = {"version": version, "may_ask": may_ask, "url": reverse("admin:evals_did_it_help", args=[version.pk])}
    try:
        context["trial"] = trial_for(version)
    except EvaluationRefused as refusal:
        context["refusal"] = str(refusal)
    return render_to_string("admin/evals/did_it_help.html", context)


def trial_for(version: PromptVersion) -> Trial:
    """Raises EvaluationRefused."""
    serves = serving_version(version.prompt)
    if serves is None:
        raise EvaluationRefused("no version serves that it could be compared with")
    if serves == version:
        raise EvaluationRefused("this version serves: open another one to compare it with this")
    return trial_of(before=serves.label, after=version.label)


def asking(model_admin: PromptVersionAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """A POST starts what has to be asked; the page of the comparison follows it."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    version = get_object_or_404(PromptVersion.objects.select_related("prompt"), pk=pk, prompt__name=QUESTIONS_NAME)
    if request.method != "POST":
        return redirect("admin:prompts_promptversion_change", pk)
    try:
        trial = trial_for(version)
        before, after = started(trial, asked_by_id=request.user.pk)
    except EvaluationRefused as refusal:
        messages.error(request, str(refusal))
        return redirect("admin:prompts_promptversion_change", pk)
    if trial.missing:
        model_admin.log_change(request, version, f"evaluated against {trial.before}, budget ${trial.budget_usd}")
    return redirect(compare_url(before, after))
