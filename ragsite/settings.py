"""All settings, read top to bottom. Every variable is described in `.env.example`.

Order of precedence: the process environment, then `.env`, then where a running `make run` says its parts listen,
then the defaults below. With nothing set at all this is the embedded mode: SQLite, a local Chroma, the sandbox.
Wrong combinations are refused by system checks (`ragsite/checks.py`, `rag/checks.py`), not here.
"""

import os
import socket
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import environ
from celery.schedules import crontab
from django.templatetags.static import static
from django.urls import reverse_lazy

from ragsite.local import read_or_make_secret, read_running_urls

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
ENV_FILE = os.environ.get("ENV_FILE", str(BASE_DIR / ".env"))
if ENV_FILE and Path(ENV_FILE).is_file():
    env.read_env(ENV_FILE)

# Where things are kept
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "data"))).resolve()
RUN_DIR = DATA_DIR / "run"
TRACE_DIR = Path(env.str("TRACE_DIR", default=str(DATA_DIR / "traces")))
BM25_DIR = DATA_DIR / "bm25"
UPLOAD_DIR = Path(env.str("UPLOAD_DIR", default=str(DATA_DIR / "uploads")))
INGEST_ROOT = Path(env.str("INGEST_ROOT", default=str(DATA_DIR)))
RUNNING_URLS = read_running_urls(RUN_DIR)
# A folder for each host: containers that share DATA_DIR have processes of the same number.
METRICS_DIR = Path(env.str("METRICS_DIR", default="") or RUN_DIR / "metrics" / socket.gethostname()).resolve()
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS_DIR)  # prometheus_client looks there when it is imported

# Django
DEBUG = env.bool("DEBUG", default=True)
SECRET_KEY = env.str("SECRET_KEY", default="") or (read_or_make_secret(DATA_DIR / "secret_key") if DEBUG else "")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])
FORCE_SCRIPT_NAME = env.str("FORCE_SCRIPT_NAME", default="") or None  # /ragsite, where the site is not at the root
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = FORCE_SCRIPT_NAME or "/"
ROOT_URLCONF = "ragsite.urls"
WSGI_APPLICATION = "ragsite.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
LANGUAGE_CODE = "en"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "ask-page"

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "ragsite.admin_app.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "ragsite",
    "costs",
    "prompts",
    "rag",
    "evals",
    "completion",
]

MIDDLEWARE = [
    "ragsite.proxies.ClientAddress",
    "django.middleware.security.SecurityMiddleware",
    "ragsite.headers.Headers",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "ragsite.bodies.BodyLimit",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

STATIC_URL = f"{FORCE_SCRIPT_NAME or ''}/static/"
COLLECTED_DIR = Path(env.str("STATIC_ROOT", default=str(BASE_DIR / "static-collected")))
STATIC_ROOT = None if DEBUG else COLLECTED_DIR  # with DEBUG on files are found where they lie
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 1_000_000

# Database: SQLite (WAL) or PostgreSQL
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url_config(env.str("DATABASE_URL", default="") or f"sqlite:///{DATA_DIR / 'ragsite.sqlite3'}")
}
DATABASES["default"]["CONN_MAX_AGE"] = 60
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
    }
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
elif DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    DATABASES["default"]["ENGINE"] = "ragsite.postgresql"

# Cache, throttle and locks: inside the one web process, or Redis
REDIS_URL = env.str("REDIS_URL", default="")
WEB_PROCESSES = env.int("WEB_PROCESSES", default=1)
WEB_THREADS = env.int("WEB_THREADS", default=16)
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "answers": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "answers",
        "OPTIONS": {"MAX_ENTRIES": 2_000},
    },
}
if REDIS_URL:
    redis = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": env.str("CACHE_PREFIX", default="ragsite"),
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.5, "SOCKET_TIMEOUT": 0.5, "IGNORE_EXCEPTIONS": True},
    }
    zlib = {"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"}
    CACHES = {"default": redis, "answers": redis | {"OPTIONS": redis["OPTIONS"] | zlib}}
