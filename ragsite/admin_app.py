"""The admin as an application. Not in `ragsite.apps`: Django would no longer know which configuration there is the site's."""

from typing import Any

from django.contrib.admin import autodiscover
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core.checks import CheckMessage, Tags, register


class AdminConfig(SimpleAdminConfig):
    """The admin is found by `ragsite.urls` and by its checks: Celery's processes have no pages and do without."""

    def ready(self) -> None:
        register(check_dependencies, Tags.admin)
        register(check_pages, Tags.admin)


def check_pages(**kwargs: Any) -> list[CheckMessage]:
    """Django's checks of the admin. They look at what is found so far, and the order of checks is nobody's."""
    autodiscover()
    return list(check_admin_app(kwargs["app_configs"]))
