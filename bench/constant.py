"""The site with two more addresses, as yardsticks: views that return a constant, to those with a key and to everybody."""

from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class ConstantView(APIView):
    required_scope = "ask"

    def post(self, request: Request) -> Response:
        return Response({"answer": "42"})


class BareView(ConstantView):
    """By what it takes the speeds of two machines are compared."""

    authentication_classes = ()
    permission_classes = ()


urlpatterns = [
    path("api/constant", ConstantView.as_view()),
    path("api/bare", BareView.as_view()),
    path("", include("ragsite.urls")),
]
