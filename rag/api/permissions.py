"""What an API key may do: its scopes. Signed-in staff may do everything that the API offers."""

from django.views import View
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from rag.models import ApiKey


class HasScope(BasePermission):
    """The view names its scope in `required_scope`."""

    def has_permission(self, request: Request, view: View) -> bool:
        if isinstance(request.auth, ApiKey):
            scope = getattr(view, "required_scope", "")
            self.message = f"this API key lacks the scope {scope!r}"
            return scope in request.auth.scopes
        return bool(request.user and request.user.is_authenticated)
