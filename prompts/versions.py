"""Looking up prompt versions."""

from django.db.models import Max

from prompts.models import Activation, PromptVersion
from prompts.texts import PromptText


class UnknownPromptVersion(Exception):
    """No such prompt, or no such version of it."""


def active_texts() -> dict[str, PromptText]:
    """Name -> the text that serves now, for every prompt."""
    newest = Activation.objects.values("prompt").annotate(newest=Max("id")).values("newest")
    rows = Activation.objects.filter(id__in=newest).select_related("version", "version__prompt")
    return {row.version.prompt.name: row.version.as_text() for row in rows}


def text_of(*, name: str, version: str) -> PromptText:
    """The text of one version (`v3`); raises UnknownPromptVersion."""
    number = version.removeprefix("v")
    rows = PromptVersion.objects.select_related("prompt").filter(
        prompt__name=name, number=number if number.isdecimal() else -1
    )
    row = rows.first()
    if row is None:
        raise UnknownPromptVersion(f"the prompt {name!r} has no version {version!r}")
    return row.as_text()
