"""Rows: API keys, summaries of traces, outages, conversations; those of documents and roll-ups have modules of their own."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import models

from rag.corpus_models import (
    Chunk,
    ChunkSet,
    Corpus,
    CorpusActivation,
    CorpusVersion,
    Document,
    IngestJob,
    ParentChunk,
    TurnsOfMeaning,
    VectorIndex,
    corpus_name,
)
from rag.rollup_models import LatencyRollup, Rollup, RollupState, Span

__all__ = [
    "ApiKey",
    "Chunk",
    "ChunkSet",
    "Corpus",
    "CorpusActivation",
    "CorpusVersion",
    "Document",
    "Forgetting",
    "IngestJob",
    "LatencyRollup",
    "Outage",
    "ParentChunk",
    "Rollup",
    "RollupState",
    "Session",
    "Span",
    "TraceSummary",
    "Turn",
    "TurnsOfMeaning",
    "VectorIndex",
    "corpus_name",
]


class ApiKey(models.Model):
    """A client's key. Only the SHA-256 of the secret is kept: 256 random bits need no slow hash."""

    SCOPES = ("ask", "read", "costs", "prompts", "metrics")

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    secret_sha256 = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=list)
    corpora = models.JSONField(default=list, blank=True, help_text="the only ones it may ask about; none: all")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} (rk_{self.prefix}_...)"

    def make_secret(self) -> str:
        """Give an unsaved key its secret and return the full key, which is never shown again."""
        secret = secrets.token_urlsafe(32)
        self.prefix = secrets.token_hex(4)
        self.secret_sha256 = hashlib.sha256(secret.encode()).hexdigest()
        return f"rk_{self.prefix}_{secret}"

    def matches(self, secret: str) -> bool:
        """Constant-time comparison with the stored hash."""
        return hmac.compare_digest(self.secret_sha256, hashlib.sha256(secret.encode()).hexdigest())

    def may_use(self, corpus: str) -> bool:
        """Whether the corpus of that name, or what was asked of it, is for this key."""
        return not self.corpora or corpus in self.corpora

    def refusal(self, now: datetime) -> str | None:
        """Why the key must not be used now, or None."""
        if self.revoked_at and self.revoked_at <= now:
            return "this API key was revoked"
        if self.expires_at and self.expires_at <= now:
            return "this API key has expired"
        return None

    def note_use(self, now: datetime) -> None:
        """Remember when the key was last used, to the minute: one write a minute, not one a request."""
        if self.last_used_at is None or now - self.last_used_at > timedelta(minutes=1):
            type(self).objects.filter(pk=self.pk).update(last_used_at=now)


class TraceSummary(models.Model):
    """What the dashboard and a person search by. The whole trace is the line in the file of `timestamp`'s UTC day."""

    trace_id = models.CharField(max_length=40, unique=True)
    timestamp = models.DateTimeField()
    kind = models.CharField(max_length=20)
    status = models.PositiveSmallIntegerField(help_text="HTTP status that the client got")
    error = models.CharField(max_length=60, blank=True, help_text="the problem's code")
    query = models.TextField()
    module = models.CharField(max_length=40, blank=True)
    transform = models.CharField(max_length=20, blank=True)
    corpus = models.CharField(max_length=40, blank=True)
    corpus_version = models.CharField(max_length=12, blank=True)
    prompt_version = models.CharField(max_length=20, blank=True)
    model = models.CharField(max_length=100, blank=True)
    provider_mode = models.CharField(max_length=10, blank=True)
    session_id = models.CharField(max_length=40, blank=True)
    api_key_id = models.BigIntegerField(null=True)
    user_id = models.BigIntegerField(null=True)
    answered = models.BooleanField(null=True)
    answer_cache = models.CharField(max_length=10, blank=True)
    degraded = models.JSONField(default=list)
    tokens_in = models.PositiveIntegerField(default=0)
    tokens_out = models.PositiveIntegerField(default=0)
    cache_read = models.PositiveIntegerField(default=0)
    cache_write_5m = models.PositiveIntegerField(default=0)
    cache_write_1h = models.PositiveIntegerField(default=0)
    cost_usd = models.DecimalField(max_digits=14, decimal_places=8, null=True)
    avoided_usd = models.DecimalField(max_digits=14, decimal_places=8, default=Decimal(0))
    prompt_saved_usd = models.DecimalField(
        max_digits=14,
        decimal_places=8,
        default=Decimal(0),
        help_text="by the prompt cache, less what writing to it cost",
    )
    embed_ms = models.FloatField(null=True)
    vector_ms = models.FloatField(null=True)
    bm25_ms = models.FloatField(null=True)
    rerank_ms = models.FloatField(null=True)
    generate_ms = models.FloatField(null=True)
    total_ms = models.FloatField(null=True)

    class Meta:
        verbose_name = "trace"
        indexes = [
            # the newest first, and a range of days
            models.Index(fields=["-timestamp"], name="trace_newest"),
            # what was asked of a prompt version that is no longer asked
            models.Index(fields=["prompt_version", "-timestamp"], name="trace_of_prompt"),
            # what was refused or failed in one way: a few among all
            models.Index(fields=["status", "-timestamp"], condition=~models.Q(status=200), name="trace_not_ok"),
        ]

    def __str__(self) -> str:
        return self.trace_id


