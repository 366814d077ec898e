"""Every route has a rule, and the rule is what happens: asked by everybody, with GET and with POST."""

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import transaction
from django.http.response import HttpResponseBase
from django.test import Client

from rag.models import ApiKey
from ragsite.access import MODELS, Route, Who, routes, rules, table
from ragsite.tests.whole_site import address_of, make_world

pytestmark = pytest.mark.django_db
GROUPS = ("editor", "operator", "auditor")
Caller = tuple[Client, User | AnonymousUser, frozenset[str]]


def staff(name: str, *, groups: tuple[str, ...] = (), **more: bool) -> Caller:
    flags: dict[str, Any] = {"is_staff": True, **more}
    user = User.objects.create_user(name, password="correct horse", **flags)
    user.groups.set(Group.objects.filter(name__in=groups))
    client = Client()
    client.force_login(user)
    return client, user, frozenset()


def with_key(*scopes: str) -> Caller:
    key = ApiKey(name="client", scopes=list(scopes))
    full_key = key.make_secret()
    key.save()
    return Client(headers={"Authorization": f"Bearer {full_key}"}), AnonymousUser(), frozenset(scopes)


CALLERS: dict[str, Callable[[], Caller]] = {
    "anonymous": lambda: (Client(), AnonymousUser(), frozenset()),
    "a user who is not staff": lambda: staff("customer", is_staff=False),
    "staff who left": lambda: staff("gone", groups=GROUPS, is_active=False),
    "staff without permission": lambda: staff("new"),
    "editor": lambda: staff("eve", groups=("editor",)),
    "operator": lambda: staff("oscar", groups=("operator",)),
    "auditor": lambda: staff("audrey", groups=("auditor",)),
    "superuser": lambda: staff("root", is_superuser=True),
    "key without scope": lambda: with_key(),
    **{f"key with {scope}": lambda scope=scope: with_key(scope) for scope in ApiKey.SCOPES},  # type: ignore[misc]
}


def refused(response: HttpResponseBase) -> bool:
    return response.status_code in (401, 403) or response.headers.get("Location", "").startswith("/admin/login/")


def answer(client: Client, method: str, address: str) -> HttpResponseBase:
    """What came back; whatever it changed is undone, a sign-out too."""
    cookies = deepcopy(client.cookies)
    with transaction.atomic():
        response: HttpResponseBase = getattr(client, method)(address)
        transaction.set_rollback(True)
    client.cookies = cookies
    return response


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    keys = {route.key for route in routes()}

    assert keys - rules().keys() == set(), "routes without a rule: give each one in ragsite/access.py"
    assert rules().keys() - keys == set(), "rules without a route"


def wrong(caller: Caller, alice: User) -> Iterator[str]:
    client, user, scopes = caller
    world = make_world(by=alice)
    known = rules()
    for route in routes():
        rule, address = known[route.key], address_of(route, world)
        for method, who in (("get", rule.look), ("post", rule.act or rule.look)):
            response = answer(client, method, address)
            assert response.status_code < 500 or response.status_code == 503, f"{method} {address}"
            if fault := fault_of(response, who, user, scopes):
                yield f"{method} {address} ({route.key}): {fault}, {response.status_code}"


def fault_of(
    response: HttpResponseBase, who: Who | None, user: User | AnonymousUser, scopes: frozenset[str]
) -> str | None:
    if response.status_code == 405:  # nobody can do that there
        return None
    if who is None:
        return "should answer POST alone" if response.status_code == 200 else None
    if who.admits(user, scopes) == refused(response):
        return "should be let in" if who.admits(user, scopes) else "should be refused"
    return None


@pytest.mark.parametrize("name", CALLERS)
def test_the_rules_are_what_happens_to(name: str, alice: User) -> None:
    assert "\n".join(wrong(CALLERS[name](), alice)) == ""


def test_a_rule_that_is_too_wide_or_too_narrow_is_found(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast(dict[str, str], MODELS), "rag.document", "look add")

    (fault, *_) = wrong(CALLERS["superuser"](), alice)

    assert fault.startswith("get /admin/rag/document/add/")


def test_the_documented_table_is_what_the_rules_say() -> None:
    documented = Path(settings.BASE_DIR / "docs" / "security.md").read_text("utf-8")

    (written,) = re.findall(r"(?s)\| route \|.*?(?=\n\n|\Z)", documented)

    assert written.strip() == table().strip(), "write it anew: manage.py access --write"


def test_a_route_without_a_name_is_told_by_its_pattern() -> None:
    assert Route("api/", "api/") in routes()
