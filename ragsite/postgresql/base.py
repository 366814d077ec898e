"""Django's PostgreSQL, with a health check of idle connections that needs no round trip."""

import select
from typing import Any

from django.db.backends.postgresql import base
from psycopg import Error


class DatabaseWrapper(base.DatabaseWrapper):
    health_check_enabled: bool
    health_check_done: bool

    def close_if_health_check_failed(self) -> None:
        """Before its first query a request would send `SELECT 1`, for CONN_HEALTH_CHECKS. A server that ends a connection says
        so, and to one that is idle it says hardly anything else: where there is nothing to read, it lives.
        """
        if self.connection is not None and self.health_check_enabled and not self.health_check_done:
            self.health_check_done = is_silent(self.connection)
        super().close_if_health_check_failed()


def is_silent(connection: Any) -> bool:
    """Whether nothing has come since the last query: no farewell, no end of the connection."""
    poll = select.poll()
    try:
        poll.register(connection.fileno(), select.POLLIN | select.POLLPRI)
    except Error:  # it is closed already
        return False
    return not poll.poll(0)
