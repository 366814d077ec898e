"""Signing what goes out, so that a receiver can tell that it comes from here, unchanged and now. Plain Python."""

import hashlib
import hmac
from collections.abc import Mapping

DELIVERY = "X-Ragsite-Delivery"
TIMESTAMP = "X-Ragsite-Timestamp"
SIGNATURE = "X-Ragsite-Signature"


def signature(*, secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the HMAC-SHA256, in hex, of the timestamp, a full stop and the body, byte for byte."""
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def signed_headers(*, secret: str, delivery: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """`timestamp` is in seconds since 1970, of this try; `delivery` is the same for every try."""
    told = str(timestamp)
    return {
        DELIVERY: delivery,
        TIMESTAMP: told,
        SIGNATURE: signature(secret=secret, timestamp=told, body=body),
    }
