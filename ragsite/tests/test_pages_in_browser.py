"""Every page of the site in a real browser, full of hostile text: scripts work, nothing foreign runs, no policy is broken."""

from collections.abc import Mapping

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from ragsite.access import routes, rules
from ragsite.tests.browser import watched_page
from ragsite.tests.test_hostile_content import HOSTILE
from ragsite.tests.whole_site import address_of, make_world

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)
FEWEST_PAGES = 60


@pytest.fixture
def pages(client: Client, alice: User) -> Mapping[str, str]:
    """Address -> its policy."""
    client.force_login(alice)
    world = make_world(HOSTILE, by=alice)
    found = {}
    for route in routes():
        if rules()[route.key].look is not None:
            address = address_of(route, world)
            response = client.get(address)
            if response.status_code == 200 and "text/html" in response.headers["Content-Type"]:
                found[address] = response.headers.get("Content-Security-Policy", "")
    return found


def test_every_page_works_under_its_policy(
    pages: Mapping[str, str], client: Client, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)  # the server's threads outlive the test
    name = settings.SESSION_COOKIE_NAME
    cookie = {"name": name, "value": client.cookies[name].value, "url": live_server.url}

    assert len(pages) >= FEWEST_PAGES
    assert all(pages.values()), "every page has a policy"
    with watched_page() as page:
        page.context.add_cookies([cookie])
        for address in pages:
            answer = page.goto(f"{live_server.url}{address}")
            assert answer.status == 200, address


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            "<meta http-equiv='Content-Security-Policy' content=\"script-src 'none'\"><script>1</script>",
            "Content Security",
        ),
        ("<script>alert('here')</script>", "a dialog says here"),
        ("<img src='https://127.0.0.1:9/x.png'>", "asks https://127.0.0.1:9/x.png"),
        ("<script>missing()</script>", "missing is not defined"),
    ],
)
def test_what_goes_wrong_is_noticed(content: str, told: str) -> None:
    with pytest.raises(AssertionError, match=told), watched_page() as page:
        page.set_content(content)
