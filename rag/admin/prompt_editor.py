"""The editor: the next version of a prompt begins as a copy of another, and is judged while it is written."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse

from prompts.models import Prompt, PromptVersion
from prompts.publishing import bump, serving_version
from prompts.requirements import findings, missing, strays
from prompts.texts import PromptText, UnfitText, content_hash
from rag import clock
from rag.admin.prompt_columns import usd
from rag.admin.prompt_questions import caller_of, offered, question_of, trace_url
from rag.admin.prompt_versions import compare_url
from rag.admin.throttled import answers_json
from rag.previewing import Prefix, model_of, prefix_of_prompt, preview
from rag.providers.contracts import ChatRequest
from ragsite.admin import ModelAdmin, TextArea

PREVIEWED = frozenset({"answer", "choose", "hyde", "multi_query", "decompose", "follow_up"})
"""the prompts that are sent with nothing but a question, or with the sources for one"""


def block(rows: int, label: str, **options: Any) -> forms.CharField:
    widget = TextArea(attrs={"rows": rows, "class": "prompt-text", "spellcheck": "true"})
    return forms.CharField(label=label, widget=widget, **options)


class EditorForm(forms.Form):
    """Browsers send CR LF; a prompt's lines end in LF, or its hash would differ."""

    instructions = block(24, "Instructions", strip=False)
    examples = block(18, "Examples", strip=False, required=False)
    note = block(3, "Note", help_text="What changed and why. It stays with the version for good.")

    def clean_instructions(self) -> str:
        return unix_lines(self.cleaned_data["instructions"])

    def clean_examples(self) -> str:
        return unix_lines(self.cleaned_data["examples"])


def unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def page(model_admin: ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    prompt = prompt_to_bump(request, pk)
    start = started_from(request, prompt)
    form = EditorForm(request.POST or None, initial=begun_with(start))
    if request.method == "POST" and form.is_valid() and (saved := save(model_admin, request, prompt, start, form)):
        return saved
    context = model_admin.admin_site.each_context(request) | {
        "title": f"Bump {prompt.name}",
        "opts": Prompt._meta,
        "original": prompt,
        "prompt": prompt,
        "start": start,
        "form": form,
        "model": model_of(prompt.name),
        "previewed": prompt.name in PREVIEWED,
        "searches": prompt.name == "answer",
        "is_fullwidth": "1",
        **offered(),
    }
    return TemplateResponse(request, "admin/prompts/editor.html", context)


def prompt_to_bump(request: HttpRequest, pk: int) -> Prompt:
    if not request.user.has_perm("prompts.add_promptversion"):
        raise PermissionDenied
    return get_object_or_404(Prompt, pk=pk)


def started_from(request: HttpRequest, prompt: Prompt) -> PromptVersion | None:
    """The version whose text the form began with: the one that `?from=` names, or the one that serves."""
    named = request.GET.get("from") or request.POST.get("based_on") or ""
    if named.isdecimal():
        return get_object_or_404(prompt.versions.select_related("prompt"), pk=named)
    return serving_version(prompt)


def begun_with(start: PromptVersion | None) -> dict[str, str]:
    return {"instructions": start.instructions, "examples": start.examples} if start else {}


def save(
    model_admin: ModelAdmin, request: HttpRequest, prompt: Prompt, start: PromptVersion | None, form: EditorForm
) -> HttpResponse | None:
    """Make the version, tell what there is to know, and go on to the comparison; None where the form says what is wrong."""
    written = form.cleaned_data
    if start and (written["instructions"], written["examples"]) == (start.instructions, start.examples):
        form.add_error(None, f"This is {start.label}, letter for letter: there is nothing to save.")
        return None
    author = request.user if request.user.is_authenticated else None
    try:
        bumped = bump(prompt=prompt, author=author, based_on=start, **written)
    except UnfitText as refusal:
        form.add_error(None, str(refusal))
        return None
    made = bumped.version
    model_admin.log_addition(request, made, [{"added": {}}])
    messages.success(request, f"{made} is saved. Nobody is answered with it until it is activated.")
    if start and bumped.overtook:
        messages.warning(request, overtaken(bumped.overtook, start, made.label))
    if lacking := missing(made.as_text()):
        messages.warning(request, f"{made.label} does not say: {', '.join(lacking)}.")
    return redirect(compare_url(prompt, start, made))


def overtaken(other: PromptVersion, start: PromptVersion, yours: str) -> str:
    by = f" by {other.author}" if other.author else ""
    return f"{other}{by} is newer than {start.label}, which you edited: its changes are not in {yours}."


@answers_json("prompt-check", "120/min")
def check(model_admin: ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """What the text has to say and does or does not, and whether somebody has saved a version meanwhile."""
    prompt = prompt_to_bump(request, pk)
    draft = draft_of(request, prompt)
    told = [{"name": each.name, "otherwise": each.otherwise, "blocks": each.blocks} for each in findings(draft)]
    return JsonResponse({"findings": told, "strays": strays(draft), "overtaken": overtaken_already(request, prompt)})


def overtaken_already(request: HttpRequest, prompt: Prompt) -> str:
    start = started_from(request, prompt)
    if start is None:
        return ""
    newer = prompt.versions.filter(number__gt=start.number).exclude(author_id=request.user.pk)
    other = newer.select_related("prompt", "author").order_by("-number").first()
    return overtaken(other, start, "this text") if other else ""


@answers_json("prompt-tokens", "60/min")
def tokens(model_admin: ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """How many tokens the stable prefix has, whether it will be cached, and what that costs."""
    draft = draft_of(request, prompt_to_bump(request, pk))
    prefix = prefix_of_prompt(draft, now=clock.now())
    return JsonResponse(
        {
            "tokens": prefix.tokens,
            "minimum": prefix.minimum if prefix.wanted else None,
            "kept": prefix.kept,
            "headline": headline(prefix),
            "facts": facts(prefix),
            "mode": prefix.mode,
        }
    )


def headline(prefix: Prefix) -> str:
    if not prefix.wanted:
        return f"{prefix.tokens:,} tokens. Only the answer prompt is cached: this one is sent whole every time."
    if prefix.minimum is None:
        return (
            f"{prefix.tokens:,} tokens. The price table does not say how many {prefix.model} needs to cache a prompt."
        )
    verdict = "will be cached" if prefix.kept else "will NOT be cached"
    return f"{prefix.tokens:,} of {prefix.minimum:,}: this prompt {verdict}."


def facts(prefix: Prefix) -> list[tuple[str, str]]:
    if not prefix.kept:
        return [("Each question pays for it", usd(prefix.send_usd))]
    return [
        ("First hour: one cache write", usd(prefix.write_usd)),
        ("Each further question reads it", usd(prefix.read_usd)),
        ("Not cached, each would pay", usd(prefix.send_usd)),
        (
            "Caching pays from",
            f"{prefix.pays_from} questions an hour" if prefix.pays_from else "no number of questions",
        ),
    ]


@answers_json("prompt-preview", "20/min")
def preview_request(model_admin: ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """The whole request for a question, with real sources: the search is paid, and leaves a trace."""
    prompt = prompt_to_bump(request, pk)
    shown = preview(text=draft_of(request, prompt), question=question_of(request), caller=caller_of(request))
    body = parts_of(shown.request) | {"sources": len(shown.sources)}
    if shown.trace is not None:
        cost = Decimal(0) if not shown.trace.attempts else shown.trace.cost_usd
        body |= {"cost": usd(cost), "mode": shown.trace.provider_mode, "trace_url": trace_url(shown.trace)}
    return JsonResponse(body)


def parts_of(request: ChatRequest) -> dict[str, Any]:
    return {
        "model": request.model,
        "system": list(request.system),
        "messages": [{"role": message.role, "text": message.text} for message in request.messages],
        "kept": request.keep_system,
    }


def draft_of(request: HttpRequest, prompt: Prompt) -> PromptText:
    """What stands in the form now, as the version that it would become."""
    instructions, examples = (unix_lines(request.POST.get(name, "")) for name in ("instructions", "examples"))
    whole = content_hash(instructions=instructions, examples=examples)
    return PromptText(prompt.name, "draft", instructions, examples, whole)
