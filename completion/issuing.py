"""Issuing an artifact, and revoking one: every side effect in order."""

import hashlib
import secrets
import unicodedata
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.urls import reverse

from completion.certificates import certificate_of
from completion.evidence import EvidenceMissing, cost_until, evidence_of
from completion.fonts import JOINERS, FontProblem
from completion.git_history import History, HistoryRefused, read_history
from completion.hours import RULE, hours_of
from completion.keys import KeyProblem, signing_key
from completion.manifest import FORMAT, Board, Manifest, Work, canonical
from completion.models import Artifact, Revocation, SigningCertificate
from completion.page import NameTooLong, draw_page
from completion.signing import sign
from completion.verification import examine
from evals.scoreboard import Scoreboard
from evals.ship_gate import GateLine

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: nothing that is mistaken for something else when it is read out"""
GROUPS, GROUP = 4, 4
LONGEST_NAME = 120
NOT_IN_NAMES = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


class IssueRefused(Exception):
    """No artifact was issued; the message says why and what to do. `failing`: the lines of the ship gate that do not pass."""

    def __init__(self, message: str, failing: tuple[GateLine, ...] = ()) -> None:
        super().__init__(message)
        self.failing = failing


class AlreadyRevoked(Exception):
    """Revoked before: that stays as it is."""


def issue(
    *,
    name: str,
    repository: Path,
    board: Scoreboard | None,
    now: datetime,
    who: User | None,
    history_timeout_s: float,
) -> Artifact:
    """A new one, always. Raises IssueRefused."""
    name = checked_name(name)
    board = passing(board)
    try:
        history = read_history(repository, timeout_s=history_timeout_s)
        key = signing_key()
        certificate = certificate_of(key, issuer=settings.ARTIFACT_ISSUER, now=now)
        manifest = manifest_of(name=name, board=board, history=history, certificate=certificate, now=now)
        data = canonical(manifest)
        drawn = draw_page(
            manifest,
            manifest_sha256=hashlib.sha256(data).hexdigest(),
            font_files=[Path(file) for file in settings.ARTIFACT_FONTS],
        )
    except (HistoryRefused, KeyProblem, EvidenceMissing, FontProblem, NameTooLong) as error:
        raise IssueRefused(str(error)) from error
    pdf = sign(
        drawn,
        title=f"Completion artifact: {name}",
        manifest=data,
        key=key,
        certificate_pem=certificate.pem,
        signed_at=now,
    )
    return kept(pdf, manifest, data, certificate, who=who, now=now)


def kept(
    pdf: bytes, manifest: Manifest, data: bytes, certificate: SigningCertificate, *, who: User | None, now: datetime
) -> Artifact:
    """The row, once a check of the whole file has found it as strangers will."""
    examination = examine(pdf, certificate.pem)
    if not examination.valid:
        raise IssueRefused(f"What was signed does not verify ({examination.detail}): nothing was issued.")
    return Artifact.objects.create(
        number=manifest["id"],
        name=manifest["name"],
        sha256=examination.sha256,
        manifest=data.decode("utf-8"),
        manifest_sha256=hashlib.sha256(data).hexdigest(),
        pdf=pdf,
        certificate=certificate,
        issued_by=who,
        issued_at=now,
    )


def checked_name(name: str) -> str:
    """In composed form, with single spaces. Raises IssueRefused."""
    told = " ".join(unicodedata.normalize("NFC", name).split())
    if not told:
        raise IssueRefused("An artifact names somebody: give a name.")
    if len(told) > LONGEST_NAME:
        raise IssueRefused(f"The name has {len(told)} characters, and {LONGEST_NAME} at most fit: give a shorter one.")
    hidden = {each for each in told if unicodedata.category(each) in NOT_IN_NAMES} - JOINERS
    if hidden:
        shown = ", ".join(f"U+{ord(each):04X}" for each in sorted(hidden))
        raise IssueRefused(f"The name has characters that nobody sees ({shown}): take them out.")
    return told


def passing(board: Scoreboard | None) -> Scoreboard:
    """Raises IssueRefused, with the lines that fail."""
    if board is None:
        raise IssueRefused(
            "There is no scoreboard yet: `manage.py scoreboard` measures, and then says what is missing."
        )
    if not board.gate.passed or board.gate.failing:
        raise IssueRefused("The ship gate does not pass, so nothing is issued.", board.gate.failing)
    return board


def manifest_of(
    *, name: str, board: Scoreboard, history: History, certificate: SigningCertificate, now: datetime
) -> Manifest:
    """Raises EvidenceMissing, IssueRefused."""
    number = new_number()
    site = public_url()
    return {
        "format": FORMAT,
        "id": number,
        "name": name,
        "issued_at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "issuer": {"name": settings.ARTIFACT_ISSUER, "certificate_sha256": certificate.sha256, "site": site},
        "verify_url": site + reverse("verify-number", args=[number]),
        "scoreboard": cast(Board, plain(board.as_json())),
        "cost": cost_until(now),
        "work": work_of(history),
        "evidence": evidence_of(board, trace_folder=settings.TRACE_DIR),
    }


def plain(told: Any) -> Any:
    """Tuples as the lists that JSON makes of them."""
    if isinstance(told, dict):
        return {key: plain(value) for key, value in told.items()}
    return [plain(each) for each in told] if isinstance(told, list | tuple) else told


def work_of(history: History) -> Work:
    hours = hours_of(history.commits)
    counts = {name: value for name, value in asdict(hours).items() if name in Work.__annotations__}
    times = {"first_at": moment(hours.first_at), "last_at": moment(hours.last_at)}
    return cast(Work, counts | times | {"hours": str(hours.hours), "head": history.head, "rule": RULE})


def moment(seconds: int | None) -> str | None:
    """ISO 8601 in UTC; None too for a time that no calendar has, which a commit may claim."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


def new_number() -> str:
    """80 random bits: `7Q2M-9XKD-4TBH-W8ZN`."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(GROUP)) for _ in range(GROUPS))


def public_url() -> str:
    """The origin of the site, without the path below which it lies. Raises IssueRefused when it is unknown."""
    found: str = (
        settings.PUBLIC_URL or (settings.DEBUG and settings.RUNNING_URLS.get("web", "http://localhost:8000")) or ""
    )
    if not found:
        raise IssueRefused(
            "PUBLIC_URL is not set, and the page says where it is verified: set it to the site's address."
        )
    return found.rstrip("/").removesuffix(settings.FORCE_SCRIPT_NAME or "")


def revoke(*, artifact: Artifact, why: str, who: User | None, now: datetime) -> Revocation:
    """For good. Raises AlreadyRevoked."""
    try:
        with transaction.atomic():
            return Revocation.objects.create(artifact=artifact, reason=why, revoked_by=who, at=now)
    except IntegrityError as error:
        raise AlreadyRevoked(f"{artifact} was revoked before; that stays as it is.") from error
