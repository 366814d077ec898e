"""`manage.py prompts export|import|diff|activate|list`: prompt versions as files, and what an operator does with them."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import BaseCommand, CommandError

from prompts.diff_text import diff_lines
from prompts.diffing import diff_prompts
from prompts.files import FilesRefused, Imported, export_versions, import_files
from prompts.models import Activation
from prompts.publishing import TrialImpossible, activate, changes_nothing
from prompts.versions import ListedVersion, UnknownPromptVersion, find_version, list_versions, text_of

LONGEST_REASON = Activation._meta.get_field("why").max_length or 0


class Command(BaseCommand):
    help = "List, compare and activate prompt versions; write them to files and read them back."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        listing = actions.add_parser("list", help="all versions, which one serves, and which is on trial")
        listing.add_argument("--json", action="store_true")
        diff = actions.add_parser("diff", help="what is different in a version")
        diff.add_argument("name")
        diff.add_argument("old", help="v1, for example")
        diff.add_argument("new", help="v2, for example")
        activation = actions.add_parser(
            "activate", help="make a version serve from now on, all or a share of those who ask"
        )
        activation.add_argument("name")
        activation.add_argument("version")
        activation.add_argument("--why", required=True, help="the reason, which the history keeps")
        activation.add_argument(
            "--share", type=int, default=100, metavar="PERCENT", help="of those who ask, 1 to 100; below 100 is a trial"
        )
        activation.add_argument("--by", metavar="USERNAME", help="who does it; default: nobody is named")
        export = actions.add_parser("export", help="write versions as files NAME/v1.md, NAME/v2.md, ...")
        export.add_argument("names", nargs="*", metavar="NAME", help="default: all prompts")
        export.add_argument("--to", type=Path, metavar="DIR", help="default: prompts, in the data folder")
        import_ = actions.add_parser("import", help="make versions from files; never changes or activates one")
        import_.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file, or a folder of them")
        import_.add_argument("--as-next", action="store_true", help="a text whose number is taken gets the next one")
        import_.add_argument("--by", metavar="USERNAME", help="makes the versions theirs; default: as the file says")
        import_.add_argument("--dry-run", action="store_true", help="say what would be made, and make nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        actions = {"list": self.list, "diff": self.diff, "activate": self.activate}
        actions |= {"export": self.export, "import": self.import_}
        try:
            actions[options["action"]](options)
        except (UnknownPromptVersion, TrialImpossible, FilesRefused, OSError) as error:
            raise CommandError(str(error)) from error

    def list(self, options: dict[str, Any]) -> None:
        versions = list_versions()
        if options["json"]:
            self.stdout.write(json.dumps([version.as_json() for version in versions], ensure_ascii=False, indent=2))
            return
        for line in table(versions):
            self.stdout.write(line)

    def diff(self, options: dict[str, Any]) -> None:
        old, new = (text_of(name=options["name"], version=options[which]) for which in ("old", "new"))
        if old.content_hash == new.content_hash:
            self.stdout.write(f"{old.name} {old.version} and {new.version} are the same text")
            return
        self.stdout.write(f"--- {old.name} {old.version}\n+++ {new.name} {new.version}")
        colour = options["force_color"] or (self.stdout.isatty() and not options["no_color"])
        for line in diff_lines(diff_prompts(old, new), colour=colour):
            self.stdout.write(line)

    def activate(self, options: dict[str, Any]) -> None:
        why, share = options["why"].strip(), options["share"]
        if not why or len(why) > LONGEST_REASON:
            raise CommandError(f"--why takes 1 to {LONGEST_REASON} characters: the reason that the history keeps")
        if not 1 <= share <= 100:
            raise CommandError(f"--share takes 1 to 100: the percentage of those who ask, not {share}")
        version, who = find_version(name=options["name"], version=options["version"]), user_of(options["by"])
        if changes_nothing(version=version, share=share):
            standing = "serves" if share == 100 else f"is on trial with {share} %"
            self.stdout.write(f"{version} {standing} already; nothing changed")
            return
        self.stdout.write(done(activate(version=version, who=who, why=why, share=share)))

    def export(self, options: dict[str, Any]) -> None:
        folder = options["to"] or Path(settings.DATA_DIR) / "prompts"
        exported = export_versions(names=options["names"], to=folder)
        for file in exported:
            self.stdout.write(f"{file.path}" if file.written else f"{file.path} (unchanged)")
        self.stdout.write(f"{sum(file.written for file in exported)} of {len(exported)} files written below {folder}")

    def import_(self, options: dict[str, Any]) -> None:
        author, dry_run = user_of(options["by"]), options["dry_run"]
        report = import_files(paths=options["paths"], author=author, as_next=options["as_next"], dry_run=dry_run)
        for file in report:
            self.stdout.write(told(file, dry_run))
        made = sum(file.made for file in report)
        self.stdout.write(f"{made} of {len(report)} {'would be made' if dry_run else 'made'}; none is active yet")


def user_of(name: str | None) -> AbstractBaseUser | None:
    if name is None:
        return None
    users = get_user_model()
    user = users.objects.filter(**{users.USERNAME_FIELD: name}).first()
    if user is None:
        raise CommandError(f"there is no user {name!r}")
    return user


def done(activation: Activation) -> str:
    version, before = activation.version, activation.previous
    if before is None or before == version:
        return f"{version} serves everybody from now on"
    if activation.share < 100:
        return f"{version} is on trial from now on: {activation.share} % get it, the others {before.label}"
    return f"{version} serves from now on, {before.label} did until now"


def told(file: Imported, dry_run: bool) -> str:
    if not file.made:
        return f"{file.path}: already there as {file.label}"
    return f"{file.path}: {'would be made' if dry_run else 'made'}, as {file.prompt} {file.label}"


def table(versions: Sequence[ListedVersion]) -> list[str]:
    row = (
        f"{{:{max(len(version.name) for version in versions)}}}  {{:5}} {{:10}} {{:10}} {{:14}} {{}}"
        if versions
        else ""
    )
    return [
        row.format(
            version.name,
            version.version,
            state(version),
            f"{version.created:%Y-%m-%d}",
            version.author or "-",
            version.note.strip().partition("\n")[0],
        )
        for version in versions
    ]


def state(version: ListedVersion) -> str:
    if version.trial_share is not None:
        return f"trial {version.trial_share} %"
    return "active" if version.active else ""
