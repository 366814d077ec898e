"""What the service mode stands on and does not start itself: PostgreSQL and Redis, and a data folder of its own."""

from pathlib import Path

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from redis.exceptions import RedisError

from ragsite.secrets import masked

WAIT_S = 3
POSTGRESQL = """\
On Debian:  apt-get install postgresql
            su postgres -c "createuser --pwprompt ragsite"
            su postgres -c "createdb --owner ragsite ragsite"
  then set  DATABASE_URL=postgres://ragsite:PASSWORD@127.0.0.1:5432/ragsite"""
REDIS = """\
On Debian:  apt-get install redis-server
  then set  REDIS_URL=redis://127.0.0.1:6379/0"""


class NotThere(Exception):
    """Something that the service needs; the message says what, and how to get it."""


def demand() -> None:
    """Raises NotThere for the first thing that is missing."""
    postgresql()
    redis_server()
    own_folder()


def postgresql() -> None:
    if connection.vendor != "postgresql":
        raise NotThere(f"the service mode needs PostgreSQL, and DATABASE_URL names none.\n{POSTGRESQL}")
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        raise NotThere(f"PostgreSQL does not answer: {first_line(error)}\n{POSTGRESQL}") from error
    finally:
        connection.close()


def redis_server() -> None:
    if not settings.REDIS_URL:
        raise NotThere(f"the service mode needs Redis, and REDIS_URL is empty.\n{REDIS}")
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=WAIT_S, socket_timeout=WAIT_S, retry=None
        ) as server:
            server.ping()
    except (RedisError, ValueError) as error:
        raise NotThere(
            f"Redis does not answer at {masked(settings.REDIS_URL)}: {first_line(error)}\n{REDIS}"
        ) from error


def own_folder() -> None:
    """Index files and collections are named after rows: two databases must not share a folder."""
    if (Path(settings.DATA_DIR) / "ragsite.sqlite3").exists():
        raise NotThere(
            f"{settings.DATA_DIR} is the data folder of the embedded mode, and its indexes belong to the database in it.\n"
            "Set another one for the service:  DATA_DIR=data/service"
        )


def first_line(error: Exception) -> str:
    return masked(str(error).strip().partition("\n")[0]) or type(error).__name__
