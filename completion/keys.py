"""The key that signs: given by ARTIFACT_KEY_FILE, or made on first use. ECDSA P-256, because readers of PDF files know it."""

import os
import secrets
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.conf import settings

OWN_FILE = "artifact_key.pem"


class KeyProblem(Exception):
    """The signing key cannot be used; the message says what to do."""


def signing_key() -> EllipticCurvePrivateKey:
    """Raises KeyProblem."""
    given = settings.ARTIFACT_KEY_FILE
    path = Path(given) if given else settings.DATA_DIR / OWN_FILE
    if not given:
        make_once(path)
    return read_key(path)


def make_once(path: Path) -> None:
    """A new key in `path`, readable by its owner alone, unless there is one. Processes that race agree on one key."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    pem = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first: its key is the one
    finally:
        draft.unlink(missing_ok=True)


def read_key(path: Path) -> EllipticCurvePrivateKey:
    """Raises KeyProblem."""
    try:
        if path.stat().st_mode & 0o077:
            raise KeyProblem(f"{path} can be read by others: chmod 600 it, or make a new key if anybody did.")
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise KeyProblem(f"The signing key {path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyProblem(f"{path} is no private key in PEM without a passphrase.") from error
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        hint = "openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt"
        raise KeyProblem(f"{path} is not an ECDSA P-256 key, which readers of PDF files verify: {hint}")
    return key
