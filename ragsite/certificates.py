"""A self-made certificate, with which a service can be tried before it has one that browsers trust."""

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rag import clock

SELF_MADE = "self-made.crt"
VALID = timedelta(days=397)  # what browsers take at most


def self_made(*, folder: Path, names: tuple[str, ...]) -> tuple[Path, Path]:
    """Certificate and key below `folder`, those that are there or new ones; the key is readable by its owner alone."""
    certificate, key = folder / SELF_MADE, folder / "self-made.key"
    if certificate.exists() and key.exists() and still_good(certificate, names):
        return certificate, key
    folder.mkdir(parents=True, exist_ok=True)
    private = ec.generate_private_key(ec.SECP256R1())
    key.unlink(missing_ok=True)
    key.touch(mode=0o600)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    certificate.write_bytes(signed(private, names).public_bytes(serialization.Encoding.PEM))
    return certificate, key


def signed(private: ec.EllipticCurvePrivateKey, names: tuple[str, ...]) -> x509.Certificate:
    whose = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    now = clock.now()
    return (
        x509.CertificateBuilder()
        .subject_name(whose)
        .issuer_name(whose)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )


def general_name(name: str) -> x509.GeneralName:
    bare = name.strip("[]")
    try:
        return x509.IPAddress(ip_address(bare))
    except ValueError:
        return x509.DNSName(bare)


def still_good(certificate: Path, names: tuple[str, ...]) -> bool:
    """Whether it holds for another month and names all of them."""
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    told = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    lasts = found.not_valid_after_utc > clock.now() + timedelta(days=30)
    return lasts and {*told} == {general_name(name) for name in names}
