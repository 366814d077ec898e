"""`manage.py verify_artifact FILE.pdf [--certificate FILE.pem]`: with a certificate it needs no database and no network."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from completion.certificates import published
from completion.examining import CannotExamine, examine_apart
from completion.registry import Checked, judged
from completion.telling import facts
from completion.verification import ANSWERS, Examination

BAD, NOT_CHECKED = 1, 2
NONE_HERE = (
    "No artifact was issued here yet: give --certificate FILE.pem, as its site publishes it at /verify/certificate.pem."
)
OFFLINE = "Not looked up: whether it was revoked stands on its page."


class Command(BaseCommand):
    help = (
        "Verify an artifact. Exit status 0: valid; 1: not; 2: it could not be checked. With --certificate nothing but the two "
        "files is needed; without, the certificates and revocations of this site's database are used."
    )
    requires_system_checks: list[str] = []  # none: it has to work where nothing else does

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--certificate", type=Path, help="as published at /verify/certificate.pem")
        parser.add_argument("--json", action="store_true", help="the answer as one object")

    def handle(self, *args: Any, **options: Any) -> None:
        pdf = read(options["file"])
        given = options["certificate"]
        try:
            if given:
                examination = examine_apart(pdf, read(given).decode("ascii", "replace"))
                verdict, answer, remark = examination.verdict.value, ANSWERS[examination.verdict], OFFLINE
            else:
                checked = checked_here(pdf)
                examination, verdict, answer, remark = checked.examination, checked.verdict, checked.answer, ""
        except CannotExamine as error:
            raise CommandError(str(error), returncode=BAD) from error
        except ValueError as error:
            raise CommandError(f"{given}: {error}", returncode=NOT_CHECKED) from error
        good = verdict == "valid"
        told = as_json(examination, verdict, answer) if options["json"] else in_words(examination, verdict, answer)
        self.stdout.write(told)
        if good and remark and not options["json"]:
            self.stdout.write(remark)
        if not good:
            raise SystemExit(BAD)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", returncode=NOT_CHECKED) from error


def checked_here(pdf: bytes) -> Checked:
    try:
        certificates = published()
        if not certificates:
            raise CommandError(NONE_HERE, returncode=NOT_CHECKED)
        return judged(examine_apart(pdf, certificates))
    except DatabaseError as error:
        hint = "The database cannot be asked: give --certificate FILE.pem, as published at /verify/certificate.pem."
        raise CommandError(hint, returncode=NOT_CHECKED) from error


def in_words(examination: Examination, verdict: str, answer: str) -> str:
    lines = [f"{verdict}: {answer}"]
    if examination.detail:
        lines.append(f"({examination.detail})")
    lines.append(f"SHA-256 {examination.sha256}")
    if examination.signer:
        lines.append(f"Signed as {examination.signer} at {examination.signed_at} by the signer's clock")
        lines.append(f"Certificate SHA-256 {examination.certificate_sha256}")
    if examination.manifest and verdict == "valid":
        lines += [f"{what}: {value}" for what, value in facts(examination.manifest)]
    return "\n".join(lines)


def as_json(examination: Examination, verdict: str, answer: str) -> str:
    told = {
        "verdict": verdict,
        "answer": answer,
        "detail": examination.detail,
        "sha256": examination.sha256,
        "signer": examination.signer,
        "certificate_sha256": examination.certificate_sha256,
        "signed_at": examination.signed_at,
        "manifest": examination.manifest,
    }
    return json.dumps(told, indent=2, ensure_ascii=False)
