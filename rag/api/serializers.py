"""The shapes of the API, in and out. The OpenAPI schema is made from these."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from rest_framework import serializers

from rag import clock
from rag.ask import LONGEST_QUESTION, check_question
from rag.errors import QuestionRefused
from rag.modules import AUTO, TRANSFORMS
from rag.values import Question

PLAIN = frozenset({"question", "corpus", "module"})
NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
DEFAULTS: Mapping[str, Any] = {"session": False, "stream": False}


class AskSerializer(serializers.Serializer[Question]):
    question = serializers.CharField(trim_whitespace=False, max_length=LONGEST_QUESTION, allow_blank=True)
    corpus = serializers.CharField(required=False, max_length=40, help_text="default: the service's default corpus")
    module = serializers.CharField(required=False, max_length=40, help_text="`m6-production`, or short: `m6`")
    transform = serializers.ChoiceField(choices=(*TRANSFORMS, AUTO), required=False)
    top_k = serializers.IntegerField(required=False, min_value=1, max_value=20, help_text="sources sent to the model")
    session = serializers.BooleanField(required=False, default=False, help_text="begin a conversation")
    session_id = serializers.RegexField(r"^[0-9a-f]{32}\Z", required=False, help_text="continue this conversation")
    prompt_version = serializers.RegexField(
        r"^v[1-9][0-9]{0,6}\Z", required=False, help_text="answer with this version; needs the scope `prompts`"
    )
    stream = serializers.BooleanField(required=False, default=False, help_text="answer as server-sent events")

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                known = ", ".join(self.fields)
                raise serializers.ValidationError({name: [f"unknown field; known: {known}"] for name in unknown})
            wrong = [name for name, value in data.items() if not is_of(self.fields[name], value)]
            if wrong:
                raise serializers.ValidationError({name: [f"must be {told_type(self.fields[name])}"] for name in wrong})
        return super().to_internal_value(data)

    def validate_question(self, value: str) -> str:
        try:
            check_question(value)
        except QuestionRefused as error:
            raise serializers.ValidationError(str(error)) from error
        return value

    def asked(self, data: Any, *, anew: bool) -> tuple[Question, bool]:
        """The question that a body asks, and whether the answer is to be streamed. Raises ValidationError.

        It changes nothing in the form, so that one serves all requests: making one takes longer than validating with it.
        """
        validated_data = {**DEFAULTS, **data} if needs_no_form(data) else self.run_validation(data)
        question = Question(
            text=validated_data["question"],
            corpus=validated_data.get("corpus") or settings.DEFAULT_CORPUS,
            module=validated_data.get("module") or settings.DEFAULT_MODULE,
            transform=validated_data.get("transform"),
            top_k=validated_data.get("top_k"),
            anew=anew,
            session_id=validated_data.get("session_id"),
            opens_session=validated_data["session"] and "session_id" not in validated_data,
            prompt_version=validated_data.get("prompt_version"),
        )
        return question, validated_data["stream"]


def needs_no_form(data: Any) -> bool:
    """Whether it is such a body as most are, of which the fields would say nothing: a question, and names as they should be."""
    if type(data) is not dict or not {"question"} <= data.keys() <= PLAIN:
        return False
    if not all(isinstance(value, str) for value in data.values()):
        return False
    try:
        check_question(data["question"])
    except QuestionRefused:
        return False
    return all(NAME.fullmatch(value) for name, value in data.items() if name != "question")


def told_type(field: serializers.Field[Any, Any, Any, Any]) -> str:
    if isinstance(field, serializers.BooleanField):
        return "true or false"
    return "a whole number" if isinstance(field, serializers.IntegerField) else "a string"


def is_of(field: serializers.Field[Any, Any, Any, Any], value: Any) -> bool:
    """Whether it is of the type that the schema says: the fields themselves would take "yes" and 5 for others."""
    if isinstance(field, serializers.BooleanField):
        return value is None or isinstance(value, bool)
    if isinstance(field, serializers.IntegerField):
        return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    return value is None or isinstance(value, str)


class SourceSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    title = serializers.CharField()
    heading = serializers.CharField()
    url = serializers.CharField(allow_null=True, help_text="where the document can be read")
    text = serializers.CharField()
    score = serializers.FloatField()


class KeptAnswerSerializer(serializers.Serializer[Any]):
    trace_id = serializers.CharField(help_text="the request that made the answer")
    age_s = serializers.IntegerField()


class CacheSerializer(serializers.Serializer[Any]):
    answer = serializers.CharField(
        help_text="off, bypass, miss, hit, or stale: an older answer, because no new one could be had"
    )
    prompt = serializers.CharField(help_text="off, write or read")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return super().get_fields() | {"from": KeptAnswerSerializer(allow_null=True)}


class AnswerSerializer(serializers.Serializer[Any]):
    answer = serializers.CharField()
    answered = serializers.BooleanField(help_text="false: the sources do not hold the answer")
    sources = SourceSerializer(many=True)
    citations = serializers.ListField(child=serializers.CharField(), help_text="ids of sources, in order of first use")
    trace_id = serializers.CharField()
    module = serializers.CharField()
    transform = serializers.CharField()
    prompt_version = serializers.CharField()
    corpus = serializers.CharField()
    corpus_version = serializers.CharField()
    session_id = serializers.CharField(allow_null=True, help_text="send it with the next question of the conversation")
    turn = serializers.IntegerField(allow_null=True)
    model = serializers.CharField()
    cache = CacheSerializer()
    degraded = serializers.ListField(child=serializers.CharField())
    cost_usd = serializers.FloatField(allow_null=True, help_text="null: a model without a known price was used")
    avoided_usd = serializers.FloatField(help_text="what the answer cost when it was made, if it came from the cache")
    latencies_ms = serializers.DictField(child=serializers.FloatField(allow_null=True))
    provider_mode = serializers.CharField(help_text="live or simulated")


class EventSerializer(serializers.Serializer[Any]):
    """One of the server-sent events."""

    event = serializers.ChoiceField(choices=("meta", "sources", "delta", "done", "error"))

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        told = "JSON: of `done` this very answer, of `error` a problem document"
        return super().get_fields() | {"data": serializers.CharField(help_text=told)}


class StatsQuerySerializer(serializers.Serializer[dict[str, Any]]):
    since = serializers.DateTimeField(required=False, help_text="default: 24 hours before `until`")
    until = serializers.DateTimeField(required=False, help_text="default: now; not included")
    provider_mode = serializers.ChoiceField(choices=("live", "simulated"), required=False, help_text="default: today's")

    def create(self, validated_data: dict[str, Any]) -> dict[str, Any]:
        until = validated_data.get("until") or clock.now()
        return {
            "since": validated_data.get("since") or until - timedelta(hours=24),
            "until": until,
            "provider_mode": validated_data.get("provider_mode") or settings.PROVIDERS["anthropic"]["mode"],
        }


class ProblemSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    trace_id = serializers.CharField()
    resets_at = serializers.DateTimeField(required=False, help_text="of 402: when there will be money again")


class CorpusSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    version = serializers.CharField(allow_null=True, help_text="the active version; null before the first ingest")
    documents = serializers.IntegerField()
    chunks = serializers.DictField(child=serializers.IntegerField(), help_text="number of chunks by chunker")
    activated_at = serializers.DateTimeField(allow_null=True)