class Outage(models.Model):
    """A stretch of time in which a provider failed what was asked of it. `ended_at` null: it lasts."""

    class Provider(models.TextChoices):
        ANTHROPIC = "anthropic", "anthropic"
        VOYAGE = "voyage", "voyage"
        OPENAI = "openai", "openai"
        COHERE = "cohere", "cohere"
        CHROMA = "chroma", "chroma"

    provider = models.CharField(max_length=40, choices=Provider)
    started_at = models.DateTimeField(help_text="when the first call that failed was begun")
    last_failure_at = models.DateTimeField(help_text="when the latest failure was known")
    ended_at = models.DateTimeField(null=True, blank=True, help_text="when the first call that succeeded was begun")
    failures = models.PositiveIntegerField(default=1, help_text="requests that met it")
    reason = models.CharField(max_length=40, help_text="the outcome of the first call that failed")
    first_trace_id = models.CharField("first trace", max_length=40)

    class Meta:
        constraints = [
            # also serves the look-up of the open ones, which every question counts
            models.UniqueConstraint(
                fields=["provider"], condition=models.Q(ended_at=None), name="one_open_outage_per_provider"
            ),
        ]
        indexes = [
            # the newest first
            models.Index(fields=["-started_at"], name="outage_newest"),
        ]
        permissions = [("run_drill", "Can run the drill, which breaks the sandbox's providers for a while")]

    def __str__(self) -> str:
        return f"{self.provider} from {self.started_at:%Y-%m-%d %H:%M:%S}"

    @property
    def is_open(self) -> bool:
        return self.ended_at is None

    @property
    def duration(self) -> timedelta | None:
        """From the first failed call to the first successful one; None while it lasts."""
        return None if self.ended_at is None else self.ended_at - self.started_at


class Session(models.Model):
    """A conversation of one caller with one corpus. `busy_until`: a turn is being answered, and no other may begin."""

    id = models.CharField(primary_key=True, max_length=32)
    corpus = models.CharField(max_length=40)
    module = models.CharField(max_length=40)
    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.PROTECT)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField()
    busy_until = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["last_used_at"], name="session_last_used")]

    def __str__(self) -> str:
        return self.id


class Turn(models.Model):
    """A question of a session with its answer, as far as later turns need it. `standalone` is what was searched and asked.

    `source_keys` are the chunks that the model was shown first in this turn, of `chunk_set_id`.
    """

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="turns")
    number = models.PositiveIntegerField()
    trace_id = models.CharField(max_length=40)
    question = models.TextField()
    standalone = models.TextField()
    reply = models.TextField()
    source_keys = models.JSONField(default=list)
    chunk_set_id = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["session", "number"], name="one_turn_per_number")]

    def __str__(self) -> str:
        return f"{self.session_id} {self.number}"


class Forgetting(models.Model):
    """That the content of traces was taken out, for whom and when. Answers that were kept before are not given any more."""

    at = models.DateTimeField(auto_now_add=True)
    what = models.CharField(max_length=100)
    lines = models.PositiveIntegerField()

    class Meta:
        indexes = [models.Index(fields=["at"], name="forgetting_newest")]

    def __str__(self) -> str:
        return f"{self.what}, {self.at:%Y-%m-%d %H:%M:%S}"
