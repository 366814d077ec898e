"""The public verification pages. No login, no cookie, nothing from elsewhere; nothing but manifests is shown."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from completion.certificates import published
from completion.examining import CannotExamine, examine_apart
from completion.figures import SIMULATED, simulated
from completion.registry import TOLD, Standing, State, hash_of_number, judged, standing_of
from completion.telling import (
    as_markdown,
    checked_as_json,
    facts,
    hashes,
    intervals,
    manifest_of,
    standing_as_json,
    table,
)
from completion.throttling import View, place, throttled

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
FRESH_S = 60
"""how long a revocation may stay unseen in caches"""
UNKNOWN_S = 30
CERTIFICATE_S = 3_600
MAX_UPLOAD = 1_500_000
NO_FILE = "Send one PDF file in the field `file`."
TOO_LARGE = "The file is larger than 1.5 MB: no artifact is."
BUSY = "Other files are being checked right now: try again in a few seconds."
NONE_YET = "No artifact was issued here yet, so there is no certificate.\n"


def public(seconds: int) -> Callable[[View], View]:
    """Cacheable by everybody for so long."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            response = view(request, *args, **kwargs)
            response.headers.setdefault("Cache-Control", f"public, max-age={seconds}")
            response.headers["Content-Security-Policy"] = POLICY
            response.headers["Referrer-Policy"] = "no-referrer"
            return response

        return wrapped

    return decorate


@require_safe
@throttled("verify", "VERIFY_RATE")
@public(FRESH_S)
def start(request: HttpRequest) -> HttpResponse:
    """Where a file is dropped whose hash nobody has."""
    return page(request, {"title": "Verify an artifact"})


@require_safe
@throttled("verify", "VERIFY_RATE")
@public(FRESH_S)
def artifact(request: HttpRequest, sha256: str) -> HttpResponse:
    standing = standing_of(sha256)
    return unknown_for_now(page(request, context_of(standing), status=status_of(standing)), standing)


@require_safe
@throttled("verify", "VERIFY_RATE")
@public(FRESH_S)
def artifact_json(request: HttpRequest, sha256: str) -> HttpResponse:
    standing = standing_of(sha256)
    response = JsonResponse(standing_as_json(standing), status=status_of(standing))
    response.headers["Access-Control-Allow-Origin"] = "*"
    return unknown_for_now(response, standing)


@require_safe
@throttled("verify", "VERIFY_RATE")
@public(FRESH_S)
def artifact_markdown(request: HttpRequest, sha256: str) -> HttpResponse:
    standing = standing_of(sha256)
    if standing.artifact is None or standing.state is not State.VALID:
        text, status = TOLD[standing.state] + "\n", 410 if standing.artifact else 404
    else:
        text, status = as_markdown(manifest_of(standing.artifact), sha256=sha256), 200
    return unknown_for_now(HttpResponse(text, content_type="text/markdown; charset=utf-8", status=status), standing)


@require_safe
@throttled("verify", "VERIFY_RATE")
@public(FRESH_S)
def by_number(request: HttpRequest, number: str) -> HttpResponse:
    """The address that is printed: on to the page of the file's hash."""
    sha256 = hash_of_number(number)
    if sha256:
        return HttpResponseRedirect(reverse("verify-artifact", args=[sha256]))
    response = page(
        request, {"title": "Unknown", "state": "unknown", "told": "No artifact has this number."}, status=404
    )
    response.headers["Cache-Control"] = f"public, max-age={UNKNOWN_S}"
    return response


@require_safe
@throttled("verify", "VERIFY_RATE")
@public(CERTIFICATE_S)
def certificate(request: HttpRequest) -> HttpResponse:
    """All that ever signed, the newest first."""
    pem = published()
    if not pem:
        headers = {"Cache-Control": f"public, max-age={UNKNOWN_S}"}
        return HttpResponse(NONE_YET, status=404, content_type="text/plain; charset=utf-8", headers=headers)
    return HttpResponse(pem, content_type="application/x-pem-file")


@csrf_exempt  # it changes nothing, and the page that sends it is cached for everybody
@require_POST
@throttled("verify-upload", "VERIFY_UPLOAD_RATE")
@public(0)
def check(request: HttpRequest) -> HttpResponse:
    """The whole check of a file that a visitor sends: nothing of it is kept."""
    file = request.FILES.get("file")
    if file is None or not file.size:
        return refused(request, 400, NO_FILE)
    if file.size > MAX_UPLOAD:
        return refused(request, 413, TOO_LARGE)
    pem = published()
    if not pem:
        return refused(request, 404, NONE_YET)
    with place() as taken:
        if not taken:
            return refused(request, 503, BUSY)
        try:
            checked = judged(examine_apart(file.read(), pem))
        except CannotExamine as error:
            return refused(request, 422, str(error))
    told = checked_as_json(checked)
    if wants_json(request):
        return unkept(JsonResponse(told))
    context = {"title": "The file was checked", "checked": told, "good": checked.good}
    return unkept(page(request, context | context_of(checked.standing, title=False)))


def refused(request: HttpRequest, status: int, text: str) -> HttpResponse:
    if wants_json(request):
        response: HttpResponse = JsonResponse({"problem": text}, status=status)
    else:
        response = page(request, {"title": "Not checked", "problem": text}, status=status)
    if status == 503:
        response.headers["Retry-After"] = "5"
    return unkept(response)


def unkept(response: HttpResponse) -> HttpResponse:
    response.headers["Cache-Control"] = "no-store"
    return response


def wants_json(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "")


def status_of(standing: Standing) -> int:
    return 404 if standing.state is State.UNKNOWN else 200


def unknown_for_now(response: HttpResponse, standing: Standing) -> HttpResponse:
    """What is unknown may be issued in a moment."""
    if standing.state is State.UNKNOWN:
        response.headers["Cache-Control"] = f"public, max-age={UNKNOWN_S}"
    return response


def context_of(standing: Standing, *, title: bool = True) -> dict[str, Any]:
    context: dict[str, Any] = {
        "state": standing.state.value,
        "told": TOLD[standing.state],
        "sha256": standing.sha256,
        "revocation": standing.revocation,
    }
    if standing.artifact:
        manifest = manifest_of(standing.artifact)
        head, *rows = table(manifest)
        context |= {
            "manifest": manifest,
            "facts": facts(manifest),
            "hashes": hashes(manifest),
            "head": head,
            "rows": rows,
            "intervals": intervals(manifest),
            "simulated": SIMULATED if simulated(manifest) else "",
        }
    if title:
        name = context["manifest"]["name"] if standing.artifact else "unknown"
        context["title"] = f"{name}: {standing.state.value}" if standing.artifact else "Unknown"
    return context


def page(request: HttpRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
    return render(request, "verify/page.html", context | {"max_upload": MAX_UPLOAD}, status=status)
