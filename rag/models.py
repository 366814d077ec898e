"""Rows: the corpus with its versions, documents and chunks; ingest jobs; API keys; trace summaries."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models

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

corpus_name = RegexValidator(r"^[a-z0-9][a-z0-9-]{0,38}[a-z0-9]\Z", "2 to 40 of a-z, 0-9 and -, not at the ends")


class Corpus(models.Model):
    """A named body of documents. `active_version` is the one that serves; null until the first ingest succeeds."""

    slug = models.CharField(max_length=40, unique=True, validators=[corpus_name])
    url_template = models.CharField(
        max_length=300,
        blank=True,
        validators=[RegexValidator(r"^(https?://|/)", "A link begins with https://, http:// or /")],
        help_text="link of a source; {source} and {slug} are replaced. Empty: no link.",
    )
    active_version = models.ForeignKey(
        "CorpusVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "corpora"
        permissions = [("ask_corpus", "Can ask questions, which costs money")]

    def __str__(self) -> str:
        return self.slug


class CorpusVersion(models.Model):
    """One immutable state of a corpus. Built beside the active one, verified, then activated."""

    class State(models.TextChoices):
        BUILDING = "building", "building"
        READY = "ready", "ready"
        FAILED = "failed", "failed"

    corpus = models.ForeignKey(Corpus, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.BUILDING)
    builder = models.CharField(max_length=100, blank=True, help_text="host:process that builds it")
    heartbeat_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    fingerprint = models.CharField(max_length=64, blank=True, help_text="SHA-256 over documents, recipes and embedders")
    bad_files = models.JSONField(default=list, help_text="[{source, reason}]")
    error = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["corpus", "number"], name="one_corpus_version_per_number"),
            models.UniqueConstraint(
                fields=["corpus"], condition=models.Q(state="building"), name="one_build_at_a_time_per_corpus"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.corpus.slug} {self.label}"

    @property
    def label(self) -> str:
        return f"v{self.number}"


class CorpusActivation(models.Model):
    """An append-only line: from this moment on, `version` serves. Rolling back is an activation too."""

    corpus = models.ForeignKey(Corpus, on_delete=models.CASCADE, related_name="activations")
    version = models.ForeignKey(CorpusVersion, on_delete=models.CASCADE, related_name="activations")
    previous_number = models.PositiveIntegerField(null=True)
    who = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT)
    why = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.version} since {self.at:%Y-%m-%d %H:%M}"


class Document(models.Model):
    """A document of one corpus version. `text` is canonical: every span of its chunks refers to it."""

    version = models.ForeignKey(CorpusVersion, on_delete=models.CASCADE, related_name="documents")
    source = models.CharField(max_length=400)
    title = models.CharField(max_length=400)
    markup = models.CharField(max_length=20)
    text = models.TextField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "source"], name="one_document_per_source")]

    def __str__(self) -> str:
        return self.source


class ChunkSet(models.Model):
    """All chunks of one version under one recipe. A version holds one set for every recipe that modules ask for."""

    version = models.ForeignKey(CorpusVersion, on_delete=models.CASCADE, related_name="chunk_sets")
    chunker = models.CharField(max_length=20, help_text="the name of the recipe")
    size = models.PositiveIntegerField()
    overlap = models.PositiveIntegerField()
    parent_size = models.PositiveIntegerField(default=0, help_text="0: what is found is sent itself")
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "chunker"], name="one_set_per_chunker")]

    def __str__(self) -> str:
        return f"{self.version} {self.chunker}"


class Chunk(models.Model):
    """A piece of a document, with its character span there. `sha256` is of what was embedded (`indexed_text`)."""

    chunk_set = models.ForeignKey(ChunkSet, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="chunks")
    position = models.PositiveIntegerField()
    key = models.CharField(max_length=520)
    heading = models.CharField(max_length=1000)
    text = models.TextField()
    start = models.PositiveIntegerField()
    end = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        constraints = [
            # also serves the look-up of what an index returned
            models.UniqueConstraint(fields=["chunk_set", "key"], name="one_chunk_per_key"),
        ]
        indexes = [
            # a stored vector of the same text
            models.Index(fields=["sha256"], name="chunk_same_text"),
            models.Index(fields=["chunk_set", "position"], name="chunk_in_order"),
        ]

    def __str__(self) -> str:
        return self.key


class ParentChunk(models.Model):
    """What is sent to the model where one of its parts is found: the chunks whose keys are its own followed by `.m`.

    It is in no index.
    """

    chunk_set = models.ForeignKey(ChunkSet, on_delete=models.CASCADE, related_name="parents", db_index=False)
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=500)
    heading = models.CharField(max_length=1000)
    text = models.TextField()
    start = models.PositiveIntegerField()
    end = models.PositiveIntegerField()

    class Meta:
        constraints = [
            # also serves the look-up of what was found
            models.UniqueConstraint(fields=["chunk_set", "key"], name="one_parent_per_key"),
        ]

    def __str__(self) -> str:
        return self.key


class TurnsOfMeaning(models.Model):
    """How far the text of one document turns at each gap between its sentences, as one embedder measured it: kept so that the
    same text is not embedded again to be cut.
    """

    chunk_set = models.ForeignKey(ChunkSet, on_delete=models.CASCADE, related_name="turns_of_meaning")
    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="+")
    embedder = models.CharField(max_length=200)
    distances = models.JSONField(help_text="key of the gap -> distance")

    class Meta:
        verbose_name_plural = "turns of meaning"

    def __str__(self) -> str:
        return f"{self.document} by {self.embedder}"


class VectorIndex(models.Model):
    """One Chroma collection: the vectors of one chunk set in one embedder's space."""

    chunk_set = models.ForeignKey(ChunkSet, on_delete=models.CASCADE, related_name="vector_indexes")
    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=100)
    dimensions = models.PositiveIntegerField()
    provider_mode = models.CharField(max_length=10)
    collection = models.CharField(max_length=200, unique=True)
    count = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "vector indexes"
        constraints = [models.UniqueConstraint(fields=["chunk_set", "provider"], name="one_index_per_provider")]

    def __str__(self) -> str:
        return self.collection

    def identity(self) -> str:
        """Who made the vectors, in the words of `EmbedderSpec.identity`."""
        return f"{self.provider}:{self.model}:{self.dimensions}:{self.provider_mode}"


class IngestJob(models.Model):
    """An ingest asked for in the admin. The row is the queue: a worker claims it by a conditional update."""

    class State(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    corpus_slug = models.CharField("corpus", max_length=40, validators=[corpus_name])
    path = models.CharField(max_length=500, blank=True, help_text="a file or folder on the server; empty for an upload")
    add = models.BooleanField("keep the corpus's other documents", default=False)
    chunkers = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    progress = models.CharField(max_length=200, blank=True)
    version = models.ForeignKey(CorpusVersion, null=True, blank=True, on_delete=models.SET_NULL)
    bad_files = models.JSONField(default=list)
    error = models.TextField(blank=True)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT)
    created_at = models.DateTimeField(auto_now_add=True)
    heartbeat_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["created_at"], condition=models.Q(state__in=["queued", "running"]), name="ingest_unfinished"
            )
        ]

    def __str__(self) -> str:
        return f"ingest {self.pk} into {self.corpus_slug}"


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
