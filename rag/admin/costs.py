"""The cost page: in the admin, and in a plain frame for operators. Both need the permission to see the ledger."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from rag import cost_view
from rag.cost_choice import CostChoice
from rag.cost_report import TABLES, report
from rag.cost_tables import csv_of

PERMISSION = "costs.view_ledgerentry"


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    return answered(request, "costs/admin.html", admin.site.each_context(request) | {"title": "Costs"})


@require_safe
@staff_member_required
def progress(request: HttpRequest) -> HttpResponse:
    return answered(request, "costs/progress.html", {"title": "Costs"})


def answered(request: HttpRequest, template: str, frame: dict[str, Any]) -> HttpResponse:
    """The page, or one of its tables as CSV. What was chosen wrongly is told above an empty page (400)."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    choice = CostChoice(request.GET)
    if not choice.is_valid():
        return render(request, template, frame | {"choice": choice}, status=400)
    told = report(**choice.asked())
    if "csv" in request.GET:
        return download(told, request.GET["csv"])
    may_see = request.user.has_perm("rag.view_tracesummary")
    context = {
        "choice": choice,
        "report": told,
        "sums": [(name.replace("_", " "), told["sums"][name]) for name in ("ledger", *TABLES)],
        "rolled_up_at": moment(told["sums"]["rolled_up_at"]),
        "checked_at": moment(told["sums"]["checked_at"]),
        "typical": cost_view.typical(told),
        "over_time": cost_view.over_time(told, may_see_traces=may_see),
        "splits": cost_view.splits(told, may_see_traces=may_see),
        "quality": cost_view.quality(told, may_see_traces=may_see),
        "chosen": request.GET.urlencode(),
    }
    return render(request, template, frame | context)


def moment(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)


def download(told: dict[str, Any], name: str) -> HttpResponse:
    rows = cost_view.rows_of(told, name)
    if rows is None:
        raise Http404(f"there is no table {name}")
    headers = {"Content-Disposition": f'attachment; filename="costs-{name}-{told["daily"][-1]["date"]}.csv"'}
    return HttpResponse(csv_of(rows), content_type="text/csv; charset=utf-8", headers=headers)