ANSWER_CACHE_TTL_S = env.int("ANSWER_CACHE_TTL_S", default=300)
SESSION_TTL_S = env.int("SESSION_TTL_S", default=1_800)
SESSION_KEEP_DAYS = env.int("SESSION_KEEP_DAYS", default=90)
SESSION_MAX_TURNS = env.int("SESSION_MAX_TURNS", default=20)
TRACE_COMPRESS_DAYS = env.int("TRACE_COMPRESS_DAYS", default=7)
TRACE_KEEP_DAYS = env.int("TRACE_KEEP_DAYS", default=365)
# Of answers from the cache: rows of PostgreSQL are written together, a file's are no faster for it.
ROWS_DELAY_MS = env.int("ROWS_DELAY_MS", default=0 if DATABASES["default"]["ENGINE"].endswith("sqlite3") else 100)
TRACE_REDACTOR = env.str("TRACE_REDACTOR", default="")
STALE_ANSWER_TTL_S = env.int("STALE_ANSWER_TTL_S", default=86_400)

# Celery: Redis, or files below DATA_DIR. No result backend: a job's state is a row.
BROKER_DIR = DATA_DIR / "broker"
CELERY_BROKER_URL = REDIS_URL or "filesystem://"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    {"socket_connect_timeout": 0.5, "socket_timeout": 5, "max_retries": 0}
    if REDIS_URL
    else {
        "data_folder_in": str(BROKER_DIR / "queue"),
        "data_folder_out": str(BROKER_DIR / "queue"),
        "control_folder": str(BROKER_DIR / "control"),
        "store_processed": False,
    }
)
CELERY_TASK_DEFAULT_QUEUE = "ragsite"
# Of its own: an ingest or an evaluation takes minutes, and alerts must not wait behind it.
INGEST_QUEUE = "ragsite-ingests"
LONG_TASKS = ("rag.tasks.run_ingest", "rag.tasks.resume_ingests", "evals.tasks.ask_waiting_runs")
CELERY_TASK_ROUTES = {name: {"queue": INGEST_QUEUE} for name in LONG_TASKS}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_BROKER_CONNECTION_TIMEOUT = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = TIME_ZONE
ALERT_EVERY_S = env.float("ALERT_EVERY_S", default=60.0)
CELERY_BEAT_SCHEDULER = "ragsite.schedule:SharedScheduler"
ROLLUP_EVERY_S = env.float("ROLLUP_EVERY_S", default=300.0)
CELERY_BEAT_SCHEDULE = {
    "watch budgets, deliver alerts": {
        "task": "rag.tasks.watch",
        "schedule": ALERT_EVERY_S,
        "options": {"expires": ALERT_EVERY_S},
    },
    "ask evaluations that wait": {
        "task": "evals.tasks.ask_waiting_runs",
        "schedule": 30.0,
        "options": {"expires": 30.0},
    },
    "pick up ingests that nobody works on": {"task": "rag.tasks.resume_ingests", "schedule": 30.0},
    "forget conversations": {"task": "rag.tasks.forget_sessions", "schedule": 86_400.0},
    "keep the roll-ups of the cost page": {
        "task": "rag.tasks.keep_rollups",
        "schedule": ROLLUP_EVERY_S,
        "options": {"expires": ROLLUP_EVERY_S},
    },
    "close the trace files of days that are over": {"task": "rag.tasks.close_trace_files", "schedule": 3_600.0},
    "hold the ledger against the bills": {"task": "rag.tasks.watch_bills", "schedule": crontab(hour="7", minute="7")},
}

# Providers. Without a key the base URL is the sandbox; whatever lives there is marked `simulated` everywhere.
GIVEN_SANDBOX_URL = env.str("SANDBOX_URL", default="")
SANDBOX_URL = GIVEN_SANDBOX_URL or RUNNING_URLS.get("sandbox", "http://127.0.0.1:8199")
ALLOW_SANDBOX = env.bool("ALLOW_SANDBOX", default=False)


