"""The ask page. Its questions go the way of every client's: through the API."""

from django.conf import settings
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from rag.ask import LONGEST_QUESTION
from rag.models import Corpus
from rag.modules import AUTO, MODULES, TRANSFORMS

EXAMPLES = {
    "django": (
        "How do I run code when a transaction commits?",
        "What does select_related do, and when is prefetch_related better?",
        "How can I write a custom management command?",
        "Which setting must I change before I deploy?",
        "How do I test code that sends email?",
    )
}


@staff_member_required
def ask_page(request: HttpRequest) -> HttpResponse:
    """The question box, for signed-in staff who may ask."""
    if not request.user.has_perm("rag.ask_corpus"):
        raise PermissionDenied("asking needs the permission rag.ask_corpus")
    corpora = list(Corpus.objects.exclude(active_version=None).order_by("slug").values_list("slug", flat=True))
    context = {
        "corpora": corpora,
        "corpus": settings.DEFAULT_CORPUS if settings.DEFAULT_CORPUS in corpora else next(iter(corpora), None),
        "modules": list(MODULES),
        "module": settings.DEFAULT_MODULE,
        "transforms": (AUTO, *TRANSFORMS),
        "examples": EXAMPLES,
        "longest": LONGEST_QUESTION,
    }
    return render(request, "ask/ask.html", context)
