"""Handing work to Celery without ever making a request wait for a broker that is away."""

import logging

from celery import current_app
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)


def send(name: str, *args: object) -> bool:
    """Whether the broker took the message. If it did not, a periodic task finds the row that asked for the work."""
    try:
        current_app.send_task(name, args=args, retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        log.warning("broker away, task %s left to the periodic pick-up: %s", name, error)
        return False
    return True
