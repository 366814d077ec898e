"""Whatever is done in the admin is on record, and stays there."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import Error, connection, transaction
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from ragsite import audit_guards
from ragsite.access import OWN, STAFF, rules
from ragsite.audit_checks import check_record
from ragsite.tests.whole_site import make_world

pytestmark = pytest.mark.django_db
World = Mapping[str, Model]
WHY = {"why": "because of the drill"}
UNRECORDED = {
    "verify-check": "is for everybody and keeps nothing",
    "admin:completion_artifact_issue_new": "is logged as an addition; tested with issuing",
    "admin:completion_artifact_revoke_this": "by the page that asks for a reason, as an API key's",
    "admin:evals_did_it_help": "starts evaluations, which are rows with a name; tested with them",
    "admin:evals_evalrun_ask": "likewise",
    "admin:evals_evalrun_stopping": "likewise",
    "admin:evals_evalrun_resuming": "likewise",
    "admin:login": "a sign-in changes nothing",
    "sign-in": "likewise",
    "admin:logout": "likewise",
    "admin:password_change": "one's own; users changed by others are rows of the admin",
    "api/": "there is nothing",
    "api-ask": "leaves a trace",
    "admin:prompts_prompt_try": "leaves a trace",
    "admin:prompts_prompt_bump_preview": "leaves a trace",
    "admin:prompts_prompt_bump_check": "reads",
    "admin:prompts_prompt_bump_tokens": "reads",
}


@pytest.fixture
def world(alice: User) -> World:
    return make_world(by=alice)


@pytest.fixture
def page(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def on(world: World, model: str) -> dict[str, Any]:
    return {"object_id": world[model].pk}


def first_version(world: World) -> dict[str, Any]:
    return {"pk": world["prompts.prompt"].versions.get(number=1).pk}  # type: ignore[attr-defined]


POSTS: dict[str, tuple[Callable[[World], dict[str, Any]], dict[str, Any], str]] = {
    "admin:rag_corpusversion_activate_version": (lambda w: on(w, "rag.corpusversion"), WHY, "because of the drill"),
    "admin:rag_apikey_revoke_key": (lambda w: on(w, "rag.apikey"), WHY, "because of the drill"),
    "admin:costs_alertchannel_test_channel": (lambda w: on(w, "costs.alertchannel"), {}, "Send a test"),
    "admin:costs_alertchannel_renew_secret": (lambda w: on(w, "costs.alertchannel"), {}, "New secret"),
    "admin:costs_alertdelivery_resend_one": (lambda w: on(w, "costs.alertdelivery"), {}, "Send again"),
    "admin:prompts_promptversion_activate": (first_version, WHY | {"share": "100"}, "because of the drill"),
    "admin:prompts_prompt_bump": (
        lambda w: {"pk": w["prompts.prompt"].pk},
        {"instructions": "Answer.", "examples": "", "note": "shorter"},
        "Added",
    ),
}
"""Route -> how it is addressed, what is posted, and what of it has to be on record."""


def newest() -> LogEntry:
    return LogEntry.objects.select_related("user").latest("pk")


@pytest.mark.parametrize("route", POSTS)
def test_what_no_form_saves_is_recorded_too(route: str, page: Client, world: World) -> None:
    given, posted, words = POSTS[route]
    before = LogEntry.objects.count()

    response = page.post(reverse(route, kwargs=given(world)), posted)

    assert response.status_code in (200, 302)
    assert LogEntry.objects.count() == before + 1
    assert newest().user.username == "alice"
    assert words in newest().get_change_message()


def test_a_drill_is_recorded_before_it_begins(page: Client, corpus: object, settings: LazySettings) -> None:
    settings.DEFAULT_CORPUS = "handbook"

    assert page.post("/admin/drill/", {"name": "none of them"}).status_code == 200

    assert newest().get_change_message() == "Drill begun: none of them"


def test_rolling_back_is_recorded(page: Client, world: World) -> None:
    version: Any = world["rag.corpusversion"]
    newer = type(version).objects.create(
        corpus=version.corpus, number=2, state="ready", heartbeat_at=version.heartbeat_at
    )
    type(version.corpus).objects.filter(pk=version.corpus_id).update(active_version=newer)

    page.post(reverse("admin:rag_corpus_roll_back", args=[version.corpus_id]), WHY)

    assert newest().get_change_message() == "Roll handbook back: because of the drill"


@pytest.mark.parametrize(
    ("model", "action", "words"),
    [
        ("rag.apikey", "revoke_selected", "Revoked"),
        ("costs.alertdelivery", "resend_selected", "Send again"),
    ],
)
def test_what_is_done_to_a_selection_is_recorded_row_by_row(
    model: str, action: str, words: str, page: Client, world: World
) -> None:
    row: Any = world[model]
    if model == "costs.alertdelivery":
        type(row).objects.update(state="failed")

    page.post(
        reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_changelist"),
        {"action": action, "_selected_action": [str(row.pk)]},
    )

    assert newest().get_change_message() == words
    assert newest().object_id == str(row.pk)


def test_what_a_form_changed_is_recorded_by_its_fields(page: Client, world: World) -> None:
    budget: Any = world["costs.budget"]
    form = {"scope": "service", "period": "day", "limit_usd": "7.00", "warn_at": budget.warn_at, "active": "on"}

    page.post(reverse("admin:costs_budget_change", args=[budget.pk]), form | {"target": ""})

    assert "limit" in newest().get_change_message().lower()


def test_every_route_that_acts_is_recorded_or_says_why_not() -> None:
    """What Django's own pages of a model do is recorded by Django."""
    acting = {key for key in OWN if rules()[key].act not in (None, STAFF)} | {"admin:password_change"}
    tested = POSTS.keys() | {"drill", "admin:rag_corpus_roll_back", "admin:auth_user_password_change"}

    assert acting - tested - UNRECORDED.keys() == set()


def test_nobody_changes_or_deletes_the_record_in_the_admin(page: Client, world: World) -> None:
    entry = world["admin.logentry"]

    assert page.get(reverse("admin:admin_logentry_change", args=[entry.pk])).status_code == 200
    assert page.post(reverse("admin:admin_logentry_change", args=[entry.pk]), {}).status_code == 403
    assert page.post(reverse("admin:admin_logentry_delete", args=[entry.pk]), {"post": "yes"}).status_code == 403


def test_the_list_tells_who_did_what(page: Client, world: World) -> None:
    text = page.get(reverse("admin:admin_logentry_changelist")).content.decode()

    assert "alice" in text
    assert "plain words" in text


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM django_admin_log",
        "UPDATE django_admin_log SET change_message = 'nothing'",
        "UPDATE django_admin_log SET user_id = user_id + 1",
    ],
)
def test_the_database_refuses_to_forget(statement: str, world: World) -> None:
    with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert newest().get_change_message() == "plain words"


def test_no_user_is_deleted_with_what_they_did(world: World, alice: User) -> None:
    with pytest.raises(Error), transaction.atomic():
        LogEntry.objects.filter(user=alice).delete()


def test_a_trigger_that_was_dropped_is_told(db: None) -> None:
    assert check_record(None, databases=["default"]) == []

    audit_guards.take_down()
    try:
        (told,) = check_record(None, databases=["default"])
        assert told.id == "ragsite.E020"
        assert len(audit_guards.missing()) == 3
    finally:
        audit_guards.put_up()
