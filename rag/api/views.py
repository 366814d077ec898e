"""The API: parse, one domain call, present."""

from functools import cache
from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from rag import ask, trace_reading
from rag.api import schema  # noqa: F401 - registers the authentication schemes
from rag.api.errors import CONTENT_TYPE as PROBLEM_TYPE
from rag.api.permissions import corpora_of, may_pin, refuse_other_corpora
from rag.api.serializers import (
    AnswerSerializer,
    AskSerializer,
    CorpusSerializer,
    EventSerializer,
    ProblemSerializer,
    StatsQuerySerializer,
)
from rag.api.streams import CONTENT_TYPE, EventStreamRenderer, streamed_answer
from rag.api.throttles import AskThrottle, ReadThrottle
from rag.corpus_list import corpus_list
from rag.models import ApiKey
from rag.presenting import answer_body
from rag.stats import stats
from rag.trace import new_trace_id
from rag.values import Caller

EVENTS = OpenApiResponse(
    EventSerializer,
    description="with `stream`: the events meta, sources, delta*, then done (this very answer) or error",
)
PROBLEM = OpenApiResponse(ProblemSerializer, description="a problem document")


def problems(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    return {(status, PROBLEM_TYPE): PROBLEM for status in statuses}


class AskView(APIView):
    """Every request that reaches this view leaves a trace, refused ones too."""

    required_scope = "ask"
    throttle_classes = [AskThrottle]
    renderer_classes = [JSONRenderer, EventStreamRenderer]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.trace_id = new_trace_id()
        self.traced = False
        super().initial(request, *args, **kwargs)

    @extend_schema(
        operation_id="ask",
        request=AskSerializer,
        responses={
            (200, "application/json"): AnswerSerializer,
            (200, CONTENT_TYPE): EVENTS,
            **problems(400, 401, 402, 403, 404, 409, 415, 429, 503),
        },
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Answer a question from the documents of a corpus, with citations."""
        question, stream = form().asked(request.data, anew=asks_anew(request))
        if question.prompt_version is not None and not may_pin(request):
            raise PermissionDenied(
                "`prompt_version` needs the scope 'prompts' of a key, or the permission to see prompts"
            )
        refuse_other_corpora(request, question.corpus)
        self.traced = True
        traceparent = request.headers.get("traceparent", "")
        if stream:
            return streamed_answer(
                question=question, caller=caller_of(request), trace_id=self.trace_id, traceparent=traceparent
            )
        answered = ask.ask(
            question=question, caller=caller_of(request), trace_id=self.trace_id, traceparent=traceparent
        )
        return Response(answer_body(answered), content_type="application/json")

    def note_refusal(self, problem: dict[str, Any]) -> None:
        """Trace what never became a question. What a stranger sent is not kept."""
        if self.traced:
            return
        self.traced = True
        caller = caller_of(self.request)
        known = caller != Caller()
        ask.refuse(
            query=question_text(self.request) if known and problem["status"] == 400 else "",
            caller=caller,
            trace_id=self.trace_id,
            status=problem["status"],
            error={"code": problem["code"], "message": problem["detail"]},
        )


@cache
def form() -> AskSerializer:
    return AskSerializer()


class TraceView(APIView):
    required_scope = "read"
    staff_scope = "traces"
    throttle_classes = [ReadThrottle]

    @extend_schema(operation_id="trace", responses={200: dict[str, Any], **problems(401, 403, 404, 429)})
    def get(self, request: Request, trace_id: str) -> Response:
        """The whole trace of one request, as it was written."""
        line = trace_reading.find_line(trace_id)
        if line is None or not may_read(request, line):
            raise NotFound(f"there is no trace {trace_id}")
        return Response(line)


class CorporaView(APIView):
    required_scope = "read"
    throttle_classes = [ReadThrottle]

    @extend_schema(operation_id="corpora", responses={200: CorpusSerializer(many=True), **problems(401, 403, 429)})
    def get(self, request: Request) -> Response:
        """The corpora that can be asked, with their active versions."""
        return Response(corpus_list(corpora_of(request)))


class StatsView(APIView):
    required_scope = "costs"
    throttle_classes = [ReadThrottle]

    @extend_schema(
        operation_id="stats",
        parameters=[StatsQuerySerializer],
        responses={200: dict[str, Any], **problems(400, 401, 403, 429)},
    )
    def get(self, request: Request) -> Response:
        """What questions cost in a span of time (default: the last 24 hours), and what the caches saved."""
        query = StatsQuerySerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        return Response(stats(**query.save(), corpora=corpora_of(request)))


def caller_of(request: Request) -> Caller:
    """Who asks, as far as authentication got; a refused credential is nobody."""
    key = getattr(request, "_auth", None)
    user = getattr(request, "_user", None)
    return Caller(
        api_key_id=key.pk if isinstance(key, ApiKey) else None,
        user_id=user.pk if user is not None and user.is_authenticated else None,
    )


def asks_anew(request: Request) -> bool:
    """Whether the client wants no kept answer (RFC 9111, section 5.2.1.4)."""
    wishes = request.headers.get("Cache-Control", "").lower().split(",")
    return "no-cache" in (wish.strip() for wish in wishes)


def may_read(request: Request, line: dict[str, Any]) -> bool:
    """A key reads the traces of its own questions, while it may use their corpus; staff read all."""
    key = request.auth
    return not isinstance(key, ApiKey) or (line["api_key_id"] == key.pk and key.may_use(line["corpus"] or ""))


def question_text(request: Request) -> str:
    """The question of a refused body, as far as it can be told, cut to what a question may have."""
    data = getattr(request, "_data", None)
    question = data.get("question") if isinstance(data, dict) else None
    return question[: ask.LONGEST_QUESTION] if isinstance(question, str) else ""
