"""Rows of the documents: the corpus with its versions, what they hold, their indexes, and the jobs that make them."""

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models

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
