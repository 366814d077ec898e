"""The page that makes a version serve: everybody, or a share of those who ask, which begins a trial."""

from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse

from prompts.models import Activation, PromptVersion
from prompts.publishing import TrialImpossible, activate, changes_nothing, running_trial, serving_version
from ragsite.admin import ModelAdmin, ReasonForm, TextInput

EVERYBODY = 100
SENT_BY_EVALUATIONS = "judge"
"""no question sends it, so that there is nobody to try it on"""


class ActivationForm(ReasonForm):
    share = forms.IntegerField(
        label="Share of those who ask, in percent",
        min_value=1,
        max_value=EVERYBODY,
        initial=EVERYBODY,
        widget=TextInput(attrs={"inputmode": "numeric"}),
        help_text="100 is everybody. Less is a trial: the others keep what serves, and each asker always gets the same one.",
    )


@dataclass(frozen=True, slots=True)
class Wording:
    title: str
    explanation: str
    reason: str = ""


def activation_page(model_admin: ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for the reason and the share, then activate. Rolling back is the same with a suggested reason (`?back`)."""
    if not request.user.has_perm("prompts.add_activation"):
        raise PermissionDenied
    version = get_object_or_404(PromptVersion.objects.select_related("prompt"), pk=pk)
    if changes_nothing(version=version, share=EVERYBODY):
        return unchanged(request, version, f"{version} serves already: nothing was changed.")
    serves, trial = serving_version(version.prompt), running_trial(version.prompt)
    wording = wording_of(version, serves, trial, back="back" in request.GET)
    form = ActivationForm(request.POST or None, initial={"why": wording.reason})
    if serves in (None, version) or version.prompt.name == SENT_BY_EVALUATIONS:
        form.fields["share"].widget = forms.HiddenInput()
    if request.method == "POST" and form.is_valid():
        done = act(model_admin, request, version, form, wording)
        if done:
            return done
    return TemplateResponse(
        request, "admin/prompts/activate.html", context_of(model_admin, request, version, form, wording)
    )


def act(
    model_admin: ModelAdmin, request: HttpRequest, version: PromptVersion, form: ActivationForm, wording: Wording
) -> HttpResponse | None:
    """None: it is refused, and the form says why."""
    why, share = form.cleaned_data["why"], form.cleaned_data["share"]
    if changes_nothing(version=version, share=share):
        return unchanged(request, version, f"{version} is on trial with {share} % already: nothing was changed.")
    who = request.user if request.user.is_authenticated else None
    try:
        activation = activate(version=version, who=who, why=why, share=share)
    except TrialImpossible as refusal:
        form.add_error(None, f"No trial is possible: {refusal}.")
        return None
    messages.success(request, told(activation))
    model_admin.log_change(request, version.prompt, f"{wording.title}, {share} %: {why}")
    return redirect("admin:prompts_prompt_change", version.prompt_id)


def unchanged(request: HttpRequest, version: PromptVersion, message: str) -> HttpResponse:
    messages.info(request, message)
    return redirect("admin:prompts_prompt_change", version.prompt_id)


def told(activation: Activation) -> str:
    if activation.share == EVERYBODY or activation.previous is None:
        return f"{activation.version} serves everybody from now on."
    return (
        f"{activation.version} is on trial from now on: {activation.share} % of those who ask get it, "
        f"the others {activation.previous.label}."
    )


def wording_of(
    version: PromptVersion, serves: PromptVersion | None, trial: Activation | None, *, back: bool
) -> Wording:
    label, all_of_them = version.label, f"{version} answers every question from the next one on."
    kept = f"{serves.label} stays, and one click takes you back to it." if serves and serves != version else ""
    if trial and version == serves:
        on_trial = trial.version.label
        explanation = f"{all_of_them} That ends the trial of {on_trial}."
        reason = f"Trial of {on_trial} cancelled: {label} for everybody"
        return Wording(f"Cancel the trial: {label} for everybody", explanation, reason)
    if trial and version == trial.version:
        again = "With a share below 100 it goes on instead, divided and counted anew."
        reason = f"Trial of {label} finished: {label} for everybody"
        return Wording(f"Finish the trial: {label} for everybody", f"{all_of_them} {kept} {again}", reason)
    ends = f" That ends the trial of {trial.version.label}." if trial else ""
    explanation = f"{all_of_them} {kept}{ends} Answers in the cache are not used any more."
    if back and serves and serves != version:
        return Wording(f"Roll back to {version}", explanation, f"Rolled back from {serves.label} to {label}")
    return Wording(f"Activate {version}", explanation)


def context_of(
    model_admin: ModelAdmin, request: HttpRequest, version: PromptVersion, form: ActivationForm, wording: Wording
) -> dict[str, object]:
    return model_admin.admin_site.each_context(request) | {
        "title": wording.title,
        "explanation": wording.explanation,
        "form": form,
        "original": version.prompt,
        "opts": version.prompt._meta,
    }
