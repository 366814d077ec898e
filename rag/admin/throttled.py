"""Pages that call for data while somebody types: so many requests a minute and person."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from rag.errors import ProviderError, RagError

View = Callable[..., HttpResponse]
PROVIDER_AWAY = "A provider that this needs is not available now."


class PersonThrottle(SimpleRateThrottle):
    def __init__(self, *, scope: str, rate: str) -> None:
        self.scope, self.rate = scope, rate
        super().__init__()

    def get_cache_key(self, request: Any, view: APIView) -> str:
        return f"throttle:{self.scope}:user:{request.user.pk}"


def answers_json(scope: str, rate: str) -> Callable[[View], View]:
    """For views that answer POST requests of our own scripts with JSON; what goes wrong is told as `problem`."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(model_admin: Any, request: HttpRequest, **kwargs: Any) -> HttpResponse:
            if request.method != "POST":
                return problem(405, "This address is for the scripts of the page.")
            throttle = PersonThrottle(scope=scope, rate=rate)
            if not throttle.allow_request(cast(Any, request), cast(Any, None)):
                return problem(429, f"Too many requests at once: at most {rate.replace('/', ' a ')}. Wait a moment.")
            try:
                return view(model_admin, request, **kwargs)
            except ProviderError as error:
                return problem(error.status, f"{PROVIDER_AWAY} ({error.code})")
            except RagError as error:
                return problem(error.status, f"{error}")

        return wrapped

    return decorate


def problem(status: int, text: str) -> JsonResponse:
    return JsonResponse({"problem": text}, status=status)
