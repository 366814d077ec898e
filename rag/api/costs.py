"""The cost page's figures for programs: `/admin/costs.json`."""

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from rag.api.permissions import corpora_of, refuse_other_corpora
from rag.api.throttles import ReadThrottle
from rag.cost_choice import CostChoice
from rag.cost_report import report


class CostsView(APIView):
    """For an API key with the scope `costs`, or the session of staff who may see the ledger.

    A key that is held to some corpora has to name one of them, and is not told the budget of the whole service.
    """

    required_scope = "costs"
    throttle_classes = [ReadThrottle]
    schema = None  # an address of the admin: /api/stats is the one for clients

    def get(self, request: Request) -> Response:
        choice = CostChoice(request.query_params)
        if not choice.is_valid():
            raise ValidationError({name: [str(each) for each in told] for name, told in choice.errors.items()})
        asked = choice.asked()
        held_to = corpora_of(request)
        if held_to:
            refuse_other_corpora(request, asked["corpus"] or "")
        told = report(**asked)
        return Response(told | {"budget": None} if held_to else told)
