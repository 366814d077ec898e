"""What people do to a signed file."""

import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner
from reportlab.pdfgen.canvas import Canvas

from completion.certificates import make_certificate
from completion.signing import signer

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def stranger_signs(pdf: bytes, *, field: str = "Artifact", incremental: bool = False) -> bytes:
    """With a key of their own, and a certificate that says the same as ours."""
    key = generate_private_key(SECP256R1())
    pem = make_certificate(key, issuer="ragsite", now=NOW).public_bytes(Encoding.PEM).decode()
    source = io.BytesIO(pdf)
    writer = IncrementalPdfFileWriter(source) if incremental else copy_into_new_writer(PdfFileReader(source))
    metadata = PdfSignatureMetadata(field_name=field, md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES)
    signed: io.BytesIO = PdfSigner(metadata, signer=signer(key, pem)).sign_pdf(writer)
    return signed.getvalue()


def a_letter() -> bytes:
    """A PDF that has nothing to do with us."""
    output = io.BytesIO()
    canvas = Canvas(output)
    canvas.drawString(100, 700, "Dear Sir or Madam")
    canvas.save()
    return output.getvalue()


def without_signature(pdf: bytes) -> bytes:
    """The same page and attachment, its form and the signature taken out."""
    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(pdf)))
    del writer.root["/AcroForm"]
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


def one_byte_changed(pdf: bytes) -> bytes:
    """In the middle of what the page shows."""
    at = pdf.index(b"stream") + 400
    return pdf[:at] + bytes([pdf[at] ^ 1]) + pdf[at + 1 :]


def revision_appended(pdf: bytes) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    writer.root["/Extra"] = writer.add_object(generic.NumberObject(1))
    writer.update_root()
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


def hole_of(pdf: bytes) -> tuple[int, int]:
    """Where the hex digits of the signature begin and end."""
    start = pdf.index(b"/Contents <") + len(b"/Contents <")
    return start, pdf.index(b">", start)


def padding_used(pdf: bytes) -> bytes:
    """No signature covers the room behind the signature."""
    _, end = hole_of(pdf)
    return pdf[: end - 8] + b"DEADBEEF" + pdf[end:]


def digits_respelled(pdf: bytes) -> bytes:
    start, end = hole_of(pdf)
    return pdf[:start] + pdf[start:end].lower() + pdf[end:]


def signature_damaged(pdf: bytes) -> bytes:
    """In the last byte of its value, which is the last of the whole structure: 30 82 and a length of two bytes begin it."""
    start, _ = hole_of(pdf)
    last = start + 2 * (4 + int(pdf[start + 4 : start + 8], 16)) - 1
    return pdf[:last] + (b"1" if pdf[last : last + 1] == b"0" else b"0") + pdf[last + 1 :]


FORGERIES: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    "one byte changed": (one_byte_changed, "tampered"),
    "the padding of the signature used": (padding_used, "tampered"),
    "the signature spelled otherwise": (digits_respelled, "tampered"),
    "the signature damaged": (signature_damaged, "tampered"),
    "the last byte cut off": (lambda pdf: pdf[:-1], "truncated"),
    "the last hundred bytes cut off": (lambda pdf: pdf[:-100], "truncated"),
    "half of it cut off": (lambda pdf: pdf[: len(pdf) // 2], "truncated"),
    "only its first line": (lambda pdf: pdf[:9], "truncated"),
    "a revision appended": (revision_appended, "appended"),
    "a line feed appended": (lambda pdf: pdf + b"\n", "appended"),
    "kilobytes appended": (lambda pdf: pdf + b"x" * 5_000, "appended"),
    "a second signature appended": (lambda pdf: stranger_signs(pdf, field="Other", incremental=True), "appended"),
    "signed again by another key": (lambda pdf: stranger_signs(without_signature(pdf)), "other_key"),
    "without its signature": (without_signature, "unsigned"),
    "another document, signed by its author": (lambda pdf: stranger_signs(a_letter()), "not_ours"),
    "another document without signature": (lambda pdf: a_letter(), "unsigned"),
    "a text": (lambda pdf: b"%PDX-1.4 no", "unreadable"),
    "nothing": (lambda pdf: b"", "unreadable"),
}
"""name -> (what is done to an artifact, the verdict that it gets)"""
