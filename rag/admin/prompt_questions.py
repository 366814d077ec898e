"""The question that somebody puts to a prompt in the admin: what the forms offer, and what came back."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from rag.ask import LONGEST_QUESTION
from rag.models import Corpus
from rag.modules import MODULES
from rag.trace import Trace
from rag.values import Caller, Question


def offered() -> dict[str, Any]:
    """The corpora that serve, the modules, and which of each a form begins with."""
    corpora = list(Corpus.objects.exclude(active_version=None).order_by("slug").values_list("slug", flat=True))
    return {
        "corpora": corpora,
        "corpus": settings.DEFAULT_CORPUS if settings.DEFAULT_CORPUS in corpora else next(iter(corpora), ""),
        "modules": list(MODULES),
        "module": settings.DEFAULT_MODULE,
        "longest": LONGEST_QUESTION,
    }


def question_of(request: HttpRequest, *, prompt_version: str | None = None) -> Question:
    """As it was sent; a kept answer is not wanted."""
    return Question(
        request.POST.get("question", ""),
        request.POST.get("corpus", ""),
        request.POST.get("module", ""),
        anew=True,
        prompt_version=prompt_version,
    )


def caller_of(request: HttpRequest) -> Caller:
    return Caller(user_id=request.user.pk)


def trace_url(trace: Trace) -> str:
    return reverse("admin:rag_tracesummary_by_trace", args=[trace.trace_id])
