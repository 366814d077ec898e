"""The page of the scoreboard. Who may see what questions cost may see it."""

from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from evals import scoreboard
from evals.scoreboard_page import context_of
from rag.admin.costs import PERMISSION


@require_safe
@staff_member_required
def progress(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    board = scoreboard.load()
    told = context_of(board) if board else {}
    return render(
        request, "evals/scoreboard.html", told | {"may_see_runs": request.user.has_perm("evals.view_evalrun")}
    )