def provider(name: str, live_url: str, sandbox_path: str) -> dict[str, str]:
    key = env.str(f"{name}_API_KEY", default="")
    base_url = env.str(f"{name}_BASE_URL", default=live_url if key else SANDBOX_URL + sandbox_path)
    mode = "simulated" if base_url.startswith(SANDBOX_URL) else "live"
    return {"api_key": key or ("sandbox" if mode == "simulated" else ""), "base_url": base_url, "mode": mode}


PROVIDERS = {
    "anthropic": provider("ANTHROPIC", "https://api.anthropic.com", "/anthropic"),
    "voyage": provider("VOYAGE", "https://api.voyageai.com/v1", "/voyage/v1"),
    "openai": provider("OPENAI", "https://api.openai.com/v1", "/openai/v1"),
    "cohere": provider("COHERE", "https://api.cohere.com", "/cohere"),
}
ANTHROPIC_ADMIN_KEY = env.str("ANTHROPIC_ADMIN_KEY", default="")
OPENAI_ADMIN_KEY = env.str("OPENAI_ADMIN_KEY", default="")
SETTLE_DAILY = env.bool("SETTLE_DAILY", default=True)
GIVEN_CHROMA_URL = env.str("CHROMA_URL", default="")
CHROMA_URL = GIVEN_CHROMA_URL or RUNNING_URLS.get("chroma", "http://127.0.0.1:8123")

ANSWER_MODEL = env.str("ANSWER_MODEL", default="claude-sonnet-4-6")
TRANSFORM_MODEL = env.str("TRANSFORM_MODEL", default="claude-haiku-4-5")
JUDGE_MODEL = env.str("JUDGE_MODEL", default="claude-haiku-4-5")
EMBEDDING_MODEL = env.str("EMBEDDING_MODEL", default="voyage-3.5")
EMBEDDING_DIMENSIONS = env.int("EMBEDDING_DIMENSIONS", default=1024)
FALLBACK_EMBEDDING_MODEL = env.str("FALLBACK_EMBEDDING_MODEL", default="text-embedding-3-small")
FALLBACK_EMBEDDING_DIMENSIONS = env.int("FALLBACK_EMBEDDING_DIMENSIONS", default=512)
RERANK_MODEL = env.str("RERANK_MODEL", default="rerank-v3.5")
ANSWER_MAX_TOKENS = env.int("ANSWER_MAX_TOKENS", default=800)

GENERATION_TIMEOUT_S = env.float("GENERATION_TIMEOUT_S", default=15.0)
TRANSFORM_TIMEOUT_S = env.float("TRANSFORM_TIMEOUT_S", default=4.0)
EMBEDDING_TIMEOUT_S = env.float("EMBEDDING_TIMEOUT_S", default=3.0)
RERANK_TIMEOUT_S = env.float("RERANK_TIMEOUT_S", default=3.0)
REQUEST_TIMEOUT_S = env.float("REQUEST_TIMEOUT_S", default=25.0)
CHROMA_TIMEOUT_S = env.float("CHROMA_TIMEOUT_S", default=2.0)
INGEST_TIMEOUT_S = env.float("INGEST_TIMEOUT_S", default=120.0)

# Product defaults and limits
DEFAULT_CORPUS = env.str("DEFAULT_CORPUS", default="django")
DEFAULT_MODULE = env.str("DEFAULT_MODULE", default="m6-production")
ASK_RATE = env.str("ASK_RATE", default="120/min")
READ_RATE = env.str("READ_RATE", default="600/min")
BAD_KEY_RATE = env.str("BAD_KEY_RATE", default="30/min")
INGEST_MAX_FILE_MB = env.int("INGEST_MAX_FILE_MB", default=20)
INGEST_MAX_UPLOAD_MB = env.int("INGEST_MAX_UPLOAD_MB", default=100)
KEEP_CORPUS_VERSIONS = env.int("KEEP_CORPUS_VERSIONS", default=3)
PUBLIC_URL = env.str("PUBLIC_URL", default="")  # where clients reach the service, https://rag.example.com
DAILY_BUDGET_USD = Decimal(env.str("DAILY_BUDGET_USD", default="5.00"))

