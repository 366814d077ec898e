import select
from unittest.mock import Mock

import pytest
from django.db import connection, connections

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="a connection to a file has no other end")


def connected():
    made = connections.create_connection("default")
    made.settings_dict = connection.settings_dict | {"CONN_HEALTH_CHECKS": True}
    made.ensure_connection()
    return made


@pytest.fixture
def ours(db):
    """The connection of a thread that lives from request to request."""
    made = connected()
    begin_request(made)
    yield made
    made.close()


@pytest.fixture
def other(db):
    made = connected()
    yield made
    made.close()


def begin_request(database):
    database.health_check_enabled = True
    database.close_if_unusable_or_obsolete()


def backend(database):
    return asked(database, "SELECT pg_backend_pid()")


def asked(database, query, *values):
    with database.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchone()[0]


def test_a_connection_that_lives_is_not_asked_for_it(ours, monkeypatch):
    monkeypatch.setattr(ours, "is_usable", lambda: pytest.fail("asked"))
    first = backend(ours)
    begin_request(ours)
    assert backend(ours) == first


def test_one_that_the_server_ended_between_two_requests_is_made_anew(ours, other):
    first = backend(ours)
    begin_request(ours)
    assert asked(other, "SELECT pg_terminate_backend(%s, 5000)", first)
    assert backend(ours) != first


def test_one_that_is_closed_on_our_side_is_made_anew(ours):
    first = backend(ours)
    begin_request(ours)
    ours.connection.close()
    assert backend(ours) != first


def test_one_that_has_something_else_to_say_is_asked_whether_it_lives(ours, other, monkeypatch):
    first = backend(ours)
    with ours.cursor() as cursor:
        cursor.execute("LISTEN something")
    begin_request(ours)
    asked(other, "SELECT pg_notify('something', '')::text")
    assert select.select([ours.connection], [], [], 5)[0]
    is_usable = Mock(wraps=ours.is_usable)
    monkeypatch.setattr(ours, "is_usable", is_usable)
    assert backend(ours) == first
    is_usable.assert_called_once()
