from django.apps import AppConfig


class RagsiteConfig(AppConfig):
    name = "ragsite"

    def ready(self) -> None:
        """Registers the system checks, and makes our Celery application the current one in every process."""
        from ragsite import audit_checks, celery, checks  # noqa: F401
