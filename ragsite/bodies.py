"""How much may be sent: forms with files are stored while they are read, before anybody looks at who sends them."""

from collections.abc import Callable
from typing import TypeAlias

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse

GetResponse: TypeAlias = Callable[[HttpRequest], HttpResponseBase]

MIB = 1_048_576
FORM = 2 * MIB
"""for every form but that of an ingest, which members of staff alone may fill"""
PARTS = MIB
"""of an upload, what is not the files themselves"""


class BodyLimit:
    """Middleware, after the session's and before all that reads the body. A body without a length is not read at all."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.content_type == "multipart/form-data" and sent(request) > allowed(request):
            return HttpResponse("The request body is too large.", status=413, content_type="text/plain")
        return self._get_response(request)


def sent(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isdecimal() else 0


def allowed(request: HttpRequest) -> int:
    if request.path == reverse("admin:rag_ingestjob_add") and request.user.has_perm("rag.add_ingestjob"):
        return int(settings.INGEST_MAX_UPLOAD_MB) * MIB + PARTS
    return FORM
