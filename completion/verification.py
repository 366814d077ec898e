"""What a PDF is worth, from its bytes and the certificates that are trusted alone. No Django, no database, no network.

The answer names what happened to the file, because each case calls for something else: a copy cut short is fetched again, one
with another signature is a forgery. Facts of the manifest are given only for a file that is valid.
"""

import hashlib
import io
import re
import struct
import zlib
from dataclasses import dataclass
from enum import StrEnum

from asn1crypto import pem
from asn1crypto.cms import CMSAttributes, ContentInfo, IssuerAndSerialNumber, SignedData, SignerIdentifier
from asn1crypto.x509 import Certificate
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.general import CMSExtractionError
from pyhanko.sign.validation import EmbeddedPdfSignature, validate_pdf_signature
from pyhanko.sign.validation.errors import SignatureValidationError, ValidationInfoReadingError
from pyhanko.sign.validation.status import PdfSignatureStatus, SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from completion.manifest import FILE_NAME, Manifest, NotAManifest, read

BROKEN = (
    PdfError,
    CMSExtractionError,
    SignatureValidationError,
    ValidationInfoReadingError,
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""All that pyHanko and what it rests on raise for files that somebody damaged with intent."""
BYTE_RANGE = re.compile(rb"/ByteRange\s*\[\s*(\d{1,12})\s+(\d{1,12})\s+(\d{1,12})\s+(\d{1,12})\s*\]")
ENDING = re.compile(rb"%%EOF\s*\Z")
TAIL = 64
NAME_AND_FILE = 2
NO_CERTIFICATE = "there is no whole certificate in PEM"


class Verdict(StrEnum):
    VALID = "valid"
    TAMPERED = "tampered"
    TRUNCATED = "truncated"
    APPENDED = "appended"
    OTHER_KEY = "other_key"
    NOT_OURS = "not_ours"
    UNSIGNED = "unsigned"
    UNREADABLE = "unreadable"


ANSWERS = {
    Verdict.VALID: "The signature is ours, it covers the whole file, and no byte was changed since.",
    Verdict.TAMPERED: "The file was changed after it was signed.",
    Verdict.TRUNCATED: "The file is cut short: its end is missing. Get it again from whoever gave it to you.",
    Verdict.APPENDED: "Something was added behind what is signed: what the file shows need not be what was signed.",
    Verdict.OTHER_KEY: "The file has the facts of an artifact, but a key signed it that is not ours: it is a forgery.",
    Verdict.NOT_OURS: "The file is signed, but it is not an artifact of ours.",
    Verdict.UNSIGNED: "The file is a PDF without a signature: an artifact always has one.",
    Verdict.UNREADABLE: "This is not a PDF that can be read.",
}


@dataclass(frozen=True, slots=True)
class Examination:
    """`detail` says what was found in the words of the check. The rest is None where there is no such thing to tell."""

    verdict: Verdict
    sha256: str
    detail: str = ""
    signer: str | None = None
    certificate_sha256: str | None = None
    signed_at: str | None = None
    manifest: Manifest | None = None

    @property
    def valid(self) -> bool:
        return self.verdict is Verdict.VALID


def examine(pdf: bytes, certificates_pem: str) -> Examination:
    """Raises ValueError when `certificates_pem` holds no certificate; never for the file."""
    trusted = certificates_in(certificates_pem)
    sha256 = hashlib.sha256(pdf).hexdigest()
    if not pdf.startswith(b"%PDF-"):
        return Examination(Verdict.UNREADABLE, sha256, "it does not begin as PDF files do")
    try:
        reader = PdfFileReader(io.BytesIO(pdf))
        signatures = list(reader.embedded_signatures)
    except BROKEN as error:
        return unparsed(pdf, trusted, sha256, str(error))
    if not signatures:
        return Examination(Verdict.UNSIGNED if ENDING.search(pdf[-TAIL:]) else Verdict.TRUNCATED, sha256)
    try:
        return judged(pdf, reader, signatures, trusted, sha256)
    except BROKEN as error:
        return Examination(shape_of(pdf) or Verdict.TAMPERED, sha256, f"the signature cannot be checked: {error}"[:300])


def certificates_in(text: str) -> list[Certificate]:
    """Raises ValueError."""
    data = text.encode("utf-8", "replace")
    try:
        found = [Certificate.load(der) for kind, _, der in pem.unarmor(data, multiple=True) if kind == "CERTIFICATE"]
        for each in found:
            each.native  # noqa: B018 - parses the whole: what is broken is said now
    except (ValueError, TypeError) as error:
        raise ValueError(NO_CERTIFICATE) from error
    if not found:
        raise ValueError(NO_CERTIFICATE)
    return found


def unparsed(pdf: bytes, trusted: list[Certificate], sha256: str, detail: str) -> Examination:
    """A file that is no PDF any more. Was it one of ours before something was added?"""
    shape = shape_of(pdf)
    if shape is Verdict.APPENDED and any(whole_up_to(pdf, end, trusted) for end in signed_ends(pdf)):
        return Examination(Verdict.APPENDED, sha256)
    if shape is None and BYTE_RANGE.search(pdf):
        shape = Verdict.TAMPERED
    if shape is Verdict.APPENDED:
        shape = Verdict.TAMPERED
    return Examination(shape or Verdict.UNREADABLE, sha256, detail[:300])


def whole_up_to(pdf: bytes, end: int, trusted: list[Certificate]) -> bool:
    text = "".join(pem.armor("CERTIFICATE", each.dump()).decode("ascii") for each in trusted)
    return examine(pdf[:end], text).valid


def shape_of(pdf: bytes) -> Verdict | None:
    """What the length alone tells: cut short, added to, or None."""
    ends = signed_ends(pdf)
    if ends and max(ends) > len(pdf):
        return Verdict.TRUNCATED
    if ends and max(ends) < len(pdf):
        return Verdict.APPENDED
    return None if ENDING.search(pdf[-TAIL:]) else Verdict.TRUNCATED


def signed_ends(pdf: bytes) -> set[int]:
    """Where what a signature covers ends, for each that the file mentions."""
    return {int(start) + int(length) for _, _, start, length in BYTE_RANGE.findall(pdf)}


def judged(
    pdf: bytes, reader: PdfFileReader, signatures: list[EmbeddedPdfSignature], trusted: list[Certificate], sha256: str
) -> Examination:
    """By our own signature where there is one; else by the last."""
    known = {each.sha256 for each in trusted}
    ours = [each for each in signatures if certificate_of(each).sha256 in known]
    signature = (ours or signatures)[0 if ours else -1]
    context = ValidationContext(trust_roots=trusted, allow_fetching=False)
    status = validate_pdf_signature(signature, context)
    verdict, detail = verdict_of(pdf, reader, signature, status, ours=bool(ours))
    certificate = certificate_of(signature)
    at = signature.self_reported_timestamp
    return Examination(
        verdict,
        sha256,
        detail,
        signer=str(certificate.subject.native.get("common_name", ""))[:200],
        certificate_sha256=certificate.sha256.hex(),
        signed_at=at.isoformat() if at else None,
        manifest=manifest_in(reader) if verdict is Verdict.VALID else None,
    )


def certificate_of(signature: EmbeddedPdfSignature) -> Certificate:
    found: Certificate = signature.signer_cert
    return found


def verdict_of(
    pdf: bytes, reader: PdfFileReader, signature: EmbeddedPdfSignature, status: PdfSignatureStatus, *, ours: bool
) -> tuple[Verdict, str]:
    if not status.intact or not status.valid:
        return shape_unless_appended(pdf), "the digest or the signature does not match"
    if not ours:
        return (Verdict.OTHER_KEY, "") if claims_to_be_ours(reader) else (Verdict.NOT_OURS, "")
    if status.coverage != SignatureCoverageLevel.ENTIRE_FILE or reader.xrefs.total_revisions != 1:
        *_, second, length = (int(each) for each in signature.byte_range)
        behind = Verdict.APPENDED if second + length < len(pdf) else Verdict.TAMPERED
        return behind, "the signature does not cover the whole file"
    if not status.bottom_line:
        return Verdict.TAMPERED, "the signature is not of the kind that we make"
    if not hole_is_plain(pdf, signature):
        return Verdict.TAMPERED, "the room of the signature holds more than the signature"
    try:
        manifest = manifest_in(reader)
    except NotAManifest as error:
        return Verdict.NOT_OURS, f"our key signed it, but {error}"
    if manifest["issuer"]["certificate_sha256"] != certificate_of(signature).sha256.hex():
        return Verdict.NOT_OURS, "our key signed it, but its manifest names another certificate"
    return Verdict.VALID, ""


def shape_unless_appended(pdf: bytes) -> Verdict:
    """A broken signature is tampering, whatever stands behind it; unless the end is missing."""
    return Verdict.TRUNCATED if shape_of(pdf) is Verdict.TRUNCATED else Verdict.TAMPERED


def claims_to_be_ours(reader: PdfFileReader) -> bool:
    try:
        manifest_in(reader)
    except NotAManifest:
        return False
    return True


def hole_is_plain(pdf: bytes, signature: EmbeddedPdfSignature) -> bool:
    """The bytes that no signature covers are the signature in hex, padded with zeros, and nothing else."""
    first, length, second, _ = (int(each) for each in signature.byte_range)
    hole = pdf[first + length : second]
    signed = envelope_of(signature).dump().hex().upper().encode("ascii")
    return bool(hole == b"<" + signed.ljust(len(hole) - 2, b"0") + b">")


def envelope_of(signature: EmbeddedPdfSignature) -> ContentInfo:
    """The signature as we would have written it down (RFC 5652): what it does not sign of itself is not taken from the file."""
    certificate, found = certificate_of(signature), signature.signer_info
    names = {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
    signer = {
        "version": "v1",
        "sid": SignerIdentifier({"issuer_and_serial_number": IssuerAndSerialNumber(names)}),
        "digest_algorithm": {"algorithm": "sha256"},
        "signed_attrs": CMSAttributes.load(found["signed_attrs"].untag().dump()),
        "signature_algorithm": {"algorithm": "sha256_ecdsa"},
        "signature": found["signature"].native,
    }
    content = {
        "version": "v1",
        "digest_algorithms": [{"algorithm": "sha256"}],
        "encap_content_info": {"content_type": "data"},
        "certificates": [certificate],
        "signer_infos": [signer],
    }
    return ContentInfo({"content_type": "signed_data", "content": SignedData(content)})


def manifest_in(reader: PdfFileReader) -> Manifest:
    """The one attachment. Raises NotAManifest."""
    try:
        names = reader.root["/Names"]["/EmbeddedFiles"]["/Names"]
        name, stream = names[0], names[1]["/EF"]["/F"]
        alone = len(names) == NAME_AND_FILE
    except (LookupError, TypeError, ValueError) as error:
        raise NotAManifest(f"what is attached is not {FILE_NAME} alone") from error
    if not alone or str(name) != FILE_NAME:
        raise NotAManifest(f"what is attached is not {FILE_NAME} alone")
    if not isinstance(stream, generic.StreamObject):
        raise NotAManifest("the attachment has no content")
    return read(stream.data)
