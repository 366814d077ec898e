"""The certificate that goes with a signing key: self-signed, because what is trusted is this one certificate and no authority.

Every certificate that ever signed is kept in the database and published, so that a new key leaves old artifacts valid.
"""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from completion.models import SigningCertificate

YEARS = 30


def certificate_of(key: EllipticCurvePrivateKey, *, issuer: str, now: datetime) -> SigningCertificate:
    """The kept one of this key, or a new one. Processes that race agree on one."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fingerprint = fingerprint_of(public)
    kept: SigningCertificate | None = SigningCertificate.objects.filter(key_sha256=fingerprint).first()
    if kept:
        return kept
    made = make_certificate(key, issuer=issuer, now=now)
    row = {
        "pem": made.public_bytes(Encoding.PEM).decode("ascii"),
        "sha256": made.fingerprint(hashes.SHA256()).hex(),
        "created_at": now,
    }
    kept, _ = SigningCertificate.objects.get_or_create(key_sha256=fingerprint, defaults=row)
    return kept


def make_certificate(key: EllipticCurvePrivateKey, *, issuer: str, now: datetime) -> x509.Certificate:
    """Good for signing documents and for nothing else."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{issuer} completion artifacts"[:64])])
    may_sign = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(may_sign, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def fingerprint_of(data: bytes) -> str:
    """SHA-256 in hex."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize().hex()


def published() -> str:
    """All certificates that ever signed, the newest first, as one PEM file; empty before the first."""
    return "".join(SigningCertificate.objects.order_by("-pk").values_list("pem", flat=True))
