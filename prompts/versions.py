"""Looking up prompt versions."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from django.db.models import Max

from prompts.models import Activation, PromptVersion
from prompts.texts import PromptText


class UnknownPromptVersion(Exception):
    """No such prompt, or no such version of it."""


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """One version without its text. `author` is a user name, `created` is in UTC.

    `trial_share` is the percentage of those who ask that gets a version on trial, None for all others.
    """

    name: str
    version: str
    active: bool
    trial_share: int | None
    author: str | None
    created: datetime
    note: str
    content_hash: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"created": self.created.isoformat()}


@dataclass(frozen=True, slots=True)
class Trial:
    """A version that serves `share` percent of those who ask."""

    id: int
    text: PromptText
    share: int

    def includes(self, asker: str) -> bool:
        """The same for the same asker as long as the trial lasts, and independent of other trials."""
        place = int.from_bytes(sha256(f"{self.id}:{asker}".encode()).digest()[:8])
        return place % 100 < self.share


@dataclass(frozen=True, slots=True)
class Serving:
    """What serves of one prompt: `text`, except for those whom the trial includes."""

    text: PromptText
    trial: Trial | None = None

    def text_for(self, asker: str) -> PromptText:
        return self.trial.text if self.trial and self.trial.includes(asker) else self.text


def serving() -> dict[str, Serving]:
    """By name, for every prompt."""
    newest = Activation.objects.values("prompt").annotate(newest=Max("id")).values("newest")
    versions = ("version__prompt", "previous__prompt")
    rows = Activation.objects.filter(id__in=newest).select_related(*versions)
    return {row.version.prompt.name: serving_since(row) for row in rows}


def serving_since(newest: Activation) -> Serving:
    text = newest.version.as_text()
    if newest.share == 100 or newest.previous is None:
        return Serving(text)
    return Serving(newest.previous.as_text(), Trial(newest.pk, text, newest.share))


def active_texts() -> dict[str, PromptText]:
    """Name -> the text that serves now, for every prompt; trials left aside."""
    return {name: each.text for name, each in serving().items()}


def text_of(*, name: str, version: str) -> PromptText:
    """The text of one version (`v3`); raises UnknownPromptVersion."""
    return find_version(name=name, version=version).as_text()


def find_version(*, name: str, version: str) -> PromptVersion:
    """Raises UnknownPromptVersion."""
    number = version.removeprefix("v")
    rows = PromptVersion.objects.select_related("prompt").filter(
        prompt__name=name, number=number if number.isdecimal() else -1
    )
    row = rows.first()
    if row is None:
        raise UnknownPromptVersion(f"the prompt {name!r} has no version {version!r}")
    return row


def list_versions() -> tuple[ListedVersion, ...]:
    """All of them, by prompt and number."""
    now = serving()
    active = {name: each.text.version for name, each in now.items()}
    trials = {(name, each.trial.text.version): each.trial.share for name, each in now.items() if each.trial}
    rows = PromptVersion.objects.select_related("prompt", "author").order_by("prompt__name", "number")
    return tuple(
        ListedVersion(
            name=row.prompt.name,
            version=row.label,
            active=active.get(row.prompt.name) == row.label,
            trial_share=trials.get((row.prompt.name, row.label)),
            author=row.author.get_username() if row.author else None,
            created=row.created_at.astimezone(UTC),
            note=row.note,
            content_hash=row.content_hash,
        )
        for row in rows
    )
