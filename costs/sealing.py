"""Secrets that the database keeps but does not know: sealed with a key that is derived from SECRET_KEY.

What was sealed under an earlier SECRET_KEY opens as long as that one stands in SECRET_KEY_FALLBACKS.
"""

import base64
from collections.abc import Sequence
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

PURPOSE = b"ragsite: secrets of alert channels"


class SealBroken(Exception):
    """The key that it was sealed with is not known any more; says what to do."""


def seal(secret: str) -> str:
    return box().encrypt(secret.encode()).decode("ascii")


def opened(sealed: str) -> str:
    """Raises SealBroken."""
    try:
        return box().decrypt(sealed).decode()
    except InvalidToken:
        told = "SECRET_KEY was changed: put the old one into SECRET_KEY_FALLBACKS, or give the channel a new secret"
        raise SealBroken(told) from None


def sealed_anew(sealed: str) -> str:
    """The same secret under the newest key. Raises SealBroken."""
    return seal(opened(sealed))


def box() -> MultiFernet:
    return box_of(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=4)
def box_of(*keys: str) -> MultiFernet:
    """The first seals, all open."""
    return MultiFernet([Fernet(key) for key in derived(keys)])


def derived(keys: Sequence[str]) -> list[bytes]:
    """Fernet keys by HKDF (RFC 5869), so that what is known of one use of SECRET_KEY says nothing of another."""
    return [
        base64.urlsafe_b64encode(HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(key.encode()))
        for key in keys
    ]
