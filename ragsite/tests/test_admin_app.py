"""The admin is checked whole, whoever has imported it so far."""

from django.apps import apps
from django.contrib import admin

from ragsite.admin_app import AdminConfig, check_pages
from ragsite.apps import RagsiteConfig


def test_both_applications_are_configured_by_their_own_classes() -> None:
    assert type(apps.get_app_config("ragsite")) is RagsiteConfig
    assert type(apps.get_app_config("admin")) is AdminConfig


def test_the_check_looks_at_every_model_that_the_admin_shows() -> None:
    assert check_pages(app_configs=None) == []
    assert {"rag", "costs", "prompts", "evals", "completion"} <= {
        model._meta.app_label for model in admin.site._registry
    }
