"""The two things that ever happen to a prompt: it gets a next version, and a version is made active."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from prompts.models import Activation, Prompt, PromptVersion
from prompts.texts import refuse_unfit


class TrialImpossible(ValueError):
    """A version cannot be tried against itself."""


@dataclass(frozen=True, slots=True)
class Bumped:
    """`overtook` is somebody else's newest version since the one that was edited: its changes are not in `version`."""

    version: PromptVersion
    overtook: PromptVersion | None


@transaction.atomic
def bump(
    *,
    prompt: Prompt,
    instructions: str,
    examples: str,
    note: str,
    author: AbstractBaseUser | None,
    based_on: PromptVersion | None = None,
) -> Bumped:
    """The next version, inactive; `based_on` is the one whose text was edited. Raises UnfitText.

    Two people who bump at once get two numbers, because the prompt's row is locked meanwhile, and the second is told.
    """
    if based_on is not None and based_on.prompt_id != prompt.pk:
        raise ValueError(f"{based_on} is a version of another prompt")
    locked = Prompt.objects.select_for_update().get(pk=prompt.pk)
    version = add_version(
        prompt=locked,
        number=next_number(locked),
        instructions=instructions,
        examples=examples,
        note=note,
        author=author,
    )
    return Bumped(version, overtook=overtaken(version, based_on) if based_on else None)


def overtaken(version: PromptVersion, based_on: PromptVersion) -> PromptVersion | None:
    between = version.prompt.versions.filter(number__gt=based_on.number, number__lt=version.number)
    if version.author_id is not None:
        between = between.exclude(author_id=version.author_id)
    return between.select_related("prompt", "author").order_by("-number").first()


def next_number(prompt: Prompt) -> int:
    newest = prompt.versions.order_by("-number").first()
    return newest.number + 1 if newest else 1


def add_version(
    *,
    prompt: Prompt,
    number: int,
    instructions: str,
    examples: str,
    note: str,
    author: AbstractBaseUser | None,
    created_at: datetime | None = None,
) -> PromptVersion:
    """A version under a number that the caller knows to be free, because it has locked the prompt. Raises UnfitText."""
    refuse_unfit(instructions=instructions, examples=examples, note=note)
    version = PromptVersion(
        prompt=prompt,
        number=number,
        instructions=instructions,
        examples=examples,
        note=note,
        author_id=author.pk if author else None,
        created_at=created_at or timezone.now(),
    )
    version.save()
    return version


@transaction.atomic
def activate(*, version: PromptVersion, who: AbstractBaseUser | None, why: str, share: int = 100) -> Activation:
    """Make `version` the one that serves, and leave the line that says who did it and why.

    With a `share` below 100 (percent) it is tried beside the one that serves. Whatever is activated next ends a trial: the same
    version in full to finish it, the other one to cancel it. Raises TrialImpossible.
    """
    prompt = Prompt.objects.select_for_update().get(pk=version.prompt_id)
    serves = serving_version(prompt)
    if share < 100 and (serves is None or serves == version):
        raise TrialImpossible(f"{version} serves already, or nothing does: there is no other version to try it against")
    return Activation.objects.create(
        prompt=prompt,
        version=version,
        previous=serves,
        who_id=who.pk if who else None,
        why=why,
        share=share,
    )


def serving_version(prompt: Prompt) -> PromptVersion | None:
    """The version that serves all, or all whom no trial includes."""
    newest = newest_activation(prompt)
    if newest is None:
        return None
    return newest.version if newest.share == 100 else newest.previous


def running_trial(prompt: Prompt) -> Activation | None:
    """The activation that gave a version to a share of those who ask, while that lasts."""
    newest = newest_activation(prompt)
    return newest if newest and newest.share < 100 else None


def changes_nothing(*, version: PromptVersion, share: int) -> bool:
    """Whether it was activated last, with this very share: again would only divide the askers of a trial anew."""
    newest = newest_activation(version.prompt)
    return newest is not None and (newest.version, newest.share) == (version, share)


def newest_activation(prompt: Prompt) -> Activation | None:
    return prompt.activations.select_related("version__prompt", "previous__prompt").order_by("-id").first()
