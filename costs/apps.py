from django.apps import AppConfig


class CostsConfig(AppConfig):
    name = "costs"

    def ready(self) -> None:
        """Registers the system checks."""
        from costs import checks  # noqa: F401
