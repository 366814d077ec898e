"""From a drawn page to a signed file: one revision that holds the page, its structure, the manifest and the signature."""

import io
from datetime import datetime

from asn1crypto.keys import PrivateKeyInfo
from asn1crypto.x509 import Certificate
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils import embed, generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import PdfFileWriter, copy_into_new_writer
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, SimpleSigner
from pyhanko_certvalidator.registry import SimpleCertificateStore

from completion.manifest import FILE_NAME
from completion.page import Drawn
from completion.tagging import add_structure

FIELD = "Artifact"
REASON = "Completion artifact: the page and the manifest attached to it"


def sign(
    drawn: Drawn,
    *,
    title: str,
    manifest: bytes,
    key: EllipticCurvePrivateKey,
    certificate_pem: str,
    signed_at: datetime,
) -> bytes:
    """The signature covers every byte but itself. The time in it is our own clock's."""
    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(drawn.pdf)))
    add_structure(writer, drawn.tree)
    name_document(writer, title)
    attach(writer, manifest, signed_at)
    metadata = PdfSignatureMetadata(
        field_name=FIELD, reason=REASON, md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES
    )
    output: io.BytesIO = PdfSigner(metadata, signer=signer(key, certificate_pem)).sign_pdf(writer)
    return output.getvalue()


def name_document(writer: PdfFileWriter, title: str) -> None:
    """For the window's title, and for those who keep files by their metadata."""
    told = {"/Title": title, "/Subject": "What was built, and what it measured"}
    texts = {generic.pdf_name(key): generic.TextStringObject(text) for key, text in told.items()}
    writer.set_info(generic.DictionaryObject(texts))


def attach(writer: PdfFileWriter, manifest: bytes, moment: datetime) -> None:
    embedded = embed.EmbeddedFileObject.from_file_data(
        writer, manifest, mime_type="application/json", params=embed.EmbeddedFileParams(modification_date=moment)
    )
    specification = embed.FileSpec(
        file_spec_string=FILE_NAME,
        file_name=FILE_NAME,
        embedded_data=embedded,
        description="The facts of this artifact, in canonical JSON (RFC 8785)",
        af_relationship=generic.pdf_name("/Data"),
    )
    embed.embed_file(writer, specification)


def signer(key: EllipticCurvePrivateKey, certificate_pem: str) -> SimpleSigner:
    der = x509.load_pem_x509_certificate(certificate_pem.encode("ascii")).public_bytes(Encoding.DER)
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return SimpleSigner(
        signing_cert=Certificate.load(der),
        signing_key=PrivateKeyInfo.load(private),
        cert_registry=SimpleCertificateStore(),
    )
