"""The signing key and its certificate: made once, given by a setting, changed without harm to what it signed."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from pytest_django import Settings

from completion.certificates import certificate_of, published
from completion.keys import KeyProblem, make_once, read_key, signing_key
from completion.models import SigningCertificate

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def saved(key, path: Path, encryption=None, mode: int = 0o600) -> Path:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))
    path.chmod(mode)
    return path


def test_it_is_made_on_first_use_for_its_owner_alone(tmp_path: Path, settings: Settings) -> None:
    settings.DATA_DIR = tmp_path / "new"

    first, second = signing_key(), signing_key()

    (file,) = settings.DATA_DIR.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert isinstance(first.curve, ec.SECP256R1)
    assert first.private_numbers() == second.private_numbers()


def test_processes_that_race_agree_on_one_key(tmp_path: Path) -> None:
    code = (
        "import sys, hashlib; from pathlib import Path; from completion.keys import make_once, read_key; "
        "path = Path(sys.argv[1]); input(); make_once(path); print(read_key(path).private_numbers().private_value)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "key.pem")]
    racers = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]

    answers = {racer.communicate("go\n", timeout=120)[0] for racer in racers}

    assert len(answers) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["key.pem"]


def test_a_given_key_is_used_and_none_is_made(tmp_path: Path, settings: Settings) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    settings.ARTIFACT_KEY_FILE = str(saved(key, tmp_path / "given.pem"))
    settings.DATA_DIR = tmp_path / "unused"

    assert signing_key().private_numbers() == key.private_numbers()
    assert not settings.DATA_DIR.exists()


def test_a_given_key_that_is_not_there_is_not_made(tmp_path: Path, settings: Settings) -> None:
    settings.ARTIFACT_KEY_FILE = str(tmp_path / "absent.pem")

    with pytest.raises(KeyProblem, match="cannot be read"):
        signing_key()


@pytest.mark.parametrize(
    "make",
    [
        lambda: rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate,
        lambda: ec.generate_private_key(ec.SECP384R1()),
    ],
    ids=["RSA", "Ed25519", "P-384"],
)
def test_other_kinds_of_key_are_refused(make, tmp_path: Path) -> None:
    with pytest.raises(KeyProblem, match="not an ECDSA P-256 key"):
        read_key(saved(make(), tmp_path / "key.pem"))


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    make_once(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(0o640)

    with pytest.raises(KeyProblem, match="chmod 600"):
        read_key(tmp_path / "key.pem")


def test_a_key_with_a_passphrase_or_no_key_at_all_is_refused(tmp_path: Path) -> None:
    locked = saved(ec.generate_private_key(ec.SECP256R1()), tmp_path / "locked.pem", BestAvailableEncryption(b"secret"))
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("not a key")
    rubbish.chmod(0o600)

    for path in (locked, rubbish):
        with pytest.raises(KeyProblem, match="no private key in PEM without a passphrase"):
            read_key(path)


@pytest.mark.django_db
def test_a_key_has_one_certificate_for_good() -> None:
    key = ec.generate_private_key(ec.SECP256R1())

    first = certificate_of(key, issuer="ragsite", now=NOW)
    again = certificate_of(key, issuer="another name", now=NOW)

    assert again == first
    told = x509.load_pem_x509_certificate(first.pem.encode())
    assert told.public_key() == key.public_key()
    usage = told.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign


@pytest.mark.django_db
def test_all_certificates_are_published_the_newest_first() -> None:
    made = [certificate_of(ec.generate_private_key(ec.SECP256R1()), issuer="ragsite", now=NOW) for _ in range(3)]

    certificates = x509.load_pem_x509_certificates(published().encode())
    found = [each.fingerprint(hashes.SHA256()).hex() for each in certificates]

    assert found == [each.sha256 for each in reversed(made)]
    assert SigningCertificate.objects.count() == 3
