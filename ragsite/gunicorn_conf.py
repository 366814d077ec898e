"""How the web process runs. The slow imports happen before a worker is ready, not while somebody waits for an answer.

The arbiter reads no settings, so that a reload (HUP) gives its workers the new ones.
"""

import gc
import os
from importlib import import_module
from typing import Any

workers = int(os.environ.get("WEB_PROCESSES", "1"))
threads = int(os.environ.get("WEB_THREADS", "16"))
worker_class = "gthread"
timeout = 60
graceful_timeout = 20
keepalive = 30
control_socket_disable = True
# What proxies say is judged in one place, `ragsite.proxies`: nothing of it changes the request before.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}

SHARED = (
    "anthropic",
    "chromadb",
    "cohere.client",
    "openai",
    "voyageai.client",
    "psycopg",
    "celery.schedules",
    "pyhanko.sign.validation",
    "reportlab.pdfgen.canvas",
)


def log_format() -> str:
    """As `ragsite.settings` has it, as far as the environment says; a worker has read `.env`, too, and logs by its settings."""
    debug = os.environ.get("DEBUG", "true").lower() in ("true", "on", "ok", "y", "yes", "1")
    return os.environ.get("LOG_FORMAT") or ("line" if debug else "json")


def json_logs() -> dict[str, Any]:
    arbiter = {"handlers": ["stderr"], "level": "INFO", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "ragsite.logs.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {"gunicorn.error": arbiter},
    }


logconfig_dict = json_logs() if log_format() == "json" else {}


def on_starting(server: object) -> None:
    """What is imported before the fork is in memory once for all workers, and whoever replaces a dead one starts sooner.

    These read no settings, open nothing and start no thread that a fork would lose. A reload does not import them anew.
    """
    for name in SHARED:
        import_module(name)
    gc.collect()
    gc.freeze()  # or the workers' first collection would write on every shared page


def post_worker_init(worker: object) -> None:
    from rag import metrics, wiring

    wiring.warm_up()
    metrics.begin()
    gc.collect()
    gc.freeze()  # the SDKs' classes stay for ever: without this every full collection walks through all of them
    gc.set_threshold(20_000, 20, 50)
