"""What the OpenAPI schema says about our ways to authenticate, and of the question's body; imported by `rag.api.views`."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "rag.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "an API key: `Authorization: Bearer rk_...`"}


class StaffSessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "rag.api.authentication.StaffSessionAuthentication"
    name = "staffSession"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "the session of a member of staff",
        }


NO_CONTROL_CHARACTERS = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$"


def closed_bodies(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Says what `AskSerializer` does and its fields cannot tell: no field is made up, no control character is asked."""
    for name, schema in result["components"]["schemas"].items():
        if name in ("Ask", "AskRequest"):
            schema["additionalProperties"] = False
            schema["properties"]["question"] |= {"minLength": 1, "pattern": NO_CONTROL_CHARACTERS}
    return result
