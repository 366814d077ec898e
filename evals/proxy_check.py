"""Whether the service answers at its public address, through a proxy: asked there, with a key of its own, like any client."""

import httpx
from django.conf import settings

from evals.ship_gate import Finding
from rag.drill import QUESTION, passing_key
from rag.models import TraceSummary

TIMEOUT_S = 60.0
OWN_SERVERS = ("gunicorn", "WSGIServer")
NOT_SET = "PUBLIC_URL is not set: put the address at which clients reach the service behind its proxy there"


def reached() -> Finding:
    """One question, asked at PUBLIC_URL; the trace that the reply names must be a row of this database."""
    url = settings.PUBLIC_URL.rstrip("/")
    if not url:
        return Finding("not asked", (NOT_SET,))
    try:
        with passing_key() as key:
            reply = httpx.post(
                f"{url}/api/ask",
                json={"question": QUESTION},
                headers={"Authorization": f"Bearer {key}", "Cache-Control": "no-cache"},
                timeout=TIMEOUT_S,
            )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding(f"asked at {url}", (f"nothing answers there: {error}",))
    server = reply.headers.get("server", "unnamed")
    return Finding(f"{reply.status_code} at {url} from the server {server!r}", tuple(faults(reply, server)))


def faults(reply: httpx.Response, server: str) -> list[str]:
    found = []
    if reply.status_code != httpx.codes.OK:
        found.append(f"status {reply.status_code} instead of 200")
    elif not TraceSummary.objects.filter(trace_id=trace_id_of(reply)).exists():
        found.append("another service answers there: the trace of its answer is not in this database")
    if server.startswith(OWN_SERVERS):
        found.append("the web process itself answers there: no proxy is in between")
    if not settings.TRUSTED_PROXIES:
        found.append("TRUSTED_PROXIES names none, so every client has the proxy's address")
    return found


def trace_id_of(reply: httpx.Response) -> str:
    try:
        body = reply.json()
    except ValueError:
        return ""
    return str(body.get("trace_id", "")) if isinstance(body, dict) else ""
