"""`manage.py apikey create NAME --scopes ask,read`: the key alone on stdout, so that a script can take it."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from rag import clock
from rag.models import ApiKey, corpus_name


def named_corpora(text: str) -> list[str]:
    """Raises CommandError for what cannot be the name of a corpus."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    try:
        for name in names:
            corpus_name(name)
    except ValidationError as error:
        raise CommandError(f"not the name of a corpus: {name!r}: {error.message}") from error
    return names


class Command(BaseCommand):
    help = "Make, list and revoke API keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="make a key and print it, this once")
        create.add_argument("name")
        create.add_argument("--scopes", default="ask,read", help="comma-separated; default: ask,read")
        create.add_argument("--corpus", default="", help="comma-separated: for these corpora alone; default: for all")
        create.add_argument("--days", type=int, help="expires after so many days; default: never")
        actions.add_parser("list", help="the keys, without their secrets")
        revoke = actions.add_parser("revoke", help="make a key useless from now on")
        revoke.add_argument("prefix", help="the eight characters after rk_")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, options["action"])(options)

    def create(self, options: dict[str, Any]) -> None:
        scopes = [scope.strip() for scope in options["scopes"].split(",") if scope.strip()]
        unknown = set(scopes) - set(ApiKey.SCOPES)
        if unknown or not scopes:
            raise CommandError(f"unknown scopes {sorted(unknown)}; known: {', '.join(ApiKey.SCOPES)}")
        expires = clock.now() + timedelta(days=options["days"]) if options["days"] else None
        key = ApiKey(name=options["name"], scopes=scopes, corpora=named_corpora(options["corpus"]), expires_at=expires)
        full_key = key.make_secret()
        key.save()
        self.stdout.write(full_key)

    def list(self, options: dict[str, Any]) -> None:
        for key in ApiKey.objects.order_by("pk"):
            state = key.refusal(clock.now()) or "valid"
            may_ask = ",".join(key.corpora) or "all corpora"
            self.stdout.write(f"rk_{key.prefix}_...  {key.name}  {','.join(key.scopes)}  {may_ask}  {state}")

    def revoke(self, options: dict[str, Any]) -> None:
        prefix = options["prefix"].removeprefix("rk_").split("_")[0]
        if not ApiKey.objects.filter(prefix=prefix).update(revoked_at=clock.now()):
            raise CommandError(f"there is no key rk_{prefix}_...; `manage.py apikey list` shows them")
        self.stdout.write(f"rk_{prefix}_... is revoked")
