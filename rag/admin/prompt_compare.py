"""Two versions of a prompt side by side: what is different in their texts, and what each answers to the same question."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse

from prompts.diffing import BlockDiff, Row, diff_prompts
from prompts.models import Prompt, PromptVersion
from prompts.publishing import serving_version
from rag.admin.prompt_columns import time, usd
from rag.admin.prompt_questions import caller_of, offered, question_of, trace_url
from rag.admin.throttled import answers_json
from rag.ask import Answered, ask
from rag.presenting import answer_body
from ragsite.admin import ModelAdmin

TRIED = "answer"
"""the prompt of which a question can name a version"""
KIND = "try"
CONTEXT = 3
"""unchanged lines that are shown around a change"""
WORTH_FOLDING = 4


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows that follow one another: shown, or folded because nothing near them changed."""

    rows: tuple[Row, ...]
    folded: bool


def page(model_admin: ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    prompt = prompt_to_compare(request, pk)
    versions = list(prompt.versions.select_related("author", "prompt").order_by("-number"))
    serves = serving_version(prompt)
    old, new = chosen(request, versions, serves)
    context = model_admin.admin_site.each_context(request) | {
        "title": f"Compare {prompt.name} {old.label} with {new.label}",
        "opts": Prompt._meta,
        "original": prompt,
        "prompt": prompt,
        "versions": versions,
        "sides": (("old", "Before", old), ("new", "After", new)),
        "old": old,
        "new": new,
        "serves": serves,
        "blocks": [(block.block, counts(block), list(stretches(block))) for block in diff_prompts(*texts(old, new))],
        "may_bump": request.user.has_perm("prompts.add_promptversion"),
        "may_activate": request.user.has_perm("prompts.add_activation"),
        "may_try": prompt.name == TRIED and may_try(request),
        "can_be_tried": prompt.name == TRIED,
        "is_fullwidth": "1",
        **offered(),
    }
    return TemplateResponse(request, "admin/prompts/compare.html", context)


def prompt_to_compare(request: HttpRequest, pk: int) -> Prompt:
    if not request.user.has_perm("prompts.view_promptversion"):
        raise PermissionDenied
    return get_object_or_404(Prompt, pk=pk)


def may_try(request: HttpRequest) -> bool:
    """A try costs money: it is for those who write versions or decide about them."""
    return request.user.has_perm("prompts.add_promptversion") or request.user.has_perm("prompts.add_activation")


def chosen(
    request: HttpRequest, versions: Sequence[PromptVersion], serves: PromptVersion | None
) -> tuple[PromptVersion, PromptVersion]:
    """The two that the address names; without, what serves and the newest. Raises Http404."""
    if not versions:
        raise Http404("the prompt has no version yet")
    by_key = {str(version.pk): version for version in versions}
    asked = {side: request.GET.get(side, "") for side in ("old", "new")}
    if any(key and key not in by_key for key in asked.values()):
        raise Http404("the prompt has no such version")
    new = by_key.get(asked["new"], versions[0])
    before = next((version for version in versions if version.number < new.number), new)
    old = by_key.get(asked["old"]) or (serves if serves and serves != new else before)
    return old, new


def texts(*versions: PromptVersion) -> Iterator[Any]:
    return (version.as_text() for version in versions)


def counts(block: BlockDiff) -> dict[str, int]:
    """How many lines were edited, removed and added."""
    changed = [row for row in block.rows if not row.same]
    return {
        "edited": sum(row.old is not None and row.new is not None for row in changed),
        "removed": sum(row.new is None for row in changed),
        "added": sum(row.old is None for row in changed),
    }


def stretches(block: BlockDiff) -> Iterator[Stretch]:
    """All rows in order; long runs without a change nearby are folded."""
    rows = block.rows
    near = {n for at, row in enumerate(rows) if not row.same for n in range(at - CONTEXT, at + CONTEXT + 1)}
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or (end in near) != (start in near):
            yield Stretch(rows[start:end], folded=start not in near and end - start >= WORTH_FOLDING)
            start = end


@answers_json("prompt-try", "20/min")
def try_version(model_admin: ModelAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """One question through one version: a real answer, paid and traced, that no statistics of traffic count."""
    prompt = prompt_to_compare(request, pk)
    if not may_try(request) or prompt.name != TRIED:
        raise PermissionDenied
    named = request.POST.get("version", "")
    version = get_object_or_404(prompt.versions, pk=named if named.isdecimal() else 0)
    question = question_of(request, prompt_version=version.label)
    return JsonResponse(told(ask(question=question, caller=caller_of(request), kind=KIND)))


def told(answered: Answered) -> dict[str, Any]:
    body, trace = answer_body(answered), answered.trace
    usage = trace.generation_usage()
    facts = [
        ("Cost", usd(trace.cost_usd)),
        ("Time", time(trace.latencies_ms.get("total"))),
        ("Citations", str(len(body["citations"]))),
        ("Tokens in, out", f"{usage.prompt_tokens:,}, {usage.output_tokens:,}"),
        ("Prompt cache", f"{usage.cache_read:,} read, {usage.cache_write_1h + usage.cache_write_5m:,} written"),
    ]
    return body | {"facts": facts, "trace_url": trace_url(trace)}
