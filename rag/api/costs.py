"""The cost page's figures for programs: `/admin/costs.json`."""

from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from rag.api.throttles import ReadThrottle
from rag.cost_choice import CostChoice
from rag.cost_report import report
from rag.models import ApiKey


class CostsView(APIView):
    """For an API key with the scope `costs`, or the session of staff who may see the ledger."""

    required_scope = "costs"
    throttle_classes = [ReadThrottle]
    schema = None  # an address of the admin: /api/stats is the one for clients

    def get(self, request: Request) -> Response:
        if not isinstance(request.auth, ApiKey) and not request.user.has_perm("costs.view_ledgerentry"):
            raise PermissionDenied("you may not see the ledger")
        choice = CostChoice(request.query_params)
        if not choice.is_valid():
            raise ValidationError({name: [str(each) for each in told] for name, told in choice.errors.items()})
        return Response(report(**choice.asked()))
