"""Rows for tests, each valid on its own."""

# factory-boy's declarations carry no types
# mypy: disable-error-code="no-untyped-call"

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from factory.declarations import LazyAttribute, LazyFunction, SelfAttribute, Sequence, SubFactory
from factory.django import DjangoModelFactory

from rag import clock
from rag.models import (
    ApiKey,
    Chunk,
    ChunkSet,
    Corpus,
    CorpusVersion,
    Document,
    IngestJob,
    Outage,
    TraceSummary,
    VectorIndex,
)
from rag.values import sha256


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User

    username = Sequence(lambda n: f"user-{n}")


class StaffFactory(UserFactory):
    """May enter the admin; what else they may do is up to the test."""

    is_staff = True


class CorpusFactory(DjangoModelFactory[Corpus]):
    class Meta:
        model = Corpus

    slug = Sequence(lambda n: f"corpus-{n}")


class CorpusVersionFactory(DjangoModelFactory[CorpusVersion]):
    """A ready version; give `state` for another."""

    class Meta:
        model = CorpusVersion

    corpus = SubFactory(CorpusFactory)
    number = Sequence(lambda n: n + 1)
    state = CorpusVersion.State.READY
    builder = "host:1"
    heartbeat_at = LazyFunction(clock.now)
    finished_at = LazyFunction(clock.now)


class DocumentFactory(DjangoModelFactory[Document]):
    class Meta:
        model = Document

    version = SubFactory(CorpusVersionFactory)
    source = Sequence(lambda n: f"handbook/page-{n}")
    title = "A page"
    markup = "markdown"
    text = "Leave lapses on 31 March."
    sha256 = LazyAttribute(lambda row: sha256(row.text))


class ChunkSetFactory(DjangoModelFactory[ChunkSet]):
    class Meta:
        model = ChunkSet

    version = SubFactory(CorpusVersionFactory)
    chunker = "structural"
    size = 1800
    overlap = 0
    count = 1


class ChunkFactory(DjangoModelFactory[Chunk]):
    """A chunk that is the whole of its document."""

    class Meta:
        model = Chunk

    chunk_set = SubFactory(ChunkSetFactory)
    document = SubFactory(DocumentFactory, version=SelfAttribute("..chunk_set.version"))
    position = Sequence(lambda n: n)
    key = LazyAttribute(lambda row: f"{row.document.source}/top#0")
    heading = "Leave > Carrying over"
    text = LazyAttribute(lambda row: row.document.text)
    start = 0
    end = LazyAttribute(lambda row: len(row.text))
    sha256 = LazyAttribute(lambda row: sha256(row.text))


class VectorIndexFactory(DjangoModelFactory[VectorIndex]):
    class Meta:
        model = VectorIndex

    chunk_set = SubFactory(ChunkSetFactory)
    provider = "voyage"
    model = "voyage-3.5"
    dimensions = 1024
    provider_mode = "simulated"
    collection = Sequence(lambda n: f"collection-{n}")
    count = 1


class IngestJobFactory(DjangoModelFactory[IngestJob]):
    class Meta:
        model = IngestJob

    corpus_slug = "handbook"
    asked_by = SubFactory(StaffFactory)


class ApiKeyFactory(DjangoModelFactory[ApiKey]):
    class Meta:
        model = ApiKey

    name = Sequence(lambda n: f"client {n}")
    scopes = LazyFunction(lambda: ["ask"])
    owner = SubFactory(UserFactory)

    @classmethod
    def _build(cls, model_class: type[ApiKey], *args: Any, **kwargs: Any) -> ApiKey:
        key = model_class(*args, **kwargs)
        key.make_secret()
        return key

    @classmethod
    def _create(cls, model_class: type[ApiKey], *args: Any, **kwargs: Any) -> ApiKey:
        key = cls._build(model_class, *args, **kwargs)
        key.save()
        return key


class TraceSummaryFactory(DjangoModelFactory[TraceSummary]):
    class Meta:
        model = TraceSummary

    trace_id = Sequence(lambda n: f"{n:032x}")
    timestamp = Sequence(lambda n: clock.now() - timedelta(hours=1) + timedelta(seconds=n))
    kind = "ask"
    status = 200
    query = "When does leave lapse?"
    module = "m6-production"
    provider_mode = "simulated"
    answered = True
    cost_usd = Decimal("0.00123")


class OutageFactory(DjangoModelFactory[Outage]):
    """One that lasted 73 seconds; give `ended_at` None for one that lasts."""

    class Meta:
        model = Outage

    provider = "anthropic"
    started_at = LazyFunction(lambda: clock.now() - timedelta(minutes=10))
    last_failure_at = LazyAttribute(lambda outage: outage.started_at + timedelta(seconds=70))
    ended_at = LazyAttribute(lambda outage: outage.started_at + timedelta(seconds=73))
    failures = 4
    reason = "provider_busy"
    first_trace_id = Sequence(lambda n: f"{n:032x}")
