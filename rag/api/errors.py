"""Every error of the API in one shape: RFC 9457 problem details with `code` and `trace_id`."""

import logging
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import Error as DatabaseUnavailable
from django.http import Http404, HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.response import Response

from rag.errors import BudgetExceeded, ProviderError, RagError
from rag.trace import new_trace_id
from rag.values import storable

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 10
PLAIN = {
    400: ("bad_request", "The request cannot be served"),
    401: ("unauthenticated", "No valid credentials"),
    403: ("forbidden", "Not allowed"),
    404: ("not_found", "Not found"),
    405: ("method_not_allowed", "Method not allowed"),
    406: ("not_acceptable", "Not acceptable"),
    413: ("too_large", "The request body is too large"),
    415: ("unsupported_media_type", "Unsupported media type"),
    429: ("throttled", "Too many requests"),
}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """The problem document for anything that a view raised. Unknown errors become a plain 500, told in the log."""
    view = context["view"]
    trace_id = getattr(view, "trace_id", None) or new_trace_id()
    problem, headers = problem_told(error, trace_id)
    note_refusal = getattr(view, "note_refusal", None)
    try:
        if note_refusal is not None:
            note_refusal(problem)
    except RagError as failure:  # the trace could not be written: that is the news
        problem, headers = problem_of(failure, trace_id)
    return Response(problem, status=problem["status"], headers=headers, content_type=CONTENT_TYPE)


def problem_told(error: Exception, trace_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The problem document and its headers, with a word to the log."""
    problem, headers = problem_of(error, trace_id)
    log.info("problem", extra={"trace_id": trace_id, "status": problem["status"], "code": problem["code"]})
    if problem["status"] >= 500 and not isinstance(error, RagError):
        log.error("unexpected error", exc_info=error, extra={"trace_id": trace_id})
    return problem, headers


def problem_of(error: Exception, trace_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The document and the headers that go with it."""
    if isinstance(error, ProviderError):
        wait = str(max(1, round(error.retry_after_s or RETRY_AFTER_S)))
        detail = "A provider that answers depend on is not available. Service unavailable, please try again."
        return problem(error.status, error.code, error.title, detail, trace_id), {"Retry-After": wait}
    if isinstance(error, BudgetExceeded):
        told = problem(error.status, error.code, error.title, str(error), trace_id)
        return told | {"resets_at": timezone.localtime(error.resets_at).isoformat()}, {}
    if isinstance(error, RagError):
        headers = {"Retry-After": str(RETRY_AFTER_S)} if error.status == 503 else {}
        return problem(error.status, error.code, error.title, str(error), trace_id), headers
    if isinstance(error, RequestDataTooBig):
        return problem(413, *PLAIN[413], "the request body is larger than 1 MB", trace_id), {}
    if isinstance(error, DatabaseUnavailable):
        detail = "The database is not available. Service unavailable, please try again."
        return problem(503, "database_unavailable", "Service unavailable", detail, trace_id), {"Retry-After": "10"}
    if isinstance(error, Http404):
        return problem(404, *PLAIN[404], "there is nothing at this address", trace_id), {}
    if isinstance(error, exceptions.APIException):
        return api_problem(error, trace_id)
    return problem(500, RagError.code, RagError.title, "An unexpected error; it was logged.", trace_id), {}


def api_problem(error: exceptions.APIException, trace_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    code, title = PLAIN.get(error.status_code, ("error", "Error"))
    headers = {}
    challenge = getattr(error, "auth_header", None)
    if challenge:
        headers["WWW-Authenticate"] = challenge
    wait = getattr(error, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(int(wait) + 1)
    if isinstance(error, exceptions.ValidationError):
        fields = field_errors(error.detail)
        detail = "; ".join(f"{field['field']}: {field['message']}" for field in fields)
        return problem(400, code, title, detail, trace_id) | {"errors": fields}, headers
    return problem(error.status_code, code, title, str(error.detail), trace_id), headers


def field_errors(detail: Any) -> list[dict[str, str]]:
    if not isinstance(detail, dict):
        return [{"field": "body", "message": storable(str(message))} for message in detail]
    return [
        {"field": storable(field), "message": storable(str(message))}
        for field, messages in detail.items()
        for message in (messages if isinstance(messages, list) else [messages])
    ]


def problem(status_code: int, code: str, title: str, detail: str, trace_id: str) -> dict[str, Any]:
    return {
        "type": f"urn:ragsite:problem:{code}",
        "title": title,
        "status": status_code,
        "detail": storable(detail),
        "code": code,
        "trace_id": trace_id,
    }


@csrf_exempt
def nothing_here(request: HttpRequest) -> JsonResponse:
    """For unknown addresses below /api/: a problem document, not a page."""
    body = problem(404, *PLAIN[404], f"there is nothing at {request.path}", new_trace_id())
    return JsonResponse(body, status=404, content_type=CONTENT_TYPE)
