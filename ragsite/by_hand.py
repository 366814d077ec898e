"""The environment of a running `make service`, kept in a file for commands beside it: `ENV_FILE=FILE manage.py scoreboard`."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import certifi
from django.conf import settings

FILE = "service.env"
DECLARED = re.compile(r"^#?([A-Z][A-Z0-9_]*)=", re.MULTILINE)


def write(own: Mapping[str, str]) -> Path:
    """Every setting that was given, and on top `own`; readable by its owner alone, for it holds keys."""
    declared = set(DECLARED.findall((settings.BASE_DIR / ".env.example").read_text("utf-8")))
    given = {name: value for name, value in os.environ.items() if name in declared and value}
    path = Path(settings.RUN_DIR) / FILE
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in sorted({**given, **own}.items())), "utf-8")
    return path


def trusting(certificate: Path) -> dict[str, str]:
    """Makes a command trust a self-made certificate beside the usual ones."""
    bundle = certificate.with_name("trusted.pem")
    bundle.write_bytes(Path(certifi.where()).read_bytes() + certificate.read_bytes())
    return {"SSL_CERT_FILE": str(bundle)}
