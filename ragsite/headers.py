"""What a browser may do with our pages: a Content-Security-Policy by the kind of page, and the headers beside it.

There are no nonces and no exceptions by page, so each policy is one fixed text.
"""

from collections.abc import Callable
from typing import TypeAlias

from django.http import HttpRequest
from django.http.response import HttpResponseBase

GetResponse: TypeAlias = Callable[[HttpRequest], HttpResponseBase]

CSP = "Content-Security-Policy"
SELF, NONE = "'self'", "'none'"
STRICT = {
    "default-src": SELF,
    "img-src": f"{SELF} data:",
    "object-src": NONE,
    "base-uri": NONE,
    "form-action": SELF,
    "frame-ancestors": NONE,
}
"""Nothing from elsewhere, nothing inline: what documents, models and strangers wrote cannot run or call out."""
ADMIN = STRICT | {
    "script-src": f"{SELF} 'unsafe-eval'",  # Alpine, as unfold ships it, compiles the attributes of the templates
    "style-src": f"{SELF} 'unsafe-inline'",  # unfold writes its colours into the page; bars are as wide as their figure
}
FRAMED = ADMIN | {"frame-ancestors": SELF}
DOCS = STRICT | {"style-src": f"{SELF} 'unsafe-inline'"}
"""Swagger UI brings its styles along in its script and its page."""
DATA = {"default-src": NONE, "base-uri": NONE, "form-action": NONE, "frame-ancestors": NONE}
"""For what is no page."""
PERMISSIONS = ", ".join(
    f"{name}=()"
    for name in (
        *("accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "hid", "magnetometer"),
        *("microphone", "midi", "payment", "serial", "usb", "browsing-topics"),
    )
)


def written(policy: dict[str, str]) -> str:
    return "; ".join(f"{directive} {sources}" for directive, sources in policy.items())


BY_PATH = (
    ("/admin/drill/", written(FRAMED)),
    ("/admin/", written(ADMIN)),
    ("/api/docs", written(DOCS)),
    ("/api/", written(DATA)),
    ("/static/", ""),
    ("/", written(STRICT)),
)
"""The first that a path begins with counts."""


class Headers:
    """Middleware. A header that a view has set stays."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        policy = next(policy for prefix, policy in BY_PATH if request.path_info.startswith(prefix))
        if policy:
            response.headers.setdefault(CSP, policy)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        if request.path_info.startswith("/api/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response
