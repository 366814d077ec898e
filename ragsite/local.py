"""Two small files below the data directory that the settings read: the secret key and where `make run` listens."""

import json
import os
import secrets
from pathlib import Path

RUNNING_FILE = "running.json"


def read_or_make_secret(path: Path) -> str:
    """The secret in `path`, made on first use with mode 0600. Two processes that start at once agree on one."""
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(50), "ascii")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text("ascii").strip()


def read_running_urls(run_dir: Path) -> dict[str, str]:
    """Name -> URL of the parts that `make run` started (`web`, `chroma`, `sandbox`), empty when it does not run."""
    try:
        parts = json.loads((run_dir / RUNNING_FILE).read_text("utf-8"))["parts"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return {}
    return {name: part["url"] for name, part in parts.items() if part.get("url")}
