"""Rows: evaluation runs, and what each question of a run came to."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import models

from costs.models import ProviderMode


class EvalRun(models.Model):
    """One module, with one version of the answer prompt, over one data set. Runs that were asked for together share `batch`.

    What it measures is written down before the first question and never changes; only its state, its cost and its times do.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        STOPPED = "stopped", "stopped"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    batch = models.CharField(max_length=32)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    dataset = models.CharField(max_length=255)
    dataset_path = models.TextField(help_text="a shipped set by its name, or a file or folder")
    dataset_sha256 = models.CharField(max_length=64)
    limit = models.PositiveIntegerField(null=True, help_text="the first so many questions; empty: all")
    questions = models.PositiveIntegerField(help_text="how many are to be asked")
    module = models.CharField(max_length=40)
    prompt_version = models.CharField(max_length=20, help_text="of the answer prompt")
    prompts = models.JSONField(help_text="name -> {version, hash}, of every prompt that has a part in the scores")
    model_names = models.JSONField(help_text="what for -> model")
    corpus = models.CharField(max_length=40)
    corpus_version = models.CharField(max_length=12)
    config = models.JSONField()
    commit = models.CharField(max_length=40, blank=True)
    judge_model = models.CharField(max_length=100, blank=True, help_text="empty: no answer is judged")
    judge_prompt_version = models.CharField(max_length=20, blank=True)
    judge_repeat = models.PositiveSmallIntegerField(default=1, help_text="verdicts on each answer of a small sample")
    provider_mode = models.CharField(max_length=10, choices=ProviderMode)
    answer_cache = models.BooleanField("kept answers allowed", default=False)
    budget_usd = models.DecimalField(max_digits=12, decimal_places=6, null=True, help_text="of the whole batch")
    cost_usd = models.DecimalField(
        max_digits=14, decimal_places=8, default=Decimal(0), help_text="so far, judge and failed tries included"
    )
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT)
    by_worker = models.BooleanField(default=False, help_text="asked for in the admin: a worker asks the questions")
    stop_asked = models.BooleanField(default=False, help_text="somebody wants it to stop after the questions under way")
    runner = models.CharField(max_length=100, blank=True, help_text="host:process that asks")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        verbose_name = "evaluation"
        indexes = [
            models.Index(fields=["batch"], name="eval_batch"),
            # what the same configuration cost last time
            models.Index(fields=["module", "-finished_at"], name="eval_latest_of_module"),
        ]
        constraints = [
            # workers take turns: of the runs that they ask, one at a time in each mode
            models.UniqueConstraint(
                fields=["provider_mode"],
                condition=models.Q(state="running", by_worker=True),
                name="one_run_of_the_workers_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.module} {self.prompt_version} (run {self.pk})"


class EvalResult(models.Model):
    """What one question came to. A question that failed has an `error` and no scores, and is asked again on resuming.

    The question's own data are copied, so that a run can be read when its data set is gone. Costs are USD; null = unpriced.
    """

    run = models.ForeignKey(EvalRun, on_delete=models.CASCADE, related_name="results")
    question_id = models.CharField(max_length=400)
    question = models.TextField()
    kind = models.CharField(max_length=40, blank=True)
    answerable = models.BooleanField()
    trace_id = models.CharField(max_length=40)
    answered = models.BooleanField(null=True)
    scores = models.JSONField(default=dict, help_text="measure -> value; null where it has none")
    judge = models.JSONField(
        default=dict, help_text="{verdicts: [{correctness, groundedness, reason}], malformed, error}"
    )
    cost_usd = models.DecimalField(max_digits=14, decimal_places=8, null=True, help_text="of the answer")
    costs = models.JSONField(default=dict, help_text="component -> USD; null = unpriced")
    judge_usd = models.DecimalField(max_digits=14, decimal_places=8, null=True)
    spent_usd = models.DecimalField(
        max_digits=14, decimal_places=8, help_text="all priced calls, failed tries included"
    )
    latency_ms = models.FloatField(null=True)
    degraded = models.JSONField(default=list)
    answer_cache = models.CharField(max_length=10, blank=True)
    error = models.CharField(max_length=60, blank=True, help_text="the problem's code")
    message = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # what makes a run resumable
            models.UniqueConstraint(fields=["run", "question_id"], name="one_result_per_question"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.question_id}"

    def measure(self, name: str) -> Any:
        """A score, or `cost_usd` or `latency_ms`; None where the question has none."""
        if name in ("cost_usd", "latency_ms"):
            value = getattr(self, name)
            return None if value is None or self.error else float(value)
        return self.scores.get(name)


class KeptScoreboard(models.Model):
    """A scoreboard as it was made; `evals.scoreboard` reads and writes it."""

    made_at = models.DateTimeField()
    passed = models.BooleanField("ship gate passed")
    content = models.JSONField()

    class Meta:
        verbose_name = "scoreboard"

    def __str__(self) -> str:
        return f"scoreboard of {self.made_at:%Y-%m-%d %H:%M}"
