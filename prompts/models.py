"""Prompts, their immutable versions, and the log of which version was active when."""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.utils import timezone

from prompts.texts import PromptText, content_hash


class Immutable(Exception):
    """Raised on an attempt to change or delete a version: bump it instead."""


class Prompt(models.Model):
    name = models.SlugField(max_length=40, unique=True)
    purpose = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.name


class PromptVersionQuerySet(models.QuerySet["PromptVersion"]):
    def update(self, **kwargs: Any) -> NoReturn:
        raise Immutable("a prompt version never changes: make the next one")

    def delete(self) -> NoReturn:
        raise Immutable("a prompt version never goes away: answers name it")


class PromptVersion(models.Model):
    """`v1`, `v2`, ... of a prompt. Instructions and examples are the two stable blocks of the system prompt."""

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    instructions = models.TextField()
    examples = models.TextField(blank=True)
    note = models.TextField(help_text="what changed and why")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    content_hash = models.CharField(max_length=64, editable=False)

    objects = PromptVersionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prompt", "number"], name="one_version_per_number"),
            models.CheckConstraint(condition=~models.Q(note=""), name="a_version_says_why"),
        ]

    def __str__(self) -> str:
        return f"{self.prompt.name} {self.label}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise Immutable("a prompt version never changes: make the next one")
        self.content_hash = content_hash(instructions=self.instructions, examples=self.examples)
        super().save(*args, **(kwargs | {"force_insert": True}))  # never an UPDATE of a row with the same key

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Immutable("a prompt version never goes away: answers name it")

    @property
    def label(self) -> str:
        return f"v{self.number}"

    def as_text(self) -> PromptText:
        return PromptText(self.prompt.name, self.label, self.instructions, self.examples, self.content_hash)


class Activation(models.Model):
    """An append-only line: from this moment on, `version` serves. Rolling back is an activation too.

    With a `share` below 100 it serves so many percent, and `previous` the others: a trial, until the next activation ends it.
    """

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="activations")
    version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, related_name="activations")
    previous = models.ForeignKey(PromptVersion, null=True, on_delete=models.PROTECT, related_name="+")
    who = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT)
    why = models.CharField(max_length=300)
    share = models.PositiveSmallIntegerField(default=100, help_text="percent of the traffic")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(why=""), name="an_activation_says_why"),
            models.CheckConstraint(condition=models.Q(share__gte=1, share__lte=100), name="a_share_is_a_percentage"),
            models.CheckConstraint(
                condition=models.Q(share=100) | models.Q(previous__isnull=False), name="a_trial_has_another_arm"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} since {self.at:%Y-%m-%d %H:%M}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise Immutable("an activation happened: activate again instead")
        super().save(*args, **(kwargs | {"force_insert": True}))

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Immutable("an activation happened: activate again instead")
