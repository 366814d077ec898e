"""The three groups that a new house begins with."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection

from ragsite.access import rules

pytestmark = pytest.mark.django_db
made = import_module("ragsite.migrations.0001_groups")


def permissions_of(name: str) -> set[str]:
    rows = Permission.objects.filter(group__name=name).values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in rows}


@pytest.mark.parametrize("name", ["editor", "operator", "auditor"])
def test_a_group_holds_what_the_migration_says_and_no_more(name: str) -> None:
    assert permissions_of(name) >= made.GROUPS[name]
    assert {each for each in permissions_of(name) if each.startswith("auth.")} <= {"auth.view_user", "auth.view_group"}


def test_an_auditor_may_look_at_every_page_of_the_admin_and_do_nothing() -> None:
    shown = {f"{model._meta.app_label}.view_{model._meta.model_name}" for model in admin.site._registry}

    assert shown - permissions_of("auditor") == set(), "let auditors see it, by a migration"
    assert {each for each in permissions_of("auditor") if ".view_" not in each} == set()


def test_every_permission_that_a_rule_names_exists() -> None:
    named = {
        permission
        for rule in rules().values()
        for who in (rule.look, rule.act)
        for permission in (who.permissions or () if who else ())
    } - {"-"}
    known = {
        f"{app}.{codename}" for app, codename in Permission.objects.values_list("content_type__app_label", "codename")
    }

    assert named - known == set()


def test_migrating_again_makes_no_permission_twice() -> None:
    """The migration comes before Django's own making of permissions, which must find what is there."""
    before = Permission.objects.count()

    call_command("migrate", verbosity=0)

    assert Permission.objects.count() == before
    assert Permission.objects.filter(codename="run_drill").count() == 1


def test_a_group_that_was_changed_stays_as_it_is() -> None:
    Group.objects.get(name="editor").permissions.clear()

    made.make(apps, SimpleNamespace(connection=connection))

    assert permissions_of("editor") == set()
