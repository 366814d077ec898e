"""The site with one more address, `/api/constant`: an authenticated view that returns a constant, as a yardstick."""

from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class ConstantView(APIView):
    required_scope = "ask"

    def post(self, request: Request) -> Response:
        return Response({"answer": "42"})


urlpatterns = [path("api/constant", ConstantView.as_view()), path("", include("ragsite.urls"))]
