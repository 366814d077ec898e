"""`/metrics`, for Prometheus."""

from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from rest_framework.exceptions import PermissionDenied
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from rag.api.permissions import corpora_of
from rag.api.throttles import ReadThrottle
from rag.metrics_page import page


class AnyRenderer(JSONRenderer):
    """For refusals. Which format the page has is chosen by the library, from the same `Accept`."""

    media_type = "*/*"


@method_decorator(never_cache, name="dispatch")
class MetricsView(APIView):
    """For an API key with the scope `metrics`, or the session of staff who may see outages."""

    required_scope = "metrics"
    throttle_classes = [ReadThrottle]
    renderer_classes = [AnyRenderer]
    schema = None  # its format is Prometheus's

    def get(self, request: Request) -> HttpResponse:
        if corpora_of(request):
            raise PermissionDenied(
                "the metrics are of the whole service, and this API key is for some corpora: use one without corpora"
            )
        body, content_type = page(request.headers.get("Accept", ""))
        return HttpResponse(body, content_type=content_type)
