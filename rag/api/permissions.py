"""What an API key may do: its scopes, and its corpora. What signed-in staff may do: as in the admin, by their permissions."""

from collections.abc import Mapping

from django.views import View
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from rag.models import ApiKey

STAFF_NEED: Mapping[str, str] = {
    "ask": "rag.ask_corpus",
    "read": "rag.view_corpus",
    "traces": "rag.view_tracesummary",
    "costs": "costs.view_ledgerentry",
    "prompts": "prompts.view_promptversion",
    "metrics": "rag.view_outage",
}
"""Scope, or part of one -> the permission that lets staff do the same."""


class HasScope(BasePermission):
    """The view names its scope in `required_scope`, and in `staff_scope` where staff need another one's permission."""

    def has_permission(self, request: Request, view: View) -> bool:
        if isinstance(request.auth, ApiKey):
            scope = getattr(view, "required_scope", "")
            self.message = f"this API key lacks the scope {scope!r}"
            return scope in request.auth.scopes
        if not (request.user and request.user.is_authenticated):
            return False
        needed = STAFF_NEED.get(getattr(view, "staff_scope", getattr(view, "required_scope", "")), "")
        self.message = f"you lack the permission {needed!r}"
        return request.user.has_perm(needed)


def may_pin(request: Request) -> bool:
    """Whether the caller chooses the prompt version that answers."""
    if isinstance(request.auth, ApiKey):
        return "prompts" in request.auth.scopes
    return request.user.has_perm(STAFF_NEED["prompts"])


def refuse_other_corpora(request: Request, corpus: str) -> None:
    """Raises PermissionDenied for a corpus that the key is not for, whether there is such a corpus or not."""
    key = request.auth
    if isinstance(key, ApiKey) and not key.may_use(corpus):
        raise PermissionDenied(f"this API key may not use the corpus {corpus!r}; it may use: {', '.join(key.corpora)}")


def corpora_of(request: Request) -> tuple[str, ...]:
    """Those that the caller is held to; none: all."""
    return tuple(request.auth.corpora) if isinstance(request.auth, ApiKey) else ()