# Alerts: webhooks and mail
ALERT_ALLOWED_NETWORKS = env.list("ALERT_ALLOWED_NETWORKS", default=[])
EMAIL_URL = env.str("EMAIL_URL", default="")
if EMAIL_URL:
    globals().update(environ.Env.email_url_config(EMAIL_URL))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="ragsite@localhost")

# The completion artifact: its key (empty: made once, DATA_DIR/artifact_key.pem), its page, and who may verify how often
ARTIFACT_KEY_FILE = env.str("ARTIFACT_KEY_FILE", default="")
ARTIFACT_ISSUER = env.str("ARTIFACT_ISSUER", default="ragsite")
ARTIFACT_FONTS = env.list("ARTIFACT_FONTS", default=[])
ARTIFACT_REPO_ROOT = Path(env.str("ARTIFACT_REPO_ROOT", default=str(BASE_DIR)))
VERIFY_RATE = env.str("VERIFY_RATE", default="120/min")
VERIFY_UPLOAD_RATE = env.str("VERIFY_UPLOAD_RATE", default="10/min")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rag.api.authentication.ApiKeyAuthentication",
        "rag.api.authentication.StaffSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rag.api.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "URL_FORMAT_OVERRIDE": None,  # what an answer is made of is said by Accept and by `stream`, not by ?format=
    "DEFAULT_PARSER_CLASSES": ["rag.api.parsers.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_RATES": {"ask": ASK_RATE, "read": READ_RATE, "bad_key": BAD_KEY_RATE},
    "EXCEPTION_HANDLER": "rag.api.errors.exception_handler",
    "NUM_PROXIES": 0,  # REMOTE_ADDR is the client's already (ragsite/proxies.py)
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "ragsite",
    "DESCRIPTION": "Question answering over your own documents, with receipts.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "rag.api.schema.closed_bodies",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_PUBLIC": True,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
}

# Security: what a TLS deployment needs, by one switch
BEHIND_TLS = env.bool("BEHIND_TLS", default=not DEBUG)
SECURE_SSL_REDIRECT = BEHIND_TLS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True  # our pages send the token of their form
SESSION_COOKIE_SAMESITE = "Lax"  # Strict would ask for the password behind every link from a mail
CSRF_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_AGE = env.int("SIGN_IN_HOURS", default=12) * 3_600
DEFAULT_EXCEPTION_REPORTER_FILTER = "ragsite.secrets.ReporterFilter"
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = BEHIND_TLS
SECURE_HSTS_PRELOAD = BEHIND_TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_REDIRECT_EXEMPT = [f"^{(FORCE_SCRIPT_NAME or '').removeprefix('/')}/?{name}$" for name in ("healthz", "readyz")]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"  # and in `ragsite.headers`: Content-Security-Policy, Permissions-Policy

# Watching: logs, and the same spans as in our traces for an OpenTelemetry collector (docs/watching.md)
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOG_FORMAT = env.str("LOG_FORMAT", default="", choices=("json", "line", "")) or ("line" if DEBUG else "json")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "ragsite.logs.LineFormatter"},
        "json": {"()": "ragsite.logs.JsonFormatter"},
    },
    "filters": {"trace_ids": {"()": "ragsite.logs.TraceIds"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": LOG_FORMAT,
            "filters": ["trace_ids"],
            "stream": sys.stderr,
        }
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Gunicorn and Celery would give these handlers of their own, with formats of their own.
        "gunicorn.error": {"handlers": ["stderr"], "propagate": False},
        "celery.task": {"handlers": ["stderr"], "propagate": False},
        "multiprocessing": {"handlers": ["stderr"], "propagate": False},
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "django.server": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "httpx": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "chromadb": {"level": "WARNING"},
    },
}
OTEL_EXPORTER_OTLP_ENDPOINT = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default="")
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = env.str("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", default="")

