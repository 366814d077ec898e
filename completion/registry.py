"""What is on record of a file: looked up by its hash, or by the number that is printed on it."""

import re
from dataclasses import dataclass
from enum import StrEnum

from completion.models import Artifact, Revocation
from completion.verification import ANSWERS, Examination

SHA256 = re.compile(r"[0-9a-f]{64}")


class State(StrEnum):
    VALID = "valid"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


UNLISTED = "unlisted"
TOLD = {
    State.VALID: "An artifact with this hash was issued here, and it is valid.",
    State.REVOKED: "An artifact with this hash was issued here, but it was revoked.",
    State.UNKNOWN: "No artifact with this hash was issued here.",
}
REVOKED = "The file is as it was issued, but it was revoked since."
NOT_LISTED = "Our key signed this file, but it is not on record: it is not the file that was issued."


@dataclass(frozen=True, slots=True)
class Standing:
    """`artifact` is None for what is unknown; `revocation` is there for what is revoked."""

    state: State
    sha256: str
    artifact: Artifact | None = None
    revocation: Revocation | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file is worth, from its bytes and from the record: a Verdict's value, `revoked` or `unlisted`; and in words."""

    verdict: str
    answer: str
    examination: Examination
    standing: Standing

    @property
    def good(self) -> bool:
        return self.verdict == State.VALID


def standing_of(sha256: str) -> Standing:
    artifact = Artifact.objects.filter(sha256=sha256).defer("pdf").first()
    if artifact is None:
        return Standing(State.UNKNOWN, sha256)
    revocation = artifact.revoked
    return Standing(State.REVOKED if revocation else State.VALID, sha256, artifact, revocation)


def hash_of_number(number: str) -> str | None:
    """Of the PDF with that number printed on it, which may be typed in small letters and with O for 0."""
    asked = number.upper().translate(str.maketrans("OIL", "011"))
    found: str | None = Artifact.objects.filter(number=asked).values_list("sha256", flat=True).first()
    return found


def judged(examination: Examination) -> Checked:
    """The examination of a file, held against the record."""
    standing = standing_of(examination.sha256)
    if not examination.valid:
        return Checked(examination.verdict.value, ANSWERS[examination.verdict], examination, standing)
    if standing.state is State.VALID:
        return Checked(State.VALID.value, ANSWERS[examination.verdict], examination, standing)
    if standing.state is State.REVOKED:
        return Checked(State.REVOKED.value, REVOKED, examination, standing)
    return Checked(UNLISTED, NOT_LISTED, examination, standing)
