"""Signatures, as the snippet in the documentation and the shipped workflow check them."""

import json
import re
import time
from pathlib import Path
from typing import Any

from django.conf import settings

from costs.signing import signature, signed_headers

BODY = '{"message": "späte Änderung"}'.encode()


def documented() -> Any:
    """`genuine` of docs/budgets.md."""
    text = (Path(settings.BASE_DIR) / "docs" / "budgets.md").read_text("utf-8")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(found.group(1), names)  # noqa: S102 - our own documentation
    return names["genuine"]


def signed(body: bytes = BODY, *, ago_s: int = 0) -> dict[str, str]:
    return dict(signed_headers(secret="secret", delivery="d", timestamp=int(time.time()) - ago_s, body=body))


def test_it_is_the_hmac_of_timestamp_and_body():
    """By `printf '1700000000.{}' | openssl dgst -sha256 -hmac secret`."""
    made = signature(secret="secret", timestamp="1700000000", body=b"{}")

    assert made == "sha256=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163"


def test_the_documented_check_accepts_what_is_sent():
    assert documented()("secret", signed(), BODY)


def test_the_documented_check_refuses_what_was_changed_or_kept():
    genuine = documented()

    assert not genuine("another", signed(), BODY)
    assert not genuine("secret", signed(), BODY + b" ")
    assert not genuine("secret", signed() | {"X-Ragsite-Timestamp": str(int(time.time()) + 1)}, BODY)
    assert not genuine("secret", signed(ago_s=301), BODY)


def test_the_shipped_workflow_is_whole():
    workflow = json.loads((Path(settings.BASE_DIR) / "deploy" / "n8n" / "alert-webhook.json").read_text("utf-8"))
    names = {node["name"] for node in workflow["nodes"]}
    joined = {
        (origin, link["node"]) for origin, to in workflow["connections"].items() for row in to["main"] for link in row
    }

    assert {name for pair in joined for name in pair} == names
    assert workflow["nodes"][0]["parameters"]["options"]["rawBody"] is True
    code = "".join(node["parameters"].get("jsCode", "") for node in workflow["nodes"])
    assert all(header in code for header in ("x-ragsite-delivery", "x-ragsite-timestamp", "x-ragsite-signature"))