UNFOLD = {
    "SITE_TITLE": "ragsite",
    "SITE_HEADER": "ragsite",
    "SITE_SUBHEADER": "Answers with receipts",
    "SITE_SYMBOL": "quick_reference_all",
    "SITE_URL": reverse_lazy("ask-page"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("favicon.svg")},
    ],
    "LOGIN": {"form": "ragsite.sign_in.SignInForm"},
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda request: static("admin.css")],
    "SIDEBAR": {
        "show_search": True,
        "navigation": [
            {
                "title": "Use",
                "items": [
                    {
                        "title": "Ask",
                        "icon": "forum",
                        "link": reverse_lazy("ask-page"),
                        "active": lambda request: False,
                    },
                    {"title": "Traces", "icon": "route", "link": reverse_lazy("admin:rag_tracesummary_changelist")},
                    {
                        "title": "Costs",
                        "icon": "monitoring",
                        "link": reverse_lazy("costs"),
                        "permission": lambda request: request.user.has_perm("costs.view_ledgerentry"),
                    },
                    {
                        "title": "Ledger",
                        "icon": "receipt_long",
                        "link": reverse_lazy("admin:costs_ledgerentry_changelist"),
                    },
                ],
            },
            {
                "title": "Documents",
                "items": [
                    {"title": "Corpora", "icon": "library_books", "link": reverse_lazy("admin:rag_corpus_changelist")},
                    {"title": "Versions", "icon": "layers", "link": reverse_lazy("admin:rag_corpusversion_changelist")},
                    {
                        "title": "Documents",
                        "icon": "description",
                        "link": reverse_lazy("admin:rag_document_changelist"),
                    },
                    {"title": "Ingests", "icon": "upload_file", "link": reverse_lazy("admin:rag_ingestjob_changelist")},
                ],
            },
            {
                "title": "Configure",
                "items": [
                    {"title": "Prompts", "icon": "edit_note", "link": reverse_lazy("admin:prompts_prompt_changelist")},
                    {"title": "Prices", "icon": "sell", "link": reverse_lazy("admin:costs_modelprice_changelist")},
                    {"title": "Budgets", "icon": "savings", "link": reverse_lazy("admin:costs_budget_changelist")},
                    {
                        "title": "Alert channels",
                        "icon": "notifications",
                        "link": reverse_lazy("admin:costs_alertchannel_changelist"),
                    },
                    {"title": "API keys", "icon": "key", "link": reverse_lazy("admin:rag_apikey_changelist")},
                    {"title": "Users", "icon": "group", "link": reverse_lazy("admin:auth_user_changelist")},
                    {
                        "title": "Changes",
                        "icon": "history",
                        "link": reverse_lazy("admin:admin_logentry_changelist"),
                        "permission": lambda request: request.user.has_perm("admin.view_logentry"),
                    },
                ],
            },
            {
                "title": "Operate",
                "items": [
                    {
                        "title": "Evaluations",
                        "icon": "rule",
                        "link": reverse_lazy("admin:evals_evalrun_changelist"),
                    },
                    {
                        "title": "Scoreboard",
                        "icon": "leaderboard",
                        "link": reverse_lazy("progress-scoreboard"),
                        "permission": lambda request: request.user.has_perm("costs.view_ledgerentry"),
                    },
                    {
                        "title": "Artifacts",
                        "icon": "workspace_premium",
                        "link": reverse_lazy("admin:completion_artifact_changelist"),
                        "permission": lambda request: request.user.has_perm("completion.view_artifact"),
                    },
                    {
                        "title": "Outages",
                        "icon": "monitor_heart",
                        "link": reverse_lazy("admin:rag_outage_changelist"),
                    },
                    {
                        "title": "Alerts",
                        "icon": "notification_important",
                        "link": reverse_lazy("admin:costs_alert_changelist"),
                    },
                    {
                        "title": "Deliveries",
                        "icon": "outgoing_mail",
                        "link": reverse_lazy("admin:costs_alertdelivery_changelist"),
                    },
                    {
                        "title": "Drill",
                        "icon": "emergency",
                        "link": reverse_lazy("drill"),
                        "permission": lambda request: (
                            request.user.has_perm("rag.run_drill") or request.user.has_perm("rag.view_outage")
                        ),
                    },
                ],
            },
        ],
    },
}
