"""How each provider words its errors and names its request id."""

from typing import Literal

Vendor = Literal["anthropic", "voyage", "openai", "cohere"]
VENDORS: tuple[Vendor, ...] = ("anthropic", "voyage", "openai", "cohere")

REQUEST_ID_HEADERS: dict[Vendor, str] = {
    "anthropic": "request-id",
    "voyage": "request-id",
    "openai": "x-request-id",
    "cohere": "x-debug-trace-id",
}
ANTHROPIC_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
OPENAI_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}


class Refusal(Exception):
    """A request that the vendor would answer with an error. `code` is OpenAI's machine-readable reason."""

    def __init__(self, status: int, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


def vendor_of(path: str) -> Vendor:
    """By the first part of the path; Anthropic's shape for paths outside every vendor."""
    first = path.lstrip("/").partition("/")[0]
    return next((vendor for vendor in VENDORS if vendor == first), "anthropic")


def error_body(vendor: Vendor, refusal: Refusal, *, request_id: str) -> dict[str, object]:
    status, message = refusal.status, refusal.message
    if vendor == "anthropic":
        kind = ANTHROPIC_KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
    if vendor == "openai":
        kind = OPENAI_KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
        return {"error": {"message": message, "type": kind, "param": None, "code": refusal.code}}
    if vendor == "voyage":
        return {"detail": message}
    return {"id": request_id, "message": message}
