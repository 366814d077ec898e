"""The two things that ever happen to a prompt: it gets a next version, and a version is made active."""

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from prompts.models import Activation, Prompt, PromptVersion


@transaction.atomic
def bump(
    *, prompt: Prompt, instructions: str, examples: str, note: str, author: AbstractBaseUser | None
) -> PromptVersion:
    """The next version, inactive. Two people who bump at once get two numbers: the prompt's row is locked meanwhile."""
    locked = Prompt.objects.select_for_update().get(pk=prompt.pk)
    newest = locked.versions.order_by("-number").first()
    version = PromptVersion(
        prompt=locked,
        number=newest.number + 1 if newest else 1,
        instructions=instructions,
        examples=examples,
        note=note,
        author_id=author.pk if author else None,
    )
    version.save()
    return version


@transaction.atomic
def activate(*, version: PromptVersion, who: AbstractBaseUser | None, why: str) -> Activation:
    """Make `version` the one that serves, and leave the line that says who did it and why."""
    prompt = Prompt.objects.select_for_update().get(pk=version.prompt_id)
    newest = prompt.activations.order_by("-id").first()
    return Activation.objects.create(
        prompt=prompt,
        version=version,
        previous=newest.version if newest else None,
        who_id=who.pk if who else None,
        why=why,
    )
