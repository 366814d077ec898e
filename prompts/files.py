"""Prompt versions out to a folder and in again, so that a team may review them in git. Importing never changes a version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet

from prompts.library import VERSION, BadPromptFile, PromptFile, parse, render
from prompts.models import Prompt, PromptVersion
from prompts.publishing import add_version, next_number
from prompts.versions import UnknownPromptVersion


class FilesRefused(Exception):
    """Says of each file why. Nothing was written, or imported."""


class FileRefused(Exception):
    """One file that cannot be imported here."""


@dataclass(frozen=True, slots=True)
class Exported:
    """`written` is false where the very same file was there already."""

    path: Path
    written: bool


@dataclass(frozen=True, slots=True)
class Imported:
    """`made` is false where the prompt had this text already, as `label`."""

    path: Path
    prompt: str
    label: str
    made: bool


def export_versions(*, names: Sequence[str], to: Path) -> tuple[Exported, ...]:
    """Every version of these prompts, of all when none is named, as `to/<name>/v<number>.md`.

    Raises UnknownPromptVersion, FilesRefused (a file with another text is never written over) and OSError.
    """
    files = {to / row.prompt.name / f"{row.label}.md": row for row in versions_of(names)}
    try:
        rendered = {path: as_bytes(row, path) for path, row in files.items()}
    except BadPromptFile as error:
        raise FilesRefused(f"{error}\nnothing was written") from error
    edited = [f"{path}: has another text; import it or move it away" for path in files if is_edited(path, files[path])]
    if edited:
        raise FilesRefused("\n".join([*edited, "nothing was written"]))
    return tuple(Exported(path, write(path, data)) for path, data in rendered.items())


def versions_of(names: Sequence[str]) -> QuerySet[PromptVersion]:
    known = Prompt.objects.order_by("name").values_list("name", flat=True)
    for name in names:
        if name not in known:
            raise UnknownPromptVersion(f"there is no prompt {name!r}; known: {', '.join(known)}")
    rows = PromptVersion.objects.filter(prompt__name__in=names or known)
    return rows.select_related("prompt", "author").order_by("prompt__name", "number")


def as_bytes(version: PromptVersion, path: Path) -> bytes:
    """Its file. Raises BadPromptFile for a version that would not be read back as it is."""
    file = PromptFile(
        prompt=version.prompt.name,
        number=version.number,
        purpose=version.prompt.purpose,
        note=version.note,
        instructions=version.instructions,
        examples=version.examples,
        author=version.author.get_username() if version.author else None,
        created=version.created_at,
    )
    data = render(file)
    if parse(data, path=path) != file:
        raise BadPromptFile(path, 1, "no file can hold this version as it is")
    return data


def is_edited(path: Path, version: PromptVersion) -> bool:
    """Whether somebody's text, which is not this version's, would be lost by writing the file."""
    if not path.exists():
        return False
    try:
        return parse(path.read_bytes(), path=path).content_hash != version.content_hash
    except BadPromptFile:
        return True


def write(path: Path, data: bytes) -> bool:
    if path.exists() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return True


def import_files(
    *, paths: Sequence[Path], author: AbstractBaseUser | None, as_next: bool = False, dry_run: bool = False
) -> tuple[Imported, ...]:
    """Make the versions that these files and folders hold, all of them or none. Raises FilesRefused.

    With an `author` the new versions are theirs and made now; without, a file that names author and time keeps both.
    `as_next` gives a new text whose number is taken the next one. A `dry_run` does it all and takes it back.
    """
    files, refused = read_files(paths)
    report = []
    with transaction.atomic():
        prompts = locked({file.prompt for _, file in files})
        for path, file in files:
            try:
                report.append(take(path, file, prompts, author=author, as_next=as_next))
            except FileRefused as error:
                refused.append(f"{path}: {error}")
        if refused:
            raise FilesRefused("\n".join([*refused, "nothing was imported"]))
        transaction.set_rollback(dry_run)
    return tuple(report)


def read_files(paths: Sequence[Path]) -> tuple[list[tuple[Path, PromptFile]], list[str]]:
    """The files by prompt and number, and what is wrong with the others."""
    files, wrong = [], []
    for given in paths:
        found = sorted(prompt_files(given)) if given.is_dir() else [given]
        if not found:
            wrong.append(f"{given}: no file NAME/v1.md, NAME/v2.md, ... below this folder")
        for path in found:
            try:
                files.append((path, parse(path.read_bytes(), path=path)))
            except BadPromptFile as error:
                wrong.append(str(error))
            except OSError as error:
                wrong.append(f"{path}: {error.strerror}")
    return sorted(files, key=lambda item: (item[1].prompt, item[1].number)), wrong


def prompt_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.md") if VERSION.fullmatch(path.stem) and path.is_file()]


def locked(names: set[str]) -> dict[str, Prompt]:
    """The prompts, which nobody else bumps meanwhile; locked in one order, so that two imports never wait for each other."""
    rows = Prompt.objects.select_for_update().filter(name__in=names).order_by("name")
    return {prompt.name: prompt for prompt in rows}


def take(
    path: Path, file: PromptFile, prompts: Mapping[str, Prompt], *, author: AbstractBaseUser | None, as_next: bool
) -> Imported:
    """Make one version, unless its text is there."""
    prompt = prompts.get(file.prompt)
    if prompt is None:
        raise FileRefused(f"there is no prompt {file.prompt!r}")
    if there := same_text(prompt, file):
        return Imported(path, prompt.name, there.label, made=False)
    number = file.number
    if prompt.versions.filter(number=number).exists():
        if not as_next:
            raise FileRefused(
                f"{prompt.name} v{number} is another text; --as-next would make it v{next_number(prompt)}"
            )
        number = next_number(prompt)
    version = add_version(
        prompt=prompt,
        number=number,
        instructions=file.instructions,
        examples=file.examples,
        note=file.note,
        author=author or named_author(file),
        created_at=None if author else file.created,
    )
    return Imported(path, prompt.name, version.label, made=True)


def same_text(prompt: Prompt, file: PromptFile) -> PromptVersion | None:
    """The version with this text: the one under the file's number, or else the newest."""
    same = prompt.versions.filter(content_hash=file.content_hash)
    return same.filter(number=file.number).first() or same.order_by("-number").first()


def named_author(file: PromptFile) -> AbstractBaseUser | None:
    if file.author is None:
        return None
    users = get_user_model()
    user = users.objects.filter(**{users.USERNAME_FIELD: file.author}).first()
    if user is None:
        raise FileRefused(f"its author {file.author!r} is no user here; --by USERNAME makes the version theirs")
    return user
